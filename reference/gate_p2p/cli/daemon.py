"""gate-p2p daemon."""

from __future__ import annotations

import math
from pathlib import Path

import click

from gate_p2p.cli.failure import Failure
from gate_p2p.cli.options import (
    check_dialable,
    listen_for,
    name_options,
    node_options,
    read_listen,
    read_names,
)

IDLE_STREAMS = 4


@click.command("daemon")
@click.option("--relay", required=True, metavar="ADDRESS", help="The relay to dial: <node id>@<ip:port>.")
@click.option(
    "--listen",
    metavar="IP:PORT",
    help="Where to listen. Default: a free port, on loopback for a relay there, else on all interfaces.",
)
@click.option(
    "--keep-trying", is_flag=True, help="Dial on when the first dial fails, instead of exiting with 3."
)
@click.option(
    "--register",
    is_flag=True,
    help="Ask the relay for a domain after each handshake, and print it. Its addresses are the relay's.",
)
@click.option(
    "--longest-pause",
    type=click.FloatRange(0.1, 3600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="The pauses between dials grow up to this.",
)
@click.option(
    "--https-target",
    metavar="HOST:PORT",
    help="The TLS server that the relay's HTTPS visitors of this node are led to.",
)
@click.option(
    "--idle-streams",
    type=click.IntRange(1, 64),
    metavar="N",
    help="How many streams for visitors to keep ready at the relay; goes with --https-target. "
    f"Default: {IDLE_STREAMS}.",
)
@click.option(
    "--upstream",
    metavar="URL",
    help="Serve inference from this server with OpenAI's HTTP API. The URL is the base: what comes before "
    "/chat/completions, http://127.0.0.1:8000/v1 for most servers.",
)
@click.option(
    "--upstream-key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The API key for --upstream. Default: GATE_UPSTREAM_KEY in the environment, if it is set.",
)
@node_options
@name_options
def command(
    relay: str,
    listen: str | None,
    keep_trying: bool,
    register: bool,
    longest_pause: float,
    upstream: str | None,
    upstream_key_file: Path | None,
    https_target: str | None,
    idle_streams: int | None,
    advertise: str | None,
    key: Path | None,
    suffix: str,
    allow: tuple[str, ...],
    dns_delay: tuple[str, ...],
    as_json: bool,
    verbose: int,
) -> None:
    """Run a private node that keeps a control connection to its relay, until SIGINT or SIGTERM.

    Its own address is the first line of standard output; with --register its domain is the next. A lost
    connection is dialled again, with growing pauses. With --allow it serves DNS challenges too, from memory,
    as a relay does.

    \b
    Examples:
      gate-p2p daemon --relay <id>@203.0.113.7:31145 --key daemon.key
      gate-p2p daemon --relay <id>@203.0.113.7:31145 --key daemon.key --register \\
        --https-target 127.0.0.1:8443
      gate-p2p daemon --relay <id>@203.0.113.7:31145 --upstream http://127.0.0.1:8000/v1
      gate-p2p daemon --relay <id>@127.0.0.1:31145 --keep-trying --json
    """
    from gate_p2p.address import NodeAddress
    from gate_p2p.cli.keyfile import load_or_create
    from gate_p2p.cli.node import Beside, run_node
    from gate_p2p.cli.output import set_up_logging
    from gate_p2p.cli.upstream import read_upstream
    from gate_p2p.dns.memory import MemoryDnsHandler

    try:
        relay_address = NodeAddress.parse(relay)
    except ValueError as error:
        raise Failure(f"--relay: {error}") from None
    if math.isnan(longest_pause):  # which is in every range
        raise Failure("--longest-pause nan: expected 0.1 to 3600 seconds")
    names = read_names(suffix, allow, dns_delay)
    if advertise is not None:
        advertise = read_listen("--advertise", advertise, port_zero=False)
    if dns_delay and not allow:
        raise Failure("--dns-delay goes with --allow PEER=DOMAIN")
    if listen is None:
        listen = listen_for(relay_address)
    else:
        listen = read_listen("--listen", listen, port_zero=True)
        check_dialable(listen, advertise)
    beside: list[Beside] = []
    if https_target is not None:
        from gate_p2p.cli.https import TargetOf, read_target

        idle = IDLE_STREAMS if idle_streams is None else idle_streams
        beside.append(TargetOf(relay_address.node_id, read_target(https_target), idle))
    elif idle_streams is not None:
        raise Failure("--idle-streams goes with --https-target HOST:PORT")
    if (serving := read_upstream(upstream, upstream_key_file)) is not None:
        beside.append(serving)
    set_up_logging(verbose)
    config = {
        "listen": listen,
        "longest_pause": longest_pause,
        "advertise": advertise,
        "inference": upstream is not None,
        "secret_key": None if key is None else load_or_create(key),
        "dns_challenge_handler": MemoryDnsHandler(delays=names.delays) if allow else None,
        "suffix": names.suffix,
        "allowed": names.allowed,
    }
    run_node(
        config,
        as_json=as_json,
        relay=relay_address,
        keep_trying=keep_trying,
        register=register,
        beside=beside,
    )
