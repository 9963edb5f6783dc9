"""How much and how long: every bound of the core, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

MAX_FRAME: Final = 10_485_760
"""Longest body of a frame that the protocol allows, 10 MiB (FR-03); no sender may exceed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one control stream. Sizes are in bytes, characters or pieces, times in seconds.

    Raises `ValueError` for a bound that is not positive, or a frame limit above the protocol's.
    """

    max_frame: int = MAX_FRAME
    """Longest body of a frame that is received. Less than the protocol's 10 MiB breaks FR-02."""
    max_in_flight: int = 64
    """Requests of the peer under way at once; past it they are refused with `quota` (RQ-10).
    Bounds the handlers that one peer can keep busy."""
    max_pending: int = 1024
    """Our own requests awaiting a response: bounds the table of them. The peer serves 64 at once by default,
    so a longer queue only waits."""
    max_error_text: int = 512
    """Characters of `error` that we send: for people, and of no use to them when longer."""
    handshake_timeout: float = 5.0
    """How long we wait for a HandshakeResponse (HS-08)."""
    accept_timeout: float = 10.0
    """How long an acceptor waits for the first Handshake (HS-14)."""
    keepalive_interval: float = 15.0
    """Silence of the peer after which we send Ping: within the 20 s of LV-05, three in the 45 s of LV-06."""
    dead_after: float = 45.0
    """Silence after which the connection is given up for dead (LV-06)."""
    request_timeout: float = 330.0
    """Default deadline of our requests: a 0.1.0 relay waits up to 300 s for DNS to propagate."""
    drain_timeout: float = 1.0
    """How long answers may still be sent after the peer's goodbye or violation (FR-10, CL-02), and how long
    a refused dialer is given to close before we do (HS-17)."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name} is {value!r}; expected a positive number")
        if self.max_frame > MAX_FRAME:
            raise ValueError(f"max_frame is {self.max_frame}; the protocol allows at most {MAX_FRAME} bytes")
