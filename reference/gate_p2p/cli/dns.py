"""Options of the relay that say where TXT records go, and how they become a handler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from gate_p2p.cli.failure import Failure
from gate_p2p.cli.options import read_listen
from gate_p2p.cli.secret import read_secret

if TYPE_CHECKING:
    from gate_p2p.dns.backend import AddressPublisher
    from gate_p2p.dns.cloudflare import CloudflareBackend
    from gate_p2p.dns.handler import DomainRegistrar
    from gate_p2p.dns.leasing import LeasingHandler
    from gate_p2p.dns.rfc2136 import Rfc2136Backend

F = TypeVar("F", bound=Callable[..., Any])

TSIG_VARIABLE = "GATE_TSIG_KEY"
TOKEN_VARIABLE = "GATE_CLOUDFLARE_TOKEN"


class Dns(NamedTuple):
    """What a session is given: the handler, and a registrar where addresses are to be published."""

    handler: LeasingHandler
    registrar: DomainRegistrar | None


def dns_options(command: F) -> F:
    """Where records go (--rfc2136, --cloudflare, ...), --dns-server, --dns-wait and --publish-address."""
    for option in (
        click.option(
            "--publish-address",
            multiple=True,
            metavar="IP",
            help="Register domains: publish this address of ours for the name of each peer that asks. "
            "May be repeated.",
        ),
        click.option(
            "--dns-wait",
            type=click.FloatRange(min=0),
            metavar="SECONDS",
            help="How long a record may take to be at every authoritative server. Default: 300; 0: no wait.",
        ),
        click.option(
            "--dns-server",
            multiple=True,
            metavar="IP:PORT",
            help="An authoritative server to wait for. May be repeated. Default: those of the zone.",
        ),
        click.option(
            "--cloudflare-token-file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help=f"The API token for --cloudflare. Default: {TOKEN_VARIABLE} in the environment.",
        ),
        click.option("--cloudflare", is_flag=True, help="Keep TXT records in a zone at Cloudflare."),
        click.option("--zone", metavar="ZONE", help="The zone to update. Default: the DNS server is asked."),
        click.option(
            "--tsig-key-file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="The key for --rfc2136, as tsig-keygen or keymgr -t writes it. "
            f"Default: {TSIG_VARIABLE} in the environment.",
        ),
        click.option(
            "--rfc2136",
            metavar="IP:PORT",
            help="Keep TXT records in a zone of this DNS server, by dynamic updates (RFC 2136).",
        ),
    ):
        command = option(command)
    return command


def make_dns(options: Mapping[str, Any], *, suffix: str, delays: Mapping[str, float]) -> Dns:
    """What the options of `dns_options` ask for: memory without any. Raises Failure that says what to do."""
    from gate_p2p.dns.leasing import LeasingHandler
    from gate_p2p.dns.memory import MemoryDnsHandler
    from gate_p2p.dns.registrar import PublishingRegistrar

    _check(options, delays)
    handler: LeasingHandler
    publisher: AddressPublisher
    try:
        if options["rfc2136"] is not None:
            publisher = rfc2136 = _rfc2136(options)
            handler = LeasingHandler(rfc2136)
        elif _wants_cloudflare(options):
            publisher = cloudflare = _cloudflare(options)
            handler = LeasingHandler(cloudflare)
        else:
            handler = memory = MemoryDnsHandler(delays=delays)
            publisher = memory.backend
        published = options["publish_address"]
        registrar = PublishingRegistrar(publisher, suffix, published) if published else None
    except ValueError as error:
        raise Failure(str(error)) from None
    return Dns(handler, registrar)


def _wants_cloudflare(options: Mapping[str, Any]) -> bool:
    return bool(options["cloudflare"] or options["cloudflare_token_file"] is not None)


def _check(options: Mapping[str, Any], delays: Mapping[str, float]) -> None:
    """Raise Failure for options that do not go together, and where the extra is missing."""
    rfc2136 = options["rfc2136"] is not None
    if rfc2136 and _wants_cloudflare(options):
        raise Failure("--rfc2136 and --cloudflare: choose one")
    if not rfc2136:
        for name in ("tsig_key_file", "zone"):
            if options[name] is not None:
                raise Failure(f"{_option(name)} goes with --rfc2136 IP:PORT")
    if not rfc2136 and not _wants_cloudflare(options):
        for name in ("dns_server", "dns_wait"):
            if options[name] not in {None, ()}:
                raise Failure(f"{_option(name)} goes with --rfc2136 or --cloudflare")
        return
    used = "--rfc2136" if rfc2136 else "--cloudflare"
    if delays:
        raise Failure(f"--dns-delay is for records in memory, not for {used}")
    if find_spec("dns") is None or find_spec("httpx") is None:
        raise Failure(f"{used} needs the extra \"dns\": pip install 'gate-p2p[dns]'")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _rfc2136(options: Mapping[str, Any]) -> Rfc2136Backend:
    from gate_p2p.core.forms import domain_problem
    from gate_p2p.dns.rfc2136 import Rfc2136Backend
    from gate_p2p.dns.tsig import read_tsig_key

    primary, zone = options["rfc2136"], options["zone"]
    if zone is not None and (problem := domain_problem(zone)) is not None:
        raise Failure(f"--zone {zone!r}: {problem}")
    text, source = read_secret("--tsig-key-file", options["tsig_key_file"], TSIG_VARIABLE)
    try:
        key = read_tsig_key(text)
    except ValueError as error:
        raise Failure(f"{source}: {error}") from None
    primary = read_listen("--rfc2136", primary, port_zero=False)
    return Rfc2136Backend(primary, key, zone=zone, **_waiting(options))


def _cloudflare(options: Mapping[str, Any]) -> CloudflareBackend:
    from gate_p2p.dns.cloudflare import CloudflareBackend

    text, source = read_secret("--cloudflare-token-file", options["cloudflare_token_file"], TOKEN_VARIABLE)
    try:
        return CloudflareBackend(text.strip(), **_waiting(options))
    except ValueError as error:
        raise Failure(f"{source}: {error}") from None


def _waiting(options: Mapping[str, Any]) -> dict[str, Any]:
    wait = {} if options["dns_wait"] is None else {"deadline": options["dns_wait"]}
    servers = [read_listen("--dns-server", text, port_zero=False) for text in options["dns_server"]]
    return {"servers": servers, **wait}
