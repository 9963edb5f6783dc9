"""The twelve control messages, and the way from bytes to them.

`spec/schemas` is the truth about their members; these structs follow it. `decode` gives one of four answers:
a message, `Ignored`, `Malformed`, or `RemoteProtocolError` for a body that is no JSON document.
"""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from .errors import RemoteProtocolError

MAX_ID: Final = 2**64 - 1
"""Largest `id` of Ping and Pong (MS-06). msgspec's own bounds end at 2^63-1, so it is checked by hand."""

Byte = Annotated[int, Meta(ge=0, le=255)]


class _Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=True):
    pass


class Handshake(_Struct, frozen=True, kw_only=True):
    """Who the sender is and what it can do. Answered with HandshakeResponse."""

    node_id: str
    capabilities: tuple[str, ...]


class HandshakeResponse(_Struct, frozen=True, kw_only=True):
    """Consent or refusal, and what the answering side can do."""

    accepted: bool
    capabilities: tuple[str, ...]


class Ping(_Struct, frozen=True, kw_only=True, gc=False):
    """Asks for a Pong with the same `id`, an integer from 0 to 2^64-1."""

    id: Annotated[int, Meta(ge=0)]


class Pong(_Struct, frozen=True, kw_only=True, gc=False):
    """Answers the Ping with the same `id`."""

    id: Annotated[int, Meta(ge=0)]


class RequestSniStream(_Struct, frozen=True, kw_only=True):
    """Asks the peer to open an SNI-proxy stream for `domain`. Answered with StreamReady."""

    request_id: str
    domain: str


class RequestInferenceStream(_Struct, frozen=True, kw_only=True):
    """Asks the peer to expect an inference stream. Answered with StreamReady."""

    request_id: str


class StreamReady(_Struct, frozen=True, kw_only=True):
    """Answers RequestSniStream and RequestInferenceStream."""

    request_id: str
    stream_accepted: bool
    error: str | None = None
    code: str | None = None


class DnsChallengeCreate(_Struct, frozen=True, kw_only=True):
    """Asks for a TXT record `_acme-challenge.<domain>`. Answered with DnsChallengeResponse."""

    request_id: str
    domain: str
    txt_value: str


class DnsChallengeCleanup(_Struct, frozen=True, kw_only=True):
    """Asks to remove one value, or without `txt_value` all that this peer created. Answered likewise."""

    request_id: str
    domain: str
    txt_value: str | None = None


class DnsChallengeResponse(_Struct, frozen=True, kw_only=True):
    """Answers DnsChallengeCreate and DnsChallengeCleanup."""

    request_id: str
    success: bool
    error: str | None = None
    code: str | None = None


class NodeAddr(msgspec.Struct, frozen=True, kw_only=True):
    """A node's id as 32 integers from 0 to 255, and its addresses as `ip:port`."""

    id: Annotated[tuple[Byte, ...], Meta(min_length=32, max_length=32)]
    direct_addresses: tuple[str, ...]


class DomainRegistrationRequest(_Struct, frozen=True, kw_only=True):
    """Asks the relay for a domain name that leads to this node. Answered with DomainRegistrationResponse."""

    request_id: str
    node_addr: NodeAddr


class DomainRegistrationResponse(_Struct, frozen=True, kw_only=True):
    """Answers DomainRegistrationRequest; `success` comes with `domain` (DR-01)."""

    request_id: str
    success: bool
    domain: str | None = None
    error: str | None = None
    code: str | None = None


Request = (
    RequestSniStream
    | RequestInferenceStream
    | DnsChallengeCreate
    | DnsChallengeCleanup
    | DomainRegistrationRequest
)
Response = StreamReady | DnsChallengeResponse | DomainRegistrationResponse
Message = Handshake | HandshakeResponse | Ping | Pong | Request | Response

REQUEST_TYPES: Final[tuple[type[Request], ...]] = (
    RequestSniStream,
    RequestInferenceStream,
    DnsChallengeCreate,
    DnsChallengeCleanup,
    DomainRegistrationRequest,
)
RESPONSE_TYPES: Final[tuple[type[Response], ...]] = (
    StreamReady,
    DnsChallengeResponse,
    DomainRegistrationResponse,
)
TYPES: Final[dict[str, type[Message]]] = {
    kind.__name__: kind
    for kind in (Handshake, HandshakeResponse, Ping, Pong, *REQUEST_TYPES, *RESPONSE_TYPES)
}


class Ignored(NamedTuple):
    """A JSON document that is no message known to us; it changes nothing (MS-02, MS-03)."""

    reason: str


class Malformed(NamedTuple):
    """A message of a known type with a missing or ill-typed member (MS-04).

    `request_id` is there when it could be read, whatever the type.
    """

    type: str
    request_id: str | None
    reason: str


_decode_message = msgspec.json.Decoder(Message).decode
_decode_document = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def encode(message: Message) -> bytes:
    """The body of the frame that carries `message`: compact JSON, absent members left out."""
    return _encode(message)


def decode(body: bytes) -> Message | Ignored | Malformed:
    """Read the body of one frame.

    Raises `RemoteProtocolError` when it is no JSON document (FR-06, FR-07). What breaks I-JSON is read
    where it does no harm and a violation where it cannot be read (FR-14).
    """
    try:
        if not body.isascii():
            # msgspec does not look into the text of members that it skips, so UTF-8 is checked first
            body.decode()
        message: Message = _decode_message(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_carefully(body)
    if type(message) is Ping and message.id <= MAX_ID:  # the most frequent of all, and the shortest way
        return message
    problem = _problem(message)
    if problem is None:
        return message
    return Malformed(type(message).__name__, getattr(message, "request_id", None), problem)


def _problem(message: Message) -> str | None:
    """What msgspec's types cannot say about a message."""
    if type(message) is Ping or type(message) is Pong:
        return None if message.id <= MAX_ID else "id is above 2^64-1 (MS-07)"
    if isinstance(message, DomainRegistrationResponse) and message.success and message.domain is None:
        return "success without domain (DR-01)"
    return None


def _decode_carefully(body: bytes) -> Message | Ignored | Malformed:
    """Tell the ways apart in which a body is no message.

    The typed decoder stops at the first ill-typed member, so its refusal does not prove the rest JSON.
    """
    try:
        body.decode()
        document = _decode_document(body)
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"a body that is no UTF-8, at byte {error.start} (FR-07)") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RemoteProtocolError(f"a body that is no JSON document: {error} (FR-06)") from error
    if not isinstance(document, dict):
        return Ignored("a JSON document that is no object")
    name = document.get("type")
    kind = TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        return Ignored(
            f"an unknown type, {name[:40]!r}" if isinstance(name, str) else "an object without a type"
        )
    request_id = document.get("request_id")
    readable_id = request_id if isinstance(request_id, str) else None
    try:
        # a repeated `type` gets here too: the last one counts (MS-11)
        message = msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        return Malformed(kind.__name__, readable_id, str(error))
    problem = _problem(message)
    return message if problem is None else Malformed(kind.__name__, readable_id, problem)
