"""Domain registration: every peer gets its node name under the suffix, with the addresses of this node."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable, Sequence
from itertools import chain, filterfalse
from typing import Final

from gate_p2p.dns.backend import AddressPublisher
from gate_p2p.dns.errors import DnsRefused, TooManyNames
from gate_p2p.dns.expiry import Expiry
from gate_p2p.dns.handler import DnsChallengeError
from gate_p2p.dns.journal import Journal
from gate_p2p.dns.locks import Locks
from gate_p2p.node_names import node_labels

_log = logging.getLogger("gate_p2p.dns")

MAX_NAMES: Final = 4096
"""Names in all: four for each of the peers that a relay has connections for (LM-01)."""
NAME_LEASE: Final = 86_400.0
"""Seconds a name outlives its peer's last connection; a peer that comes back registers anew."""
KIND: Final = "ADDRESSES"
"""The first word of what stands in the journal; the domain follows."""


class PublishingRegistrar:
    """A `DomainRegistrar`: `<id in z-base-32>.<suffix>` leads to `addresses` (DR-03, DR-07, DR-08).

    `addresses`: IPv4 and IPv6 texts where this node is reached from everywhere; raises ValueError for others.
    `max_names`: past these the peer that has been away longest loses its name to the one that asks, which is
    refused with `quota` where nobody is away. `lease`: seconds until the name of a peer that has gone is
    withdrawn in any case. `journal`: keeps the names past the end of the process, see `LeasingHandler`.
    `clock`: monotonic seconds.
    """

    def __init__(
        self,
        publisher: AddressPublisher,
        suffix: str,
        addresses: Sequence[str],
        *,
        max_names: int = MAX_NAMES,
        lease: float = NAME_LEASE,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._suffix = suffix.lower()
        self._addresses = tuple(str(ipaddress.ip_address(one)) for one in addresses)
        if not self._addresses:
            raise ValueError("there is no address to publish")
        self._max_names = max_names
        self._lease = lease
        self._journal = journal
        self._clock = clock
        self._connected: set[str] = set()  # the names of the peers that are here, registered or not
        self._names: set[str] = set()
        self._away: dict[str, float] = {}  # names whose lease runs, and until when, the first to end first
        self._locks = Locks[str]()  # one change of one name at a time
        self._expiry = Expiry(clock, self._next_expiry, self._withdraw_expired)
        for kind, *rest in () if journal is None else journal.entries:
            if kind == KIND and len(rest) == 1:
                self._names.add(rest[0])
                self._begin_lease(rest[0])

    @property
    def names(self) -> frozenset[str]:
        """Every name that is published now, or that could not be withdrawn yet."""
        return frozenset(self._names)

    async def __aenter__(self) -> PublishingRegistrar:
        """Let the leases of what the journal held begin to run."""
        if self._names:
            _log.info("%d names of an earlier run are still there, each for its lease", len(self._names))
        self._expiry.arm()
        return self

    async def __aexit__(self, *_: object) -> None:
        """See `aclose`."""
        await self.aclose()

    async def aclose(self) -> None:
        """Withdraw nothing any more. The names stand on: a restart takes nobody off the air."""
        await self._expiry.aclose()

    async def register(self, peer_id: str, addresses: Sequence[str]) -> str:
        """Publish our addresses for the peer's name; its own, which it cannot prove, play no part."""
        domain = self._domain(peer_id)
        async with self._locks.of(domain):
            new = domain not in self._names
            if new:
                await self._make_room()
                self._note(domain)
            self._begin_lease(domain)
            try:
                await self._publisher.publish_addresses(domain, self._addresses)
            except DnsRefused:
                if new:
                    self._forget(domain)
                raise
        if new:
            _log.info("%s is registered by %s", domain, peer_id)
        return domain

    def peer_connected(self, peer_id: str) -> None:
        """See `WatchesPeers`: while it is here, its name stays."""
        self._connected.add(self._domain(peer_id))
        self._begin_lease(self._domain(peer_id))

    def peer_gone(self, peer_id: str) -> None:
        """See `WatchesPeers`: from now on the lease of its name runs."""
        self._connected.discard(self._domain(peer_id))
        self._begin_lease(self._domain(peer_id))

    # -- the table

    def _domain(self, peer_id: str) -> str:
        return f"{node_labels(peer_id).z_base_32}.{self._suffix}"

    async def _make_room(self) -> None:
        """Ids cost nothing: those who registered and left must not keep out who is here."""
        while len(self._names) >= self._max_names and self._away:
            # who has been away longest, but each registration that waits here has one of its own withdrawn
            domain = next(chain(filterfalse(self._has_expired, self._away), self._away))
            self._away[domain] = min(self._away[domain], self._clock())
            try:
                await self._withdraw(domain, "another peer needs the room")
            finally:
                self._expiry.arm()  # what was cut short or has failed is tried again
            if self._has_expired(domain):
                return

    def _note(self, domain: str) -> None:
        if len(self._names) >= self._max_names:
            raise TooManyNames
        if self._journal is not None:
            try:
                self._journal.add((KIND, domain))
            except OSError as error:
                _log.error("the DNS journal cannot be written: %s", error.strerror)
                raise DnsChallengeError("this node cannot note what it would have to remove") from None
        self._names.add(domain)

    def _forget(self, domain: str) -> None:
        self._names.discard(domain)
        self._away.pop(domain, None)
        if self._journal is not None:
            self._journal.remove((KIND, domain))

    def _begin_lease(self, domain: str) -> None:
        """Of a name whose peer is away, from now; of one whose peer is here, none."""
        self._away.pop(domain, None)
        if domain in self._names and domain not in self._connected:
            self._away[domain] = self._clock() + self._lease
        self._expiry.arm()

    def _next_expiry(self) -> float | None:
        return next(iter(self._away.values()), None)

    def _has_expired(self, domain: str) -> bool:
        return domain in self._away and self._away[domain] <= self._clock()

    async def _withdraw_expired(self) -> None:
        why = f"its peer has been away for {self._lease:g} s"
        expired = [domain for domain in self._away if self._has_expired(domain)]
        await asyncio.gather(*(self._withdraw(domain, why) for domain in expired))

    async def _withdraw(self, domain: str, why: str) -> None:
        async with self._locks.of(domain):
            if not self._has_expired(domain):
                return  # its peer has come back while we waited
            try:
                await self._publisher.withdraw_addresses(domain)
            except DnsChallengeError as error:
                _log.warning("the addresses of %s were not withdrawn: %s", domain, error)
                return
            self._forget(domain)
        _log.info("%s is withdrawn: %s", domain, why)
