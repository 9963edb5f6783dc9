"""HTTPS by SNI-proxy streams: a relay's front for browsers, and a daemon's way to its TLS server."""

from __future__ import annotations

from gate_p2p.https.client_hello import ClientHello, HelloError
from gate_p2p.https.forward import Forwarder
from gate_p2p.https.front import HttpsFront

__all__ = ["ClientHello", "Forwarder", "HelloError", "HttpsFront"]
