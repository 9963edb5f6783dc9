"""The example of the documentation that is written from the specification alone: it passes the suite."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "docs" / "examples" / "minimal_acceptor.py"
# What waits for real seconds (silence, slow handlers) is left to the whole run, which takes a minute.
QUICK = ("framing*", "messages*", "request*", "dns-challenges*", "authorisation*", "domain-registration*")


def test_it_is_short_and_stands_on_the_standard_library_alone() -> None:
    source = PROGRAM.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 200
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - {"__future__"} <= sys.stdlib_module_names


@pytest.mark.timeout(300)
def test_it_passes_the_suite_without_a_warning() -> None:
    options = [word for pattern in QUICK for word in ("--only", pattern)]
    command = f"{sys.executable} {PROGRAM} --domain conformance.test --slow-domain slow.conformance.test"
    options += ["--refused-domain", "refused.test"]
    done = subprocess.run(
        [sys.executable, "-m", "gate_conformance", "run", f"exec:{command}", *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith(("MUST ", "SHOULD "))]
    rows = {level: counts[:3] for level, *counts in lines}
    assert int(rows["MUST"][0]) > 200
    assert [row[1:] for row in rows.values()] == [["0", "0"], ["0", "0"]]
