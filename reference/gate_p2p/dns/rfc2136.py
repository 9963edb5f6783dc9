"""A zone that takes dynamic updates (RFC 2136) with TSIG: knot, BIND and others. Needs the extra `dns`.

`LeasingHandler(Rfc2136Backend("192.0.2.53:53", key))` is the challenge handler of a session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

import dns.asyncquery
import dns.exception
import dns.name
import dns.rcode
import dns.tsig
import dns.update

from gate_p2p.dns.addresses import IpAddress, PublishesAddresses
from gate_p2p.dns.backend import TTL
from gate_p2p.dns.errors import DnsRefused, DnsUnavailable
from gate_p2p.dns.propagation import (
    DEADLINE,
    Expected,
    Propagation,
    challenge_name,
    expect_txt,
)
from gate_p2p.dns.servers import (
    ATTEMPTS,
    DNS_PORT,
    DNS_TROUBLE,
    PAUSE,
    NameServer,
    Primary,
    SocketAddress,
    listed,
)
from gate_p2p.dns.tsig import TsigKey

_log = logging.getLogger("gate_p2p.dns")

UPDATES_AT_ONCE: Final = 16
"""Connections to the primary: peers choose how many changes there are."""
SERVERS_FOR: Final = 60.0
"""Seconds for which the authoritative servers that were found are kept."""


class Unsigned(dns.exception.FormError):
    """The answer has no signature."""


class Rfc2136Backend(PublishesAddresses):
    """Sends updates to the primary of a zone over TCP, and asks the zone's servers whether they show them.

    `primary`: `ip:port`. `zone`: found by asking the primary when None. `servers`: `ip:port` of every
    authoritative server; without any, those in the zone's NS records are asked, at `ns_port`. `deadline`:
    seconds until all have to show a change, 0 not to wait. `timeout`: seconds for one answer of the primary.
    Raises ValueError for texts that are none of that.
    """

    def __init__(
        self,
        primary: str,
        key: TsigKey,
        *,
        zone: str | None = None,
        servers: Sequence[str] = (),
        deadline: float = DEADLINE,
        ns_port: int = DNS_PORT,
        timeout: float = 5.0,
    ) -> None:
        self._primary = Primary(SocketAddress.parse(primary), timeout=timeout)
        try:
            self._key = dns.tsig.Key(dns.name.from_text(key.name), key.secret, key.algorithm)
            self._zone = None if zone is None else dns.name.from_text(zone)
        except dns.exception.DNSException as error:
            raise ValueError(f"no domain name: {error}") from None
        self._listed = listed(servers)
        self._propagation = Propagation(deadline)
        self._ns_port = ns_port
        self._slots = asyncio.Semaphore(UPDATES_AT_ONCE)
        self._found: dict[dns.name.Name, tuple[float, tuple[NameServer, ...]]] = {}

    # -- TXT

    async def add(self, domain: str, txt_value: str) -> None:
        """See `TxtBackend`."""
        name = challenge_name(domain)
        await self._update(name, lambda update: update.add(name, TTL, "TXT", f'"{txt_value}"'))

    async def wait(self, domain: str, txt_value: str) -> None:
        """See `TxtBackend`."""
        await self._shown(domain, expect_txt(domain, txt_value))

    async def delete(self, domain: str, txt_value: str) -> None:
        """See `TxtBackend`."""
        name = challenge_name(domain)
        await self._update(name, lambda update: update.delete(name, "TXT", f'"{txt_value}"'))

    async def aclose(self) -> None:
        """There is nothing to let go of: a connection lasts as long as one update."""

    # -- A and AAAA

    async def _set_addresses(self, domain: str, ips: Sequence[IpAddress]) -> None:
        """One update exchanges all addresses at once."""
        name = dns.name.from_text(domain)

        def change(update: dns.update.UpdateMessage) -> None:
            update.delete(name, "A")
            update.delete(name, "AAAA")
            for ip in ips:
                update.add(name, TTL, "A" if ip.version == 4 else "AAAA", str(ip))

        await self._update(name, change)

    # -- both

    async def _update(self, name: dns.name.Name, change: Callable[[dns.update.UpdateMessage], None]) -> None:
        """Make one change in the zone of `name`. Raises DnsRefused, DnsUnavailable."""
        zone = self._zone or await self._primary.find_zone(name)
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE * 2 ** (attempt - 1))
            update = dns.update.UpdateMessage(zone, keyring=self._key)
            change(update)
            if await self._sent(update, name):
                return
        raise DnsUnavailable

    async def _sent(self, update: dns.update.UpdateMessage, name: dns.name.Name) -> bool:
        """Whether the primary has made the change; False when it is worth another try.

        Raises DnsRefused, DnsUnavailable.
        """
        server = self._primary.address
        try:
            async with self._slots:
                response = await dns.asyncquery.tcp(
                    update, server.ip, timeout=self._primary.timeout, port=server.port
                )
            if not response.had_tsig:  # newer versions of dnspython see that themselves
                raise Unsigned
        except dns.tsig.PeerError as error:
            # an unknown key, a wrong secret, a wrong clock; with knot also a type that is not allowed
            _log.error("DNS server %s refuses the TSIG key for %s: %s", server, name, error)
            raise DnsRefused from None
        except dns.tsig.BadSignature as error:
            # of its answer: who changed that is not known, nor whether the update was made
            _log.error("DNS server %s, update of %s: a wrong signature: %s", server, name, error)
            raise DnsUnavailable from None
        except dns.exception.FormError as error:
            # with a server that does not know the zone or the key's name: a refusal that nobody has signed
            _log.error("DNS server %s, update of %s: %s; are zone and key right?", server, name, error)
            raise DnsUnavailable from None
        except DNS_TROUBLE as error:
            _log.warning("DNS server %s, update of %s: %r", server, name, error)
            return False
        rcode = response.rcode()
        if rcode == dns.rcode.SERVFAIL:
            _log.warning("DNS server %s answers the update of %s with SERVFAIL", server, name)
            return False
        if rcode != dns.rcode.NOERROR:
            _log.error(
                "DNS server %s answers the update of %s with %s", server, name, dns.rcode.to_text(rcode)
            )
            raise DnsRefused
        return True

    async def _shown(self, domain: str, expected: Sequence[Expected]) -> None:
        if self._propagation.deadline:
            servers = self._listed or await self._authorities(expected[0].name)
            await self._propagation.wait(servers, expected)

    async def _authorities(self, name: dns.name.Name) -> tuple[NameServer, ...]:
        zone = self._zone or await self._primary.find_zone(name)
        now = asyncio.get_running_loop().time()
        until, servers = self._found.get(zone, (0.0, ()))
        if not servers or now >= until:
            servers = await self._primary.find_servers(zone, self._ns_port)
            self._found[zone] = now + SERVERS_FOR, servers
        return servers
