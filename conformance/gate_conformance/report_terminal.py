"""The report for people: progress while it runs, then failures, then the score."""

from __future__ import annotations

import textwrap

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from gate_conformance import spec
from gate_conformance.case import Case
from gate_conformance.report_text import transcript_lines
from gate_conformance.runner import Observer, Report
from gate_conformance.verdicts import Result, Verdict

_STYLE = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.WARN: "yellow",
    Verdict.UNSUPPORTED: "dim",
    Verdict.NOT_TESTABLE: "magenta",
    Verdict.INCONCLUSIVE: "magenta",
    Verdict.HARNESS_ERROR: "bold white on red",
}
_WORDS = {
    Verdict.NOT_TESTABLE: "not testable",
    Verdict.HARNESS_ERROR: "harness error",
}
_HEADERS = {
    Verdict.UNSUPPORTED: "unsup-\nported",
    Verdict.NOT_TESTABLE: "not\ntestable",
    Verdict.INCONCLUSIVE: "incon-\nclusive",
    Verdict.HARNESS_ERROR: "harness\nerror",
}
LEVELS = ("MUST", "SHOULD", "MAY")
_WIRE_INDENT = 4 + 12  # where the bytes of a record begin


def _word(verdict: Verdict) -> str:
    return _WORDS.get(verdict, verdict.value)


