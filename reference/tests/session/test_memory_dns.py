"""The handler that keeps TXT records in memory (DC-08 to DC-11)."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gate_p2p.dns import DnsChallengeError
from gate_p2p.dns.memory import MemoryDnsHandler
from gate_p2p.session import PeerConnected, PeerLost
from gate_p2p.session.handlers import Handlers

from .memory import run

ONE, TWO = "1" * 64, "2" * 64
A, B = "a" * 43, "b" * 43


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_two_values_stand_under_one_name_and_go_one_by_one() -> None:
    dns = MemoryDnsHandler()
    await dns.create(ONE, "x.example", A)
    await dns.create(ONE, "X.Example", B)
    assert dns.values("x.EXAMPLE") == (A, B)
    await dns.cleanup(ONE, "X.example", A)
    assert dns.values("x.example") == (B,)


async def test_create_again_makes_no_second_record() -> None:
    dns = MemoryDnsHandler(max_values=1)
    await dns.create(ONE, "x.example", A)
    await dns.create(ONE, "x.example", A)
    assert dns.values("x.example") == (A,)


async def test_cleanup_without_a_value_removes_all_of_this_peer_alone() -> None:
    dns = MemoryDnsHandler()
    await dns.create(ONE, "x.example", A)
    await dns.create(ONE, "x.example", B)
    await dns.create(TWO, "x.example", B)
    await dns.create(ONE, "y.example", A)
    await dns.cleanup(ONE, "x.example", None)
    assert dns.values("x.example") == (B,)
    assert dns.values("y.example") == (A,)


async def test_cleanup_of_a_strange_value_or_of_nothing_succeeds_and_removes_nothing() -> None:
    dns = MemoryDnsHandler()
    await dns.create(ONE, "x.example", A)
    await dns.cleanup(TWO, "x.example", A)
    await dns.cleanup(TWO, "x.example", None)
    await dns.cleanup(ONE, "x.example", B)
    await dns.cleanup(ONE, "nothing.example", None)
    assert dns.values("x.example") == (A,)


async def test_a_full_name_refuses_new_values_and_renews_old_ones() -> None:
    dns = MemoryDnsHandler(max_values=2)
    await dns.create(ONE, "x.example", A)
    await dns.create(TWO, "x.example", A)
    with pytest.raises(DnsChallengeError) as caught:
        await dns.create(ONE, "x.example", B)
    assert caught.value.code == "quota"
    await dns.create(ONE, "x.example", A)
    await dns.create(ONE, "y.example", B)
    assert dns.values("x.example") == (A,)


async def test_a_record_goes_when_its_lease_has_run_out_and_a_renewal_extends_it() -> None:
    clock = Clock()
    dns = MemoryDnsHandler(lease=900, clock=clock)
    await dns.create(ONE, "x.example", A)
    await dns.create(ONE, "x.example", B)
    clock.now = 899
    await dns.create(ONE, "x.example", B)
    assert dns.values("x.example") == (A, B)
    clock.now = 900
    assert dns.values("x.example") == (B,)
    clock.now = 1799
    await dns.cleanup(TWO, "other.example", None)
    assert dns.records == ()


async def test_each_change_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    dns = MemoryDnsHandler()
    with caplog.at_level(logging.INFO, "gate_p2p.dns"):
        await dns.create(ONE, "x.example", A)
        await dns.cleanup(ONE, "x.example", None)
    assert [("created" in text, "removed" in text, A in text) for text in caplog.messages] == [
        (True, False, True),
        (False, True, True),
    ]


def test_a_delayed_domain_takes_its_time_and_the_others_do_not() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        dns = MemoryDnsHandler(delays={"Slow.example": 6.5}, clock=loop.time)
        await dns.create(ONE, "fast.example", A)
        assert loop.time() == 0
        await dns.create(ONE, "slow.example", A)
        assert loop.time() == 6.5

    run(main())


async def test_the_records_of_a_peer_that_is_gone_outlive_it_by_the_lease() -> None:
    clock = Clock()
    dns = MemoryDnsHandler(lease=900, clock=clock)
    here = True
    (tell,) = Handlers(dns=dns).watchers(lambda _: here)
    tell(PeerConnected(ONE, frozenset(), dialled=False))
    await dns.create(ONE, "a.example", A)
    clock.now += 5000
    tell(PeerLost(ONE, 0, "one of two connections"))
    clock.now += 5000
    assert dns.values("a.example") == (A,)
    here = False
    tell(PeerLost(ONE, 0, "the other"))
    clock.now += 899
    assert dns.values("a.example") == (A,)
    clock.now += 2
    assert dns.values("a.example") == ()
