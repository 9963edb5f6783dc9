"""Text from elsewhere on our terminal and in our log: one line, no control characters, not endless."""

from __future__ import annotations

LONGEST = 1000  # characters: a peer chooses capabilities and reasons, and must not fill the disk


def one_line(text: str) -> str:
    """The text with every character that does not print as an escape, cut after LONGEST characters."""
    if len(text) > LONGEST:
        text = text[:LONGEST] + "..."
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
