"""Two ends of one stream in memory, and a loop whose clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from gate_p2p.core import Connection, Event
from gate_p2p.core.messages import Message, encode
from gate_p2p.transport import ConnectionLost

T = TypeVar("T")

DIALER = "d1" * 32
ACCEPTOR = "ac" * 32


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type, unused-ignore]
    clock = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen on this loop")
        if timeout > 0:
            self.clock += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.clock


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time; a complaint of the loop or a task left over is an error."""
    complaints: list[str] = []
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
        result = runner.run(work)
        left = asyncio.all_tasks(runner.get_loop())
    assert not complaints
    assert not left
    return result


class Wire:
    """What both ends of a stream share: how it was closed."""

    def __init__(self) -> None:
        self.closed: tuple[str, int, str] | None = None
        self.over = asyncio.Event()


class MemoryStream:
    """One end. `capacity`: bytes the other end's buffer takes before writes block."""

    def __init__(self, wire: Wire, own_id: str, remote_id: str, capacity: int = 1_000_000) -> None:
        self._wire = wire
        self._own_id = own_id
        self.remote_id = remote_id
        self.capacity = capacity
        self.inbox = bytearray()
        self.ended = False
        self.other: MemoryStream
        self.changed = asyncio.Event()
        self.reads = 0
        self.writes: list[int] = []

    def _change(self) -> None:
        for end in (self, self.other):
            end.changed.set()

    async def _next_change(self) -> None:
        self.changed.clear()
        await self.changed.wait()

    def _check(self) -> None:
        if self._wire.closed is not None:
            who, code, reason = self._wire.closed
            raise ConnectionLost(code, who != self._own_id, reason)

    async def read(self, max_bytes: int = 65536) -> bytes:
        self.reads += 1
        while not self.inbox:
            if self.ended:
                return b""
            self._check()
            await self._next_change()
        data = bytes(self.inbox[:max_bytes])
        del self.inbox[:max_bytes]
        self._change()
        return data

    async def write(self, data: bytes) -> None:
        self.writes.append(len(data))
        while True:
            self._check()
            room = self.other.capacity - len(self.other.inbox)
            if room > 0:
                self.other.inbox += data[:room]
                data = data[room:]
                self._change()
            if not data:
                return
            await self._next_change()

    async def finish(self) -> None:
        self._check()
        self.other.ended = True
        self._change()

    async def wait_delivered(self, timeout: float = 1.0) -> bool:
        try:
            async with asyncio.timeout(timeout):
                while self.other.inbox and self._wire.closed is None:
                    await self._next_change()
        except TimeoutError:
            return False
        return True

    def close(self, code: int, reason: str = "") -> None:
        if self._wire.closed is None:
            self._wire.closed = (self._own_id, int(code), reason)
            self._wire.over.set()
            self._change()

    @property
    def closed(self) -> tuple[str, int, str] | None:
        """Who closed, the code, the reason."""
        return self._wire.closed


def stream_pair() -> tuple[MemoryStream, MemoryStream]:
    """The dialer's end and the acceptor's."""
    wire = Wire()
    dialer, acceptor = MemoryStream(wire, DIALER, ACCEPTOR), MemoryStream(wire, ACCEPTOR, DIALER)
    dialer.other, acceptor.other = acceptor, dialer
    return dialer, acceptor


class Peer:
    """The other side, driven by hand with a core of its own: sends what it is told and collects events."""

    def __init__(self, stream: MemoryStream, *, role: str = "dialer") -> None:
        self.stream = stream
        make = Connection.dialer if role == "dialer" else Connection.acceptor
        self.core = make(node_id=stream._own_id, capabilities=("dns_challenge",), now=0.0)
        self.events: list[Event] = []

    async def flush(self) -> None:
        if out := self.core.data_to_send():
            await self.stream.write(out)

    async def take(self) -> list[Event]:
        """Read once, answer, and return the events."""
        events = self.core.receive_data(await self.stream.read(), asyncio.get_running_loop().time())
        self.events += events
        await self.flush()
        return events

    async def until(self, kind: type[Event]) -> Event:
        """The first event of this kind that has not been asked for yet."""
        while True:
            for event in self.events:
                if isinstance(event, kind):
                    self.events.remove(event)
                    return event
            await self.take()

    async def send(self, message: Message) -> None:
        """A frame past the core."""
        body = encode(message)
        await self.stream.write(len(body).to_bytes(4, "big") + body)
