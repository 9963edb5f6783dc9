"""Bytes to messages and back: frames, UTF-8, JSON, members. Each step can be replaced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .protocol import MAX_BODY, MAX_U64, MEMBERS, TOO_LARGE, VIOLATION, Message, Violation


class Wire:
    """The framing and decoding half of a node; keeps the bytes of the frame that is not complete yet."""

    max_body = MAX_BODY
    violation_code = VIOLATION
    too_large_code = TOO_LARGE
    utf8_errors = "strict"
    strict_strings = True
    max_id = MAX_U64

    def __init__(self) -> None:
        self.buffer = bytearray()

    # -- receiving

    def bodies(self, data: bytes) -> Iterator[bytes]:
        """Adds what was read and gives the bodies that are complete now; raises Violation."""
        self.buffer += data
        while (body := self.next_body()) is not None:
            yield body

    def next_body(self) -> bytes | None:
        if len(self.buffer) < 4:
            return None
        length = self.read_length(bytes(self.buffer[:4]))
        self.check_length(length)
        if len(self.buffer) < 4 + length:
            return None
        body = bytes(self.buffer[4 : 4 + length])
        del self.buffer[: 4 + length]
        return body

    def read_length(self, prefix: bytes) -> int:
        return int.from_bytes(prefix, "big")

    def check_length(self, length: int) -> None:
        """FR-03, FR-04: judged before any of the body is there."""
        if length == 0:
            raise Violation("a frame of length 0", self.violation_code)
        if length > self.max_body:
            raise Violation(f"a frame of {length} bytes", self.too_large_code)

    def parse(self, body: bytes) -> Any:
        """One JSON document, or Violation (FR-06, FR-07)."""
        text = self.decode(body)
        try:
            value = self.load(text)
        except (ValueError, RecursionError) as error:
            raise Violation(f"no JSON document: {error}", self.violation_code) from error
        return self.check_strings(text, value)

    def decode(self, body: bytes) -> str:
        try:
            text = body.decode("utf-8", self.utf8_errors)
        except UnicodeDecodeError as error:
            raise Violation(f"no UTF-8: {error}", self.violation_code) from error
        if text.startswith("\ufeff"):
            raise Violation("a byte order mark", self.violation_code)
        return text

    def load(self, text: str) -> Any:
        return json.loads(
            text,
            strict=self.strict_strings,
            parse_constant=self.constant,
            object_pairs_hook=self.members,
        )

    def constant(self, name: str) -> Any:
        raise ValueError(f"{name} is no JSON")

    def members(self, pairs: list[tuple[str, Any]]) -> Any:
        """MS-11: of a repeated member the last value."""
        return dict(pairs)

    def check_strings(self, text: str, value: Any) -> Any:
        """FR-14: a lone surrogate is a framing violation to this node."""
        if "\\ud" in text or "\\uD" in text:
            try:
                json.dumps(value, ensure_ascii=False).encode("utf-8")
            except UnicodeEncodeError as error:
                raise Violation("a lone surrogate", self.violation_code) from error
        return value

    def message_in(self, value: Any) -> Message | None:
        """MS-02, MS-03: the message, if this is an object of a known type."""
        if not isinstance(value, dict):
            return None
        kind = value.get("type")
        if not isinstance(kind, str) or kind not in MEMBERS:
            return None
        return value

    def problem_in(self, message: Message) -> str | None:
        """MS-04: what is missing or ill-typed in a message of a known type."""
        for name, kind in MEMBERS[message["type"]].items():
            value = message.get(name)
            if value is None and kind.endswith("?"):
                continue
            if name not in message:
                return f"{name} is missing"
            if not self.fits(kind.rstrip("?"), value):
                return f"{name} is no {kind.rstrip('?')}"
        return None

    def fits(self, kind: str, value: Any) -> bool:
        if kind == "text":
            return isinstance(value, str)
        if kind == "boolean":
            return isinstance(value, bool)
        if kind == "texts":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
        if kind == "u64":
            return self.is_id(value)
        return self.is_address(value)

    def is_id(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= self.max_id

    def is_address(self, value: Any) -> bool:
        """A node_addr: 32 integers 0..255 and a list of texts."""
        if not isinstance(value, dict):
            return False
        number, addresses = value.get("id"), value.get("direct_addresses")
        if not isinstance(number, list) or len(number) != 32:
            return False
        if any(
            not isinstance(item, int) or isinstance(item, bool) or not 0 <= item <= 255 for item in number
        ):
            return False
        return self.fits("texts", addresses)

    # -- sending

    def body_of(self, message: Message) -> bytes:
        return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode("utf-8")

    def frame(self, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + body
