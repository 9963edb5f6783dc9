"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gate_p2p.cli.failure import Failure

if TYPE_CHECKING:
    from gate_p2p.address import NodeAddress

F = TypeVar("F", bound=Callable[..., Any])

ANSWER_TIMEOUT = (
    "Give up when the answer is not complete after so long. Without it: 330 for each piece of it."
)


@dataclass(frozen=True)
class Names:
    """`allowed`: domains by peer id or `*`; `delays`: seconds by domain."""

    suffix: str
    allowed: dict[str, list[str]]
    delays: dict[str, float]


def _pairs(option: str, texts: tuple[str, ...], shape: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        left, equals, right = text.partition("=")
        if not (equals and left and right):
            raise Failure(f"{option} {text!r}: expected {shape}")
        pairs.append((left, right))
    return pairs


def read_names(suffix: str, allow: tuple[str, ...], dns_delay: tuple[str, ...]) -> Names:
    """Read --suffix, --allow and --dns-delay; raises Failure."""
    from gate_p2p.address import check_node_id
    from gate_p2p.core.forms import domain_problem

    def check(option: str, text: str, domain: str) -> None:
        if (problem := domain_problem(domain)) is not None:
            raise Failure(f"{option} {text!r}: {problem}")

    check("--suffix", suffix, suffix)
    allowed: dict[str, list[str]] = {}
    for peer, domain in _pairs("--allow", allow, "PEER=DOMAIN, PEER being a node id or *"):
        if peer != "*":
            try:
                check_node_id(peer)
            except ValueError as error:
                raise Failure(f"--allow: {error}") from None
        check("--allow", f"{peer}={domain}", domain)
        allowed.setdefault(peer, []).append(domain)
    delays = {}
    for domain, seconds in _pairs("--dns-delay", dns_delay, "DOMAIN=SECONDS"):
        check("--dns-delay", domain, domain)
        try:
            delays[domain] = float(seconds)
        except ValueError:
            raise Failure(f"--dns-delay {domain}={seconds}: {seconds!r} is no number of seconds") from None
        if not 0 <= delays[domain] <= 3600:
            raise Failure(f"--dns-delay {domain}={seconds}: expected 0 to 3600 seconds")
    return Names(suffix, allowed, delays)


def read_listen(option: str, text: str, *, port_zero: bool) -> str:
    """Read an `ip:port`; raises Failure."""
    from gate_p2p.address import check_socket_address, is_unspecified

    try:
        address = check_socket_address(text, port_zero=port_zero)
    except ValueError as error:
        raise Failure(f"{option}: {error}") from None
    if option == "--advertise" and is_unspecified(address):
        raise Failure(f"--advertise {text}: nobody can dial a wildcard, give the address that others reach")
    return address


def check_dialable(listen: str, advertise: str | None) -> None:
    """Raise Failure where the address that is printed would be one that nobody can dial."""
    from gate_p2p.address import is_unspecified

    if advertise is None and is_unspecified(listen):
        raise Failure(
            f"--listen {listen} is a wildcard: say with --advertise IP:PORT how others dial this node"
        )


def _check_timeout(context: click.Context, option: click.Parameter, seconds: float | None) -> float | None:
    if seconds is not None and not 0 < seconds < math.inf:
        raise Failure(f"--timeout {seconds:g}: expected a positive number of seconds")
    return seconds


def timeout_option(help_text: str) -> Callable[[F], F]:
    """--timeout, a positive number of seconds; None when it is not given."""
    return click.option("--timeout", type=float, metavar="SECONDS", callback=_check_timeout, help=help_text)


def listen_for(peer: NodeAddress) -> str:
    """Where a node listens that only dials this one: loopback reaches no other host."""
    from gate_p2p.address import is_loopback

    first = peer.socket_addresses[0]
    here, everywhere = ("[::1]:0", "[::]:0") if first.startswith("[") else ("127.0.0.1:0", "0.0.0.0:0")
    return here if is_loopback(first) else everywhere


def key_option(command: F) -> F:
    """--key."""
    return click.option(
        "--key",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Secret key, 32 bytes; made when absent. Without it the node has a new id each time.",
    )(command)


def name_options(command: F) -> F:
    """--suffix, --allow, --dns-delay."""
    for option in (
        click.option(
            "--dns-delay",
            "dns_delay",
            multiple=True,
            metavar="DOMAIN=SECONDS",
            help="Let challenges for this domain take this long, to stand for slow DNS. May be repeated.",
        ),
        click.option(
            "--allow",
            multiple=True,
            metavar="PEER=DOMAIN",
            help="Let a peer (node id, or * for any) act for exactly this name. May be repeated.",
        ),
        click.option(
            "--suffix",
            default="private.example",
            show_default=True,
            metavar="DOMAIN",
            help="Each peer may act for its own name under this domain.",
        ),
    ):
        command = option(command)
    return command


def node_options(command: F) -> F:
    """--advertise, --key, --json, -v."""
    for option in (
        click.option("-v", "--verbose", count=True, help="Log more; twice for what concerns developers."),
        click.option(
            "--json", "as_json", is_flag=True, help="Write events to standard output, one JSON object a line."
        ),
        key_option,
        click.option(
            "--advertise",
            metavar="IP:PORT",
            help="The address to print, where it differs from the one listened on.",
        ),
    ):
        command = option(command)
    return command
