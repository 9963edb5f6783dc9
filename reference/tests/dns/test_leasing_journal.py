"""What a handler with a journal knows after the end of its process, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gate_p2p.dns import DnsChallengeError
from gate_p2p.dns.errors import DnsRefused, DnsUnavailable
from gate_p2p.dns.journal import Journal
from gate_p2p.dns.leasing import LeasingHandler

from .zone_in_memory import DOMAIN, ONE, TWO, A, B, Backend, C, scenario


async def create_all(backend: Backend, handler: LeasingHandler) -> None:
    for owner, value in ((ONE, A), (ONE, B), (TWO, A)):
        await handler.create(owner, DOMAIN, value)
    await handler.cleanup(ONE, DOMAIN, B)


def restarted(
    path: Path, play: Callable[[Backend, LeasingHandler], Awaitable[None]]
) -> tuple[Backend, tuple[tuple[str, ...], ...]]:
    """Play on a second handler, after one that was killed; also what the journal holds at the end."""
    killed = Journal(path)
    backend = scenario(create_all, journal=killed)
    killed.close()
    journal = Journal(path)
    scenario(play, journal=journal, backend=backend)
    journal.close()
    return backend, journal.entries


def test_after_a_kill_a_peer_removes_what_it_created_before(tmp_path: Path) -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        assert {(one.owner, one.value) for one in handler.records} == {(ONE, A), (TWO, A)}
        async with handler:
            await handler.cleanup(TWO, DOMAIN, None)
            assert backend.zone == {(DOMAIN, A)}  # the other peer has it as well
            await handler.cleanup(ONE, DOMAIN, A)
            assert backend.zone == set()

    assert restarted(tmp_path / "journal", play)[1] == ()


def test_after_a_kill_the_lease_removes_what_nobody_asks_for(tmp_path: Path) -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        async with handler:
            await asyncio.sleep(899)
            assert backend.zone == {(DOMAIN, A)}
            await asyncio.sleep(2)
            assert backend.zone == set()

    assert restarted(tmp_path / "journal", play)[1] == ()


def test_an_orderly_end_leaves_in_the_journal_what_it_could_not_remove(tmp_path: Path) -> None:
    async def play(backend: Backend, handler: LeasingHandler) -> None:
        backend.failing = [None, DnsUnavailable(), DnsUnavailable()]
        async with handler:
            await handler.create(ONE, DOMAIN, C)
        assert len(backend.zone) == 2

    backend, entries = restarted(tmp_path / "journal", play)
    assert len(entries) == 2
    assert {(entry[1], entry[3]) for entry in entries} == backend.zone


def test_a_value_is_in_the_journal_before_it_is_in_the_zone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")

    async def play(backend: Backend, handler: LeasingHandler) -> None:
        backend.failing = [DnsRefused()]
        backend.seconds = 1
        creating = asyncio.create_task(handler.create(ONE, DOMAIN, A))
        await asyncio.sleep(0.5)
        assert (backend.zone, journal.entries) == (set(), (("TXT", DOMAIN, ONE, A),))
        with pytest.raises(DnsRefused):
            await creating
        assert journal.entries == ()

    scenario(play, journal=journal)
    journal.close()


def test_without_room_for_the_journal_nothing_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path / "journal")

    async def play(backend: Backend, handler: LeasingHandler) -> None:
        await handler.create(ONE, DOMAIN, A)
        monkeypatch.setattr("os.write", lambda fd, data: 3)
        with pytest.raises(DnsChallengeError, match="cannot note") as caught:
            await handler.create(ONE, DOMAIN, B)
        assert str(tmp_path) not in str(caught.value)
        assert backend.zone == {(DOMAIN, A)}
        await handler.cleanup(ONE, DOMAIN, None)  # goes without
        assert backend.zone == set()
        assert handler.records == ()

    scenario(play, journal=journal)
    journal.close()
    assert caplog.text.count("No space left") == 2
