"""Node labels by base32 of the standard library, which counts in bytes, not in bits."""

from __future__ import annotations

import base64
import binascii

BASE_32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
Z_BASE_32 = "ybndrfg8ejkmcpqxot1uwisza345h769"


def z_base_32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").translate(str.maketrans(BASE_32, Z_BASE_32))


def named(label: str) -> tuple[str | None, str | None]:
    """What a label says of an id, or None and why it names no node."""
    if len(label) not in (32, 52):
        return None, "length"
    if not label.isascii():
        return None, "alphabet"
    label = label.lower()
    if len(label) == 32:
        return (label, None) if all(one in "0123456789abcdef" for one in label) else (None, "alphabet")
    try:
        # base32 of the standard library takes either case, and does not look at the spare bits
        data = base64.b32decode(label.translate(str.maketrans(Z_BASE_32, BASE_32, "l02v")) + "====")
    except binascii.Error:
        return None, "alphabet"
    return (data.hex(), None) if z_base_32(data) == label else (None, "spare_bits")
