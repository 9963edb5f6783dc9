"""`python -m gate_p2p.cli`."""

from __future__ import annotations

from gate_p2p.cli import main

main()
