"""The written rules read once more, apart from both packages: strict JSON, then the schemas.

Slow and plain on purpose: what it says of a body is what `spec/` says, step by step.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

SPEC = Path(__file__).resolve().parents[2] / "spec"
SCHEMAS = [json.loads(path.read_text("utf-8")) for path in (SPEC / "schemas").rglob("*.json")]
REGISTRY: Any = Registry().with_resources((one["$id"], Resource.from_contents(one)) for one in SCHEMAS)
RESPONSE_TO = {
    "RequestSniStream": "StreamReady",
    "RequestInferenceStream": "StreamReady",
    "DnsChallengeCreate": "DnsChallengeResponse",
    "DnsChallengeCleanup": "DnsChallengeResponse",
    "DomainRegistrationRequest": "DomainRegistrationResponse",
}
MAX_BODY = 10_485_760
NO_INTEGER = 0.5
"""Stands for every number that is none; the schemas refuse them alike."""


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"urn:gate-p2p:1.0:schema:{name}"}, registry=REGISTRY)


MEMBERS: dict[str, list[str]] = {
    one["properties"]["type"]["const"]: list(one["properties"])
    for one in SCHEMAS
    if "const" in one.get("properties", {}).get("type", {})
}
VALIDATORS = {type_: validator(type_) for type_ in MEMBERS}
SENT = {type_: validator(f"sent-message#/$defs/{type_}") for type_ in MEMBERS}


class Number(float):
    """A number written with fraction or exponent, or `-0`; `text` is how."""

    text: str


class Object(dict[str, Any]):
    """An object that remembers whether a member came twice; the last value counts."""

    repeated = False


def number(literal: str) -> Number:
    found = Number(literal)
    found.text = literal
    return found


@contextmanager
def deep_stack() -> Iterator[None]:
    """The standard library reads and compares as deep as the stack is allowed to grow."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(6000)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class Reading:
    """One strict reading of a body: `value`, `breaks_i_json` (FR-14). Raises ValueError: no JSON."""

    def __init__(self, body: bytes) -> None:
        text = body.decode("utf-8")
        if text.startswith("\ufeff"):
            raise ValueError("a byte order mark")
        self.breaks_i_json = self._depth(text) > 64
        self.value = json.loads(
            text,
            parse_constant=self._constant,
            parse_float=self._float,
            parse_int=self._int,
            object_pairs_hook=self._object,
        )
        self._look_for_surrogates(self.value)

    @staticmethod
    def _depth(text: str) -> int:
        depth = deepest = 0
        for token in re.findall(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', text, re.DOTALL):
            if token in "[{":
                depth += 1
                deepest = max(deepest, depth)
            elif token in "]}":
                depth -= 1
        return deepest

    @staticmethod
    def _constant(name: str) -> NoReturn:
        raise ValueError(name)

    def _float(self, literal: str) -> Number:
        found = number(literal)
        if math.isinf(found):
            self.breaks_i_json = True
        return found

    def _int(self, literal: str) -> int | float:
        if len(literal) > 308 and math.isinf(float(literal)):
            self.breaks_i_json = True
            return math.inf
        return number(literal) if literal == "-0" else int(literal)

    def _object(self, pairs: list[tuple[str, Any]]) -> Object:
        self._look_for_surrogates([one for pair in pairs for one in pair])
        found = Object(pairs)
        found.repeated = len(found) < len(pairs)
        return found

    def _look_for_surrogates(self, node: Any) -> None:
        """Objects have been looked at when they were made, with the values that a repeat replaced."""
        if isinstance(node, str) and re.search("[\ud800-\udfff]", node):
            self.breaks_i_json = True
        elif isinstance(node, list):
            for one in node:
                self._look_for_surrogates(one)


def whole(literal: str) -> int | None:
    """The integer that a number equals, exactly or as the nearest double (MS-08, FR-16), or None."""
    # five digits of an exponent are enough: what is beyond is zero or infinite in a double
    parts = re.fullmatch(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,5})\d*)?", literal)
    assert parts is not None
    sign, digits, places, exponent = parts.groups("")
    kept = (digits + places).rstrip("0")
    shift = int(exponent or 0) - len(places) + len(digits + places) - len(kept)
    if not kept.strip("0"):
        return 0
    if 0 <= shift < 40:
        return int(f"{sign}{kept}{'0' * shift}")
    nearest = float(literal)
    return int(nearest) if nearest.is_integer() else None


