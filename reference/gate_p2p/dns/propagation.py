"""Waiting until every authoritative server of a zone shows a change (DC-13, DR-03; extra `dns`)."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import dns.asyncquery
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from gate_p2p.dns.backend import CHALLENGE_PREFIX
from gate_p2p.dns.errors import DnsNotVisible
from gate_p2p.dns.servers import DNS_TROUBLE, NameServer, SocketAddress, texts

_log = logging.getLogger("gate_p2p.dns")

DEADLINE: Final = 300.0
"""Seconds that a change may take to be visible everywhere; a requester waits 330 s (DC-18)."""
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 5.0
ANSWER_WITHIN: Final = 3.0
"""Seconds for one answer."""
AT_ONCE: Final = 64
"""Questions under way: each holds a socket, and peers choose how many changes there are."""

# this machine cannot send there at all: IPv6 without a route, most often
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@dataclass(frozen=True)
class Expected:
    """What a server has to answer for one name and type. `holds`: judges the records' texts."""

    name: dns.name.Name
    kind: dns.rdatatype.RdataType
    holds: Callable[[frozenset[str]], bool]


def challenge_name(domain: str) -> dns.name.Name:
    """Where the challenges of a domain stand (DC-19)."""
    return dns.name.from_text(CHALLENGE_PREFIX + domain)


def expect_txt(domain: str, value: str) -> tuple[Expected, ...]:
    """The value is among the TXT records of the challenge."""
    return (Expected(challenge_name(domain), dns.rdatatype.TXT, lambda found: value in found),)


def expect_addresses(domain: str, ips: Iterable[IPv4Address | IPv6Address]) -> tuple[Expected, ...]:
    """The domain has exactly these addresses."""
    name = dns.name.from_text(domain)
    wanted: dict[int, set[str]] = {4: set(), 6: set()}
    for ip in ips:
        wanted[ip.version].add(str(ip))
    return (
        Expected(name, dns.rdatatype.A, wanted[4].__eq__),
        Expected(name, dns.rdatatype.AAAA, wanted[6].__eq__),
    )


class Propagation:
    """Asks authoritative servers, each directly, until all show a change or `deadline` seconds are over.

    A deadline of 0 turns the wait off.
    """

    def __init__(self, deadline: float = DEADLINE) -> None:
        self.deadline = deadline
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def wait(self, servers: Sequence[NameServer], expected: Sequence[Expected]) -> None:
        """Return when every server answers as expected. Raises DnsNotVisible."""
        if not servers:
            raise ValueError("there is no server to ask")
        problems: dict[str, str] = {}
        try:
            async with asyncio.timeout(self.deadline), asyncio.TaskGroup() as group:
                for server in servers:
                    group.create_task(self._watch(server, expected, problems))
        except TimeoutError:
            for name, problem in problems.items():
                _log.warning("%s at %s after %g s: %s", expected[0].name, name, self.deadline, problem)
            raise DnsNotVisible(self.deadline) from None

    async def _watch(
        self, server: NameServer, expected: Sequence[Expected], problems: dict[str, str]
    ) -> None:
        """Return when the server shows it at each of its addresses that can be reached from here."""
        pending, shown = set(server.addresses), False
        pause = FIRST_PAUSE
        while True:
            asked = tuple(pending)
            outcomes = await asyncio.gather(*(self._problem(address, expected) for address in asked))
            unreachable = set()
            for address, problem in zip(asked, outcomes, strict=True):
                if problem is None:
                    pending.discard(address)
                    shown = True
                elif isinstance(problem, OSError) and problem.errno in _NO_ROUTE:
                    unreachable.add(address)
            if shown and pending <= unreachable:
                problems.pop(server.name, None)
                return
            problems[server.name] = "; ".join(
                f"{address}: {problem}"
                for address, problem in zip(asked, outcomes, strict=True)
                if problem is not None
            )
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, LONGEST_PAUSE)

    async def _problem(self, address: SocketAddress, expected: Sequence[Expected]) -> str | Exception | None:
        for one in expected:
            try:
                async with self._slots:
                    response = await _ask(address, one)
            except DNS_TROUBLE as error:
                return error
            if response.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
                return f"it answers {dns.rcode.to_text(response.rcode())}"
            if not response.flags & dns.flags.AA:
                return "it is no authoritative server of the zone"
            found = texts(response, one.name, one.kind)
            if not one.holds(found):
                return f"it has {len(found)} {dns.rdatatype.to_text(one.kind)} records, not yet those wanted"
        return None


async def _ask(address: SocketAddress, expected: Expected) -> dns.message.Message:
    """Over UDP, as a certificate authority would ask, and over TCP when the answer is truncated."""
    query = dns.message.make_query(expected.name, expected.kind, flags=0, use_edns=0, payload=1232)
    response, _ = await dns.asyncquery.udp_with_fallback(
        query,
        address.ip,
        timeout=ANSWER_WITHIN,
        port=address.port,
        ignore_unexpected=True,
        ignore_errors=True,
    )
    return response
