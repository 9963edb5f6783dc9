"""The body of an inference request: kept as bytes, and looked into no further than Gate has to.

Ten million bytes of JSON become up to some hundred million bytes of Python values, and hold the loop up while
they do: so they are made for an application that asks for them, and of requests with a sane number of values.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any, Final

import msgspec

from gate_p2p.core import RemoteProtocolError
from gate_p2p.core.documents import decode_document
from gate_p2p.session.errors import InferenceError
from gate_p2p.session.inference import LIST_MODELS, REQUEST_ERROR

MAX_VALUES: Final = 262_144
"""JSON values in one request, far beyond any conversation: 0.1 s and some 30 MiB of Python values."""
VALUE_SIZE: Final = 128
"""Bytes that are counted for a decoded value, beside its text."""

_TOO_MANY: Final = f"the request has more than {MAX_VALUES} values"
_OPENS: Final = (b"[", b"{", b",")  # every value but the document itself stands behind one of these
_NEXT_VALUE: Final = re.compile(rb'(?:[^"\[{,]++|"[^"]*+")*+(?:[\[{,]|\Z)')


class _Head(msgspec.Struct):
    """The members that the protocol names."""

    action: msgspec.Raw = msgspec.Raw(b"null")
    model: msgspec.Raw = msgspec.Raw(b"null")
    stream: msgspec.Raw = msgspec.Raw(b"null")


_read_head = msgspec.json.Decoder(_Head).decode
_read_nothing = msgspec.json.Decoder(msgspec.Raw).decode


class InferenceBody:
    """`raw`: the JSON document. `streamed`, `lists_models`: what it asks for.

    Raises RemoteProtocolError when it is no JSON.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.is_object = raw.lstrip(b" \t\r\n")[:1] == b"{"
        head = decode_document(raw, _read_head if self.is_object else _read_nothing)
        if not self.is_object:
            head = _Head()
        self._model: msgspec.Raw = head.model  # no text: it may be as long as a frame
        self.has_model = bytes(head.model).startswith(b'"')
        self.streamed = bytes(head.stream) == b"true"
        self.lists_models = _text(head.action) == LIST_MODELS
        self.has_action = bytes(head.action) != b"null"
        self.values = _count_values(raw)

    @property
    def model(self) -> str | None:
        """The name of the model; None where that is no text, or not there."""
        return _text(self._model)

    @property
    def problem(self) -> str | None:
        """What is wrong with it, as far as every responder looks at it (IN-13 to IN-16), or we do."""
        if not self.is_object:
            return "the request is no JSON object"
        if self.has_action:
            return None if self.lists_models else "the request has an action that is not known here"
        if not self.has_model:
            return "the request names no model"
        return _TOO_MANY if self.values > MAX_VALUES else None

    @property
    def decoded_size(self) -> int:
        """About how many bytes `decode` takes; none where it refuses to begin."""
        return 0 if self.values > MAX_VALUES else len(self.raw) + VALUE_SIZE * self.values

    def decode(self) -> Any:
        """The document. Raises InferenceError for numbers beyond a double (FR-14) and over MAX_VALUES."""
        if self.values > MAX_VALUES:
            raise InferenceError(_TOO_MANY, REQUEST_ERROR)
        try:
            return decode_document(self.raw)
        except RemoteProtocolError as error:
            raise InferenceError(f"the request cannot be read: {error}", REQUEST_ERROR) from None


def _text(raw: msgspec.Raw) -> str | None:
    data = bytes(raw)
    return msgspec.json.decode(data, type=str) if data.startswith(b'"') else None


def _count_values(document: bytes) -> int:
    """How many values a JSON document has, or more where that is no more than MAX_VALUES.

    Past MAX_VALUES it counts no further.
    """
    if (most := 1 + sum(map(document.count, _OPENS))) <= MAX_VALUES:
        return most
    # those inside of texts are none
    document = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    return sum(1 for _ in islice(_NEXT_VALUE.finditer(document), MAX_VALUES + 1))
