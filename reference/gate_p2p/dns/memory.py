"""TXT records in memory: the relay's default handler, and the one that tests look into."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gate_p2p.core import FailureCode
from gate_p2p.dns.handler import DnsChallengeError

_log = logging.getLogger("gate_p2p.dns")

# Values under one name: an order needs two (apex and wildcard); an answer with 16 still fits in 1,232 bytes.
MAX_VALUES = 16
# Seconds a record outlives its creation: an order takes minutes, and a peer that vanished cleans nothing up.
LEASE = 900.0


@dataclass(frozen=True)
class TxtRecord:
    """One value under one name. `expires`: on the handler's clock."""

    owner: str
    value: str
    expires: float


class MemoryDnsHandler:
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
        self._max_values = max_values
        self._lease = lease
        self._delays = {domain.lower(): seconds for domain, seconds in (delays or {}).items()}
        self._clock = clock
        self._records: dict[str, list[TxtRecord]] = {}

    def values(self, domain: str) -> tuple[str, ...]:
        """What a look-up of `_acme-challenge.<domain>` answers now: each value once, oldest first."""
        return tuple(dict.fromkeys(record.value for record in self._live(domain.lower())))

    async def create(self, peer_id: str, domain: str, txt_value: str) -> None:
        """Put the value there, owned by `peer_id`, or renew its lease. Raises DnsChallengeError when full."""
        domain = domain.lower()
        if seconds := self._delays.get(domain):
            await asyncio.sleep(seconds)
        records = self._live(domain)
        record = TxtRecord(peer_id, txt_value, self._clock() + self._lease)
        for index, old in enumerate(records):
            if old.owner == peer_id and old.value == txt_value:
                records[index] = record
                _log.debug("TXT _acme-challenge.%s: %s renewed by %s", domain, txt_value, peer_id)
                return
        if len(records) >= self._max_values:
            raise DnsChallengeError(
                f"there are {len(records)} values under this name already: clean up first", FailureCode.QUOTA
            )
        self._records.setdefault(domain, records).append(record)
        _log.info("TXT _acme-challenge.%s: %s created by %s", domain, txt_value, peer_id)

    async def cleanup(self, peer_id: str, domain: str, txt_value: str | None) -> None:
        """Remove the value where `peer_id` created it, or with None all that it created under the name."""
        domain = domain.lower()
        kept = []
        for record in self._live(domain):
            if record.owner == peer_id and txt_value in {None, record.value}:
                _log.info("TXT _acme-challenge.%s: %s removed by %s", domain, record.value, peer_id)
            else:
                kept.append(record)
        self._put(domain, kept)

    def _live(self, domain: str) -> list[TxtRecord]:
        """The records of a name, those whose lease has run out removed."""
        now = self._clock()
        for name in tuple(self._records):  # all names: nobody may ever ask for a forgotten one
            live = [record for record in self._records[name] if record.expires > now]
            for record in self._records[name]:
                if record.expires <= now:
                    _log.info("TXT _acme-challenge.%s: %s of %s expired", name, record.value, record.owner)
            self._put(name, live)
        return self._records.get(domain, [])

    def _put(self, domain: str, records: list[TxtRecord]) -> None:
        if records:
            self._records[domain] = records
        else:
            self._records.pop(domain, None)
