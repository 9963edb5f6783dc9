"""The JSON report."""

from __future__ import annotations

import json
from typing import Any

from gate_conformance import __version__
from gate_conformance.runner import Report
from gate_conformance.transcript import abridged
from gate_conformance.verdicts import Result, Verdict


def document(report: Report) -> dict[str, Any]:
    """``target``, ``role``, ``suite_version``, ``summary`` and ``cases``, then what a rerun needs.

    Transcripts of cases that passed are abridged, all others are there in full.
    """
    return {
        "target": report.target,
        "role": report.role,
        "suite_version": __version__,
        "summary": report.summary,
        "cases": [_case(result) for result in report.results],
        "seconds": round(report.seconds, 3),
        "must_seconds": round(report.must_seconds, 3),
        "seed": report.seed,
        "interrupted": report.interrupted,
    }


def _case(result: Result) -> dict[str, Any]:
    case = result.document()
    if result.verdict is Verdict.PASS:
        case["transcript"] = abridged(case["transcript"])
    return case


def render(report: Report) -> str:
    """The document as text, a line for each record of a transcript; ASCII, so every encoding takes it."""
    return _text(document(report), "") + "\n"


def _text(value: Any, indent: str) -> str:
    """Like json.dumps with an indent, but for objects that hold no list or object: those stay on one line."""
    inner = indent + "  "
    if isinstance(value, dict) and any(isinstance(one, (dict, list)) for one in value.values()):
        lines = [f"{inner}{json.dumps(name)}: {_text(one, inner)}" for name, one in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + _text(one, inner) for one in value) + f"\n{indent}]"
    return json.dumps(value)
