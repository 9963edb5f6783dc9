"""The commands: run, list, explain."""

from __future__ import annotations

import json
import secrets
import sys
import traceback

import click
from click.core import ParameterSource

from gate_conformance import __version__, spec
from gate_conformance.case import Case, all_cases
from gate_conformance.cli import run as running
from gate_conformance.cli.outputs import ReportFile
from gate_conformance.cli.select import near

_EXAMPLES = """\b
Examples:
  gate-conformance run iroh:8d0c…78a9@127.0.0.1:31145 --domain node.example
  gate-conformance run listen --dialer 'my-node --relay {address}'
  gate-conformance run 'exec:./my-node --stdio' --json report.json --junit report.xml
  gate-conformance run py:mymodule:serve --only 'framing.*' --only LV-01
  gate-conformance list --json
  gate-conformance explain FR-03

\b
Exit status:
  0  nothing failed            3  target unreachable, or no case ran
  1  the target failed a case  4  error of the suite itself
  2  wrong usage               130  interrupted
"""


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(epilog=_EXAMPLES, context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="gate-conformance")
def app() -> None:
    """Judge any node of Gate P2P by the specification alone."""


@app.command(epilog=_EXAMPLES)
@click.argument("target")
@click.option(
    "--role",
    type=click.Choice(["acceptor", "dialer"]),
    help="Role of an exec: or py: target [default: acceptor].",
)
@click.option(
    "--dialer",
    metavar="CMD",
    help="With listen: start CMD for each case; {address} in it becomes the suite's address.",
)
@click.option(
    "--domain",
    default="conformance.test",
    show_default=True,
    help="A domain that the target allows to the suite's identity, and none below it but --slow-domain.",
)
@click.option("--refused-domain", metavar="D", help="A domain that the target refuses to the suite.")
@click.option("--slow-domain", metavar="D", help="A domain whose handler takes at least 6 s.")
@click.option("--dns", metavar="SERVER:PORT", help="Where the target's TXT records can be looked up.")
@click.option(
    "--model", metavar="NAME", help="A model that the target serves, for requests that it has to serve."
)
@click.option("--slow-model", metavar="NAME", help="One whose answer takes at least 3 s, and at most 20 s.")
@click.option("--https", metavar="HOST:PORT", help="Where the target, a relay, takes HTTPS visitors.")
@click.option("--https-name", metavar="NAME", help="A server name that leads to the suite's identity there.")
@click.option(
    "--https-target",
    metavar="HOST:PORT",
    help="Where the suite stands in for the TLS server to which the target's SNI-proxy streams lead.",
)
@click.option(
    "--key",
    metavar="FILE",
    help="The suite's identity: 32 raw bytes, made (mode 0600) when absent [default: new for each run].",
)
@click.option(
    "--other-key",
    metavar="FILE",
    help="A second identity of the suite, made when absent, which --domain is allowed to as well.",
)
@click.option(
    "--refused-key",
    metavar="FILE",
    help="An identity, made when absent, that the target does not admit.",
)
@click.option(
    "--only",
    metavar="PATTERN",
    multiple=True,
    help="Only these cases: a glob on case id, requirement id or chapter; repeatable.",
)
@click.option(
    "--level",
    type=click.Choice(["must", "should", "may"]),
    help="Down to this level: must runs MUST cases alone, should MUST and SHOULD.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="How many cases run side by side.",
)
@click.option("--seed", type=click.IntRange(0), help="Seed of the generated examples [default: random].")
@click.option(
    "--examples-scale",
    type=click.FloatRange(0.01, 100),
    default=1.0,
    show_default=True,
    help="Multiply the number of generated examples.",
)
@click.option(
    "--json", "json_file", metavar="FILE|-", help="Write the JSON report there; - is standard output."
)
@click.option("--junit", "junit_file", metavar="FILE|-", help="Write a JUnit XML report there.")
@click.option("-v", "--verbose", is_flag=True, help="A line for each case, and transcripts of warnings.")
@click.pass_context
def run(
    context: click.Context,
    target: str,
    role: str | None,
    dialer: str | None,
    domain: str,
    refused_domain: str | None,
    slow_domain: str | None,
    dns: str | None,
    model: str | None,
    slow_model: str | None,
    https: str | None,
    https_name: str | None,
    https_target: str | None,
    key: str | None,
    other_key: str | None,
    refused_key: str | None,
    only: tuple[str, ...],
    level: str | None,
    jobs: int,
    seed: int | None,
    examples_scale: float,
    json_file: str | None,
    junit_file: str | None,
    verbose: bool,
) -> None:
    """Run the cases against TARGET.

    \b
    TARGET is one of
      iroh:<64 hex id>@<ip:port>   a node that the suite dials; judged as acceptor
      listen[:<ip:port>]           a node that dials the suite; judged as dialer
      exec:COMMAND                 control bytes on standard input and output
      py:module:factory            async def factory(stream, *, role, peer_id), in memory
    """
    request = running.Request(
        target=target,
        role=role,
        dialer=dialer,
        domain=domain,
        domain_given=context.get_parameter_source("domain") is not ParameterSource.DEFAULT,
        refused_domain=refused_domain,
        slow_domain=slow_domain,
        dns=dns,
        model=model,
        slow_model=slow_model,
        https=https,
        https_name=https_name,
        https_target=https_target,
        key=key,
        other_key=other_key,
        refused_key=refused_key,
        only=only,
        level=level,
        jobs=jobs,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        examples_scale=examples_scale,
        json_file=None if json_file is None else ReportFile("--json", json_file),
        junit_file=None if junit_file is None else ReportFile("--junit", junit_file),
        verbose=verbose,
    )
    context.exit(running.execute(request))


