"""The forms of identifiers, names and values: each function says what is wrong, or gives None."""

from __future__ import annotations

import re

LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
TXT_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


def request_id_problem(text: str, longest: int = 128) -> str | None:
    """RQ-03: 1 to 128 characters from U+0021 to U+007E."""
    if not 1 <= len(text) <= longest:
        return f"request_id has {len(text)} characters, not 1 to {longest}"
    if any(not 0x21 <= ord(character) <= 0x7E for character in text):
        return "request_id has a character outside printable ASCII"
    return None


def domain_problem(text: str, longest: int = 237) -> str | None:
    """DC-03: an A-label host name of two labels or more."""
    if len(text) > longest:
        return f"domain has {len(text)} characters, more than {longest}"
    if text.lower().startswith("_acme-challenge."):
        return "domain carries the _acme-challenge prefix, which the node adds itself"
    labels = text.split(".")
    if len(labels) < 2:
        return "domain has fewer than two labels"
    if any(not LABEL.fullmatch(label) for label in labels):
        return "domain has a label that is not 1 to 63 letters, digits and inner hyphens"
    if re.fullmatch("[0-9]+", labels[-1]):
        return "the last label of domain is all digits"
    return None


def txt_value_problem(text: str) -> str | None:
    """DC-06: 43 characters of unpadded base64url; spare bits are not looked at (DC-07)."""
    if not TXT_VALUE.fullmatch(text):
        return "txt_value is not 43 characters of base64url"
    return None
