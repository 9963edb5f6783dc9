"""Lines of plain text that several reports share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_HEX_BYTES = 48
_TEXT = 300


def transcript_lines(records: Sequence[dict[str, Any]], limit: int = 24) -> list[str]:
    """The records as annotated hex and text; the middle of a long transcript is left out.

    ``->`` is what the suite sent, ``<-`` what the target did.
    """
    if len(records) > limit:
        half = limit // 2
        left = len(records) - 2 * half
        return [
            *transcript_lines(records[:half], limit),
            f"        … {left} records left out (the JSON report has them)",
            *transcript_lines(records[-half:], limit),
        ]
    lines: list[str] = []
    for record in records:
        arrow = "->" if record["from"] == "suite" else "<-"
        head = f"{record['t']:8.3f} {arrow} "
        data, count = str(record.get("hex", "")), int(record.get("bytes", 0))
        if count:
            shown = data[: 2 * _HEX_BYTES]
            more = f" … ({count} bytes)" if 2 * count > len(shown) else ""
            lines.append(head + grouped(shown) + more)
            head = " " * len(head)
        for line in str(record.get("text", "")).split("\n")[:6]:
            if line:
                lines.append(head + (line if len(line) <= _TEXT else line[:_TEXT] + "…"))
                head = " " * len(head)
        if record.get("note"):
            lines.append(head + f"[{record['note']}]")
    return lines


def grouped(hex_text: str) -> str:
    """Prefix and body apart: the first four bytes stand alone."""
    return f"{hex_text[:8]} {hex_text[8:]}".rstrip()
