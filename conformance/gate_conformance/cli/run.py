"""What ``gate-conformance run`` does."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from typing import TextIO

import click
from rich.console import Console

from gate_conformance import report_json, report_junit
from gate_conformance.case import Case, all_cases
from gate_conformance.cli.select import near, select
from gate_conformance.identity import load_key, public_id
from gate_conformance.report_terminal import TerminalReport
from gate_conformance.runner import Report, Runner, Settings
from gate_conformance.targets import Target, TargetOptions, parse_target
from gate_conformance.trial import Options
from gate_conformance.verdicts import TargetGone, UsageError


@dataclass(frozen=True)
class Request:
    """The options of the command line."""

    target: str
    role: str | None
    dialer: str | None
    domain: str
    refused_domain: str | None
    slow_domain: str | None
    dns: str | None
    key: str | None
    only: tuple[str, ...]
    level: str | None
    jobs: int
    seed: int
    examples_scale: float
    verbose: bool


@dataclass(frozen=True)
class Outputs:
    """Where reports go; None where none is wanted."""

    json_out: TextIO | None
    junit_out: TextIO | None


def execute(request: Request, outputs: Outputs) -> int:
    """Run, report, and give the exit status."""
    to_stderr = outputs.json_out is sys.stdout
    console = Console(stderr=to_stderr, highlight=False)

    def announce(line: str) -> None:
        click.echo(line, err=to_stderr)

    try:
        if request.dns is not None:
            _check_server(request.dns)
        _check_iroh(request.target)
        key = load_key(request.key)
        peer_id = public_id(key)
        options = TargetOptions(key, peer_id, request.role, request.dialer, announce)
        target = parse_target(request.target, options)
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    cases = _choose(request, target)
    if not cases:
        return 3
    click.echo(f"the suite's identity: {peer_id}", err=True)
    return _run(request, outputs, console, target, cases, peer_id)


def _run(
    request: Request, outputs: Outputs, console: Console, target: Target, cases: list[Case], peer_id: str
) -> int:
    terminal = TerminalReport(console, request.verbose)
    runner = Runner(
        target,
        cases,
        Options(request.domain, request.refused_domain, request.slow_domain, request.dns, peer_id),
        Settings(request.jobs, request.seed, request.examples_scale),
        terminal,
    )
    try:
        report = runner.run()
    except TargetGone as gone:
        terminal.stop()
        click.echo(f"the target cannot be reached: {gone.reason}", err=True)
        if gone.hint:
            click.echo(f"hint: {gone.hint}", err=True)
        return 3
    except KeyboardInterrupt:
        terminal.stop()
        click.echo("interrupted", err=True)
        return 130
    finally:
        terminal.stop()
    terminal.show(report)
    _write(report, outputs)
    return report.exit_status


def _write(report: Report, outputs: Outputs) -> None:
    if outputs.json_out is not None:
        outputs.json_out.write(report_json.render(report))
        outputs.json_out.flush()
    if outputs.junit_out is not None:
        outputs.junit_out.write(report_junit.render(report))


def _choose(request: Request, target: Target) -> list[Case]:
    everything = all_cases()
    cases = select(everything, request.only, request.level, target.role)
    if not cases:
        close = near([case for case in everything if target.role in case.roles], request.only)
        hint = f"; near: {', '.join(close)}" if close else ""
        what = f"--only {' '.join(request.only)} matches nothing" if request.only else "no case at this level"
        click.echo(f"no case ran: {what} for a target in the role {target.role}{hint}", err=True)
    return cases


def _check_iroh(target: str) -> None:
    if target.partition(":")[0] not in ("iroh", "listen") or importlib.util.find_spec("iroh") is not None:
        return
    click.echo("a target over Iroh needs the package iroh: pip install 'gate-p2p[conformance]'", err=True)
    raise click.exceptions.Exit(2)


def _check_server(text: str) -> None:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"--dns {text}: expected SERVER:PORT")
