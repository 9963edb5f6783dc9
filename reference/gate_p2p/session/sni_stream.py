"""One SNI-proxy stream in use: raw bytes both ways, and how it ends (chapter SNI-proxy streams)."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from gate_p2p.core import CloseCode
from gate_p2p.transport import PeerConnection, PeerStream, TransportError

_log = logging.getLogger("gate_p2p.session")

READY = b"\x00\x00\x00\x05READY"
CLOSE_WITHIN = 5.0  # seconds for the daemon to close, and for the last bytes to arrive (CL-07, CL-08)
CHUNK = 262_144  # bytes of one read: few calls for bulk, and the most that is held for a direction (SP-17)


class SniStream:
    """The bytes of one TCP connection between a relay and a daemon. End it with `aclose()` or `abort()`.

    `peer_id`: the other node, 64 lowercase hex, from the transport. `dialled`: by us, so we are the daemon.
    """

    def __init__(
        self, connection: PeerConnection, stream: PeerStream, *, dialled: bool, early: bytes = b""
    ) -> None:
        self.peer_id = connection.remote_id
        self._connection = connection
        self._stream = stream
        self._dialled = dialled
        self._early = early
        self._peer_ended = False
        self._finished = False
        self.closed = asyncio.Event()

    async def read(self, max_bytes: int = CHUNK) -> bytes:
        """Between 1 and `max_bytes` bytes; `b""` at the clean end. Raises StreamReset, ConnectionLost."""
        if self._early:
            data, self._early = self._early[:max_bytes], self._early[max_bytes:]
            return data
        data = await self._stream.read(max_bytes)
        self._peer_ended = not data
        return data

    async def write(self, data: bytes) -> None:
        """Return once the bytes are taken; waits while the peer does not read. Raises TransportError."""
        await self._stream.write(data)

    async def finish(self) -> None:
        """End our direction cleanly; the other goes on (SP-14)."""
        self._finished = True
        await self._stream.finish()

    async def aclose(self) -> None:
        """End the connection in order: at once when a direction is still open, else with nothing lost."""
        if self.closed.is_set():
            return
        if not (self._finished and self._peer_ended):
            self.abort()
            return
        with suppress(TransportError):
            await self._stream.wait_delivered(CLOSE_WITHIN)
        if not self._dialled:  # the daemon closes, and knows by then that it has everything
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN):
                    await self._connection.wait_closed()
        self._connection.close(CloseCode.DONE)
        self.closed.set()

    def abort(self) -> None:
        """The TCP connection is lost: cut both directions (SP-15, SP-16)."""
        if self.closed.is_set():
            return
        self._stream.reset(CloseCode.DONE)
        self._stream.stop(CloseCode.DONE)
        self._connection.close(CloseCode.DONE)
        self.closed.set()


async def splice(stream: SniStream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes between the stream and a TCP connection until both directions have ended, then end both.

    A clean end is passed on as such and leaves the other direction open; anything else cuts both (SP-15).
    """
    loop = asyncio.get_running_loop()
    ways = {loop.create_task(_to_tcp(stream, writer)), loop.create_task(_from_tcp(stream, reader))}
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        broken = next((error for way in done if (error := way.exception()) is not None), None)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
    if broken is None:
        await stream.aclose()
        writer.close()
    else:
        _log.debug("%s: a proxied connection broke off: %s", stream.peer_id, broken)
        stream.abort()
        writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def _to_tcp(stream: SniStream, writer: asyncio.StreamWriter) -> None:
    while data := await stream.read():
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _from_tcp(stream: SniStream, reader: asyncio.StreamReader) -> None:
    while data := await reader.read(CHUNK):
        await stream.write(data)
    await stream.finish()
