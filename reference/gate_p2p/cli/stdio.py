"""gate-p2p stdio."""

from __future__ import annotations

import click

from gate_p2p.cli.failure import Failure
from gate_p2p.cli.options import name_options, read_names

ROLES = ("acceptor", "dialer")


@click.command("stdio")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    envvar="GATE_ROLE",
    default="acceptor",
    show_default=True,
    help="Our side.",
)
@click.option(
    "--peer-id", envvar="GATE_PEER_ID", metavar="ID", help="Who the other side is, 64 hex characters."
)
@name_options
@click.option("-v", "--verbose", count=True, help="Log more.")
def command(
    role: str,
    peer_id: str | None,
    suffix: str,
    allow: tuple[str, ...],
    dns_delay: tuple[str, ...],
    verbose: int,
) -> None:
    """Speak Gate control on standard input and output, until the stream is over.

    The other side's identity and our role come from GATE_PEER_ID and GATE_ROLE where the options do not say.
    The log goes to standard error. Exit status 0 after every orderly end, violations of the peer included.

    \b
    Example:
      gate-conformance run "exec:gate-p2p stdio --allow *=conformance.test"
    """
    import asyncio

    from gate_p2p.address import check_node_id
    from gate_p2p.cli.output import set_up_logging
    from gate_p2p.cli.pipes import speak

    names = read_names(suffix, allow, dns_delay)
    try:
        peer = check_node_id(peer_id or "")
    except ValueError:
        raise Failure(
            "say who the other side is: 64 lower-case hex characters in GATE_PEER_ID or --peer-id"
        ) from None
    set_up_logging(verbose)
    asyncio.run(speak(role, peer, names))
