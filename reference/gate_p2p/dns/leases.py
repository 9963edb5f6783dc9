"""Who owns which TXT value for how long: the table behind every handler, which asks no server."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from gate_p2p.dns.errors import TooManyRecords, TooManyValues

MAX_VALUES: Final = 16
"""Values under one name: an order needs two (apex and wildcard); an answer with 16 fits in 1,232 bytes."""
MAX_RECORDS: Final = 4096
"""Values in all: four for each of the peers that a relay has connections for (LM-01)."""
SCARCE_VALUES: Final = 2
"""Values of one owner under one name while half of all or more are taken: what an order needs (DC-08).

A stranger has two names of its own. 128 of them, with 16 values under each, would fill the table; so it takes
576 at a time.
"""
LEASE: Final = 900.0
"""Seconds a record outlives its owner's last connection (DC-15): who vanished cleans nothing up."""
CONNECTED_LEASE: Final = 86_400.0
"""Seconds a record lives while its owner is connected: no order takes that long, so it was forgotten."""

_SLACK: Final = 64  # entries that the heap may have beyond twice the records before it is made anew


@dataclass(frozen=True)
class TxtRecord:
    """One value of one owner under one name. `expires`: on the table's clock."""

    domain: str
    owner: str
    value: str
    expires: float


class Leases:
    """`max_values`: under one name; `max_records`: in all, see SCARCE_VALUES too. `clock`: monotonic seconds.

    Domains are in lower case here. An owner that nobody has told us of as connected is taken for one that has
    gone.
    """

    def __init__(
        self,
        *,
        max_values: int = MAX_VALUES,
        max_records: int = MAX_RECORDS,
        lease: float = LEASE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_values = max_values
        self.max_records = max_records
        self.lease = lease
        self.clock = clock
        self._names: dict[str, dict[tuple[str, str], TxtRecord]] = {}  # by owner and value, oldest first
        self._owners: dict[str, set[tuple[str, str]]] = {}  # domains and values of each
        self._count = 0
        # every record, by expiry; those that were renewed or released since are left where they are
        self._heap: list[tuple[float, int, TxtRecord]] = []
        self._serial = itertools.count()
        self._connected: set[str] = set()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[TxtRecord]:
        for records in tuple(self._names.values()):
            yield from tuple(records.values())

    def values(self, domain: str) -> tuple[str, ...]:
        """Each value under the name once, oldest first."""
        return tuple(dict.fromkeys(value for _, value in self._names.get(domain, ())))

    def owned(self, owner: str, domain: str, value: str | None) -> tuple[str, ...]:
        """This value where `owner` has it under the name, or with None every value that it has there."""
        held = self._names.get(domain, ())
        return tuple(one for whose, one in held if whose == owner and value in {None, one})

    def holders(self, domain: str, value: str) -> int:
        """How many owners have this value under the name."""
        return sum(one == value for _, one in self._names.get(domain, ()))

    def take(self, owner: str, domain: str, value: str) -> bool:
        """Note the value for a lease from now; False when the owner had it already.

        Raises TooManyValues, TooManyRecords.
        """
        records = self._names.get(domain, {})
        new = (owner, value) not in records
        if new and len(records) >= self.max_values:
            raise TooManyValues(len(records))
        if new and self._count >= self.max_records:
            raise TooManyRecords
        if new and self._count >= self.max_records // 2:
            own = len(self.owned(owner, domain, None))
            if own >= SCARCE_VALUES:
                raise TooManyValues(own)
        self._note(TxtRecord(domain, owner, value, self._expiry(owner)))
        return new

    def restore(self, owner: str, domain: str, value: str) -> None:
        """Note what stands in the zone already, past every bound."""
        self._note(TxtRecord(domain, owner, value, self._expiry(owner)))

    def _note(self, record: TxtRecord) -> None:
        records = self._names.setdefault(record.domain, {})
        self._count += (record.owner, record.value) not in records
        records[record.owner, record.value] = record
        self._owners.setdefault(record.owner, set()).add((record.domain, record.value))
        heapq.heappush(self._heap, (record.expires, next(self._serial), record))
        if len(self._heap) > 2 * self._count + _SLACK:
            self._heap = [entry for entry in self._heap if self._is_current(entry[2])]
            heapq.heapify(self._heap)

    def _is_current(self, record: TxtRecord) -> bool:
        return self._names.get(record.domain, {}).get((record.owner, record.value)) is record

    def _expiry(self, owner: str) -> float:
        connected = owner in self._connected
        return self.clock() + (max(self.lease, CONNECTED_LEASE) if connected else self.lease)

    def set_connected(self, owner: str, *, connected: bool) -> None:
        """The owner's first connection has come, or its last has gone: its leases begin anew.

        Told again, as for each further connection, it changes nothing: a hook that uses the owner's key would
        renew what the owner has forgotten.
        """
        if connected == (owner in self._connected):
            return
        (self._connected.add if connected else self._connected.discard)(owner)
        expires = self._expiry(owner)
        for domain, value in self._owners.get(owner, ()):
            self._note(replace(self._names[domain][owner, value], expires=expires))

    def release(self, owner: str, domain: str, value: str) -> None:
        """Forget the value of this owner; nothing there is no error."""
        records = self._names.get(domain, {})
        if records.pop((owner, value), None) is None:
            return
        self._count -= 1
        if not records:
            del self._names[domain]
        self._owners[owner].discard((domain, value))
        if not self._owners[owner]:
            del self._owners[owner]

    def expired(self) -> list[TxtRecord]:
        """The records whose lease has run out, in that order; they stay until they are released."""
        now = self.clock()
        found = []
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if self._is_current(entry[2]):
                found.append(entry)
        for entry in found:
            heapq.heappush(self._heap, entry)
        return [record for _, _, record in found]

    def is_expired(self, record: TxtRecord) -> bool:
        """Whether this record is still the one in the table, with the lease that has run out."""
        return self._is_current(record) and record.expires <= self.clock()

    def next_expiry(self) -> float | None:
        """When the first lease runs out, on the clock; None without records."""
        while self._heap and not self._is_current(self._heap[0][2]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
