"""The JSON report."""

from __future__ import annotations

import json
from typing import Any

from gate_conformance import __version__
from gate_conformance.runner import Report


def document(report: Report) -> dict[str, Any]:
    """``target``, ``role``, ``suite_version``, ``summary`` and ``cases``, then what a rerun needs."""
    return {
        "target": report.target,
        "role": report.role,
        "suite_version": __version__,
        "summary": report.summary,
        "cases": [result.document() for result in report.results],
        "seconds": round(report.seconds, 3),
        "must_seconds": round(report.must_seconds, 3),
        "seed": report.seed,
    }


def render(report: Report) -> str:
    """The document as text: ASCII, so that it survives every terminal and encoding."""
    return json.dumps(document(report), indent=2) + "\n"
