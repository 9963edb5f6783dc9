"""One SNI-proxy stream in use: raw bytes both ways, and how it ends (chapter SNI-proxy streams)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from gate_p2p.core import CloseCode
from gate_p2p.transport import PeerConnection, PeerStream, StreamStopped, TransportError

_log = logging.getLogger("gate_p2p.session")

READY = b"\x00\x00\x00\x05READY"
CLOSE_WITHIN = 5.0  # seconds that the daemon has to close once both directions have ended (CL-08)
DELIVER_WITHIN = 3600.0  # seconds for the last bytes: a browser on a slow line may take what is left slowly
FLUSH = 1.0  # seconds for the system to send what it has, before a TCP connection is reset behind it
CHUNK = 262_144  # bytes of one read: few calls for bulk, and the most that is held for a direction (SP-17)

_RESET_AT_CLOSE = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # SO_LINGER: on, 0 s


class SniStream:
    """The bytes of one TCP connection between a relay and a daemon. End it with `aclose()` or `abort()`.

    `peer_id`: the other node, 64 lowercase hex, from the transport.
    """

    def __init__(
        self,
        connection: PeerConnection,
        stream: PeerStream,
        *,
        dialled: bool,
        early: bytes = b"",
        reading: asyncio.Task[bytes] | None = None,
    ) -> None:
        """`dialled`: by us: we are the daemon. `early`: bytes read already; `reading`: a read under way."""
        self.peer_id = connection.remote_id
        self._connection = connection
        self._stream = stream
        self._dialled = dialled
        self._early = early
        self._reading = reading
        self._received_all = False  # the end was read, or no more is wanted
        self._sent_all = False  # finished, or the peer wants no more
        self.closed = asyncio.Event()

    async def read(self, max_bytes: int = CHUNK) -> bytes:
        """Between 1 and `max_bytes` bytes; `b""` at the clean end. Raises StreamReset, ConnectionLost."""
        if self._reading is not None:
            await asyncio.wait({self._reading})  # goes on when we are cancelled, for the next call
            reading, self._reading = self._reading, None
            self._early = reading.result()
        if self._early:
            data, self._early = self._early[:max_bytes], self._early[max_bytes:]
            return data
        data = await self._stream.read(max_bytes)
        self._received_all = not data
        return data

    async def write(self, data: bytes) -> None:
        """Return once the bytes are taken; waits while the peer does not read. Raises TransportError."""
        try:
            await self._stream.write(data)
        except StreamStopped:
            self._sent_all = True
            raise

    async def finish(self) -> None:
        """End our direction cleanly; the other goes on (SP-14)."""
        await self._stream.finish()
        self._sent_all = True

    def stop(self) -> None:
        """Take no more bytes; ours go on."""
        self._received_all = True
        self._stream.stop(CloseCode.DONE)

    async def aclose(self) -> None:
        """End the connection in order: at once when a direction is still open, else with nothing lost."""
        if self.closed.is_set():
            return
        if not (self._sent_all and self._received_all):
            self.abort()
            return
        try:
            with suppress(TransportError):
                await self._stream.wait_delivered(DELIVER_WITHIN)
            if not self._dialled:  # the daemon closes, and knows by then that it has everything
                with suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_WITHIN):
                        await self._connection.wait_closed()
        finally:
            self._connection.close(CloseCode.DONE)
            self.closed.set()

    def abort(self, code: CloseCode = CloseCode.DONE) -> None:
        """The TCP connection is lost: cut both directions (SP-15, SP-16), and close with `code`."""
        if self.closed.is_set():
            return
        self._stream.reset(CloseCode.DONE)
        self._stream.stop(CloseCode.DONE)
        self._connection.close(code)
        self.closed.set()


async def splice(
    stream: SniStream,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    silence: float | None = None,
) -> None:
    """Pass bytes between the stream and a TCP connection until both directions have ended, then end both.

    A clean end is passed on as such and leaves the other direction open (SP-14); what was cut off is never
    passed on as a clean end (SP-15). When cancelled it cuts both, and so it does when neither side has taken
    a byte for `silence` seconds (SP-30).
    """
    writer.transport.set_write_buffer_limits(high=0)  # drain() waits until the system has taken everything
    loop = asyncio.get_running_loop()
    patience = asyncio.timeout(silence)
    waiting = True

    def moved() -> None:
        if waiting and silence is not None and not patience.expired():
            patience.reschedule(loop.time() + silence)

    outward = loop.create_task(_to_tcp(stream, writer, moved))
    inward = loop.create_task(_from_tcp(stream, reader, moved))
    over = False
    try:
        try:
            async with patience:
                await asyncio.wait({outward, inward}, return_when=asyncio.FIRST_EXCEPTION)
                if inward.done() and isinstance(inward.exception(), StreamStopped):
                    await asyncio.wait({outward})  # the peer takes no more bytes, but may still send
        finally:
            waiting = False
        over = await _end(stream, writer, outward, inward)
    except TimeoutError:
        if not patience.expired():
            raise
        _log.debug("%s: a proxied connection was silent for %g s", stream.peer_id, silence)
        stream.abort(CloseCode.TIMEOUT)
    finally:
        for way in (outward, inward):
            way.cancel()
        if not over:
            stream.abort()
            reset(writer)
        await asyncio.wait({outward, inward})
    with suppress(OSError):
        await writer.wait_closed()


async def _end(
    stream: SniStream, writer: asyncio.StreamWriter, outward: asyncio.Task[None], inward: asyncio.Task[None]
) -> bool:
    """End both sides as they deserve; False when both are to be cut."""
    lost = [error for way in (outward, inward) if way.done() and (error := way.exception()) is not None]
    for error in lost:
        if not isinstance(error, OSError | TransportError):
            raise error
    if lost:
        _log.debug("%s: a proxied connection broke off: %s", stream.peer_id, lost[0])
    if not lost:
        writer.close()
    elif outward.done() and outward.exception() is None and isinstance(inward.exception(), StreamStopped):
        await asyncio.sleep(FLUSH)
        reset(writer)
    elif inward.done() and inward.exception() is None:  # nobody takes what comes; what we sent stays sent
        stream.stop()
        reset(writer)
    else:
        return False
    await stream.aclose()
    return True


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a TCP connection by a reset, so that the other side takes it for no clean end."""
    if (sock := writer.get_extra_info("socket")) is not None:
        with suppress(OSError):  # it is closed already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    writer.transport.abort()


async def _to_tcp(stream: SniStream, writer: asyncio.StreamWriter, moved: Callable[[], None]) -> None:
    while data := await stream.read():
        writer.write(data)
        await writer.drain()
        moved()
    if writer.can_write_eof():
        writer.write_eof()


async def _from_tcp(stream: SniStream, reader: asyncio.StreamReader, moved: Callable[[], None]) -> None:
    while data := await reader.read(CHUNK):
        await stream.write(data)
        moved()
    await stream.finish()
