"""A toy receiver, to be replaced by your own. What members a message has, the schemas say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
Event = dict[str, Any]  # in the words of the framing vectors


def parse(body: bytes) -> tuple[Any, str]:
    """The JSON in a body, and the requirement that it breaks if it is none."""
    try:
        text = body.decode("utf-8")
        return json.loads(text, parse_constant=int), ""  # NaN is no integer: it raises
    except UnicodeDecodeError:
        return None, "FR-07"
    except (ValueError, RecursionError):
        return None, "FR-07" if text.startswith("\ufeff") else "FR-06"


def events_in(data: bytes, size: int, eof: bool, decode: Callable[[bytes], Event]) -> list[Event]:
    """What is found in a stream of which `size` bytes arrive at a time."""
    events: list[Event] = []
    start = 0
    for end in [*range(size, len(data), size), len(data)]:  # no byte behind `end` is looked at
        while end - start >= 4:
            length = int.from_bytes(data[start : start + 4], "big")
            if not 1 <= length <= 10_485_760:
                return [*events, {"violation": "FR-03" if length else "FR-04"}]
            if end - start < 4 + length:
                break
            start += 4 + length
            events.append(decode(data[start - length : start]))
            if "violation" in events[-1]:
                return events
    if eof:
        events.append({"violation": "FR-11"} if start < len(data) else {"end": "clean"})
    return events


class Receiver:
    def __init__(self, schemas: Path) -> None:
        self.types, self.shared = {}, json.loads((schemas / "common.json").read_text())["$defs"]
        for schema in (json.loads(path.read_text()) for path in schemas.glob("*.json")):
            if type_ := schema.get("properties", {}).get("type", {}).get("const"):
                self.types[type_] = schema

    def fits(self, value: Any, schema: dict[str, Any]) -> bool:
        """As much of JSON Schema as the messages need."""
        schema = self.shared.get(schema.get("$ref", "").rpartition("/")[2], schema)
        kind = KINDS.get(type(value), "null")
        if kind not in schema.get("type", [kind]) or value != schema.get("const", value):
            return False
        if kind == "array":
            sizes = range(schema.get("minItems", 0), schema.get("maxItems", len(value)) + 1)
            return len(value) in sizes and all(self.fits(one, schema["items"]) for one in value)
        if kind == "object":
            members = schema.get("properties", {}).items()
            complete = all(name in value for name in schema.get("required", []))
            return complete and all(self.fits(value[name], part) for name, part in members if name in value)
        return "minimum" not in schema or schema["minimum"] <= value <= schema["maximum"]

    def decode(self, body: bytes) -> Event:
        value, broken = parse(body)
        if broken:
            return {"violation": broken}
        schema = self.types.get(str(value.get("type"))) if isinstance(value, dict) else None
        if schema is None:
            return {"ignored": True}
        known = {name: value[name] for name in schema["properties"] if value.get(name) is not None}
        nameless = "if" in schema and known.get("success") is True and "domain" not in known  # DR-06
        if nameless or not self.fits(value, schema):
            return {"malformed": True}
        if "node_addr" in known:
            known["node_addr"] = {name: known["node_addr"][name] for name in ("id", "direct_addresses")}
        return {"message": known}

    def read(self, data: bytes, size: int, eof: bool) -> list[Event]:
        return events_in(data, size, eof, self.decode)
