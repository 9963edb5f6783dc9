"""DNS challenge handlers: what carries a TXT record from a request into a zone."""

from __future__ import annotations

from gate_p2p.dns.handler import DnsChallengeError, DnsChallengeHandler

__all__ = ["DnsChallengeError", "DnsChallengeHandler"]
