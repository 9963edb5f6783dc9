"""The JUnit XML report, for continuous integration."""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from gate_conformance import spec
from gate_conformance.report_text import transcript_lines
from gate_conformance.runner import Report
from gate_conformance.verdicts import Result, Verdict

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text: str) -> str:
    """The text with what XML 1.0 cannot hold written as \\uXXXX."""
    return _ILLEGAL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _attributes(**values: Any) -> str:
    return "".join(f" {name}={quoteattr(legal(str(value)))}" for name, value in values.items())


def render(report: Report) -> str:
    """One suite per run. A warning is a passed case with its words in system-out; untested is skipped."""
    counts = report.summary
    skipped = counts["unsupported"] + counts["not_testable"] + counts["inconclusive"]
    totals = {
        "tests": len(report.results),
        "failures": counts["fail"],
        "errors": counts["harness_error"],
        "skipped": skipped,
        "time": f"{report.seconds:.3f}",
    }
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites{_attributes(**totals)}>"]
    lines.append(f"  <testsuite{_attributes(name='gate-conformance ' + report.role, **totals)}>")
    lines.append("    <properties>")
    properties = {"target": report.target, "role": report.role, "seed": report.seed}
    if report.interrupted:
        properties["interrupted"] = "the cases that had not ended are missing"
    for name, value in properties.items():
        lines.append(f"      <property{_attributes(name=name, value=value)}/>")
    lines.append("    </properties>")
    for result in report.results:
        lines += _case(result)
    lines += ["  </testsuite>", "</testsuites>"]
    return "\n".join(lines) + "\n"


def _case(result: Result) -> list[str]:
    chapter, _, _ = result.id.partition(".")
    head = _attributes(
        classname=f"gate.{chapter}", name=f"{result.id} [{result.requirement}]", time=f"{result.seconds:.3f}"
    )
    body = _outcome(result)
    if not body:
        return [f"    <testcase{head}/>"]
    return [f"    <testcase{head}>", body, "    </testcase>"]


def _outcome(result: Result) -> str:
    message = _attributes(message=result.message[:2000], type=result.requirement)
    if result.verdict is Verdict.FAIL:
        return f"      <failure{message}>{_details(result)}</failure>"
    if result.verdict is Verdict.HARNESS_ERROR:
        return f"      <error{message}>{_details(result)}</error>"
    if result.verdict is Verdict.WARN:
        return f"      <system-out>{_details(result)}</system-out>"
    if result.verdict is Verdict.PASS:
        return f"      <system-out>{escape(legal(result.message))}</system-out>" if result.message else ""
    reason = _attributes(message=f"{result.verdict}: {result.message}"[:2000])
    return f"      <skipped{reason}/>"


def _details(result: Result) -> str:
    requirement = spec.requirement(result.requirement)
    lines = [f"{requirement.id} ({requirement.level}): {requirement.text}", result.message, ""]
    lines += transcript_lines(result.transcript, limit=60)
    return escape(legal("\n".join(lines)))
