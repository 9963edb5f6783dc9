"""Frames with JSON documents that are no control messages: what inference streams carry (IN-04).

The same frames and the same JSON as on a control stream, without types: see `framing` and `messages`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from .errors import LocalProtocolError, RemoteProtocolError
from .framing import FrameDecoder, encode_frame
from .limits import MAX_FRAME

MAX_LEVELS: Final = 64
"""Levels of JSON that a sender writes at most, the document itself being the first (FR-13)."""

_LARGEST: Final = int(1.7976931348623157e308)  # the largest double
_decode = msgspec.json.Decoder().decode


def encode_document(document: Mapping[str, Any]) -> bytes:
    """The frame that carries `document`, compact JSON.

    Raises `LocalProtocolError` for what is no I-JSON (FR-13) or longer than a frame (FR-01).
    """
    if (problem := _problem(document, 1)) is not None:
        raise LocalProtocolError(f"this cannot be sent as JSON: {problem} (FR-13)")
    try:
        body = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:  # NaN and infinities; a lone surrogate is a UnicodeEncodeError
        raise LocalProtocolError(f"this cannot be sent as JSON: {error} (FR-13)") from None
    if len(body) > MAX_FRAME:
        raise LocalProtocolError(
            f"the document has {len(body)} bytes; a frame carries at most {MAX_FRAME} (FR-01)"
        )
    return encode_frame(body)


def _problem(value: object, level: int) -> str | None:
    """What keeps a value out of JSON, beside what the encoder finds itself."""
    if value is None or isinstance(value, str | float):
        return None
    if isinstance(value, int):
        return None if -_LARGEST <= value <= _LARGEST else "a number beyond a double"
    if not isinstance(value, dict | list | tuple):
        return f"a {type(value).__name__}"
    if level > MAX_LEVELS:
        return f"more than {MAX_LEVELS} levels"
    if isinstance(value, dict) and not all(type(name) is str for name in value):
        return "a member whose name is no text"
    for one in value.values() if isinstance(value, dict) else value:
        if (problem := _problem(one, level + 1)) is not None:
            return problem
    return None


def decode_document(body: bytes, decode: Callable[[bytes], Any] = _decode) -> Any:
    """The document of a body. Raises `RemoteProtocolError` when it is no JSON (FR-06, FR-07).

    `decode`: of a msgspec decoder, one that makes less of it than Python values of everything.
    """
    try:
        if not body.isascii():
            body.decode()
        return decode(body)
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"a body that is no UTF-8, at byte {error.start} (FR-07)") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RemoteProtocolError(f"a body that is no JSON document: {error} (FR-06)") from None


class DocumentDecoder:
    """Cuts one direction of a stream into documents. Holds at most one frame that is not complete.

    `decode` makes a document of a body; what it raises is what `decode_document` raises.
    """

    def __init__(self, decode: Callable[[bytes], Any] = decode_document, max_frame: int = MAX_FRAME) -> None:
        self._frames = FrameDecoder(max_frame)
        self._decode = decode
        self.violation: RemoteProtocolError | None = None
        """What ended the stream of documents, with the code to close with; those before it are given out."""

    @property
    def unfinished(self) -> int:
        """Bytes that are held of a frame which is not complete."""
        return self._frames.unfinished

    def feed(self, data: bytes) -> list[Any]:
        """Take `data`, return the documents that are complete now. Never raises; see `violation`."""
        documents: list[Any] = []
        if self.violation is not None:
            return documents
        try:
            for body in self._frames.feed(data):
                documents.append(self._decode(body))
            self.violation = self._frames.violation
        except RemoteProtocolError as violation:
            self.violation = violation
        return documents

    def end(self) -> None:
        """The stream ended; inside a frame this is a violation (FR-11)."""
        if self.violation is None and self._frames.inside_frame:
            self.violation = RemoteProtocolError("the stream ended inside a frame (FR-11)")
