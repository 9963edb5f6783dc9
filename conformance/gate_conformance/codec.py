"""The suite's own framing and message codec, over the standard library and ``spec/schemas``."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from gate_conformance import spec
from gate_conformance.jsonscan import FloatLiteral, Members, NegativeZero, NotJson, Scan, scan

MAX_BODY = 10_485_760
MAX_ID = 2**64 - 1
# The most frequent messages by far, read without a parser; each space stands for any white space.
_PING_PONG = re.compile(
    (
        rb' \{ (?:"type" : "(Ping|Pong)" , "id" : (0|[1-9][0-9]{0,18})'
        rb'|"id" : (0|[1-9][0-9]{0,18}) , "type" : "(Ping|Pong)") \} '
    ).replace(b" ", rb"[ \t\r\n]*")
)
# Rules about the content of a text are no matter of well-formedness: a receiver answers them with a failure.
_FORM_RULES = frozenset({"pattern", "minLength", "maxLength", "format"})

RESPONSE_OF = {
    "RequestSniStream": "StreamReady",
    "RequestInferenceStream": "StreamReady",
    "DnsChallengeCreate": "DnsChallengeResponse",
    "DnsChallengeCleanup": "DnsChallengeResponse",
    "DomainRegistrationRequest": "DomainRegistrationResponse",
}
SUCCESS_MEMBER = {
    "StreamReady": "stream_accepted",
    "DnsChallengeResponse": "success",
    "DomainRegistrationResponse": "success",
}

Class = Literal["accept", "ignore", "malformed", "framing_violation", "choice"]


class FrameError(Exception):
    """A length that no frame may have: ``length`` is what the prefix says."""

    def __init__(self, length: int) -> None:
        super().__init__(f"a length of {length}, where 1 to {MAX_BODY} is allowed")
        self.length = length


class Problem(NamedTuple):
    """What a sender did that it may not do."""

    requirement: str
    text: str


@dataclass(frozen=True)
class Judgement:
    """What a receiver has to make of a body; ``message`` holds the members where they can be read."""

    verdict: Class
    message: dict[str, Any] | None
    reason: str


def encode(message: dict[str, Any]) -> bytes:
    """One frame with the message as compact JSON."""
    return frame(json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode("utf-8"))


def frame(body: bytes) -> bytes:
    """Prefix and body; the length is not judged here, so that bad ones can be made."""
    return struct.pack(">I", len(body)) + body


class FrameReader:
    """Cuts a stream of bytes into bodies."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete frame are there."""
        return len(self._buffer) - self._offset

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete now. Raises FrameError at a bad length, after the bodies before it."""
        self._buffer += data
        bodies: list[bytes] = []
        while self.pending >= 4:
            (length,) = struct.unpack_from(">I", self._buffer, self._offset)
            if not 1 <= length <= MAX_BODY:
                if bodies:
                    break  # the bodies before it come first; the next feed(b"") raises
                raise FrameError(length)
            start = self._offset + 4
            if len(self._buffer) - start < length:
                break
            bodies.append(bytes(self._buffer[start : start + length]))
            self._offset = start + length
        if self._offset > 65536 or self._offset == len(self._buffer):
            del self._buffer[: self._offset]
            self._offset = 0
        return bodies


@lru_cache(maxsize=1)
def _validators() -> dict[str, Any]:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    documents = spec.schemas()
    resources = [
        (schema.get("$id", name), Resource.from_contents(schema, default_specification=DRAFT202012))
        for name, schema in documents.items()
    ]
    registry: Any = Registry().with_resources(resources)
    found: dict[str, Any] = {}
    for schema in documents.values():
        constant = schema.get("properties", {}).get("type", {}).get("const")
        if isinstance(constant, str):
            found[constant] = Draft202012Validator(schema, registry=registry)
    return found


def known_types() -> frozenset[str]:
    """The message types that have a schema."""
    return frozenset(_validators())


def judge(body: bytes) -> Judgement:
    """What a receiver has to make of this body (FR-06, FR-07, FR-14, MS-01 to MS-11)."""
    if fast := _PING_PONG.fullmatch(body):
        kind, number = fast[1] or fast[4], fast[2] or fast[3]
        return Judgement("accept", {"type": kind.decode(), "id": int(number)}, "a message")
    if not 1 <= len(body) <= MAX_BODY:
        return Judgement("framing_violation", None, f"a length of {len(body)}")
    try:
        found = scan(body)
    except NotJson as error:
        return Judgement("framing_violation", None, str(error))
    return _judge_document(found)


def _judge_document(found: Scan) -> Judgement:
    value = found.value
    if found.framing_choice:
        message = _judge_value(value).message if found.built else None
        return Judgement("choice", message, found.framing_choice)
    return _judge_value(value)


def _judge_value(value: Any) -> Judgement:
    if not isinstance(value, Members):
        return Judgement("ignore", None, "JSON that is no object")
    if value.repeated:
        inner = _judge_plain(value)
        if inner.verdict in ("accept", "choice"):
            return Judgement("choice", inner.message, f"repeated {', '.join(sorted(value.repeated))}")
        return inner
    return _judge_plain(value)


def _judge_plain(value: Members) -> Judgement:
    kind = value.get("type")
    validator = _validators().get(kind) if isinstance(kind, str) else None
    if validator is None:
        return Judgement("ignore", dict(value), "no known type")
    plain, choices = _plain(value, kind)
    faults = [error for error in validator.iter_errors(plain) if error.validator not in _FORM_RULES]
    if faults:
        where = "/".join(str(step) for step in faults[0].absolute_path) or "message"
        return Judgement("malformed", plain, f"{where}: {faults[0].message[:200]}")
    if choices:
        return Judgement("choice", plain, "; ".join(choices))
    return Judgement("accept", plain, "a message")


def _plain(value: Members, kind: Any) -> tuple[dict[str, Any], list[str]]:
    """The members that the protocol knows with integer-like literals made integers, and which those were."""
    plain: dict[str, Any] = dict(value)
    choices: list[str] = []
    if kind in ("Ping", "Pong") and "id" in plain:
        plain["id"] = _integer(plain["id"], "id", choices)
    address = plain.get("node_addr")
    if kind == "DomainRegistrationRequest" and isinstance(address, Members):
        if address.repeated:
            choices.append("repeated member of node_addr")
        copy = dict(address)
        if isinstance(copy.get("id"), list):
            copy["id"] = [_integer(one, "node_addr.id", choices) for one in copy["id"]]
        plain["node_addr"] = copy
    return plain, choices


def _integer(value: Any, name: str, choices: list[str]) -> Any:
    if isinstance(value, NegativeZero):
        choices.append(f"{name} written -0")
        return 0
    if isinstance(value, FloatLiteral):
        whole = value.integer()
        if whole is None:
            return 0.5  # the schema refuses every number with a fraction alike
        choices.append(f"{name} written {value.text}")
        return whole
    return value


def check_sent(body: bytes) -> Problem | None:
    """What the sender of this body may not do (FR-01, FR-13, MS-09, MS-12), or None."""
    if _PING_PONG.fullmatch(body):
        return None
    try:
        found = scan(body)
    except NotJson as error:
        return Problem("FR-01", f"the body of a frame is no JSON in UTF-8: {error}")
    if found.framing_choice:
        if found.beyond_double and _only_id_is_beyond(found.value):
            return Problem("MS-12", "an `id` above 2^64-1")
        return Problem("FR-13", f"the body has {found.framing_choice}")
    value = found.value
    if not isinstance(value, Members):
        return Problem("FR-01", "the body of a frame is JSON, but no object")
    if found.repeats:
        return Problem("FR-13", "the body repeats a member")
    if value.get("type") in ("Ping", "Pong") and isinstance(value.get("id"), (FloatLiteral, NegativeZero)):
        return Problem("MS-09", "an `id` that is not written in digits only")
    judgement = _judge_value(value)
    if judgement.verdict in ("malformed", "choice"):
        return Problem("MS-12", f"a malformed {value.get('type')}: {judgement.reason}")
    return None


def _only_id_is_beyond(value: Any) -> bool:
    ours = isinstance(value, Members) and value.get("type") in ("Ping", "Pong")
    return ours and set(value) == {"type", "id"}
