"""Names that peers register: bounded, and withdrawn when their peer has been away, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gate_p2p.dns import DnsChallengeError, PublishingRegistrar
from gate_p2p.dns.errors import DnsRefused, DnsUnavailable
from gate_p2p.dns.expiry import RETRY
from gate_p2p.dns.journal import Journal
from gate_p2p.node_names import node_labels

from ..session.memory import run

ONE, TWO, THREE, FOUR = "1" * 64, "2" * 64, "3" * 64, "4" * 64
ADDRESSES = ("192.0.2.9",)


def name(peer_id: str) -> str:
    return f"{node_labels(peer_id).z_base_32}.nodes.example"


class Publisher:
    """`failing`: what the next changes raise; `seconds`: what each takes."""

    def __init__(self) -> None:
        self.zone: dict[str, tuple[str, ...]] = {}
        self.failing: list[DnsChallengeError | None] = []
        self.seconds = 0.0

    async def _change(self) -> None:
        await asyncio.sleep(self.seconds)
        if self.failing and (error := self.failing.pop(0)) is not None:
            raise error

    async def publish_addresses(self, domain: str, addresses: Sequence[str]) -> None:
        await self._change()
        self.zone[domain] = tuple(addresses)

    async def withdraw_addresses(self, domain: str) -> None:
        await self._change()
        del self.zone[domain]

    def names(self, *peers: str) -> bool:
        """Whether these peers and no others have their names."""
        return self.zone == {name(peer): ADDRESSES for peer in peers}


def scenario(
    play: Callable[[Publisher, PublishingRegistrar], Awaitable[None]],
    *,
    publisher: Publisher | None = None,
    **more: Any,
) -> Publisher:
    """Play on a new registrar, with a lease of 1,000 s on the loop's virtual clock."""
    publisher = publisher or Publisher()

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        options = {"lease": 1000.0, "clock": clock, **more}
        async with PublishingRegistrar(publisher, "Nodes.example", ADDRESSES, **options) as registrar:
            await play(publisher, registrar)

    run(main())
    return publisher


