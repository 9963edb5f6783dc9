"""The control stream of a connection, as what a link drives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from gate_p2p.core import CloseCode
from gate_p2p.transport import EagerTransport, PeerConnection, PeerStream, TransportError

LOOK_FOR_STOP = 3.0  # seconds between looks: of the 5 s of TR-12; 3 % of a core with a thousand idle peers
LAST_WORD = 0.25  # seconds that the side which said goodbye first has to close with its code: a round trip


class ConnectionTransport:
    """The ControlTransport of a connection with one control stream; closing it closes the connection."""

    def __init__(self, connection: PeerConnection, stream: PeerStream) -> None:
        self.remote_id = connection.remote_id
        self._connection = connection
        self._stream = stream
        self._peer_ended = False
        self._answering = False
        self._finishing = False
        self._eager = stream if isinstance(stream, EagerTransport) else None

    @property
    def has_room(self) -> bool:
        return self._eager is not None and self._eager.has_room

    def write_soon(self, data: bytes, failed: Callable[[TransportError], None]) -> None:
        assert self._eager is not None
        self._eager.write_soon(data, failed)

    async def read(self) -> bytes:
        data = await self._stream.read()
        self._peer_ended = not data
        return data

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def watch(self) -> None:
        """Close the connection when the peer stops our direction of the stream: it is lost (TR-12)."""
        await self._stream.wait_stopped(LOOK_FOR_STOP)
        if not self._finishing:
            self.close(CloseCode.DONE, "the peer stopped the control stream")

    async def finish(self) -> None:
        self._finishing = True
        self._answering = self._peer_ended
        await self._stream.finish()

    async def wait_delivered(self, timeout: float = 1.0) -> bool:
        """Also lets the peer close first where it was first to say goodbye: our 0 would hide its code."""
        delivered = await self._stream.wait_delivered(timeout)
        if self._answering:
            with suppress(TimeoutError):  # a 0.1.0 peer waits for our close
                async with asyncio.timeout(LAST_WORD):
                    await self._connection.wait_closed()
        return delivered

    def close(self, code: int, reason: str = "") -> None:
        self._connection.close(code, reason)
