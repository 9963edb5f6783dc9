"""Dialling again: the pauses, and what ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gate_p2p.iroh import DialError, NodeAddress, TransportError
from gate_p2p.session import P2PSession
from gate_p2p.session.backoff import Backoff
from gate_p2p.session.peer import Peer

from .memory import run

ADDRESS = NodeAddress("ab" * 32, ("127.0.0.1:1",))
MOVED = NodeAddress("ab" * 32, ("127.0.0.1:2",))


def longest(low: float, high: float) -> float:
    return high


def test_pauses_double_up_to_the_longest_and_begin_again_after_a_reset() -> None:
    backoff = Backoff(1.0, 5.0, longest)
    assert [backoff.next_delay() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.reset()
    assert backoff.next_delay() == 1


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_longest_pause_that_is_no_positive_number_of_seconds_is_a_wrong_value(seconds: float) -> None:
    with pytest.raises(ValueError, match="longest pause"):
        Backoff(longest=seconds)
    with pytest.raises(ValueError, match="longest pause"):
        P2PSession(longest_pause=seconds)


def test_jitter_stays_between_half_and_all_of_the_span() -> None:
    spans: list[tuple[float, float]] = []

    def note(low: float, high: float) -> float:
        spans.append((low, high))
        return low

    backoff = Backoff(1.0, 60.0, note)
    backoff.next_delay()
    backoff.next_delay()
    assert spans == [(0.5, 1.0), (1.0, 2.0)]
    assert 0.25 <= Backoff(0.5, 60.0).next_delay() <= 0.5


def test_a_peer_is_dialled_with_growing_pauses_that_an_established_connection_resets() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        dials: list[float] = []
        failures: list[tuple[str, float]] = []

        async def connect(address: NodeAddress, connected: Callable[[bool], None]) -> str:
            dials.append(loop.time())
            if len(dials) == 3:
                connected(True)
                await asyncio.sleep(100)
                return "restarted"
            raise DialError("nobody there", "no_answer")

        peer = Peer(
            ADDRESS,
            connect,
            lambda reason, delay: failures.append((reason, delay)),
            Backoff(1.0, 60.0, longest),
        )
        with pytest.raises(DialError):
            await peer.first_attempt()
        await peer.wait_connected()
        assert loop.time() == 3
        await asyncio.sleep(102)
        assert not peer.connected
        await peer.aclose()
        assert dials == [0, 1, 3, 104]
        assert failures == [("nobody there", 1), ("nobody there", 2), ("restarted", 1), ("nobody there", 2)]

    run(main())


def test_a_handshake_that_fails_counts_as_a_failed_first_attempt() -> None:
    async def main() -> None:
        async def connect(address: NodeAddress, connected: Callable[[bool], None]) -> str:
            return "the peer refused the handshake"

        peer = Peer(ADDRESS, connect, lambda reason, delay: None)
        with pytest.raises(TransportError, match="refused the handshake"):
            await peer.first_attempt()
        await peer.aclose()

    run(main())


def test_without_keep_trying_a_first_dial_that_fails_is_the_last() -> None:
    async def main() -> None:
        dials: list[float] = []

        async def connect(address: NodeAddress, connected: Callable[[bool], None]) -> str:
            dials.append(asyncio.get_running_loop().time())
            if len(dials) in {2, 5}:
                connected(True)
            return "ended"

        def never(reason: str, delay: float) -> None:
            raise AssertionError("no next dial is announced")

        peer = Peer(ADDRESS, connect, never, keep_trying=False)
        with pytest.raises(TransportError, match="ended"):
            await peer.first_attempt()
        await asyncio.sleep(1000)
        assert len(dials) == 1
        # once connected, it is dialled again whatever happens
        peer = Peer(ADDRESS, connect, lambda reason, delay: None, Backoff(1.0, 1.0), keep_trying=False)
        await peer.first_attempt()
        await asyncio.sleep(10)
        assert len(dials) > 5
        await peer.aclose()

    run(main())


def test_a_successful_first_attempt_raises_nothing() -> None:
    async def main() -> None:
        async def connect(address: NodeAddress, connected: Callable[[bool], None]) -> str:
            connected(True)
            await asyncio.sleep(1e9)
            return ""

        peer = Peer(ADDRESS, connect, lambda reason, delay: None)
        await peer.first_attempt()
        assert peer.connected
        await peer.aclose()

    run(main())


def test_a_bug_in_dialling_hangs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def connect(address: NodeAddress, connected: Callable[[bool], None]) -> str:
            raise ZeroDivisionError("a bug")

        peer = Peer(ADDRESS, connect, lambda reason, delay: None)
        with pytest.raises(TransportError, match="not dialled any more"):
            await peer.wait_connected()
        await peer.aclose()

    run(main())
    assert "a bug" in caplog.text


def test_a_connection_that_is_gone_at_once_does_not_reset_the_pauses() -> None:
    async def main() -> None:
        delays: list[float] = []

        async def connect(address: NodeAddress, connected: Callable[[bool], None]) -> str:
            connected(True)
            await asyncio.sleep(1)
            return "ended"

        peer = Peer(ADDRESS, connect, lambda reason, delay: delays.append(delay), Backoff(1, 60, longest))
        await asyncio.sleep(20)
        await peer.aclose()
        assert delays == [1, 2, 4, 8]

    run(main())


def test_another_address_ends_the_pause_and_begins_with_the_shortest_one() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        dials: list[tuple[float, NodeAddress]] = []
        delays: list[float] = []

        async def connect(address: NodeAddress, connected: Callable[[bool], None]) -> str:
            dials.append((loop.time(), address))
            await asyncio.sleep(1)
            raise DialError("nobody there", "no_answer")

        peer = Peer(ADDRESS, connect, lambda reason, delay: delays.append(delay), Backoff(4, 60, longest))
        await asyncio.sleep(2)
        peer.address = ADDRESS  # is not another one
        await asyncio.sleep(1)
        peer.address = MOVED
        await asyncio.sleep(0.5)
        peer.address = ADDRESS  # in the middle of a dial: that one fails, and the next follows at once
        await asyncio.sleep(5)
        await peer.aclose()
        assert dials == [(0, ADDRESS), (3, MOVED), (4, ADDRESS)]
        assert delays == [4, 0, 4]

    run(main())


def test_keep_trying_may_be_asked_for_later() -> None:
    async def main() -> None:
        dials: list[NodeAddress] = []

        async def connect(address: NodeAddress, connected: Callable[[bool], None]) -> str:
            dials.append(address)
            await asyncio.sleep(1)
            raise DialError("nobody there", "no_answer")

        peers = [
            Peer(ADDRESS, connect, lambda reason, delay: None, Backoff(1, 1, longest), keep_trying=False)
            for _ in range(3)
        ]
        await asyncio.sleep(0)
        peers[0].keep_trying()
        peers[1].address = MOVED  # has to be dialled at least once
        await asyncio.sleep(10)
        assert [peer.given_up for peer in peers] == [False, True, True]
        assert dials.count(MOVED) == 1
        await peers[0].aclose()

    run(main())
