"""gate-p2p dns-challenge: what the hooks of an ACME client call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gate_p2p.cli.failure import FAILED, Failure
from gate_p2p.cli.options import key_option, timeout_option

if TYPE_CHECKING:
    from gate_p2p.session.session import P2PSession

F = TypeVar("F", bound=Callable[..., Any])

# one value in 64 begins with a hyphen: no short options, and what is no option is an argument
VALUES_WITH_HYPHENS = {"ignore_unknown_options": True, "help_option_names": ["--help"]}


class WithoutShortOptions(click.Command):
    """Takes a lone -h for --help all the same."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["--help"] if args == ["-h"] else args)


def common(command: F) -> F:
    """--key, --timeout, --json."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object."),
        timeout_option("How long to wait for the relay's answer. Default: 330."),
        key_option,
    ):
        command = option(command)
    return command


@click.group("dns-challenge")
def command() -> None:
    """Have a relay set, or remove, the TXT record of an ACME challenge (DNS-01).

    The relay lets a node act for its own name: use the key of the daemon, which may run meanwhile (with
    iroh 0.35 it may not: give this command a key of its own, and the relay --allow ID=DOMAIN). DOMAIN is the
    name to be certified; `*.`, `_acme-challenge.` and a final dot are taken off.
    Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 unreachable, 130 interrupted.

    \b
    Examples:
      gate-p2p dns-challenge create <id>@203.0.113.7:31145 DOMAIN VALUE --key daemon.key
      gate-p2p dns-challenge cleanup <id>@203.0.113.7:31145 DOMAIN VALUE --key daemon.key
    """


@command.command(
    "create",
    short_help="Have a relay publish a value.",
    cls=WithoutShortOptions,
    context_settings=VALUES_WITH_HYPHENS,
)
@click.argument("relay")
@click.argument("domain")
@click.argument("value")
@common
def create(
    relay: str, domain: str, value: str, key: Path | None, timeout: float | None, *, as_json: bool
) -> None:
    """Have RELAY publish VALUE at _acme-challenge.DOMAIN; returns when every name server shows it.

    RELAY is <node id>@<ip:port>. Nothing is printed without --json.
    Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 unreachable, 130 interrupted.

    \b
    Examples:
      gate-p2p dns-challenge create <id>@203.0.113.7:31145 DOMAIN VALUE --key daemon.key
      certbot certonly --manual --preferred-challenges dns -d DOMAIN -d '*.DOMAIN' \\
        --manual-auth-hook 'gate-p2p dns-challenge create <id>@203.0.113.7:31145 \\
          "$CERTBOT_DOMAIN" "$CERTBOT_VALIDATION" --key daemon.key' \\
        --manual-cleanup-hook 'gate-p2p dns-challenge cleanup <id>@203.0.113.7:31145 \\
          "$CERTBOT_DOMAIN" "$CERTBOT_VALIDATION" --key daemon.key'
    """
    _run("create", relay, domain, value, key, timeout, as_json)


@command.command(
    "cleanup",
    short_help="Have a relay remove a value.",
    cls=WithoutShortOptions,
    context_settings=VALUES_WITH_HYPHENS,
)
@click.argument("relay")
@click.argument("domain")
@click.argument("value", required=False)
@common
def cleanup(
    relay: str, domain: str, value: str | None, key: Path | None, timeout: float | None, *, as_json: bool
) -> None:
    """Have RELAY remove VALUE at _acme-challenge.DOMAIN, or without VALUE all that this node created there.

    RELAY is <node id>@<ip:port>. What is not there is removed already. Nothing is printed without --json.
    Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 unreachable, 130 interrupted.

    \b
    Examples:
      gate-p2p dns-challenge cleanup <id>@203.0.113.7:31145 DOMAIN VALUE --key daemon.key
      gate-p2p dns-challenge cleanup <id>@203.0.113.7:31145 DOMAIN --key daemon.key --timeout 30 --json
    """
    _run("cleanup", relay, domain, value, key, timeout, as_json)


def _run(
    action: str,
    relay: str,
    domain: str,
    value: str | None,
    key: Path | None,
    timeout: float | None,
    as_json: bool,
) -> None:
    from gate_p2p.cli.ask import ask
    from gate_p2p.core.forms import domain_problem, txt_value_problem

    name = domain.removesuffix(".").removeprefix("_acme-challenge.").removeprefix("*.").lower()
    if (problem := domain_problem(name)) is not None:
        raise Failure(f"DOMAIN {domain!r}: {problem}")
    if value is not None and (problem := txt_value_problem(value)) is not None:
        raise Failure(f"VALUE {value!r}: {problem}")

    async def call(session: P2PSession, peer_id: str) -> None:
        import json

        from gate_p2p.cli.ask import write
        from gate_p2p.core import FailureCode
        from gate_p2p.session.errors import RequestError

        def say(**more: object) -> None:
            if as_json:
                write(json.dumps({"action": action, "domain": name, "txt_value": value, **more}) + "\n")

        try:
            if action == "create":
                assert value is not None
                await session.request_dns_challenge_create(peer_id, name, value, timeout)
            else:
                await session.request_dns_challenge_cleanup(peer_id, name, value, timeout)
        except RequestError as error:
            say(success=False, error=str(error), code=error.code)
            if action == "create" and error.code == FailureCode.TIMED_OUT:
                raise Failure(f"{error}; the record may stand all the same: clean it up", FAILED) from None
            raise
        say(success=True)

    ask(relay, key, call, lacks="the relay sets no DNS challenges: it does not advertise them")
