"""One bidirectional stream of bytes. The caller may be cancelled anywhere; the iroh calls below never are.

Reading: one task for the life of the stream reads 64 KiB at a time into a buffer, `read()` takes from that.
Writing: one task writes what `write()` put down, small writes joined, in slices of at most 16 KiB.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from gate_p2p.iroh.generation import RawStream
from gate_p2p.iroh.gone import GoneStream
from gate_p2p.transport import ConnectionLost, TransportError

_log = logging.getLogger("gate_p2p.iroh")

READ_CHUNK = 65536  # iroh gives what is there; the size of the request costs nothing
READ_AHEAD = 65536  # one chunk waits while the caller works on the one before; more would hide back-pressure
WRITE_SLICE = 16384  # uniffi 0.31 copies byte by byte: 16 KiB stall the loop for 2 ms, 1 MiB for 120 ms

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class IrohStream:
    """Made by `IrohConnection`. One reader at a time; any number of writers, which do not interleave."""

    def __init__(self, raw: RawStream, spawn: Spawn) -> None:
        self._raw = raw
        self._spawn = spawn
        self._buffer = bytearray()
        self._read_end: TransportError | None = None
        self._eof = False
        self._data = asyncio.Event()
        self._room = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._reading = False
        self._out = bytearray()
        self._accepted = 0  # bytes ever given to write()
        self._written = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._write_end: TransportError | None = None
        self._finishing = False
        self._finished: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._delivery: asyncio.Task[None] | None = None
        self._delivered = False
        self._closed = False

    # -- reading

    async def read(self, max_bytes: int = READ_CHUNK) -> bytes:
        """Between 1 and `max_bytes` bytes; `b""` at the clean end, for ever after too.

        Raises StreamReset or ConnectionLost, again at each later call. Cancelling loses nothing.
        """
        if max_bytes < 1:
            raise ValueError("max_bytes is at least 1")
        if self._reading:
            raise RuntimeError("this stream is already being read")
        if self._pump is None:
            self._pump = self._spawn(self._read_on())
        self._reading = True
        try:
            while not self._buffer:
                if self._read_end is not None:
                    raise self._read_end.with_traceback(None)
                if self._eof:
                    return b""
                self._data.clear()
                await self._data.wait()
        finally:
            self._reading = False
        data = bytes(self._buffer[:max_bytes])
        del self._buffer[:max_bytes]
        self._room.set()
        return data

    async def _read_on(self) -> None:
        try:
            while data := await self._raw.read(READ_CHUNK):
                self._buffer += data
                self._data.set()
                while len(self._buffer) >= READ_AHEAD and not self._closed:
                    self._room.clear()
                    await self._room.wait()
            self._eof = True
        except TransportError as error:
            self._read_end = _bare(error)  # latched: iroh itself says b"" the next time
        self._data.set()

    # -- writing

    async def write(self, data: bytes) -> None:
        """Return when iroh has taken the bytes. Raises StreamStopped or ConnectionLost.

        When the caller is cancelled the bytes are sent all the same.
        """
        if self._write_end is not None:
            raise self._write_end.with_traceback(None)
        if self._finishing or self._closed:
            raise TransportError("this side of the stream is already ended")
        if not data:
            return
        self._out += data
        self._accepted += len(data)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._accepted, done))
        self._wake_writer()
        await done

    async def finish(self) -> None:
        """End this side cleanly, after everything written so far; again is no error."""
        if self._write_end is not None:
            raise self._write_end.with_traceback(None)
        self._finishing = True
        if self._finished is None:
            self._finished = asyncio.get_running_loop().create_future()
            self._wake_writer()
        await asyncio.shield(self._finished)
        if self._write_end is not None:
            raise self._write_end.with_traceback(None)

    def _wake_writer(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = self._spawn(self._write_on())

    async def _write_on(self) -> None:
        try:
            while self._out:
                part = bytes(self._out[:WRITE_SLICE])
                del self._out[: len(part)]
                await self._raw.write(part)
                self._written += len(part)
                while self._waiters and self._waiters[0][0] <= self._written:
                    _resolve(self._waiters.pop(0)[1], None)
            if self._finished is not None and not self._finished.done():
                await self._raw.finish()
        except TransportError as error:
            self._write_end = _bare(error)
            self._out.clear()
            for _, waiter in self._waiters:
                _resolve(waiter, error)
            self._waiters.clear()
        if self._finished is not None:
            _resolve(self._finished, None)

    async def wait_delivered(self, timeout: float = 1.0) -> bool:
        """After `finish()`: True once the peer has everything, False when not within `timeout` seconds."""
        if self._delivery is None:
            self._delivery = self._spawn(self._await_delivery())
        await asyncio.wait({self._delivery}, timeout=timeout)
        return self._delivered

    async def _await_delivery(self) -> None:
        try:
            self._delivered = await self._raw.stopped() is None
        except TransportError as error:
            _log.debug("delivery unknown: %s", error)

    # -- giving up

    def reset(self, code: int) -> None:
        """Abandon this side: the peer's read fails with `code`, unsent bytes are dropped. Does not wait."""
        self._write_end = self._write_end or TransportError("this side of the stream was reset")
        self._spawn(self._quietly(self._raw.reset(code)))

    def stop(self, code: int) -> None:
        """Ask the peer to send no more. Does not wait; takes effect once no read is pending."""
        self._read_end = self._read_end or TransportError("this side does not read the stream any more")
        self._spawn(self._quietly(self._raw.stop(code)))

    async def _quietly(self, call: Coroutine[Any, Any, None]) -> None:
        try:
            await call
        except TransportError as error:
            _log.debug("stream already over: %s", error)

    @property
    def over(self) -> bool:
        """Whether both directions have ended, so that nothing is lost with the object."""
        read_over = self._eof or self._read_end is not None
        write_over = self._write_end is not None or (self._finished is not None and self._finished.done())
        return read_over and write_over

    def release(self, error: ConnectionLost) -> None:
        """Let go of iroh's objects; what was not read is gone."""
        self._raw = GoneStream(error)

    def connection_closed(self) -> None:
        """Told by the connection that it is over: the reader need not wait for room any more."""
        self._closed = True
        self._room.set()


def _bare(error: TransportError) -> TransportError:
    """The error without the frames it came through: kept, they would keep iroh's objects and so the port."""
    error.__traceback__ = error.__context__ = None
    return error


def _resolve(future: asyncio.Future[None], error: TransportError | None) -> None:
    if future.done():  # its caller was cancelled
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
