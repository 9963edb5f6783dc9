"""JSON documents over one stream of a data connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from gate_p2p.core.documents import DocumentDecoder, decode_document
from gate_p2p.transport import PeerStream, TransportError

WRITE_SLICE = 262144  # bytes: a longer frame is written in slices, to see whether the peer takes any of it


class JsonStream:
    """Whole documents in both directions. Raises what `PeerStream` raises: ConnectionLost, StreamReset."""

    def __init__(
        self,
        stream: PeerStream,
        on_bytes: Callable[[int], object] | None = None,
        decode: Callable[[bytes], Any] = decode_document,
    ) -> None:
        """`on_bytes` is called when bytes have arrived, with how many are held of a frame not complete.

        `decode`: what makes a document of a body, see DocumentDecoder.
        """
        self._stream = stream
        self._on_bytes = on_bytes
        self._decoder = DocumentDecoder(decode)
        self._read: deque[Any] = deque()
        self._peer_ended = False
        self._writing = asyncio.Lock()
        self._broken = False

    async def read(self) -> Any:
        """The next document; raises EndOfDocuments at the clean end, RemoteProtocolError for a violation."""
        while not self._read:
            if self._decoder.violation is not None:
                raise self._decoder.violation
            if self._peer_ended:
                raise EndOfDocuments
            if data := await self._stream.read():
                self._read.extend(self._decoder.feed(data))
                if self._on_bytes is not None:
                    self._on_bytes(self._decoder.unfinished)
            else:
                self._peer_ended = True
                self._decoder.end()
        return self._read.popleft()

    async def drain(self) -> None:
        """Read to the clean end, and drop what comes."""
        self._read.clear()
        self._decoder = DocumentDecoder()  # lets go of the part of a frame that may have followed
        while not self._peer_ended:
            self._peer_ended = not await self._stream.read()

    async def write(self, frame: bytes, within: float) -> None:
        """Send one frame, prefix and body in one write where it is short (FR-15).

        Waits while the peer does not read; raises TimeoutError when it takes nothing for `within` seconds.
        After that, or when cancelled, there may be half a frame on the stream: every later write fails.
        """
        async with self._writing:
            for start in range(0, len(frame), WRITE_SLICE):
                if self._broken:
                    raise TransportError("a frame was broken off on this stream")
                self._broken = True
                async with asyncio.timeout(within):
                    await self._stream.write(frame[start : start + WRITE_SLICE])
                self._broken = False

    async def finish(self) -> None:
        """End our direction cleanly."""
        await self._stream.finish()


class EndOfDocuments(Exception):
    """The peer ended its direction between two frames."""
