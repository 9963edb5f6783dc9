"""What `make conformance` makes of runs that fail, that never take place, and that are interrupted."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import run_conformance

LIST = '[{"id": "inference.one", "requirement": "IN-01", "level": "MUST"}]'
REPORT = '{"cases": [{"id": "inference.one"}], "summary": {"pass": 1}, "seconds": 1, "must_seconds": 1}'


@contextmanager
def no_node(words: list[str], suite: run_conformance.Suite, log: Path) -> Iterator[dict[str, str]]:
    yield {"address": "ab@127.0.0.1:1", "https": "127.0.0.1:2"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for the reports of a suite that runs no case, and of nodes that are none."""
    monkeypatch.setattr(run_conformance, "ROOT", tmp_path)
    monkeypatch.setattr(run_conformance, "REPORTS", tmp_path / "reports")
    monkeypatch.setattr(run_conformance, "node", no_node)
    monkeypatch.setattr(run_conformance, "new_key", lambda path: "ab" * 32)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    return tmp_path


def run(place: Path, monkeypatch: pytest.MonkeyPatch, suite: str, *words: str) -> int:
    """The exit status with a suite that, when run, executes these lines of shell."""
    program = place / "suite"
    program.write_text(f"#!/bin/sh\nif [ $1 = list ]; then echo '{LIST}'; exit; fi\n{suite}\n")
    program.chmod(0o755)
    monkeypatch.setattr(run_conformance, "GATE_CONFORMANCE", str(program))
    monkeypatch.setattr(sys, "argv", ["run_conformance.py", *words])
    return run_conformance.main()


@pytest.mark.parametrize(
    ("suite", "status"),
    [
        (f"echo '{REPORT}' > reports/inference.json", 0),
        ("exit 1", 1),
        ("kill -9 $$", 137),
    ],
)
def test_the_status_is_that_of_the_run_about_inference(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    suite: str,
    status: int,
) -> None:
    assert run(place, monkeypatch, f"cd '{place}'\necho judged\n{suite}", "--role", "inference") == status
    shown = capsys.readouterr().out
    assert "judged\n" in shown
    assert ("1 cases" if status == 0 else "no report") in shown


def test_a_run_about_inference_that_cannot_begin_is_an_error(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "reports" / "inference.json").mkdir(parents=True)  # so that it cannot be removed
    with pytest.raises(OSError, match="inference"):
        run(place, monkeypatch, "exit 0", "--role", "inference")


def test_zero_cases_about_inference_are_an_error(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place, monkeypatch, "exit 0", "--role", "inference", "--only", "framing.*") == 4
    assert "error: none of the cases" in capsys.readouterr().out


def test_an_interrupt_during_the_acceptors_run_ends_the_one_about_inference(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = place / "started"
    os.mkfifo(started)
    pids: list[int] = []

    def interrupted(*_: object) -> run_conformance.Run:
        pids.append(int(started.read_text()))
        raise KeyboardInterrupt

    monkeypatch.setattr(run_conformance, "run_suite", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(place, monkeypatch, f"echo $$ > '{started}'\nexec sleep 50")
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
