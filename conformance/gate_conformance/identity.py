"""The identity of the suite: an Ed25519 key, from a file or new for each run."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from gate_conformance.verdicts import UsageError

_P = 2**255 - 19
_D = -121665 * pow(121666, _P - 2, _P) % _P
_BASE_Y = 4 * pow(5, _P - 2, _P) % _P
_BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_Point = tuple[int, int, int, int]


def load_key(path: str | None) -> bytes:
    """The 32 bytes of ``path``, written there (mode 0600) when absent; new ones without a path."""
    if path is None:
        return secrets.token_bytes(32)
    file = Path(path)
    try:
        if not file.exists():
            key = secrets.token_bytes(32)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                out.write(key)
            return key
        key = file.read_bytes()
    except OSError as error:
        raise UsageError(f"key file {path}: {error.strerror or error}") from None
    if len(key) != 32:
        raise UsageError(f"key file {path}: expected 32 raw bytes, found {len(key)}")
    return key


@dataclass(frozen=True)
class Identity:
    """Who the suite is on a connection: a secret key of 32 bytes and the id that goes with it."""

    key: bytes = field(repr=False)
    peer_id: str

    @classmethod
    def of(cls, key: bytes) -> Identity:
        """The identity of this key."""
        return cls(key, public_id(key))


def read_identity(path: str | None) -> Identity | None:
    """The identity of this key file, made when absent; None without a path. Raises UsageError."""
    return None if path is None else Identity.of(load_key(path))


def _add(a: _Point, b: _Point) -> _Point:
    """Addition on the twisted Edwards curve, extended coordinates (RFC 8032, 5.1.4)."""
    m, n = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    t, z = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    e, f, g, h = n - m, z - t, z + t, n + m
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def public_id(key: bytes) -> str:
    """The node id of a secret key: 64 lowercase hexadecimal characters.

    For display and for ``exec:`` targets; not constant in time, so not for signing.
    """
    digest = hashlib.sha512(key).digest()
    scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | (1 << 254)
    point: _Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)
    total: _Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _add(total, point)
        point = _add(point, point)
        scalar >>= 1
    inverse = pow(total[2], _P - 2, _P)
    x, y = total[0] * inverse % _P, total[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little").hex()