def integers(value: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The message with its integers as such, and whether one was written in another way (MS-08)."""
    odd = False

    def integer(one: Any) -> Any:
        nonlocal odd
        if not isinstance(one, Number):
            return one
        found = whole(one.text)
        odd = odd or found is not None
        return NO_INTEGER if found is None else found

    plain = dict(value)
    if plain["type"] in ("Ping", "Pong") and "id" in plain:
        plain["id"] = integer(plain["id"])
    address = plain.get("node_addr")
    if plain["type"] == "DomainRegistrationRequest" and isinstance(address, dict):
        plain["node_addr"] = dict(address)
        if isinstance(address.get("id"), list):
            plain["node_addr"]["id"] = [integer(one) for one in address["id"]]
    return plain, odd


def verdicts(body: bytes) -> tuple[set[str], Any]:
    """Every verdict that the rules allow for a body, and the document if there is one."""
    with deep_stack():
        try:
            reading = Reading(body)
        except ValueError:
            return {"framing_violation"}, None
        except RecursionError:
            # deeper than the standard library goes: only that a violation is allowed can be said
            return {"framing_violation"}, None
        allowed, value = _verdicts(reading.value)
    return (allowed | {"framing_violation"} if reading.breaks_i_json else allowed), value


def _verdicts(value: Any) -> tuple[set[str], Any]:
    type_ = value.get("type") if isinstance(value, Object) else None
    known = VALIDATORS.get(type_) if isinstance(type_, str) else None
    repeated = isinstance(value, Object) and value.repeated
    if known is None:
        return ({"ignore", "malformed"} if repeated else {"ignore"}), value
    address = value.get("node_addr") if type_ == "DomainRegistrationRequest" else None
    value, odd = integers(value)
    if not known.is_valid(value):
        return {"malformed"}, value
    nested = isinstance(address, Object) and address.repeated
    return ({"accept", "malformed"} if repeated or nested or odd else {"accept"}), value


def known_members(value: dict[str, Any]) -> dict[str, Any]:
    """The members that the specification knows, without null ones."""
    found = {name: value[name] for name in MEMBERS[value["type"]] if value.get(name) is not None}
    if value["type"] == "DomainRegistrationRequest":
        found["node_addr"] = {name: value["node_addr"][name] for name in ("id", "direct_addresses")}
    return found


def is_good_form(value: dict[str, Any]) -> bool:
    """Whether a well-formed request keeps to the forms, so that no failure `malformed` answers it."""
    return SENT[value["type"]].is_valid(value)


def frame_events(data: bytes, eof: bool) -> list[dict[str, Any]]:
    """What a receiver finds in the bytes of a stream, taken whole; no body in it may leave a choice."""
    events: list[dict[str, Any]] = []
    for allowed, value, requirement in frames(data):
        (verdict,) = allowed
        if verdict == "framing_violation":
            return [*events, {"violation": requirement}]
        if verdict == "accept":
            events.append({"message": known_members(value)})
        else:
            events.append({"ignored": True} if verdict == "ignore" else {"malformed": True})
        data = data[4 + int.from_bytes(data[:4], "big") :]
    if eof:
        events.append({"violation": "FR-11"} if data else {"end": "clean"})
    return events


def frames(data: bytes) -> Iterator[tuple[set[str], Any, str]]:
    """Each complete frame: the verdicts allowed, the document, and the requirement that a violation breaks.

    Nothing follows a length that no frame may have.
    """
    while len(data) >= 4:
        length = int.from_bytes(data[:4], "big")
        if not 1 <= length <= MAX_BODY:
            yield {"framing_violation"}, None, "FR-03" if length else "FR-04"
            return
        body, data = data[4 : 4 + length], data[4 + length :]
        if len(body) < length:
            return
        try:
            is_utf_8 = not body.decode("utf-8").startswith("\ufeff")
        except UnicodeDecodeError:
            is_utf_8 = False
        yield (*verdicts(body), "FR-06" if is_utf_8 else "FR-07")
