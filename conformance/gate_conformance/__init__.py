"""The conformance suite of Gate P2P: judges any node by the specification alone."""

from __future__ import annotations

__version__ = "0.1.0"
