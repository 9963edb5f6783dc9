"""What a node can say that it serves (HS-21), and how much of what a peer says is kept (LM-01)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

INFERENCE: Final = "inference"
"""Serves inference streams; without it none is asked for (ST-08)."""
SNI_PROXY: Final = "sni_proxy"
"""Takes SNI-proxy streams."""
DNS_CHALLENGE: Final = "dns_challenge"
"""Carries out DNS challenges; without it none is asked for (DC-14)."""

_KNOWN: Final = frozenset({INFERENCE, SNI_PROXY, DNS_CHALLENGE})

MAX_UNKNOWN: Final = 32
"""Unknown capabilities of a peer that are kept, for an application that agreed on private ones (VE-02):
a Handshake of 10 MiB can name a million."""
MAX_NAME: Final = 128
"""Characters of an unknown capability; longer ones are not kept."""


def kept(names: Iterable[str]) -> frozenset[str]:
    """The capabilities that are remembered of a peer's list: every known one, and the first few others."""
    known: set[str] = set()
    unknown: set[str] = set()
    for name in names:
        if name in _KNOWN:
            known.add(name)
        elif len(unknown) < MAX_UNKNOWN and len(name) <= MAX_NAME:
            unknown.add(name)
    return frozenset(known | unknown)
