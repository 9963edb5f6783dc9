"""One bidirectional stream of bytes. The caller may be cancelled anywhere; the iroh calls below never are.

Reading: from the first `read()` on, one call of iroh is under way whenever there is room for what it brings.
Writing: one call after another takes what `write()` put down: small writes joined, big ones in slices.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from gate_p2p.iroh.call import Calls, CoroutineCall
from gate_p2p.iroh.generation import RawStream
from gate_p2p.iroh.gone import GoneStream
from gate_p2p.transport import ConnectionLost, TransportError

_log = logging.getLogger("gate_p2p.iroh")

# iroh gives what is there, at most what was asked for, and holds a cleared buffer of that size while it waits
# (64 KiB: 54 kB of memory a stream). So an idle stream waits with 4 KiB, and one that gets much asks for four
# times what came last. Measured on loopback: reads of 16 KiB 128 MB/s, 64 KiB 210, 256 KiB 277, 1 MiB 269.
READ_LEAST = 4096
READ_MOST = 262144
READ_CHUNK = 65536  # what read() gives at most when not told: a chunk of work that holds up nobody for long
WRITE_AHEAD = 65536  # bytes on their way with which `write_soon` may add more
READ_AHEAD = 65536  # with so much waiting for the caller nothing more is read: more would hide back-pressure

PROBE_EVERY = 1.0  # seconds between two looks at whether the peer still takes what is written

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
Told = Callable[[TransportError | None], None]  # called when bytes are written, or cannot be


class IrohStream:
    """Made by `IrohConnection`. One reader at a time; any number of writers, which do not interleave."""

    def __init__(self, raw: RawStream, spawn: Spawn, calls: Calls) -> None:
        self._raw = raw
        self._spawn = spawn
        self._calls = calls  # those under way, of the whole connection
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._taken = 0  # bytes of the first chunk that are gone already
        self._read_end: TransportError | None = None
        self._eof = False
        self._data: asyncio.Future[None] | None = None  # the caller's wait
        self._fetching = False
        self._starting_read = False
        self._next_read = READ_LEAST
        self._reading = False
        self._out: deque[bytes] = deque()
        self._sent = 0  # bytes of the first of `_out` that are written already
        self._accepted = 0  # bytes ever given to write()
        self._written = 0
        self._waiters: deque[tuple[int, Told]] = deque()
        self._write_end: TransportError | None = None
        self._finishing = False
        self._finished: asyncio.Future[None] | None = None
        self._sending = 0  # bytes of the write that is under way
        self._ending = False
        self._starting_write = False
        self._delivery: asyncio.Task[None] | None = None
        self._delivered = False
        self._stopped = False  # seen by a probe
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
        self._reading = True
        try:
            if self._chunks:
                await asyncio.sleep(0)  # who is always served at once lets others run too
            while not self._chunks:
                if self._read_end is not None:
                    raise self._read_end.with_traceback(None)
                if self._eof:
                    return b""
                self._data = asyncio.get_running_loop().create_future()
                self._fetch()
                if self._data.done():  # the data was there
                    await asyncio.sleep(0)
                await self._data
        finally:
            self._reading = False
        return self._take(max_bytes)

    def _take(self, max_bytes: int) -> bytes:
        chunk = self._chunks[0]
        if self._taken or len(chunk) > max_bytes:
            data = chunk[self._taken : self._taken + max_bytes]
            self._taken += len(data)
        else:
            data, self._taken = chunk, len(chunk)
        if self._taken == len(chunk):
            self._chunks.popleft()
            self._taken = 0
        self._buffered -= len(data)
        self._fetch()
        return data

    def _fetch(self) -> None:
        """Have iroh read, unless it does already, or there is enough, or nothing more to come."""
        if self._starting_read:  # a call that is over at once comes back here: a loop, no recursion
            return
        self._starting_read = True
        try:
            while not (self._fetching or self._eof or self._read_end is not None):
                if self._buffered >= READ_AHEAD and not self._closed:
                    break
                self._fetching = True
                self._raw.read(self._next_read, self._fetched, self._calls)
        finally:
            self._starting_read = False

    def _fetched(self, data: bytes | None, error: TransportError | None) -> None:
        self._fetching = False
        if error is not None:
            self._read_end = self._read_end or _bare(error)  # latched: iroh itself says b"" the next time
        elif data:
            self._chunks.append(data)
            self._buffered += len(data)
            self._next_read = min(max(READ_LEAST, 4 * len(data)), READ_MOST)
            self._fetch()
        else:
            self._eof = True
        if self._data is not None and not self._data.done():
            self._data.set_result(None)

    # -- writing

    async def write(self, data: bytes) -> None:
        """Return when iroh has taken the bytes. Raises StreamStopped or ConnectionLost.

        When the caller is cancelled the bytes are sent all the same.
        """
        if self._write_end is not None:
            raise self._write_end.with_traceback(None)
        if self._finishing or self._closed:
            raise TransportError("this side of the stream is already ended")
        data = bytes(data)  # a copy of what may change, none of bytes
        if not data:
            return
        self._out.append(data)
        self._accepted += len(data)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._accepted, partial(_resolve, done)))
        self._send()
        if done.done():
            await asyncio.sleep(0)  # as in read
        await done

    @property
    def has_room(self) -> bool:
        """Whether `write_soon` may be called: the stream is open, and little waits to be written."""
        open_still = self._write_end is None and not self._finishing and not self._closed
        return open_still and self._accepted - self._written < WRITE_AHEAD

    def write_soon(self, data: bytes, failed: Callable[[TransportError], None]) -> None:
        """Write `data` after all that was written before, without a wait; `failed` hears when that fails."""
        self._out.append(data)
        self._accepted += len(data)
        self._waiters.append((self._accepted, partial(_report, failed)))
        self._send()

    async def finish(self) -> None:
        """End this side cleanly, after everything written so far; again is no error."""
        if self._write_end is not None:
            raise self._write_end.with_traceback(None)
        self._finishing = True
        if self._finished is None:
            self._finished = asyncio.get_running_loop().create_future()
            self._send()
        await asyncio.shield(self._finished)
        if self._write_end is not None:
            raise self._write_end.with_traceback(None)

    def _send(self) -> None:
        """Have iroh write or finish, unless a call is under way, which then goes on itself."""
        if self._starting_write:  # as in _fetch
            return
        self._starting_write = True
        try:
            while self._out and not self._sending:
                part = self._slice()
                self._sending = len(part)
                self._raw.write(part, self._wrote, self._calls)
            if self._finished is not None and not (self._sending or self._ending or self._finished.done()):
                self._ending = True
                CoroutineCall(self._raw.finish(), self._ended, self._calls)
        finally:
            self._starting_write = False

    def _wrote(self, _: None, error: TransportError | None) -> None:
        self._written += self._sending
        self._sending = 0
        if (error := error or self._write_end) is not None:  # the latter: reset meanwhile
            self._ended(None, error)
            return
        while self._waiters and self._waiters[0][0] <= self._written:
            self._waiters.popleft()[1](None)
        self._send()

    def _ended(self, _: None, error: TransportError | None) -> None:
        if error is not None:
            self._write_end = _bare(error)
            self._out.clear()
            while self._waiters:
                self._waiters.popleft()[1](error)
        if self._finished is not None:
            _resolve(self._finished, None)

    def _slice(self) -> bytes:
        """What goes with one call, up to `write_size` bytes: a write, a part of one, or many joined."""
        size = self._raw.write_size
        first = self._out[0]
        if self._sent or len(first) > size:
            part = first[self._sent : self._sent + size]
            self._sent += len(part)
            if self._sent == len(first):
                self._out.popleft()
                self._sent = 0
            return part
        parts = [self._out.popleft()]
        room = size - len(first)
        while self._out and len(self._out[0]) <= room:
            room -= len(self._out[0])
            parts.append(self._out.popleft())
        return b"".join(parts)

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

    async def wait_stopped(self, every: float = PROBE_EVERY) -> None:
        """Return within `every` seconds of the peer stopping this side, or when it is over otherwise."""
        while self._write_end is None and not self._closed and not self._stopped:
            await asyncio.wait({self._spawn(self._probe())})
            if not self._stopped:
                await asyncio.sleep(every)

    async def _probe(self) -> None:
        try:
            await self._raw.probe()
        except TransportError as error:
            _log.debug("nothing more is taken: %s", error)
            self._stopped = True

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
        if self._chunks:
            self._fetch()


def _bare(error: TransportError) -> TransportError:
    """The error without the frames it came through: kept, they would keep iroh's objects and so the port."""
    error.__traceback__ = error.__context__ = None
    return error


def _report(failed: Callable[[TransportError], None], error: TransportError | None) -> None:
    if error is not None:
        failed(error)


def _resolve(future: asyncio.Future[None], error: TransportError | None) -> None:
    if future.done():  # its caller was cancelled
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
