"""An endpoint of no iroh, with what the tests have arrive at it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gate_p2p.iroh.call import Calls, Done
from gate_p2p.transport import CloseInfo, DialError, TransportError


class MemoryStream:
    """A stream that nothing ever comes on."""

    write_size = 1

    def read(self, max_bytes: int, done: Done[bytes], under_way: Calls) -> None:
        raise AssertionError("nobody reads")

    def write(self, data: bytes, done: Done[None], under_way: Calls) -> None:
        raise AssertionError("nobody writes")

    async def finish(self) -> None: ...
    async def stopped(self) -> int | None:
        return None

    async def probe(self) -> None: ...
    async def reset(self, code: int) -> None: ...
    async def stop(self, code: int) -> None: ...


class MemoryConnection:
    """Open until it is closed."""

    remote_id = "ab" * 32
    alpn = "gate/control/1.0"

    def __init__(self) -> None:
        self._closed: asyncio.Future[CloseInfo] = asyncio.get_running_loop().create_future()

    async def open_stream(self) -> MemoryStream:
        return MemoryStream()

    async def accept_stream(self) -> MemoryStream:
        await self.closed()
        raise TransportError("closed")

    async def refuse_unidirectional(self, code: int) -> None:
        await self.closed()
        raise TransportError("closed")

    def close(self, code: int, reason: bytes) -> None:
        if not self._closed.done():
            self._closed.set_result(CloseInfo(code, False, reason.decode()))

    async def closed(self) -> CloseInfo:
        return await asyncio.shield(self._closed)


class MemoryIncoming:
    """`answers`: whether the peer is there, and finishes its handshake."""

    def __init__(self, endpoint: MemoryEndpoint, *, validated: bool, answers: bool) -> None:
        self._endpoint = endpoint
        self._validated = validated
        self._answers = answers
        self.became = ""
        self.dealt_with = asyncio.Event()

    def _become(self, what: str) -> None:
        self.became = what
        self.dealt_with.set()

    async def validated(self) -> bool:
        return self._validated

    async def establish(self) -> MemoryConnection:
        self._become("established" if self._answers else "half open")
        if not self._answers:
            await self._endpoint.closed.wait()
            raise TransportError("the endpoint was closed")
        return MemoryConnection()

    async def refuse(self) -> None:
        self._become("refused")

    async def retry(self) -> None:
        self._become("asked again")


class MemoryEndpoint:
    """`arrive` has somebody dial it. `closing` is set when a close has begun; `failing`: it raises."""

    node_id = "cd" * 32
    socket_addresses = ("127.0.0.1:1",)
    no_answer = ""

    def __init__(self) -> None:
        self._incoming: asyncio.Queue[MemoryIncoming | None] = asyncio.Queue()
        self.closed = asyncio.Event()
        self.closing = asyncio.Event()
        self.may_close = asyncio.Event()
        self.may_close.set()
        self.failing = False

    async def arrive(self, *, validated: bool = False, answers: bool = True) -> MemoryIncoming:
        """One that has been dealt with as far as it goes."""
        incoming = MemoryIncoming(self, validated=validated, answers=answers)
        self._incoming.put_nowait(incoming)
        await incoming.dealt_with.wait()
        return incoming

    async def connect(self, node_id: str, socket_addresses: Sequence[str], alpn: str) -> MemoryConnection:
        raise DialError("nobody is there", "no_answer")

    async def accept_next(self) -> MemoryIncoming | None:
        return await self._incoming.get()

    async def close(self) -> None:
        self.closing.set()
        await self.may_close.wait()
        self.closed.set()
        self._incoming.put_nowait(None)
        if self.failing:
            raise TransportError("iroh would not close")
