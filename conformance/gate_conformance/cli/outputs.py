"""Where reports go."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rich.console import Console

from gate_conformance.verdicts import UsageError


def no_longer_read(stream: IO[str]) -> None:
    """The reader of this stream is gone (`| head`): what still comes goes nowhere, at exit too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class PipedConsole(Console):
    """A console whose reader may go away; the run goes on, and its exit status says what came of it."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        no_longer_read(self.file)


@dataclass(frozen=True)
class ReportFile:
    """A file that one report goes to; ``-`` is standard output."""

    option: str
    name: str

    @property
    def is_stdout(self) -> bool:
        return self.name == "-"

    def prepare(self) -> None:
        """Empty the file: a bad path shows before the run, and no old report is taken for its result.

        Raises UsageError.
        """
        if self.is_stdout:
            return
        try:
            Path(self.name).write_text("", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{self.option} {self.name}: {error.strerror or error}") from None

    def write(self, text: str) -> None:
        """Raises OSError, over a full disk for instance, but not when nobody reads standard output."""
        if self.is_stdout:
            try:
                sys.stdout.write(text)
                sys.stdout.flush()
            except BrokenPipeError:
                no_longer_read(sys.stdout)
        else:
            Path(self.name).write_text(text, encoding="utf-8")

    def discard(self) -> None:
        """There is no report: leave no empty file behind."""
        path = Path(self.name)
        if not self.is_stdout and path.is_file() and path.stat().st_size == 0:
            path.unlink()
