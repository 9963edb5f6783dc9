"""The command group; each command's module is imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click

from gate_p2p import __version__

COMMANDS = {
    "relay": "Run a public relay.",
    "daemon": "Run a private node that keeps a connection to its relay.",
    "dns-challenge": "Set or remove the TXT record of an ACME challenge.",
    "infer": "Ask a node for a completion.",
    "models": "List the models that a node serves.",
    "keygen": "Make a key file and print its node id.",
    "stdio": "Speak Gate control on standard input and output.",
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"gate_p2p.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    epilog="Exit status: 0 done, or closed in order; 1 refused or failed; 2 wrong usage; 3 unreachable, or "
    "cannot listen; 128 and its number for a signal that ended a request.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, package_name="gate-p2p", prog_name="gate-p2p")
def app() -> None:
    """Nodes that speak Gate P2P over Iroh.

    \b
    gate-p2p relay --listen 0.0.0.0:31145 --advertise 203.0.113.7:31145 --key relay.key
    gate-p2p daemon --relay <id>@203.0.113.7:31145 --key daemon.key
    """
