"""The command `gate-p2p`. Nothing outside the bare install is imported before the extra is checked."""

from __future__ import annotations

import sys
from importlib.util import find_spec

NEEDED = ("click", "rich", "iroh")


def main() -> None:
    """Entry point; exits with status 2 when the extra is missing."""
    if any(find_spec(module) is None for module in NEEDED):
        sys.stderr.write("gate-p2p needs the extra \"iroh\": pip install 'gate-p2p[iroh]'\n")
        raise SystemExit(2)
    from gate_p2p.cli.app import app
    from gate_p2p.iroh.leave import run_and_leave

    run_and_leave(lambda: app(prog_name="gate-p2p"))
