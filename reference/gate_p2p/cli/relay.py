"""gate-p2p relay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gate_p2p.cli.dns import dns_options, make_dns
from gate_p2p.cli.options import check_dialable, name_options, node_options, read_listen, read_names


@click.command("relay")
@click.option(
    "--listen",
    default="127.0.0.1:0",
    show_default=True,
    metavar="IP:PORT",
    help="Where to listen; port 0 takes a free one.",
)
@click.option(
    "--https",
    metavar="IP:PORT",
    help="Take HTTPS visitors here, and pass each on, unread, to the daemon whose name it wants.",
)
@node_options
@dns_options
@name_options
def command(
    listen: str,
    https: str | None,
    advertise: str | None,
    key: Path | None,
    suffix: str,
    allow: tuple[str, ...],
    dns_delay: tuple[str, ...],
    as_json: bool,
    verbose: int,
    **dns: Any,
) -> None:
    """Run a public relay, until SIGINT or SIGTERM.

    Its address, <node id>@<ip:port>, is the first line of standard output. TXT records that peers ask for are
    logged, and kept in memory where neither --rfc2136 nor --cloudflare says better.

    \b
    Examples:
      gate-p2p relay
      gate-p2p relay --listen 0.0.0.0:31145 --advertise 203.0.113.7:31145 --key relay.key
      gate-p2p relay --https 0.0.0.0:443 --suffix nodes.example.org
      gate-p2p relay --rfc2136 127.0.0.1:53 --tsig-key-file acme.key --suffix nodes.example.org \\
        --dns-journal relay.journal
      gate-p2p relay --allow '*=slow.example.test' --dns-delay slow.example.test=6.5 --json
    """
    from gate_p2p.cli.keyfile import load_or_create
    from gate_p2p.cli.node import Beside, run_node
    from gate_p2p.cli.output import set_up_logging

    names = read_names(suffix, allow, dns_delay)
    listen = read_listen("--listen", listen, port_zero=True)
    if advertise is not None:
        advertise = read_listen("--advertise", advertise, port_zero=False)
    check_dialable(listen, advertise)
    beside: list[Beside] = []
    if https is not None:
        from gate_p2p.cli.https import FrontAt

        beside.append(FrontAt(read_listen("--https", https, port_zero=True)))
    made = make_dns(dns, suffix=names.suffix, delays=names.delays)
    set_up_logging(verbose)
    config = {
        "listen": listen,
        "advertise": advertise,
        "secret_key": None if key is None else load_or_create(key),
        "sni_proxy": https is not None,
        "dns_challenge_handler": made.handler,
        "registrar": made.registrar,
        "suffix": names.suffix,
        "allowed": names.allowed,
    }
    run_node(config, as_json=as_json, beside=beside, within=made)
