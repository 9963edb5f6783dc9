"""Ownership, quotas and leases over a backend that can be slow or fail, in virtual time (DC-08 to DC-16)."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gate_p2p.dns import DnsChallengeError
from gate_p2p.dns.errors import DnsRefused, DnsUnavailable
from gate_p2p.dns.expiry import RETRY
from gate_p2p.dns.leasing import FAREWELL, LeasingHandler

from .zone_in_memory import DOMAIN, ONE, TWO, A, B, Backend, C, scenario


def test_a_lease_that_runs_out_removes_the_value_by_itself() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        await handler.create(ONE, DOMAIN, A)
        await asyncio.sleep(100)
        await handler.create(ONE, DOMAIN, B)
        await asyncio.sleep(799.9)
        assert backend.zone == {(DOMAIN, A), (DOMAIN, B)}
        await asyncio.sleep(0.2)
        assert backend.zone == {(DOMAIN, B)}
        await asyncio.sleep(100)
        assert backend.zone == set()
        assert handler.records == ()

    assert scenario(play).changes == ["+a", "+b", "-a", "-b"]


def test_a_renewed_lease_starts_anew() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        await handler.create(ONE, DOMAIN, A)
        await asyncio.sleep(800)
        await handler.create(ONE, DOMAIN, A)
        await asyncio.sleep(899)
        assert backend.zone == {(DOMAIN, A)}
        await asyncio.sleep(2)
        assert backend.zone == set()

    scenario(play)


def test_a_lease_runs_from_the_end_of_the_owners_last_connection() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        handler.peer_connected(ONE)
        await handler.create(ONE, DOMAIN, A)
        await asyncio.sleep(5000)
        assert backend.zone == {(DOMAIN, A)}
        handler.peer_gone(ONE)
        await asyncio.sleep(899)
        handler.peer_connected(ONE)  # it is back, so nothing expires
        await asyncio.sleep(5000)
        assert backend.zone == {(DOMAIN, A)}
        handler.peer_gone(ONE)
        await asyncio.sleep(901)
        assert backend.zone == set()

    scenario(play)


def test_what_a_connected_peer_forgot_goes_after_a_day() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        handler.peer_connected(ONE)
        await handler.create(ONE, DOMAIN, A)
        await asyncio.sleep(86_401)
        assert backend.zone == set()

    scenario(play)


def test_a_lease_that_is_renewed_while_its_removal_waits_is_kept() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        await handler.create(ONE, DOMAIN, A)
        await asyncio.sleep(899.5)
        backend.seconds = 1
        other = asyncio.create_task(handler.create(TWO, DOMAIN, A))  # busy with the value until 900.5 s
        await asyncio.sleep(0.2)
        renewal = asyncio.create_task(handler.create(ONE, DOMAIN, A))  # the removal at 900 s comes after it
        await asyncio.gather(other, renewal)
        await asyncio.sleep(5)
        assert {record.owner for record in handler.records} == {ONE, TWO}

    scenario(play)


def test_a_value_of_two_owners_stays_until_the_last_has_gone() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        await handler.create(ONE, DOMAIN, A)
        await asyncio.sleep(10)
        await handler.create(TWO, DOMAIN, A)
        await asyncio.sleep(891)  # the first lease has run out
        assert backend.zone == {(DOMAIN, A)}
        assert [record.owner for record in handler.records] == [TWO]
        await handler.cleanup(TWO, DOMAIN, A)
        assert backend.zone == set()

    scenario(play)


def test_a_removal_that_fails_is_tried_again_less_and_less_often() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        await handler.create(ONE, DOMAIN, A)
        down = DnsUnavailable()
        backend.failing = [down, down, None, down]  # the third change is the creation below
        await asyncio.sleep(900 + 3 * RETRY - 1)
        assert backend.changes.count("-a") == 2  # at 900 s and 60 s later; the next is 120 s after that
        await handler.create(ONE, "y.example", B)  # hurries nothing
        await asyncio.sleep(0)
        assert backend.changes.count("-a") == 2
        await asyncio.sleep(2)
        assert backend.changes.count("-a") == 3
        await asyncio.sleep(4 * RETRY)
        assert backend.zone == {("y.example", B)}

    scenario(play)


def test_a_cleanup_that_fails_says_so_and_can_be_repeated(caplog: pytest.LogCaptureFixture) -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        await handler.create(ONE, DOMAIN, A)
        await handler.create(ONE, DOMAIN, B)
        backend.failing = [DnsUnavailable()]
        with pytest.raises(DnsUnavailable):
            await handler.cleanup(ONE, DOMAIN, None)
        assert backend.zone == {(DOMAIN, A)}  # the other one went
        await handler.cleanup(ONE, DOMAIN, None)
        assert backend.zone == set()

    scenario(play)
    assert "was not removed" in caplog.text


@pytest.mark.parametrize(
    ("error", "kept"), [(DnsRefused(), False), (DnsUnavailable(), True)], ids=["refused", "not known"]
)
def test_what_a_failed_creation_leaves(error: DnsChallengeError, kept: bool) -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        backend.failing = [error]
        with pytest.raises(type(error)):
            await handler.create(ONE, DOMAIN, A)
        assert bool(handler.records) is kept
        await asyncio.sleep(901)

    changes = scenario(play).changes
    assert changes == (["+a", "-a"] if kept else ["+a"])


def test_a_renewal_that_is_refused_keeps_the_record() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        await handler.create(ONE, DOMAIN, A)
        backend.failing = [DnsRefused()]
        with pytest.raises(DnsRefused):
            await handler.create(ONE, DOMAIN, A)
        await handler.cleanup(ONE, DOMAIN, A)
        assert backend.zone == set()

    scenario(play)


def test_a_full_name_refuses_before_anything_is_sent() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        backend.seconds = 1
        outcomes = await asyncio.gather(
            *(handler.create(ONE, DOMAIN, value) for value in (A, B, C)), return_exceptions=True
        )
        assert [getattr(outcome, "code", outcome) for outcome in outcomes] == [None, None, "quota"]

    assert scenario(play, max_values=2).changes == ["+a", "+b"]


def test_an_add_and_a_delete_of_one_value_never_overlap() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        backend.seconds = 1
        await handler.create(ONE, DOMAIN, A)
        cleaning = asyncio.create_task(handler.cleanup(ONE, DOMAIN, A))
        await asyncio.sleep(0.5)
        await asyncio.gather(handler.create(TWO, DOMAIN, A), handler.create(ONE, DOMAIN, A), cleaning)
        assert backend.zone == {(DOMAIN, A)}
        assert {record.owner for record in handler.records} == {ONE, TWO}
        assert asyncio.get_running_loop().time() == 4  # one after the other

    assert scenario(play).changes == ["+a", "-a", "+a", "+a"]


def test_a_challenge_that_is_cleaned_up_while_it_spreads_fails_at_once() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        backend.visible_after = 60
        creating = [asyncio.create_task(handler.create(ONE, DOMAIN, A)) for _ in range(2)]
        other = asyncio.create_task(handler.create(TWO, DOMAIN, A))
        await asyncio.sleep(10)
        await handler.cleanup(ONE, DOMAIN, A)
        assert asyncio.get_running_loop().time() == 10  # does not wait for the creation
        for one in creating:
            with pytest.raises(DnsChallengeError, match="cleaned up"):
                await one
        assert asyncio.get_running_loop().time() == 10
        await other  # the record is still there for this one
        assert asyncio.get_running_loop().time() == 60
        assert not handler._spreading

    scenario(play)


def test_a_challenge_that_could_not_be_cleaned_up_goes_on_spreading() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        backend.visible_after = 60
        creating = asyncio.create_task(handler.create(ONE, DOMAIN, A))
        await asyncio.sleep(10)
        backend.failing = [DnsUnavailable()]
        with pytest.raises(DnsUnavailable):
            await handler.cleanup(ONE, DOMAIN, A)
        await creating

    scenario(play)


def test_a_wait_that_fails_by_itself_says_so() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        async def broken(domain: str, txt_value: str) -> None:
            raise TimeoutError("not ours")

        backend.wait = broken  # type: ignore[method-assign]
        with pytest.raises(TimeoutError, match="not ours"):
            await handler.create(ONE, DOMAIN, A)
        assert not handler._spreading

    scenario(play)


def test_two_values_of_a_name_spread_side_by_side() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        backend.visible_after = 60
        await asyncio.gather(handler.create(ONE, DOMAIN, A), handler.create(ONE, DOMAIN, B))
        assert asyncio.get_running_loop().time() == 60

    scenario(play)


def test_a_creation_that_is_cut_short_leaves_its_lease() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        backend.seconds = 5
        creating = asyncio.create_task(handler.create(ONE, DOMAIN, A))
        await asyncio.sleep(1)
        creating.cancel()
        await asyncio.wait([creating])
        await asyncio.sleep(910)

    assert scenario(play).changes == ["+a", "-a"]


def test_a_cleanup_that_is_cut_short_goes_on() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        await handler.create(ONE, DOMAIN, A)
        backend.seconds = 5
        cleaning = asyncio.create_task(handler.cleanup(ONE, DOMAIN, A))
        await asyncio.sleep(1)
        cleaning.cancel()
        await asyncio.wait([cleaning])
        await asyncio.sleep(5)
        assert backend.zone == set()

    scenario(play)


def test_closing_removes_what_is_left_and_tells_of_what_it_could_not_remove(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        await handler.create(ONE, DOMAIN, A)
        await handler.create(TWO, DOMAIN, A)
        await handler.create(ONE, DOMAIN, B)
        backend.failing = [None, DnsUnavailable()]
        await handler.aclose()
        assert backend.closed
        assert len(backend.zone) == 1

    with caplog.at_level(logging.WARNING):
        scenario(play)
    assert sum("left behind" in text for text in caplog.messages) == 1


def test_closing_takes_ten_seconds_at_most() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        await handler.create(ONE, DOMAIN, A)
        backend.seconds = 3600
        await handler.aclose()
        assert asyncio.get_running_loop().time() == FAREWELL
        assert backend.closed

    scenario(play)


def test_no_lock_is_kept_for_a_value_that_is_gone() -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        await handler.create(ONE, DOMAIN, A)
        await handler.cleanup(ONE, DOMAIN, A)
        assert len(handler._locks) == 0

    scenario(play)
