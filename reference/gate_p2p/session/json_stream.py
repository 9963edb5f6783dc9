"""JSON documents over one stream of a data connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gate_p2p.core.documents import DocumentDecoder, encode_document
from gate_p2p.transport import PeerStream


class JsonStream:
    """Whole documents in both directions. Raises of `PeerStream`: ConnectionLost, StreamReset."""

    def __init__(self, stream: PeerStream, on_bytes: Callable[[], object] | None = None) -> None:
        """`on_bytes` is called whenever bytes have arrived."""
        self._stream = stream
        self._on_bytes = on_bytes
        self._decoder = DocumentDecoder()
        self._read: deque[Any] = deque()
        self.peer_ended = False

    async def read(self) -> Any:
        """The next document; raises EndOfDocuments at the clean end, RemoteProtocolError for a violation."""
        while not self._read:
            if self._decoder.violation is not None:
                raise self._decoder.violation
            if self.peer_ended:
                raise EndOfDocuments
            if data := await self._stream.read():
                if self._on_bytes is not None:
                    self._on_bytes()
                self._read.extend(self._decoder.feed(data))
            else:
                self.peer_ended = True
                self._decoder.end()
        return self._read.popleft()

    async def drain(self) -> None:
        """Read to the clean end, and drop what comes."""
        while not self.peer_ended:
            self.peer_ended = not await self._stream.read()

    async def write(self, document: Any) -> None:
        """Send one document, prefix and body in one write (FR-15); waits while the peer does not read.

        Raises LocalProtocolError, before anything is sent, for what JSON or a frame cannot carry.
        """
        await self._stream.write(encode_document(document))

    async def finish(self) -> None:
        """End our direction cleanly."""
        await self._stream.finish()


class EndOfDocuments(Exception):
    """The peer ended its direction between two frames."""
