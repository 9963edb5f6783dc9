"""The public key of an Ed25519 secret key (RFC 8032, 5.1.5), where the iroh package cannot tell it.

Slow (some milliseconds) and not in constant time: for the owner of a key at the start of a program.
"""

from __future__ import annotations

import hashlib

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P

Point = tuple[int, int, int, int]  # extended coordinates X, Y, Z, T: x = X/Z, y = Y/Z, xy = T/Z


def _base_point() -> Point:
    y = 4 * pow(5, -1, _P) % _P
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if x % 2:
        x = _P - x
    return x, y, 1, x * y % _P


def _add(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def public_key(secret_key: bytes) -> bytes:
    """The 32 bytes that belong to a secret key of 32 bytes. Raises ValueError for another length."""
    if len(secret_key) != 32:
        raise ValueError(f"a secret key has 32 bytes, this one has {len(secret_key)}")
    scalar = int.from_bytes(hashlib.sha512(secret_key).digest()[:32], "little")
    scalar = scalar & ~7 & ((1 << 254) - 1) | 1 << 254
    total, power = (0, 1, 1, 0), _base_point()
    while scalar:
        if scalar & 1:
            total = _add(total, power)
        power = _add(power, power)
        scalar >>= 1
    inverse = pow(total[2], -1, _P)
    x, y = total[0] * inverse % _P, total[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")
