"""Gate P2P for Python: a sans-IO core, a session on top of it, and a thin Iroh adapter."""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
