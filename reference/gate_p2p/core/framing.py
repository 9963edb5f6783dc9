"""Frames: a 32-bit big-endian length, then that many bytes. Knows nothing of JSON."""

from __future__ import annotations

from struct import Struct

from .errors import CloseCode, RemoteProtocolError

_PREFIX = Struct(">I")
PREFIX_SIZE = _PREFIX.size


def encode_frame(body: bytes) -> bytes:
    """The frame that carries `body` (FR-01). The caller keeps to the limit on bodies."""
    return _PREFIX.pack(len(body)) + body


class FrameDecoder:
    """Cuts a byte stream into the bodies of its frames (FR-02 to FR-05).

    Holds at most one incomplete frame, so at most `max_frame` bytes and a prefix; a length is judged as soon
    as its four bytes are there, before any of the body is kept.
    """

    def __init__(self, max_frame: int) -> None:
        self._max_frame = max_frame
        self._partial = bytearray()
        self._wanted = PREFIX_SIZE
        self.violation: RemoteProtocolError | None = None
        """What ended the stream of frames; the bodies before it have been given out."""

    @property
    def inside_frame(self) -> bool:
        """True when some of a frame has arrived and some has not; an end of stream now breaks FR-11."""
        return bool(self._partial)

    @property
    def unfinished(self) -> int:
        """Bytes that are held of a frame which is not complete."""
        return len(self._partial)

    def drop(self) -> None:
        """Forget the frame that is not complete: nobody waits for it any more."""
        self._partial.clear()

    def feed(self, data: bytes) -> list[bytes]:
        """Take `data`, return the bodies that are complete now, oldest first.

        Never raises: a bad length stops the decoder, sets `violation` and drops what follows.
        """
        if self.violation is not None:
            return []
        partial = self._partial
        if partial:
            partial += data
            if len(partial) < self._wanted:
                return []
            data = bytes(partial)
            partial.clear()
        bodies: list[bytes] = []
        position, end = 0, len(data)
        unpack_length, max_frame = _PREFIX.unpack_from, self._max_frame
        while (start := position + PREFIX_SIZE) <= end:
            (length,) = unpack_length(data, position)
            if not 0 < length <= max_frame:
                self.violation = self._bad_length(length)
                return bodies
            if (stop := start + length) > end:
                self._wanted = PREFIX_SIZE + length
                break
            bodies.append(data[start:stop])
            position = stop
        else:
            if position == end:
                return bodies
            self._wanted = PREFIX_SIZE
        partial += data[position:]
        return bodies

    def _bad_length(self, length: int) -> RemoteProtocolError:
        if length == 0:
            return RemoteProtocolError("a frame of length 0; expected at least 1 byte (FR-04)")
        return RemoteProtocolError(
            f"a frame of {length} bytes; expected at most {self._max_frame} (FR-03)",
            CloseCode.FRAME_TOO_LARGE,
        )
