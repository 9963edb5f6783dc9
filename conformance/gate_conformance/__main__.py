"""``python -m gate_conformance``."""

from __future__ import annotations

from gate_conformance.cli import main

main()