@app.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON list in place of a table.")
@click.option("--role", type=click.Choice(["acceptor", "dialer"]), help="Only what applies to this role.")
def list_cases(as_json: bool, role: str | None) -> None:
    """List the cases with their requirements."""
    cases = [case for case in all_cases() if role is None or role in case.roles]
    if as_json:
        click.echo(json.dumps([_row(case) for case in cases], indent=2))
        return
    width = max((len(case.id) for case in cases), default=0)
    for case in cases:
        click.echo(f"{case.requirement} {case.level:<6} {case.id:<{width}}  {case.title}")
    click.echo(f"{len(cases)} cases")


def _row(case: Case) -> dict[str, object]:
    return {
        "id": case.id,
        "requirement": case.requirement,
        "level": case.level,
        "roles": list(case.roles),
        "title": case.title,
        "requirement_text": spec.requirement(case.requirement).text,
    }


@app.command()
@click.argument("name")
def explain(name: str) -> None:
    """Show a requirement and its cases, or a case and its requirement (NAME is either's id)."""
    cases = all_cases()
    chosen = [case for case in cases if case.id == name.lower()]
    identifier = chosen[0].requirement if chosen else name.upper()
    found = spec.requirements().get(identifier)
    if found is None:
        close = near(cases, [name])
        hint = f": did you mean {', '.join(close)}?" if close else ""
        click.echo(f"no requirement and no case is called {name!r}{hint}", err=True)
        raise click.exceptions.Exit(2)
    click.echo(f"{found.id} {found.level}, binds {found.binds}\n  {found.text}")
    click.echo(f"  Chapter: {spec.chapter_title(found.chapter)}, {spec.chapter_file(found.chapter)}")
    if found.untested:
        click.echo(f"  Not tested: {found.untested}")
    for case in chosen or [case for case in cases if case.requirement == identifier]:
        click.echo(f"\n{case.id} ({', '.join(case.roles)})\n  {case.title}")
        rest = (case.body.__doc__ or "").strip().split("\n")[1:]
        for line in rest:
            if line.strip():
                click.echo(f"  {line.strip()}")


def run_app() -> None:
    """The command with its exit status: 130 for an interrupt, 4 for an error that nobody foresaw."""
    output = sys.stdout
    try:
        status = app.main(prog_name="gate-conformance", standalone_mode=False)
    except SystemExit:
        if sys.stdout is output:
            raise
        # click has put another in its place, as nobody reads any more (`| head`), which is no error
        raise SystemExit(0) from None
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        raise SystemExit(130) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        traceback.print_exc()
        click.echo("this is an error of the suite itself, and says nothing about the target", err=True)
        raise SystemExit(4) from error
    raise SystemExit(status if isinstance(status, int) else 0)
