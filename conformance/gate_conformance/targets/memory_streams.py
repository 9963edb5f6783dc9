"""Streams in memory: what a factory of ``py:`` gets, and the suite's end of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gate_conformance.channel import Channel, ChannelLost, ChannelReset, CloseReport

HIGH_WATER = 1 << 20


class PeerClosed(ConnectionError):
    """The suite closed the connection. ``code`` is its application code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the peer closed the connection with code {code}")
        self.code = code


class PeerReset(ConnectionResetError):
    """The suite reset its direction, or stopped this one, with a code."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(f"the peer {what} the stream with code {code}")
        self.code = code


class _Pipe:
    """One direction: bounded, with a clean end or a sudden one."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._changed = asyncio.Condition()

    async def write(self, data: bytes) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._data) < HIGH_WATER or self._error is not None)
            if self._error is not None:
                raise self._error
            if self._ended:
                raise ValueError("this direction of the stream is finished")
            self._data += data
            self._changed.notify_all()

    async def read(self, max_bytes: int) -> bytes:
        async with self._changed:
            await self._changed.wait_for(lambda: self._data or self._ended or self._error is not None)
            if self._data:
                data = bytes(self._data[:max_bytes])
                del self._data[:max_bytes]
                self._changed.notify_all()
                return data
            if self._ended:
                return b""
            assert self._error is not None
            raise self._error

    async def finish(self) -> None:
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def delivered(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._data or self._error is not None)

    async def failed(self) -> None:
        """Wait until nobody takes bytes any more."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._error is not None)

    def fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
            task = asyncio.get_running_loop().create_task(self._notify())
            task.add_done_callback(lambda done: done.cancelled())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class MemoryStream:
    """What a factory gets: ``remote_id``, read, write, finish, wait_delivered, close.

    ``read`` and ``write`` raise PeerClosed, a ConnectionError, once the suite has closed the connection, and
    ConnectionResetError for a direction that it has reset or stopped. Data connections are of this kind too:
    ``alpn`` tells them apart, ``dial`` opens one to the suite, and ``accept`` gives the surplus streams that
    the suite opens on one.
    """

    def __init__(self, remote_id: str, alpn: str, arrive: Callable[[MemoryEnd], None]) -> None:
        self.remote_id = remote_id
        self.alpn = alpn
        self.incoming, self.outgoing = _Pipe(), _Pipe()
        self.surplus: asyncio.Queue[MemoryStream] = asyncio.Queue()
        self.opened: list[MemoryStream] = []  # surplus streams of the node's own
        self.beside_streams: asyncio.Queue[bytes] = asyncio.Queue()
        self.close_code: int | None = None
        self.closed = asyncio.Event()
        self._all = [self]
        self._arrive = arrive

    async def read(self, max_bytes: int = 65536) -> bytes:
        """The next bytes; b"" at the clean end."""
        return await self.incoming.read(max_bytes)

    async def write(self, data: bytes) -> None:
        try:
            await self.outgoing.write(bytes(data))
        except ChannelLost as error:
            raise PeerClosed(error.code or 0) from None
        except ChannelReset as error:
            raise ConnectionResetError(f"this direction was reset with code {error.code}") from None

    async def finish(self) -> None:
        """End the own direction."""
        await self.outgoing.finish()

    def reset(self, code: int) -> None:
        """Reset the own direction."""
        self.outgoing.fail(ChannelReset(code))

    def stop(self, code: int) -> None:
        """Take no more of the suite's direction."""
        self.incoming.fail(ChannelReset(code))

    async def wait_delivered(self, timeout: float = 1.0) -> bool:
        """Whether the suite has read everything within ``timeout`` seconds."""
        try:
            await asyncio.wait_for(self.outgoing.delivered(), timeout)
        except TimeoutError:
            return False
        return True

    async def wait_stopped(self) -> None:
        """Return when the suite takes no more of the own direction, however it comes."""
        await self.outgoing.failed()

    async def wait_closed(self) -> None:
        """Return when either side has closed the connection."""
        await self.closed.wait()

    async def accept(self) -> MemoryStream:
        """The next surplus stream of the suite on this connection."""
        return await self.surplus.get()

    async def receive_beside(self) -> bytes:
        """What the suite sends on this connection that is on no bidirectional stream."""
        return await self.beside_streams.get()

    async def dial(self, alpn: str) -> MemoryStream:
        """A data connection to the suite, with one stream on it."""
        stream = MemoryStream(self.remote_id, alpn, self._arrive)
        self._arrive(MemoryEnd(stream))
        return stream

    async def open(self) -> MemoryStream:
        """A surplus stream of the node's own on this connection."""
        second = self.beside()
        self.opened.append(second)
        return second

    def beside(self) -> MemoryStream:
        """Another stream of the same connection."""
        second = MemoryStream(self.remote_id, self.alpn, self._arrive)
        second.closed, second._all = self.closed, self._all
        self._all.append(second)
        return second

    def close(self, code: int = 0, reason: str = "") -> None:
        """Close the connection with an application code; again does nothing."""
        if self._all[0].close_code is None:
            for stream in self._all:
                stream.close_code = int(code)
                stream.incoming.fail(ConnectionError("the connection is closed"))
                stream.outgoing.fail(ChannelLost(int(code), True, reason))
            self.closed.set()

    def closed_by_suite(self, code: int) -> None:
        """The suite has closed the connection."""
        for stream in self._all:
            stream.incoming.fail(PeerClosed(code))
            stream.outgoing.fail(ChannelLost(code, False, "the suite closed the connection"))


