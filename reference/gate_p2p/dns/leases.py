"""Who owns which TXT value for how long: the table behind every handler, which asks no server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from gate_p2p.dns.errors import TooManyValues

MAX_VALUES: Final = 16
"""Values under one name: an order needs two (apex and wildcard); an answer with 16 fits in 1,232 bytes."""
LEASE: Final = 900.0
"""Seconds a record outlives its owner's last connection (DC-15): who vanished cleans nothing up."""
CONNECTED_LEASE: Final = 86_400.0
"""Seconds a record lives while its owner is connected: no order takes that long, so it was forgotten."""


@dataclass(frozen=True)
class TxtRecord:
    """One value of one owner under one name. `expires`: on the table's clock."""

    domain: str
    owner: str
    value: str
    expires: float


class Leases:
    """`clock`: monotonic seconds. Domains are in lower case here.

    An owner that nobody has told us of as connected is taken for one that has gone.
    """

    def __init__(
        self,
        *,
        max_values: int = MAX_VALUES,
        lease: float = LEASE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_values = max_values
        self.lease = lease
        self.clock = clock
        self._records: dict[str, list[TxtRecord]] = {}
        self._connected: set[str] = set()

    def __len__(self) -> int:
        return sum(map(len, self._records.values()))

    def __iter__(self) -> Iterator[TxtRecord]:
        for records in tuple(self._records.values()):
            yield from tuple(records)

    def values(self, domain: str) -> tuple[str, ...]:
        """Each value under the name once, oldest first."""
        return tuple(dict.fromkeys(record.value for record in self._records.get(domain, ())))

    def owned(self, owner: str, domain: str, value: str | None) -> tuple[str, ...]:
        """This value where `owner` has it under the name, or with None every value that it has there."""
        records = self._records.get(domain, ())
        return tuple(one.value for one in records if one.owner == owner and value in {None, one.value})

    def holders(self, domain: str, value: str) -> int:
        """How many owners have this value under the name."""
        return sum(record.value == value for record in self._records.get(domain, ()))

    def take(self, owner: str, domain: str, value: str) -> bool:
        """Note the value for a lease from now; False when the owner had it already. Raises TooManyValues."""
        records = self._records.get(domain, [])
        record = TxtRecord(domain, owner, value, self._expiry(owner))
        for index, old in enumerate(records):
            if old.owner == owner and old.value == value:
                records[index] = record
                return False
        if len(records) >= self.max_values:
            raise TooManyValues(len(records))
        self._records.setdefault(domain, records).append(record)
        return True

    def _expiry(self, owner: str) -> float:
        connected = owner in self._connected
        return self.clock() + (max(self.lease, CONNECTED_LEASE) if connected else self.lease)

    def set_connected(self, owner: str, *, connected: bool) -> None:
        """The owner's first connection has come, or its last has gone: its leases begin anew."""
        (self._connected.add if connected else self._connected.discard)(owner)
        expires = self._expiry(owner)
        for records in self._records.values():
            records[:] = [replace(one, expires=expires) if one.owner == owner else one for one in records]

    def release(self, owner: str, domain: str, value: str) -> None:
        """Forget the value of this owner; nothing there is no error."""
        records = self._records.get(domain, [])
        records[:] = [record for record in records if (record.owner, record.value) != (owner, value)]
        if not records:
            self._records.pop(domain, None)

    def expired(self) -> list[TxtRecord]:
        """The records whose lease has run out; they stay until they are released."""
        now = self.clock()
        return [record for record in self if record.expires <= now]

    def is_expired(self, record: TxtRecord) -> bool:
        """Whether this record is still the one in the table, with the lease that has run out."""
        return record in self._records.get(record.domain, ()) and record.expires <= self.clock()

    def next_expiry(self) -> float | None:
        """When the first lease runs out, on the clock; None without records."""
        return min((record.expires for record in self), default=None)