def test_a_name_is_withdrawn_when_its_peer_has_been_away_for_the_lease() -> None:
    async def play(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        registrar.peer_connected(ONE)
        assert await registrar.register(ONE, ()) == name(ONE)
        await asyncio.sleep(5000)
        assert publisher.names(ONE)
        registrar.peer_gone(ONE)
        await asyncio.sleep(999)
        registrar.peer_connected(ONE)  # back again: the name stays, unasked
        await asyncio.sleep(5000)
        registrar.peer_gone(ONE)
        await asyncio.sleep(999)
        assert publisher.names(ONE)
        await asyncio.sleep(2)
        assert publisher.names()
        assert registrar.names == frozenset()
        assert await registrar.register(ONE, ()) == name(ONE)  # as if it were the first time
        assert publisher.names(ONE)

    scenario(play)


def test_strangers_that_register_and_go_leave_nothing_behind() -> None:
    async def play(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        strangers = [f"{number:064x}" for number in range(30)]
        for stranger in strangers:
            registrar.peer_connected(stranger)
            await registrar.register(stranger, ())
            registrar.peer_gone(stranger)
            await asyncio.sleep(10)
        assert publisher.names(*strangers)
        await asyncio.sleep(805)
        assert publisher.names(*strangers[11:])
        await asyncio.sleep(200)
        assert publisher.names()

    scenario(play)


def test_names_are_bounded_and_those_that_are_there_are_given_again() -> None:
    async def play(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        publisher.seconds = 1
        for peer in (ONE, TWO, THREE):
            registrar.peer_connected(peer)
        outcomes = await asyncio.gather(
            *(registrar.register(peer, ()) for peer in (ONE, TWO, THREE)), return_exceptions=True
        )
        assert [getattr(outcome, "code", outcome) for outcome in outcomes] == [name(ONE), name(TWO), "quota"]
        assert await registrar.register(ONE, ()) == name(ONE)
        assert publisher.names(ONE, TWO)
        registrar.peer_gone(ONE)
        registrar.peer_gone(TWO)
        await asyncio.sleep(1002)
        await registrar.register(THREE, ())
        assert publisher.names(THREE)

    scenario(play, max_names=2)


def test_who_has_been_away_longest_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    async def play(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        strangers = [f"{number:064x}" for number in range(4)]
        for stranger in strangers:
            registrar.peer_connected(stranger)
            await registrar.register(stranger, ())
            registrar.peer_gone(stranger)
            await asyncio.sleep(1)
        registrar.peer_connected(strangers[0])  # is back, so it stays
        publisher.seconds = 1
        await asyncio.gather(*(registrar.register(peer, ()) for peer in (ONE, TWO)))
        assert publisher.names(strangers[0], strangers[3], ONE, TWO)
        assert asyncio.get_running_loop().time() == 4 + 2  # both at a time: a withdrawal, then what is new

    with caplog.at_level("INFO", "gate_p2p.dns"):
        scenario(play, max_names=4)
    assert caplog.text.count("is withdrawn: another peer needs the room") == 2


def test_a_name_whose_peer_comes_back_first_makes_no_room() -> None:
    async def play(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        for peer in (ONE, TWO):
            await registrar.register(peer, ())
        publisher.seconds = 1
        renewing = asyncio.create_task(registrar.register(ONE, ()))
        await asyncio.sleep(0.5)
        registrar.peer_connected(THREE)
        others = [asyncio.create_task(registrar.register(peer, ())) for peer in (THREE, FOUR)]
        await asyncio.sleep(0.1)  # both names are chosen, and that of ONE is still being published
        registrar.peer_connected(ONE)
        await renewing
        outcomes = await asyncio.gather(*others, return_exceptions=True)
        assert [getattr(outcome, "code", outcome) for outcome in outcomes] == [name(THREE), "quota"]
        assert publisher.names(ONE, THREE)

    scenario(play, max_names=2)


def test_without_a_withdrawal_there_is_no_room(caplog: pytest.LogCaptureFixture) -> None:
    async def play(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        await registrar.register(ONE, ())
        publisher.failing = [DnsUnavailable(), DnsUnavailable()]
        with pytest.raises(DnsChallengeError) as caught:
            await registrar.register(TWO, ())
        assert caught.value.code == "quota"
        assert publisher.names(ONE)
        await asyncio.sleep(RETRY + 1)  # at once, which fails too, and once more
        assert publisher.names()
        publisher.seconds = 5
        await registrar.register(TWO, ())
        registering = asyncio.create_task(registrar.register(THREE, ()))
        await asyncio.sleep(1)
        registering.cancel()  # it is gone while TWO is withdrawn for it
        await asyncio.sleep(10)
        assert publisher.names()

    scenario(play, max_names=1)
    assert caplog.text.count("were not withdrawn") == 2


@pytest.mark.parametrize(
    ("error", "kept"), [(DnsRefused(), False), (DnsUnavailable(), True)], ids=["refused", "not known"]
)
def test_what_a_registration_that_failed_leaves(error: DnsChallengeError, kept: bool) -> None:
    async def play(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        publisher.failing = [error]
        with pytest.raises(type(error)):
            await registrar.register(ONE, ())
        assert bool(registrar.names) is kept
        await registrar.register(ONE, ())
        publisher.failing = [DnsRefused()]
        with pytest.raises(DnsRefused):
            await registrar.register(ONE, ())
        assert registrar.names == {name(ONE)}  # it stands from before

    scenario(play)


def test_a_registration_that_was_cut_short_is_covered_by_the_lease() -> None:
    async def play(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        publisher.zone[name(ONE)] = ADDRESSES  # the update went through, its answer did not
        publisher.seconds = 5
        registering = asyncio.create_task(registrar.register(ONE, ()))
        await asyncio.sleep(1)
        registering.cancel()
        await asyncio.wait({registering})
        await asyncio.sleep(1010)
        assert publisher.names()

    scenario(play)


def test_a_withdrawal_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def play(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        await registrar.register(ONE, ())
        publisher.failing = [DnsUnavailable(), DnsUnavailable()]
        await asyncio.sleep(1000 + 3 * RETRY - 1)
        assert publisher.names(ONE)
        await asyncio.sleep(2)
        assert publisher.names()

    scenario(play)
    assert caplog.text.count("were not withdrawn") == 2


def test_a_peer_that_comes_back_while_its_name_is_withdrawn_gets_it_again() -> None:
    async def play(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        await registrar.register(ONE, ())
        publisher.seconds = 10
        await asyncio.sleep(1001)
        registrar.peer_connected(ONE)
        await registrar.register(ONE, ())
        assert asyncio.get_running_loop().time() == 1020  # after the withdrawal, not beside it
        assert publisher.names(ONE)
        await asyncio.sleep(5000)
        assert publisher.names(ONE)

    scenario(play)


def test_an_end_withdraws_nothing_and_the_journal_says_what_stands(tmp_path: Path) -> None:
    async def play(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        for peer in (ONE, TWO):
            await registrar.register(peer, ())

    async def play_on(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        assert publisher.names(ONE, TWO)
        await asyncio.sleep(999)
        registrar.peer_connected(ONE)
        await registrar.register(ONE, ())
        await asyncio.sleep(2)
        assert publisher.names(ONE)

    journal = Journal(tmp_path / "journal")
    publisher = scenario(play, journal=journal)
    assert publisher.names(ONE, TWO)
    journal.close()
    journal = Journal(tmp_path / "journal")
    scenario(play_on, publisher=publisher, journal=journal)
    assert journal.entries == (("ADDRESSES", name(ONE)),)
    journal.close()


def test_without_room_for_the_journal_nothing_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal")

    async def play(publisher: Publisher, registrar: PublishingRegistrar) -> None:
        monkeypatch.setattr("os.write", lambda fd, data: 3)
        with pytest.raises(DnsChallengeError, match="cannot note"):
            await registrar.register(ONE, ())
        assert publisher.names()

    scenario(play, journal=journal)
    monkeypatch.undo()
    journal.close()
