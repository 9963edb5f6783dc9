"""How a command fails: one line on standard error that says what to do, and a status for scripts."""

from __future__ import annotations

from typing import IO, Any

import click

from gate_p2p.text import one_line

USAGE = 2
FAILED = 1
UNREACHABLE = 3


class Failure(click.ClickException):
    """Ends the command with `status`."""

    def __init__(self, text: str, status: int = USAGE) -> None:
        super().__init__(one_line(" ".join(text.split())))
        self.status = status

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click declares a class variable
        return self.status

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"gate-p2p: {self.message}", file=file, err=file is None)
