"""TXT records in memory: the relay's default handler, and the one that tests look into."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence

from gate_p2p.dns.leases import LEASE, MAX_VALUES, Leases, TxtRecord
from gate_p2p.dns.leasing import LeasingHandler

__all__ = ["LEASE", "MAX_VALUES", "MemoryDnsHandler", "TxtRecord"]


class MemoryDnsHandler(LeasingHandler):
    """Keeps what the peers create; itself the only authoritative server of its names (DC-08 to DC-13).

    `delays`: seconds that a Create for a domain takes, to stand for the wait until DNS has it everywhere.
    `clock`: monotonic seconds.
    """

    def __init__(
        self,
        *,
        max_values: int = MAX_VALUES,
        lease: float = LEASE,
        delays: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backend = MemoryBackend(delays or {})
        super().__init__(self.backend, Leases(max_values=max_values, lease=lease, clock=clock))

    def values(self, domain: str) -> tuple[str, ...]:
        """What a look-up of `_acme-challenge.<domain>` answers now: each value once, oldest first."""
        self._forget_expired()
        return self._leases.values(domain.lower())

    async def create(self, peer_id: str, domain: str, txt_value: str) -> None:
        """Put the value there, owned by `peer_id`, or renew its lease. Raises DnsChallengeError when full."""
        self._forget_expired()
        await super().create(peer_id, domain, txt_value)

    async def cleanup(self, peer_id: str, domain: str, txt_value: str | None) -> None:
        """Remove the value where `peer_id` created it, or with None all that it created under the name."""
        self._forget_expired()
        await super().cleanup(peer_id, domain, txt_value)

    def _arm(self) -> None:
        """No timer: a record that nobody looks at may lie here a little longer."""

    def _forget_expired(self) -> None:
        for record in self._leases.expired():  # of all names: nobody may ever ask for a forgotten one
            self._release(record.owner, record.domain, record.value)
            self._log_removal(record.domain, record.value, record.owner, "expired, created")


class MemoryBackend:
    """The handler's own table is the zone; here are the delays, and what was published as `addresses`."""

    def __init__(self, delays: Mapping[str, float]) -> None:
        self._delays = {domain.lower(): seconds for domain, seconds in delays.items()}
        self.addresses: dict[str, tuple[str, ...]] = {}

    async def add(self, domain: str, txt_value: str) -> None:
        """Nothing to do."""

    async def wait(self, domain: str, txt_value: str) -> None:
        """Take as long as the domain's delay."""
        if seconds := self._delays.get(domain):
            await asyncio.sleep(seconds)

    async def delete(self, domain: str, txt_value: str) -> None:
        """Nothing to do."""

    async def aclose(self) -> None:
        """Nothing to do."""

    async def publish_addresses(self, domain: str, addresses: Sequence[str]) -> None:
        """See `AddressPublisher`."""
        self.addresses[domain.lower()] = tuple(str(ipaddress.ip_address(one)) for one in addresses)

    async def withdraw_addresses(self, domain: str) -> None:
        """See `AddressPublisher`."""
        self.addresses.pop(domain.lower(), None)