class TerminalReport(Observer):
    """Live progress on a terminal, a line a case elsewhere (and with ``verbose``)."""

    def __init__(self, console: Console, verbose: bool = False) -> None:
        self._console = console
        self._verbose = verbose
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._running: dict[str, None] = {}

    def started(self, total: int) -> None:
        if self._console.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._progress.add_task("cases", total=total)
            self._progress.start()
        else:
            self._console.print(counted(total))

    def case_started(self, case: Case) -> None:
        self._running[case.id] = None
        self._describe()

    def case_finished(self, case: Case, result: Result) -> None:
        self._running.pop(case.id, None)
        if self._progress is None or self._verbose or result.verdict in (Verdict.FAIL, Verdict.HARNESS_ERROR):
            style = _STYLE[result.verdict]
            self._console.print(
                f"[{style}]{_word(result.verdict):<13}[/] {result.requirement} {result.level:<6} "
                f"{escape(result.id)} [dim]{result.seconds:.2f} s[/]",
                soft_wrap=True,
            )
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)
            self._describe()

    def _describe(self) -> None:
        if self._progress is not None and self._task is not None:
            oldest = next(iter(self._running), "")
            self._progress.update(self._task, description=f"{escape(oldest):<40.40}")

    def stop(self) -> None:
        """Take the progress away."""
        if self._progress is not None:
            self._progress.stop()

    # -- after the run

    def show(self, report: Report) -> None:
        """Failures by requirement, then warnings, then what was not tested, then the summary."""
        for verdict, title in (
            (Verdict.FAIL, "Failures"),
            (Verdict.HARNESS_ERROR, "Errors of the suite itself (not the target's fault)"),
            (Verdict.WARN, "Warnings"),
        ):
            chosen = [one for one in report.results if one.verdict is verdict]
            if chosen:
                self._line()
                self._line(f"[{_STYLE[verdict]}]{title}[/]")
                self._group(chosen, with_transcript=verdict is not Verdict.WARN or self._verbose)
        self._untested(report)
        self._summary(report)

    def _line(self, text: str = "") -> None:
        self._console.print(text, soft_wrap=True, highlight=False)

    def _prose(self, head: str, text: str) -> None:
        """``head``, then the text beside it; wrapped on a terminal, and left whole elsewhere, for grep."""
        lines = [_printable(line) for line in text.split("\n")]
        if self._console.is_terminal:
            width = max(self._console.width - len(head), 20)
            lines = [part for line in lines for part in textwrap.wrap(line, width, break_on_hyphens=False)]
        self._line(head + escape(f"\n{' ' * len(head)}".join(lines)))

    def _wire(self, line: str) -> None:
        """A line of a transcript; on a terminal what is too long goes on under its own bytes."""
        line, width = "    " + _printable(line), self._console.width
        if self._console.is_terminal and len(line) > width:
            step = max(width - _WIRE_INDENT, 20)
            rest = range(width, len(line), step)
            line = "\n".join([line[:width], *(" " * _WIRE_INDENT + line[at : at + step] for at in rest)])
        self._line(f"[dim]{escape(line)}[/]")

    def _group(self, results: list[Result], with_transcript: bool) -> None:
        by_requirement: dict[str, list[Result]] = {}
        for result in results:
            by_requirement.setdefault(result.requirement, []).append(result)
        shown_without_reason = 0
        for identifier, group in by_requirement.items():
            requirement = spec.requirement(identifier)
            self._line()
            self._line(f"[bold]{identifier}[/] {requirement.level} ({requirement.chapter})")
            self._prose("  Requirement: ", requirement.text)
            for result in group:
                if "the target is gone" in result.actual:
                    shown_without_reason += 1
                    if shown_without_reason > 1:
                        continue
                self._case(result, with_transcript)
            if shown_without_reason > 1:
                self._line(f"  … and {counted(shown_without_reason - 1, 'more case')}, as the target is gone")

    def _case(self, result: Result, with_transcript: bool) -> None:
        self._line(f"  [bold]{escape(result.id)}[/]")
        if result.expected:
            self._prose("    Expected: ", result.expected)
            self._prose("    Actual:   ", result.actual)
            extra = result.message.partition("; also ")[2]
            if extra:
                self._prose("    Also:     ", extra)
        else:
            self._line(escape(textwrap.indent(result.message, "    ")))
        if with_transcript and result.transcript:
            self._line("    Wire:")
            for line in transcript_lines(result.transcript):
                self._wire(line)

    def _untested(self, report: Report) -> None:
        for verdict in (Verdict.NOT_TESTABLE, Verdict.INCONCLUSIVE, Verdict.UNSUPPORTED):
            reasons: dict[str, list[str]] = {}
            for result in report.results:
                if result.verdict is verdict:
                    reasons.setdefault(result.message, []).append(result.id)
            if reasons:
                self._line()
                self._line(f"[{_STYLE[verdict]}]{_word(verdict).capitalize()}[/]")
            for reason, cases in reasons.items():
                self._prose("  ", f"{reason} ({counted(len(cases))})")
                self._prose("    ", ", ".join(cases))

    def _summary(self, report: Report) -> None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("")
        for verdict in Verdict:
            table.add_column(_HEADERS.get(verdict, verdict.value), justify="right")
        table.add_column("score", justify="right")
        for level in LEVELS:
            chosen = [one for one in report.results if (one.case_level or one.level) == level]
            counts = {verdict: sum(one.verdict is verdict for one in chosen) for verdict in Verdict}
            table.add_row(level, *(str(counts[verdict]) for verdict in Verdict), score(chosen))
        self._line()
        self._console.print(table)
        self._line()
        self._prose(
            "",
            f"{counted(len(report.results))} against {report.target} as {report.role} "
            f"in {report.seconds:.1f} s; the MUST set in {report.must_seconds:.1f} s; seed {report.seed}",
        )
        if report.exit_status == 3:
            self._line("[bold red]No case could test anything[/], so nothing is said about the target.")
        if report.gone:
            self._line("[bold red]The target went away during the run:[/]")
            self._prose("  ", report.gone)


def counted(number: int, what: str = "case") -> str:
    """The number with its noun."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def score(results: list[Result]) -> str:
    """Passed of tested, or n/a when nothing was tested."""
    tested = [one for one in results if one.verdict in (Verdict.PASS, Verdict.FAIL, Verdict.WARN)]
    if not tested:
        return "n/a"
    passed = sum(one.verdict is Verdict.PASS for one in tested)
    return f"{passed}/{len(tested)}"


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in line)
