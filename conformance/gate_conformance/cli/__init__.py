"""The command ``gate-conformance``."""

from __future__ import annotations

import importlib.util
import sys

_NEEDED = ("click", "rich", "jsonschema", "referencing", "hypothesis")


def main() -> None:
    """Entry point: says in one line when the extra is not installed (exit status 2)."""
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        sys.stderr.write(
            "gate-conformance needs the extra \"conformance\": pip install 'gate-p2p[conformance]'\n"
        )
        raise SystemExit(2)
    from gate_conformance.cli.app import run_app
    from gate_p2p.iroh.leave import run_and_leave

    run_and_leave(run_app)
