"""The labels that name a node in the DNS: its id in z-base-32, or the first half of it in hex (DR-02)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

ALPHABET: Final = "ybndrfg8ejkmcpqxot1uwisza345h769"
"""z-base-32, in the order of the values 0 to 31; without 0, 2, l and v."""

_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
# both patterns are of ASCII alone: lower() turns the Kelvin sign into k, int() reads digits of any script
_Z_BASE_32: Final = re.compile(f"[{ALPHABET}{ALPHABET.upper()}]{{52}}")
_HEX: Final = re.compile("[0-9A-Fa-f]{32}")


class NodeLabels(NamedTuple):
    """The two labels of a node, in lower case. All 64 hexadecimal characters are one too many for a label."""

    z_base_32: str
    """The whole id, 52 characters; the last one holds a single bit of it."""
    hex: str
    """The first 32 hexadecimal characters of the id."""


def node_labels(node_id: str) -> NodeLabels:
    """The labels of the node with this id, 64 lowercase hexadecimal characters."""
    bits = int(node_id, 16) << 4  # 256 bits and 4 of padding make 52 groups of 5
    groups = (bits >> shift & 31 for shift in range(255, -1, -5))
    return NodeLabels("".join(ALPHABET[group] for group in groups), node_id[:32])


def id_from_label(label: str) -> str | None:
    """What a label in any case says of a node's id: all 64 hexadecimal characters, the first 32, or None.

    None is for a label that names no node: another length or alphabet, or spare bits that are not zero.
    """
    if _HEX.fullmatch(label):
        return label.lower()
    if not _Z_BASE_32.fullmatch(label):
        return None
    bits = 0
    for character in label.lower():
        bits = bits << 5 | _VALUES[character]
    return None if bits & 15 else f"{bits >> 4:064x}"
