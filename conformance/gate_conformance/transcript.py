"""The bytes of one case, as reports show them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

RECORD_BYTES = 4096
MAX_RECORDS = 400
_TEXT_CHARACTERS = 2000
# What a report keeps of a case that passed: enough to see what was tried, and small times 400 cases.
_PASSED_RECORDS = 24
_PASSED_BYTES = 48
_PASSED_CHARACTERS = 128


def readable(data: bytes) -> str | None:
    """The text in ``data``: the bodies of whole frames, or the data itself when it is printable."""
    bodies: list[bytes] = []
    position = 0
    while len(data) - position >= 4:
        (length,) = struct.unpack_from(">I", data, position)
        if not 0 < length <= len(data) - position - 4:
            break
        bodies.append(data[position + 4 : position + 4 + length])
        position += 4 + length
    whole = bodies if bodies and position == len(data) else [data]
    try:
        text = "\n".join(body[: _TEXT_CHARACTERS * 4].decode("utf-8") for body in whole[:20])
    except UnicodeDecodeError:
        return None
    if not text or not all(character.isprintable() or character == "\n" for character in text):
        return None
    return text[:_TEXT_CHARACTERS] + ("…" if len(text) > _TEXT_CHARACTERS else "")


class Transcript:
    """Records in order; the middle of a long one is left out, and how much is said."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._start = now()
        self._head: list[dict[str, Any]] = []
        self._tail: list[dict[str, Any]] = []
        self.left_out = 0

    def add(self, source: str, data: bytes = b"", note: str = "") -> None:
        """``source`` is "suite" or "target"."""
        record: dict[str, Any] = {
            "t": round(self._now() - self._start, 4),
            "from": source,
            "hex": data[:RECORD_BYTES].hex(),
            "bytes": len(data),
        }
        text = readable(data)
        if text is not None:
            record["text"] = text
        if note:
            record["note"] = note
        if len(self._head) < MAX_RECORDS // 2:
            self._head.append(record)
            return
        self._tail.append(record)
        if len(self._tail) > MAX_RECORDS // 2:
            del self._tail[0]
            self.left_out += 1

    def mark(self) -> None:
        """Forget what was so far (a new example begins on a shared link)."""
        self._head.clear()
        self._tail.clear()
        self.left_out = 0

    def records(self) -> list[dict[str, Any]]:
        if not self.left_out:
            return self._head + self._tail
        return _with_gap(self._head, self.left_out, self._tail)


def _with_gap(head: list[dict[str, Any]], left_out: int, tail: list[dict[str, Any]]) -> list[dict[str, Any]]:
    note = f"{left_out} records left out here"
    return [*head, {"t": tail[0]["t"], "from": "suite", "hex": "", "bytes": 0, "note": note}, *tail]


def abridged(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first and last records of a passed case, each cut short; ``bytes`` still counts all of them."""
    half = _PASSED_RECORDS // 2
    if len(records) > _PASSED_RECORDS:
        records = _with_gap(records[:half], len(records) - 2 * half, records[-half:])
    return [_cut(record) for record in records]


def _cut(record: dict[str, Any]) -> dict[str, Any]:
    short = {**record, "hex": record["hex"][: 2 * _PASSED_BYTES]}
    text = record.get("text", "")
    if len(text) > _PASSED_CHARACTERS:
        short["text"] = text[:_PASSED_CHARACTERS] + "…"
    return short
