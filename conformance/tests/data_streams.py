"""The written rules of data connections and of names read once more, apart from both packages.

Slow and plain on purpose, as `written_rules` is: what it says is what the chapters say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .node_labels import named
from .written_rules import MAX_BODY, Object, Reading, deep_stack, validator

READY = b"\x00\x00\x00\x05READY"
ERROR_TYPES = ("request_error", "upstream_error", "server_error")
COMPLETION = validator("inference:request#/$defs/chat_completion")
LIST_MODELS = validator("inference:request#/$defs/list_models")
DOMAIN = validator("common#/$defs/domain")


def ready_events(data: bytes, end: str | None) -> list[dict[str, Any]]:
    """What a relay does with the beginning of an SNI-proxy stream: the table of SP-06, then SP-08."""
    beginning, rest = data[:9], data[9:]
    if beginning != READY[: len(beginning)] or (len(beginning) < 9 and end):
        return [{"close": 1}]
    if len(beginning) < 9:
        return [{"close": 4}]
    if rest:
        return [{"idle": True}, {"close": 1}]
    return [{"idle": True}, {"close": 0}] if end else [{"idle": True}]


def document(body: bytes) -> tuple[Any, bool]:
    """The JSON of a body, and whether it breaks I-JSON (FR-14). Raises ValueError: no JSON."""
    with deep_stack():
        reading = Reading(body)
    return reading.value, reading.breaks_i_json


def request_verdicts(body: bytes) -> tuple[set[str], Any]:
    """Every verdict that a responder may have on a request, and the document if there is one."""
    if not 1 <= len(body) <= MAX_BODY:
        return {"framing_violation"}, None
    try:
        value, breaks_i_json = document(body)
    except ValueError:
        return {"framing_violation"}, None
    if COMPLETION.is_valid(value):
        allowed = {"completion"}
    elif LIST_MODELS.is_valid(value):
        allowed = {"list_models"}
    else:
        allowed = {"request_error"}
    if isinstance(value, Object) and value.repeated:
        allowed.add("request_error")  # the last value counts, or the request is malformed (MS-11, IN-36)
    return (allowed | {"framing_violation"} if breaks_i_json else allowed), value


def response_events(data: bytes, stream: bool, end: str | None) -> list[dict[str, Any]]:
    """What a requester finds in a response: frames, and how it ended (IN-05, IN-12, IN-22, IN-23)."""
    events: list[dict[str, Any]] = []
    while len(data) >= 4:
        length = int.from_bytes(data[:4], "big")
        if not 1 <= length <= MAX_BODY:
            return [*events, {"violation": "FR-03" if length else "FR-04"}]
        if len(data) < 4 + length:
            break
        body, data = data[4 : 4 + length], data[4 + length :]
        try:
            value, _ = document(body)
        except UnicodeDecodeError:
            return [*events, {"violation": "FR-07"}]
        except ValueError:
            return [*events, {"violation": "FR-06"}]
        if not isinstance(value, dict):
            return [*events, {"lost": True}]
        if value.get("error") is not None:
            kind = value["error"].get("type") if isinstance(value["error"], dict) else None
            return [*events, {"failure": kind if kind in ERROR_TYPES else "server_error"}]
        events.append({"frame": value})
        if not stream:
            return [*events, {"complete": True}]
    if end == "clean" and data:
        return [*events, {"violation": "FR-11"}]
    if end == "reset" or (end and not events):
        return [*events, {"lost": True}]
    return [*events, {"complete": True}] if end else events


def may_act(vector: dict[str, Any], peer: str, domain: str) -> bool:
    """Whether the node with the id `peer` may act for the name (AU-02, AU-04, AU-05, DR-09)."""
    name = domain.lower()
    label, _, above = name.partition(".")
    node = named(label)[0]
    if above == vector["suffix"].lower() and node is not None:
        first = vector.get("short_labels", {}).get(node)
        return peer.startswith(node) and first in (None, peer)
    registered = {one.lower(): to for one, to in vector.get("registered", {}).items()}
    granted = [one.lower() for one in vector.get("granted", {}).get(peer, [])]
    return bool(registered.get(name) == peer) or name in granted


def nodes_of(vector: dict[str, Any]) -> set[str]:
    """Every node that a relay could know of, those included that a label in the name spells out."""
    spelt = (named(label)[0] or "" for label in vector["server_name"].split("."))
    return {
        *vector["connected"],
        *vector.get("registered", {}).values(),
        *vector.get("granted", {}),
        *vector.get("short_labels", {}).values(),
        *(node for node in spelt if len(node) == 64),
    }


def led_to(vector: dict[str, Any]) -> Iterator[set[str]]:
    """The nodes that the name belongs to, then those that the name without its first label does (SP-10)."""
    name = vector["server_name"].removesuffix(".")
    if DOMAIN.is_valid(name):  # another one belongs to nobody
        for one in (name, name.partition(".")[2]):
            yield {node for node in nodes_of(vector) if may_act(vector, node, one)}
