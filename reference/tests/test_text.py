"""What peers chose is shown without harm."""

from __future__ import annotations

import logging
import sys

import pytest

from gate_p2p.cli.failure import Failure
from gate_p2p.cli.output import set_up_logging
from gate_p2p.text import LONGEST, one_line


def test_control_characters_are_escaped_and_letters_stay() -> None:
    assert one_line("a\x1b[31m\r\nb\x00\x9bé\u202e") == r"a\x1b[31m\r\nb\x00\x9bé\u202e"


def test_endless_text_is_cut() -> None:
    assert one_line("x" * (LONGEST + 1)) == "x" * LONGEST + "..."
    assert one_line("x" * LONGEST) == "x" * LONGEST


def test_a_failure_is_one_line() -> None:
    assert Failure("first\nsecond \x1b").message == r"first second \x1b"


def test_a_log_message_is_one_line_and_a_traceback_keeps_its_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("gate_p2p")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    monkeypatch.setattr(logging.getLogger("gate_p2p.iroh"), "level", logging.NOTSET)
    set_up_logging(0)
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("gate_p2p.session").exception("from a peer: %s", "x\n\x1b[0m")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(r"from a peer: x\n\x1b[0m")
    assert lines[1].startswith("Traceback")
    assert not sys.stderr.isatty()
