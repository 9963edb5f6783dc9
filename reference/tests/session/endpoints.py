"""A session's endpoint in memory: the test dials it by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gate_p2p.address import NodeAddress
from gate_p2p.transport import ALPN_CONTROL, CloseInfo, ConnectionLost, DialError, TransportError

from .memory import ACCEPTOR, MemoryStream, Wire, stream_pair


class StreamOfConnection:
    """A MemoryStream with the rest of what a PeerStream has."""

    def __init__(self, stream: MemoryStream) -> None:
        self.stream = stream
        self.read = stream.read
        self.write = stream.write
        self.finish = stream.finish
        self.wait_delivered = stream.wait_delivered
        self.stopped = asyncio.Event()

    async def wait_stopped(self, every: float = 1.0) -> None:
        await self.stopped.wait()

    def reset(self, code: int) -> None:
        raise AssertionError("there is one stream alone")

    stop = reset


class MemoryConnection:
    """The accepted side of a connection, with the control stream that its dialer has opened, if any."""

    alpn = ALPN_CONTROL

    def __init__(self, remote_id: str, *, opened: bool = True) -> None:
        self.remote_id = remote_id
        self.theirs, ours = stream_pair()
        ours.remote_id = remote_id
        self._wire: Wire = ours._wire
        self.control = StreamOfConnection(ours)
        self._unaccepted = [self.control] if opened else []

    async def open_stream(self) -> StreamOfConnection:
        raise TransportError("the test opens the streams")

    async def accept_stream(self) -> StreamOfConnection:
        if self._unaccepted:
            return self._unaccepted.pop()
        end = await self.wait_closed()
        raise ConnectionLost(end.code, end.by_peer, end.reason)

    def close(self, code: int, reason: str = "") -> None:
        if self._wire.closed is None:
            self._wire.closed = (ACCEPTOR, int(code), reason)
            self._wire.over.set()
            self.theirs._change()

    async def wait_closed(self) -> CloseInfo:
        await self._wire.over.wait()
        assert self._wire.closed is not None
        who, code, reason = self._wire.closed
        return CloseInfo(code, who != ACCEPTOR, reason)


class MemoryEndpoint:
    """`arrive` has a connection accepted."""

    node_id = ACCEPTOR
    address = NodeAddress(ACCEPTOR, ("127.0.0.1:1",))

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[MemoryConnection | None] = asyncio.Queue()
        self.connections: list[MemoryConnection] = []

    async def bind(self, secret_key: bytes | None, listen: str, alpns: Sequence[str]) -> MemoryEndpoint:
        return self

    async def dial(self, address: NodeAddress, alpn: str, timeout: float = 30.0) -> MemoryConnection:
        raise DialError("nobody is there", "no_answer")

    async def arrive(self, remote_id: str, *, opened: bool = True) -> MemoryConnection:
        connection = MemoryConnection(remote_id, opened=opened)
        self.connections.append(connection)
        await self.incoming.put(connection)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return connection

    async def accept(self) -> MemoryConnection | None:
        return await self.incoming.get()

    async def aclose(self) -> None:
        for connection in self.connections:
            connection.close(0)
        await self.incoming.put(None)
