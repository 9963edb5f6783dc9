"""Data connections in memory: both ends, with one stream."""

from __future__ import annotations

import asyncio
from typing import Any

from gate_p2p.transport import ALPN_INFERENCE, CloseInfo, ConnectionLost, StreamReset, StreamStopped

from .memory import ACCEPTOR, DIALER, MemoryStream, Wire


class DataStream(MemoryStream):
    """One end of the stream; `reset` and `stop` are seen by the other."""

    reset_code: int | None = None  # ours: the other end's reads fail
    stop_code: int | None = None  # ours: the other end's writes fail
    finished = False

    def __init__(self, wire: Wire, own_id: str, remote_id: str) -> None:
        super().__init__(wire, own_id, remote_id)
        self.stopped = asyncio.Event()

    def close(self, code: int, reason: str = "") -> None:
        super().close(code, reason)
        for end in (self, self.other):
            assert isinstance(end, DataStream)
            end.stopped.set()

    async def read(self, max_bytes: int = 65536) -> bytes:
        while not self.inbox:
            if isinstance(self.other, DataStream) and self.other.reset_code is not None:
                raise StreamReset(self.other.reset_code)
            if self.ended:
                return b""
            self._check()
            await self._next_change()
        return await super().read(max_bytes)

    async def write(self, data: bytes) -> None:
        self.writes.append(len(data))
        while True:
            self._check()
            assert isinstance(self.other, DataStream)
            if self.other.stop_code is not None:
                raise StreamStopped(self.other.stop_code)
            room = self.other.capacity - len(self.other.inbox)
            self.other.inbox += data[:room]
            data = data[room:]
            self._change()
            if not data:
                return
            await self._next_change()

    async def finish(self) -> None:
        assert isinstance(self.other, DataStream)
        if self.other.stop_code is not None:
            raise StreamStopped(self.other.stop_code)
        self.finished = True
        await super().finish()

    async def wait_stopped(self, every: float = 1.0) -> None:
        assert isinstance(self.other, DataStream)
        while self.other.stop_code is None and self._wire.closed is None:
            await self.stopped.wait()

    def reset(self, code: int) -> None:
        if self.reset_code is None:
            self.reset_code = code
            self._change()

    def stop(self, code: int) -> None:
        self.stop_code = code
        assert isinstance(self.other, DataStream)
        self.other.stopped.set()
        self._change()


class DataConnection:
    """One end of a connection."""

    alpn = ALPN_INFERENCE

    def __init__(self, wire: Wire, own_id: str, remote_id: str, stream: DataStream) -> None:
        self.wire = wire
        self.own_id = own_id
        self.remote_id = remote_id
        self.stream = stream
        self._opened = False

    async def open_stream(self) -> Any:
        return self.stream

    async def accept_stream(self) -> Any:
        if not self._opened:
            while not (self.stream.inbox or self.stream.ended or self.wire.closed):
                await self.stream._next_change()
            self._opened = True
            if self.wire.closed is None:
                return self.stream
        end = await self.wait_closed()
        raise ConnectionLost(end.code, end.by_peer, end.reason)

    def close(self, code: int, reason: str = "") -> None:
        self.stream.close(code, reason)

    async def wait_closed(self) -> CloseInfo:
        await self.wire.over.wait()
        assert self.wire.closed is not None
        who, code, reason = self.wire.closed
        return CloseInfo(code, who != self.own_id, reason)

    @property
    def closed(self) -> tuple[bool, int] | None:
        """Whether we closed it, and the code."""
        return None if self.wire.closed is None else (self.wire.closed[0] == self.own_id, self.wire.closed[1])


def data_connection() -> tuple[DataConnection, DataConnection]:
    """The dialer's end and the acceptor's."""
    wire = Wire()
    ours, theirs = DataStream(wire, DIALER, ACCEPTOR), DataStream(wire, ACCEPTOR, DIALER)
    ours.other, theirs.other = theirs, ours
    return DataConnection(wire, DIALER, ACCEPTOR, ours), DataConnection(wire, ACCEPTOR, DIALER, theirs)
