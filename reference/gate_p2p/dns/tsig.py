"""A TSIG key in a text: what the DNS servers' own tools write, and the one-line form of `dig -y`."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

ALGORITHMS: Final = ("hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")

_BLOCK = re.compile(r'\bkey\s+"?([^\s"{]+)"?\s*\{([^}]*)\}', re.ASCII)
_ALGORITHM = re.compile(r'\balgorithm\s*:?\s*"?([A-Za-z0-9-]+)"?', re.ASCII)
_SECRET = re.compile(r'\bsecret\s*:?\s*"?([A-Za-z0-9+/=]+)"?', re.ASCII)
_ITEM = re.compile(
    r'^\s*-\s*id\s*:\s*"?([^\s"#]+)"?(.*?)(?=^\s*-\s*id\s*:|\Z)', re.ASCII | re.DOTALL | re.MULTILINE
)
_LINE = re.compile(r"^(hmac-[a-z0-9-]+):([^\s:]+):([A-Za-z0-9+/=]+)\s*$", re.ASCII | re.MULTILINE)


@dataclass(frozen=True)
class TsigKey:
    """`algorithm`: one of ALGORITHMS. The secret is in no text of this object."""

    name: str
    algorithm: str
    secret: bytes = field(repr=False)


def read_tsig_key(text: str) -> TsigKey:
    """Read the only key in a text; raises ValueError, whose words hold nothing of the text.

    Three forms: `key "name" { algorithm hmac-sha256; secret "..."; };` (tsig-keygen), `- id: name` with
    `algorithm:` and `secret:` (keymgr -t), and `hmac-sha256:name:secret` on a line of its own (dig -y).
    """
    found = [_from_body(name, body) for name, body in (*_BLOCK.findall(text), *_ITEM.findall(text))]
    found = found or [_checked(name, algorithm, secret) for algorithm, name, secret in _LINE.findall(text)]
    if not found:
        raise ValueError("it holds no TSIG key: expected what tsig-keygen or keymgr -t writes")
    if len(found) > 1:
        raise ValueError(f"it holds {len(found)} TSIG keys, expected one")
    return found[0]


def _from_body(name: str, body: str) -> TsigKey:
    algorithm, secret = _ALGORITHM.search(body), _SECRET.search(body)
    if algorithm is None or secret is None:
        raise ValueError("its TSIG key lacks an algorithm or a secret")
    return _checked(name, algorithm[1], secret[1])


def _checked(name: str, algorithm: str, secret: str) -> TsigKey:
    algorithm = algorithm.lower()
    if algorithm not in ALGORITHMS:
        raise ValueError(f"the algorithm of its TSIG key is none of {', '.join(ALGORITHMS)}")
    try:
        decoded = base64.b64decode(secret, validate=True)
    except binascii.Error:
        raise ValueError("the secret of its TSIG key is no base64") from None
    if not decoded:
        raise ValueError("the secret of its TSIG key is empty")
    return TsigKey(name, algorithm, decoded)
