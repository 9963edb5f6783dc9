"""Asking one DNS server, and finding the zone of a name and its authoritative servers (extra `dns`)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from gate_p2p.address import check_socket_address
from gate_p2p.dns.errors import DnsRefused, DnsUnavailable

_log = logging.getLogger("gate_p2p.dns")

ATTEMPTS: Final = 3
PAUSE: Final = 0.5
"""Seconds before the second attempt, and twice as long before each that follows."""
DNS_PORT: Final = 53

# what an exchange with a DNS server can raise: no answer, no good answer, no connection, a closed one
DNS_TROUBLE = (dns.exception.DNSException, OSError, EOFError)


@dataclass(frozen=True)
class SocketAddress:
    """Where a DNS server listens."""

    ip: str
    port: int = DNS_PORT

    @classmethod
    def parse(cls, text: str) -> SocketAddress:
        """Read `ip:port` or `[ipv6]:port`; raises ValueError."""
        host, _, port = check_socket_address(text).rpartition(":")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True)
class NameServer:
    """An authoritative server under one name, with every address that it has."""

    name: str
    addresses: tuple[SocketAddress, ...]


def listed(texts: Sequence[str]) -> tuple[NameServer, ...]:
    """Servers that were given as `ip:port` texts; raises ValueError."""
    return tuple(NameServer(text, (SocketAddress.parse(text),)) for text in texts)


def texts(
    response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType
) -> frozenset[str]:
    """The records of one name and type in an answer: of TXT the joined strings, of others their text."""
    found = set()
    for rrset in response.answer:
        if rrset.name == name and rrset.rdtype == kind:
            for record in rrset:
                if kind == dns.rdatatype.TXT:
                    found.add(b"".join(record.strings).decode("ascii", "replace"))
                else:
                    found.add(record.to_text())
    return frozenset(found)


class Primary:
    """The server that is asked about its zones and is sent the updates. `timeout`: seconds for one answer."""

    def __init__(self, address: SocketAddress, *, timeout: float = 5.0) -> None:
        self.address = address
        self.timeout = timeout

    async def ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.message.Message:
        """Its answer over TCP, tried three times. Raises DnsUnavailable."""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE * 2 ** (attempt - 1))
            try:
                query = dns.message.make_query(name, kind, flags=0)
                return await dns.asyncquery.tcp(
                    query, self.address.ip, timeout=self.timeout, port=self.address.port
                )
            except DNS_TROUBLE as error:
                _log.warning("DNS server %s, asked for %s: %r", self.address, name, error)
        raise DnsUnavailable

    async def find_zone(self, name: dns.name.Name) -> dns.name.Name:
        """The zone of the primary that the name lies in. Raises DnsUnavailable, DnsRefused without one."""
        for candidate in _upwards(name):
            response = await self.ask(candidate, dns.rdatatype.SOA)
            authoritative = bool(response.flags & dns.flags.AA)
            for rrset in (*response.answer, *response.authority):
                if rrset.rdtype == dns.rdatatype.SOA and authoritative and name.is_subdomain(rrset.name):
                    return rrset.name
                if rrset.rdtype == dns.rdatatype.NS and not authoritative:
                    _log.warning("DNS server %s has delegated %s: %s", self.address, name, rrset.name)
                    raise DnsRefused("this node has no DNS zone for the name")
        _log.warning("DNS server %s has no zone for %s", self.address, name)
        raise DnsRefused("this node has no DNS zone for the name")

    async def find_servers(self, zone: dns.name.Name, port: int = DNS_PORT) -> tuple[NameServer, ...]:
        """The servers in the NS records of the zone. Raises DnsUnavailable."""
        response = await self.ask(zone, dns.rdatatype.NS)
        names = sorted(texts(response, zone, dns.rdatatype.NS))
        if not names:
            _log.warning("DNS server %s has no NS records of %s", self.address, zone)
            raise DnsUnavailable
        return tuple(
            await asyncio.gather(*(self._addresses(dns.name.from_text(name), zone, port) for name in names))
        )

    async def _addresses(self, name: dns.name.Name, zone: dns.name.Name, port: int) -> NameServer:
        found: list[str] = []
        if name.is_subdomain(zone):
            for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
                found += sorted(texts(await self.ask(name, kind), name, kind))
        if found:
            return NameServer(str(name), tuple(SocketAddress(ip, port) for ip in found))
        return await resolve(str(name), port)


async def resolve(name: str, port: int = DNS_PORT) -> NameServer:
    """A server with the addresses that the system finds for its name. Raises DnsUnavailable without any."""
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        _log.warning("the authoritative DNS server %s has no address: %s", name, error)
        raise DnsUnavailable from None
    ips = dict.fromkeys(str(row[4][0]) for row in rows)
    return NameServer(name, tuple(SocketAddress(ip, port) for ip in ips))


def _upwards(name: dns.name.Name) -> Iterator[dns.name.Name]:
    """The name and the names above it, down to two labels and the root's empty one."""
    while len(name) > 2:
        yield name
        name = name.parent()
