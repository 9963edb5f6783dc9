"""Connections with a stream in both directions, in memory: what a relay's pool and a daemon's supply see."""

from __future__ import annotations

import asyncio

from gate_p2p.session.errors import PeerNotConnected
from gate_p2p.transport import ALPN_SNI_PROXY, CloseInfo, ConnectionLost, StreamReset, StreamStopped


class Direction:
    """What one side sends: `capacity` bytes at most before the other reads."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.bytes = bytearray()
        self.ended = False
        self.reset: int | None = None
        self.stopped: int | None = None


class Link:
    """What both ends of a connection share."""

    def __init__(self) -> None:
        self.closed: tuple[object, int, str] | None = None
        self.over = asyncio.Event()
        self.moved = asyncio.Event()
        self.others_awaited = False  # the acceptor waits for a second stream, to refuse it

    def move(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()


class Stream:
    def __init__(self, end: Connection, out: Direction, into: Direction) -> None:
        self._end, self._out, self._in = end, out, into

    async def read(self, max_bytes: int = 65536) -> bytes:
        while not self._in.bytes:
            if self._in.reset is not None:
                raise StreamReset(self._in.reset)
            if self._in.ended:
                return b""
            self._end.check()
            await self._end.link.moved.wait()
        data = bytes(self._in.bytes[:max_bytes])
        del self._in.bytes[:max_bytes]
        self._end.link.move()
        return data

    async def write(self, data: bytes) -> None:
        while data:
            self._end.check()
            if self._out.stopped is not None:
                raise StreamStopped(self._out.stopped)
            room = self._out.capacity - len(self._out.bytes)
            self._out.bytes += data[:room]
            data = data[room:]
            self._end.link.move()
            if data:
                await self._end.link.moved.wait()

    async def finish(self) -> None:
        self._end.check()
        self._out.ended = True
        self._end.link.move()

    async def wait_delivered(self, timeout: float = 1.0) -> bool:
        try:
            async with asyncio.timeout(timeout):
                while self._out.bytes and self._end.link.closed is None and self._out.stopped is None:
                    await self._end.link.moved.wait()
        except TimeoutError:
            return False
        return not self._out.bytes

    async def wait_stopped(self, every: float = 1.0) -> None:
        while self._out.stopped is None and self._end.link.closed is None:
            await self._end.link.moved.wait()

    def reset(self, code: int) -> None:
        if not self._out.ended:
            self._out.reset = int(code)
            self._out.bytes.clear()
            self._end.link.move()

    def stop(self, code: int) -> None:
        if not self._in.ended and self._in.reset is None:
            self._in.stopped = int(code)
            self._end.link.move()


class Connection:
    """One end; `stream` is its end of the one stream, which `open_stream` or `accept_stream` gives out."""

    alpn = ALPN_SNI_PROXY

    def __init__(self, remote_id: str, link: Link, out: Direction, into: Direction, *, dials: bool) -> None:
        self.remote_id = remote_id
        self.link = link
        self.stream = Stream(self, out, into)
        self._given = False
        self._dials = dials

    def check(self) -> None:
        if self.link.closed is not None:
            who, code, reason = self.link.closed
            raise ConnectionLost(code, who is not self, reason)

    async def open_stream(self) -> Stream:
        assert self._dials
        self.check()
        return self.stream

    async def accept_stream(self) -> Stream:
        if not self._dials and not self._given:
            while not (self.stream._in.bytes or self.stream._in.ended or self.stream._in.reset is not None):
                self.check()  # a stream is seen with its first byte
                await self.link.moved.wait()
            self._given = True
            return self.stream
        self.link.others_awaited |= not self._dials
        await self.link.over.wait()
        self.check()
        raise AssertionError("the connection is over")

    def close(self, code: int, reason: str = "") -> None:
        if self.link.closed is None:
            self.link.closed = (self, int(code), reason)
            self.link.over.set()
            self.link.move()

    async def wait_closed(self) -> CloseInfo:
        await self.link.over.wait()
        assert self.link.closed is not None
        who, code, reason = self.link.closed
        return CloseInfo(code, who is not self, reason)

    @property
    def end(self) -> int | None:
        """The code with which either side closed."""
        return None if self.link.closed is None else self.link.closed[1]


def connection_pair(daemon: str, relay: str, capacity: int = 1_000_000) -> tuple[Connection, Connection]:
    """The daemon's end, which dials, and the relay's."""
    link, there, back = Link(), Direction(capacity), Direction(capacity)
    return (
        Connection(relay, link, there, back, dials=True),
        Connection(daemon, link, back, there, dials=False),
    )


class Asked:
    """A control link that notes what it is asked for, and answers as `answer` says."""

    def __init__(self) -> None:
        self.domains: list[str] = []
        self.answers: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def request_sni_stream(self, domain: str, timeout: float | None = None) -> None:
        self.domains.append(domain)
        if (error := await self.answers.get()) is not None:
            raise error


class ControlOf:
    """The control connections of a relay: with every peer, or with nobody."""

    def __init__(self) -> None:
        self.connected = True
        self.asked = Asked()

    def is_connected(self, peer_id: str) -> bool:
        return self.connected

    def link(self, peer_id: str) -> Asked:
        if not self.connected:
            raise PeerNotConnected("nobody is there")
        return self.asked