class MemoryEnd:
    """The suite's end of a stream."""

    grace = 0.0
    slack = 0.0
    kind = "stream"

    def __init__(self, stream: MemoryStream) -> None:
        self.remote_id = ""
        self._stream = stream
        self._closed = False

    @property
    def alpn(self) -> str:
        """What is spoken on the connection; empty on a control connection."""
        return self._stream.alpn

    async def read(self) -> bytes:
        try:
            return await self._stream.outgoing.read(65536)
        except PeerReset as error:  # the suite itself has stopped the stream
            raise ChannelLost(None, False, str(error)) from None

    async def write(self, data: bytes) -> None:
        if self._stream.close_code is not None:
            raise ChannelLost(self._stream.close_code, True)
        try:
            await self._stream.incoming.write(data)
        except ConnectionError:
            raise ChannelLost(self._stream.close_code, True) from None

    async def finish(self) -> None:
        await self._stream.incoming.finish()

    def close(self, code: int = 0, reason: str = "") -> None:
        if not self._closed:
            self._closed = True
            self._stream.closed_by_suite(code)
            if self._stream.alpn:
                self._stream.closed.set()

    async def wait_closed(self, within: float) -> CloseReport:
        try:
            await asyncio.wait_for(self._stream.closed.wait(), within)
        except TimeoutError:
            return CloseReport()
        return CloseReport(code=self._stream.close_code)

    async def release(self) -> CloseReport:
        self.close()
        return CloseReport(self._stream.close_code)

    async def open_second(self) -> Channel | None:
        if not self._stream.alpn:
            return None
        second = self._stream.beside()
        self._stream.surplus.put_nowait(second)
        return MemoryEnd(second)

    async def accept_second(self, within: float) -> bool | None:
        if not self._stream.alpn:
            return None
        await asyncio.sleep(within)
        return bool(self._stream.opened)

    def reset(self, code: int) -> bool:
        self._stream.incoming.fail(PeerReset("reset", code))
        return True

    def stop(self, code: int) -> bool | None:
        self._stream.outgoing.fail(PeerReset("stopped", code))
        return False

    def end_target(self) -> bool:
        return False

    async def send_beside(self, way: str, data: bytes) -> bool | None:
        if not self._stream.alpn:
            return None
        self._stream.beside_streams.put_nowait(data)
        return True


__all__ = ["MemoryEnd", "MemoryStream", "PeerClosed", "PeerReset"]
