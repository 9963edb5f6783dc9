"""What ``gate-conformance run`` does."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click
from rich.console import Console

from gate_conformance import report_json, report_junit, spec
from gate_conformance.case import Case, all_cases
from gate_conformance.cli.outputs import PipedConsole, ReportFile
from gate_conformance.cli.select import matches, near, select
from gate_conformance.identity import Identity, load_key, read_identity
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
    domain_given: bool
    refused_domain: str | None
    slow_domain: str | None
    dns: str | None
    model: str | None
    slow_model: str | None
    https: str | None
    https_name: str | None
    https_target: str | None
    key: str | None
    other_key: str | None
    refused_key: str | None
    only: tuple[str, ...]
    level: str | None
    jobs: int
    seed: int
    examples_scale: float
    json_file: ReportFile | None
    junit_file: ReportFile | None
    verbose: bool

    @property
    def files(self) -> list[ReportFile]:
        return [file for file in (self.json_file, self.junit_file) if file is not None]


def execute(request: Request) -> int:
    """Run, report, and give the exit status."""
    # a target that takes no bytes any more is the report's matter, not asyncio's
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    to_stderr = any(file.is_stdout for file in request.files)
    console = PipedConsole(stderr=to_stderr, highlight=False)

    def announce(line: str) -> None:
        click.echo(line, err=to_stderr)

    try:
        for option, text in (
            ("--dns", request.dns),
            ("--https", request.https),
            ("--https-target", request.https_target),
        ):
            if text is not None:
                _check_server(option, text)
                if option != "--dns" and not request.target.startswith(("iroh:", "listen")):
                    raise UsageError(f"{option} goes with a target over Iroh, not {request.target}")
        for option, name in (
            ("--domain", request.domain),
            ("--refused-domain", request.refused_domain),
            ("--slow-domain", request.slow_domain),
        ):
            if name is not None and not spec.is_domain(name):
                raise UsageError(f"{option} {name}: no domain in the form of DC-03, such as conformance.test")
        if request.refused_domain is not None and request.refused_domain.lower() == request.domain.lower():
            raise UsageError("--refused-domain is --domain: give a name that the target refuses to the suite")
        if (request.https is None) != (request.https_name is None):
            raise UsageError("--https and --https-name go together")
        if sum(file.is_stdout for file in request.files) > 1:
            raise UsageError("--json - and --junit - cannot both have standard output")
        _check_iroh(request.target)
        own = Identity.of(load_key(request.key))
        other, refused = read_identity(request.other_key), read_identity(request.refused_key)
        _check_apart(own, other, refused)
        options = TargetOptions(own.key, own.peer_id, request.role, request.dialer, announce)
        target = parse_target(request.target, options)
        cases = _choose(request, target)
        if not cases:
            return 3
        for file in request.files:
            file.prepare()
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"the suite's identity: {own.peer_id}", err=True)
    told = Options(
        request.domain,
        request.refused_domain,
        request.slow_domain,
        request.dns,
        request.model,
        request.slow_model,
        request.https,
        request.https_name,
        request.https_target,
        own.peer_id,
        request.domain_given,
        other,
        refused,
    )
    try:
        return _run(request, console, target, cases, told)
    finally:
        for file in request.files:
            file.discard()


def _run(request: Request, console: Console, target: Target, cases: list[Case], options: Options) -> int:
    terminal = TerminalReport(console, request.verbose)
    settings = Settings(request.jobs, request.seed, request.examples_scale)
    runner = Runner(target, cases, options, settings, terminal)
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
        report = replace(runner.report(), interrupted=True)
        if report.results:
            terminal.show(report)
            _write(report, request)
        click.echo(f"interrupted: {len(report.results)} of {len(runner.cases)} cases had ended", err=True)
        return 130
    finally:
        terminal.stop()
    terminal.show(report)
    return report.exit_status if _write(report, request) else 4


def _write(report: Report, request: Request) -> bool:
    """Whether every report that was asked for could be written."""
    written = True
    for file, render in ((request.json_file, report_json.render), (request.junit_file, report_junit.render)):
        if file is None:
            continue
        try:
            file.write(render(report))
        except OSError as error:
            click.echo(f"{file.option} {file.name} was not written: {error.strerror or error}", err=True)
            written = False
    return written


def _choose(request: Request, target: Target) -> list[Case]:
    everything = all_cases()
    cases = select(everything, request.only, request.level, target.role)
    of_role = [case for case in everything if target.role in case.roles]
    if cases:
        for pattern in request.only:
            if not any(matches(case, pattern) for case in of_role):
                hint = _near(of_role, [pattern])
                click.echo(f"--only {pattern} matches nothing for the role {target.role}{hint}", err=True)
    else:
        hint = _near(of_role, request.only)
        what = f"--only {' '.join(request.only)} matches nothing" if request.only else "no case at this level"
        click.echo(f"no case ran: {what} for a target in the role {target.role}{hint}", err=True)
    return cases


def _near(cases: Sequence[Case], patterns: Sequence[str]) -> str:
    close = near(cases, patterns)
    return f"; near: {', '.join(close)}" if close else ""


def _check_iroh(target: str) -> None:
    if target.partition(":")[0] not in ("iroh", "listen") or importlib.util.find_spec("iroh") is not None:
        return
    click.echo("a target over Iroh needs the package iroh: pip install 'gate-p2p[conformance]'", err=True)
    raise click.exceptions.Exit(2)


def _check_apart(*identities: Identity | None) -> None:
    known = [one.peer_id for one in identities if one is not None]
    if len(set(known)) < len(known):
        raise UsageError("--key, --other-key and --refused-key have to hold different keys")


def _check_server(option: str, text: str) -> None:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{option} {text}: expected {'SERVER' if option == '--dns' else 'HOST'}:PORT")
