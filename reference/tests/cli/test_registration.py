"""When a daemon asks its relay for a domain, and when again; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from gate_p2p.cli.registration import LONGEST_RETRY, registering
from gate_p2p.session import PeerConnected, PeerLost, PeerNotConnected, RequestError
from gate_p2p.session.events import PeerCapabilities, SessionEvent

from ..session.memory import run

RELAY, OTHER = "1" * 64, "2" * 64


class Session:
    """`outcomes`: what the next requests come to; a domain at last."""

    def __init__(self, *outcomes: Exception) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[float] = []
        self.here = False
        self.subscribers: list[Callable[[SessionEvent], None]] = []

    def subscribe(self, callback: Callable[[SessionEvent], None]) -> Callable[[], None]:
        self.subscribers.append(callback)
        return lambda: self.subscribers.remove(callback)

    def list_peers(self) -> list[str]:
        return [RELAY] if self.here else []

    def tell(self, event: SessionEvent) -> None:
        self.here = not isinstance(event, PeerLost)
        for callback in self.subscribers:
            callback(event)

    def connect(self, peer_id: str = RELAY) -> None:
        self.tell(PeerConnected(peer_id, frozenset(), dialled=True))

    async def request_domain_registration(self, peer_id: str) -> str:
        assert peer_id == RELAY
        self.asked.append(asyncio.get_running_loop().time())
        if self.outcomes:
            raise self.outcomes.pop(0)
        return "own.example"


def scenario(session: Session, play: Callable[[], Any]) -> list[tuple[str, str]]:
    """What was registered."""
    registered: list[tuple[str, str]] = []

    async def main() -> None:
        async with registering(cast(Any, session), RELAY, lambda *what: registered.append(what)):
            await play()
        assert not session.subscribers

    run(main())
    return registered


def test_each_handshake_with_the_relay_is_followed_by_a_registration() -> None:
    session = Session()

    async def play() -> None:
        await asyncio.sleep(10)
        session.connect(OTHER)
        await asyncio.sleep(10)
        assert session.asked == []
        for _ in range(2):
            session.connect()
            await asyncio.sleep(10)
            session.tell(PeerLost(RELAY, None, "lost"))
            await asyncio.sleep(10)

    assert scenario(session, play) == [(RELAY, "own.example")] * 2
    assert session.asked == [20, 40]


def test_what_may_pass_is_asked_again_ever_more_slowly(caplog: pytest.LogCaptureFixture) -> None:
    session = Session(*(RequestError("later", code) for code in ("quota", "failed", "timed_out", "new") * 5))

    async def play() -> None:
        session.connect()
        await asyncio.sleep(20_000)

    assert scenario(session, play) == [(RELAY, "own.example")]
    pauses = [second - first for first, second in zip(session.asked, session.asked[1:], strict=False)]
    assert len(pauses) == 20
    assert 1 <= pauses[0] <= 2
    assert 2 <= pauses[1] <= 4
    assert LONGEST_RETRY / 2 <= max(pauses) <= LONGEST_RETRY
    assert "no domain yet: later (quota); asking again in" in caplog.text


@pytest.mark.parametrize("code", ["unsupported", "not_authorised", "malformed"])
def test_a_final_answer_holds_until_the_next_handshake(code: str, caplog: pytest.LogCaptureFixture) -> None:
    session = Session(RequestError("no", code), RequestError("no", code))

    async def play() -> None:
        session.connect()
        await asyncio.sleep(10_000)
        assert len(session.asked) == 1
        session.tell(PeerCapabilities(RELAY, frozenset()))  # it may have changed
        await asyncio.sleep(10)
        assert len(session.asked) == 2
        session.connect()
        await asyncio.sleep(10)

    assert scenario(session, play) == [(RELAY, "own.example")]
    assert caplog.text.count(f"gives this node no domain: no ({code})") == 2


def test_a_lost_connection_ends_the_attempts_and_the_next_begins_them_anew() -> None:
    session = Session(RequestError("the connection was lost"), PeerNotConnected("not there"))

    async def play() -> None:
        session.connect()
        session.here = False
        await asyncio.sleep(1000)
        assert len(session.asked) == 0  # gone before it was asked
        session.connect()
        await asyncio.sleep(0.1)
        assert len(session.asked) == 1
        session.tell(PeerLost(RELAY, None, "lost"))
        await asyncio.sleep(1000)
        session.connect()
        await asyncio.sleep(0.1)
        session.connect()  # one more connection, while a pause lasts: at once
        await asyncio.sleep(0.1)
        assert len(session.asked) == 3

    assert scenario(session, play) == [(RELAY, "own.example")]
