"""The table of records: its bounds, and what it costs to find what has expired."""

from __future__ import annotations

import contextlib
import random

import pytest

from gate_p2p.dns.errors import TooManyRecords, TooManyValues
from gate_p2p.dns.leases import CONNECTED_LEASE, LEASE, MAX_RECORDS, Leases, TxtRecord

ONE, TWO = "1" * 64, "2" * 64


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_all_names_together_are_bounded_and_what_is_there_can_be_renewed() -> None:
    leases = Leases(max_records=3)
    for number in range(3):
        assert leases.take(f"{number}" * 64, f"n{number}.example", "v")
    with pytest.raises(TooManyRecords) as caught:
        leases.take(ONE, "n9.example", "v")
    assert caught.value.code == "quota"
    assert not leases.take(ONE, "n1.example", "v")
    leases.release(ONE, "n1.example", "v")
    assert leases.take(TWO, "n9.example", "v")
    assert len(leases) == 3


def test_a_table_that_is_half_full_has_two_values_for_each_owner_under_each_name() -> None:
    leases = Leases(max_records=13)
    for number in range(6):
        assert leases.take(ONE, "one.example", str(number))
    with pytest.raises(TooManyValues, match="6 values under this name already: clean up first") as caught:
        leases.take(ONE, "one.example", "6")
    assert caught.value.code == "quota"
    assert not leases.take(ONE, "one.example", "0")
    for owner, domain in ((ONE, "more.example"), (TWO, "two.example"), (TWO, "one.example")):
        for value in ("a", "b"):
            assert leases.take(owner, domain, value)
        with pytest.raises(TooManyValues):
            leases.take(owner, domain, "c")
    leases.release(TWO, "two.example", "a")
    assert leases.take(TWO, "two.example", "c")


def test_it_takes_many_strangers_to_fill_a_table() -> None:
    leases = Leases()
    strangers = 0
    while len(leases) < MAX_RECORDS:
        for label in ("short", "long"):
            for value in range(16):
                with contextlib.suppress(TooManyValues, TooManyRecords):
                    leases.take(str(strangers), f"{label}.{strangers}.example", str(value))
        strangers += 1
    assert strangers == 576


def test_what_is_restored_counts_and_is_never_refused() -> None:
    leases = Leases(max_records=1, max_values=1)
    for value in ("a", "b", "b"):
        leases.restore(ONE, "x.example", value)
    assert (len(leases), leases.values("x.example")) == (2, ("a", "b"))
    with pytest.raises(TooManyRecords):
        leases.take(ONE, "y.example", "v")


def test_a_table_agrees_with_one_that_looks_at_every_record() -> None:
    chance = random.Random(4)
    clock = Clock()
    leases = Leases(clock=clock, max_values=1000)
    plain: dict[tuple[str, str, str], float] = {}
    connected: set[str] = set()
    for _ in range(4000):
        clock.now += chance.uniform(0, 60)
        owner = str(chance.randrange(4))
        key = (owner, f"n{chance.randrange(3)}.example", str(chance.randrange(5)))
        expiry = clock.now + (CONNECTED_LEASE if owner in connected else LEASE)
        match chance.randrange(8):
            case 0:
                (connected.discard if owner in connected else connected.add)(owner)
                leases.set_connected(owner, connected=owner in connected)
                expiry = clock.now + (CONNECTED_LEASE if owner in connected else LEASE)
                plain.update({one: expiry for one in plain if one[0] == owner})
            case 1:
                leases.release(*key)
                plain.pop(key, None)
            case 2:
                for record in leases.expired():
                    leases.release(record.owner, record.domain, record.value)
                    assert plain.pop((record.owner, record.domain, record.value)) <= clock.now
            case _:
                assert leases.take(*key) is (key not in plain)
                plain[key] = expiry
        assert len(leases) == len(plain)
        assert leases.next_expiry() == min(plain.values(), default=None)
        assert {(one.owner, one.domain, one.value, one.expires) for one in leases.expired()} == {
            (*one, expires) for one, expires in plain.items() if expires <= clock.now
        }


def test_renewals_leave_nothing_behind() -> None:
    leases = Leases()
    leases.take(ONE, "x.example", "v")
    for number in range(10_000):
        leases.set_connected(ONE, connected=bool(number % 2))
    assert len(leases._heap) < 100
    leases.release(ONE, "x.example", "v")
    assert leases.next_expiry() is None
    assert not leases._owners
    assert not leases._names


def test_a_further_connection_of_an_owner_renews_nothing() -> None:
    clock = Clock()
    leases = Leases(clock=clock)
    leases.set_connected(ONE, connected=True)
    leases.take(ONE, "x.example", "v")
    for clock.now in (10.0, 80_000.0):
        leases.set_connected(ONE, connected=True)
        assert leases.next_expiry() == CONNECTED_LEASE
    leases.set_connected(ONE, connected=False)
    assert leases.next_expiry() == 80_000 + LEASE
    clock.now += 100
    leases.set_connected(ONE, connected=False)
    assert leases.next_expiry() == 80_000 + LEASE
    leases.set_connected(ONE, connected=True)  # it is back
    assert leases.next_expiry() == clock.now + CONNECTED_LEASE


def test_an_old_record_is_not_the_one_in_the_table() -> None:
    clock = Clock()
    leases = Leases(clock=clock)
    leases.take(ONE, "x.example", "v")
    (old,) = leases
    clock.now = LEASE
    assert leases.is_expired(old)
    leases.take(ONE, "x.example", "v")
    assert not leases.is_expired(old)
    assert not leases.is_expired(TxtRecord("y.example", ONE, "v", 0.0))
