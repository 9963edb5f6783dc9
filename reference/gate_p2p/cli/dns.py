"""Options of the relay that say where TXT records go, and how they become a handler."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gate_p2p.cli.failure import Failure
from gate_p2p.cli.options import read_listen
from gate_p2p.cli.secret import read_secret

if TYPE_CHECKING:
    from gate_p2p.dns.backend import AddressPublisher
    from gate_p2p.dns.cloudflare import CloudflareBackend
    from gate_p2p.dns.journal import Journal
    from gate_p2p.dns.leasing import LeasingHandler
    from gate_p2p.dns.registrar import PublishingRegistrar
    from gate_p2p.dns.rfc2136 import Rfc2136Backend

_log = logging.getLogger("gate_p2p.cli")

F = TypeVar("F", bound=Callable[..., Any])

TSIG_VARIABLE = "GATE_TSIG_KEY"
TOKEN_VARIABLE = "GATE_CLOUDFLARE_TOKEN"


class Dns:
    """What a session is given: the handler, and a registrar where addresses are to be published.

    `async with` it around the session: leases run inside of it, and what is left is removed at its end.
    """

    def __init__(
        self,
        handler: LeasingHandler,
        registrar: PublishingRegistrar | None,
        journal: Journal | None,
        *,
        in_memory: bool,
    ) -> None:
        self.handler = handler
        self.registrar = registrar
        self._journal = journal
        self._in_memory = in_memory
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Dns:
        if self._journal is not None:
            self._stack.callback(self._journal.close)
        elif not self._in_memory:
            addresses = "" if self.registrar is None else ", and any end the addresses"
            left = f"a crash would leave DNS records behind{addresses}"
            _log.warning("%s: --dns-journal FILE has them removed later", left)
        await self._stack.enter_async_context(self.handler)  # ends last: the service is the registrar's too
        if self.registrar is not None:
            await self._stack.enter_async_context(self.registrar)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def dns_options(command: F) -> F:
    """Where records go (--rfc2136, --cloudflare, ...), --dns-journal, --dns-wait and --publish-address."""
    for option in (
        click.option(
            "--dns-journal",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Note here what stands in the zone, so that after a crash the next start removes it. "
            "Made when absent; goes with --rfc2136 or --cloudflare.",
        ),
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
    journal: Journal | None = None
    in_zone = options["rfc2136"] is not None or _wants_cloudflare(options)
    try:
        if in_zone:
            backend = _rfc2136(options) if options["rfc2136"] is not None else _cloudflare(options)
            if options["dns_journal"] is not None:
                journal = _journal(options["dns_journal"])
            handler = LeasingHandler(backend, journal=journal)
            publisher = backend
        else:
            handler = memory = MemoryDnsHandler(delays=delays)
            publisher = memory.backend
        registrar = None
        if published := options["publish_address"]:
            registrar = PublishingRegistrar(publisher, suffix, published, journal=journal)
    except ValueError as error:
        raise Failure(str(error)) from None
    return Dns(handler, registrar, journal, in_memory=not in_zone)


def _journal(path: Path) -> Journal:
    from gate_p2p.dns.journal import Journal

    try:
        return Journal(path)
    except OSError as error:
        raise Failure(f"--dns-journal {path}: {error.strerror}") from None
    except ValueError as error:
        raise Failure(f"--dns-journal: {error}") from None


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
        for name in ("dns_server", "dns_wait", "dns_journal"):
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
