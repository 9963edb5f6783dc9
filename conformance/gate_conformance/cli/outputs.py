"""Where reports go."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from gate_conformance.verdicts import UsageError


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
        """Raises OSError, a full disk for instance."""
        if self.is_stdout:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            Path(self.name).write_text(text, encoding="utf-8")

    def discard(self) -> None:
        """There is no report: leave no empty file behind."""
        path = Path(self.name)
        if not self.is_stdout and path.is_file() and path.stat().st_size == 0:
            path.unlink()
