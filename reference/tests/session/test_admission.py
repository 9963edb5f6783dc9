"""Places for connections, and those that are kept for somebody."""

from __future__ import annotations

import asyncio

import pytest

from gate_p2p.core import ResponseReceived
from gate_p2p.session import P2PSession
from gate_p2p.session.admission import RESERVED_FOR, Admission, Place, ReservingAdmission
from gate_p2p.transport import ALPN_INFERENCE

from .data_connections import data_connection
from .endpoints import MemoryConnection, MemoryEndpoint
from .memory import run
from .test_connections import shake_hands


def test_a_reserved_place_is_one_connection_and_lapses() -> None:
    async def main() -> None:
        admission = ReservingAdmission(4, 2)
        first = admission.enter(data_connection()[1])
        peer_id = data_connection()[1].remote_id
        assert first is not None
        assert admission.reserve(peer_id)
        assert not admission.reserve(peer_id)
        second = admission.enter(data_connection()[1])
        assert second is not None
        refused = data_connection()[1]
        assert admission.enter(refused) is None
        assert refused.closed == (True, 5)
        assert admission.reserve("somebody else")
        assert admission.reserve("a third")
        assert not admission.reserve("a fourth")
        await asyncio.sleep(RESERVED_FOR)
        assert admission.reserve("a third")
        with first:
            pass
        assert admission.reserve(peer_id)

    run(main())


@pytest.mark.parametrize("kind", [Admission, ReservingAdmission])
def test_room_is_made_for_a_peer_with_fewer_by_the_one_that_has_most(kind: type[Admission]) -> None:
    admission = kind(6, 4)
    places: dict[MemoryConnection, Place | None] = {}

    def enter(peer_id: str) -> bool:
        connection = MemoryConnection(peer_id)
        places[connection] = admission.enter(connection)
        return connection.theirs.closed is None

    def open_of(peer_id: str) -> int:
        return sum(one.remote_id == peer_id and one.theirs.closed is None for one in places)

    async def main() -> None:
        assert [enter("a") for _ in range(5)] == [True] * 4 + [False]
        assert [enter("b") for _ in range(2)] == [True] * 2
        assert enter("c")
        assert (open_of("a"), open_of("b"), open_of("c"), len(admission)) == (3, 2, 1, 6)
        # nobody gets as many as the other had
        assert not enter("b")
        assert not enter("a")
        assert [enter("d"), enter("e"), enter("f"), enter("g")] == [True, True, True, False]
        for place in places.values():
            if place is not None:
                with place:
                    pass
        assert len(admission) == 0
        assert not admission._open

    run(main())


def test_room_is_made_for_a_connection_and_not_for_who_only_asks_nor_by_a_place_that_is_kept() -> None:
    async def main() -> None:
        admission = ReservingAdmission(4, 3)
        greedy = [MemoryConnection("a") for _ in range(2)]
        for connection in greedy:
            assert admission.enter(connection) is not None
        assert admission.reserve("b")
        assert admission.reserve("b")
        assert not admission.reserve("c")  # asking alone takes no place from anybody
        newcomer, *kept = (MemoryConnection(peer_id) for peer_id in "cbb")
        assert admission.enter(newcomer) is not None
        assert [one.theirs.closed is None for one in greedy] == [True, False]
        assert None not in [admission.enter(connection) for connection in kept]
        assert admission.enter(MemoryConnection("c")) is None  # "c" would have as many as "b"
        assert [one.theirs.closed for one in (greedy[0], newcomer, *kept)] == [None] * 4
        assert len(admission) == 4

    run(main())


def test_places_are_reserved_for_one_peer_twice_and_for_all_together_by_half() -> None:
    async def main() -> None:
        admission = ReservingAdmission(8, 8)
        for peer_id in ("a", "b"):
            assert admission.reserve(peer_id)
            assert admission.reserve(peer_id)
            assert not admission.reserve(peer_id)
        assert not admission.reserve("c")
        for _ in range(4):
            assert admission.enter(data_connection()[1]) is not None
        assert admission.enter(data_connection()[1]) is None
        admission.release("a")  # its control connection is over
        admission.release("a")
        assert admission.enter(data_connection()[1]) is not None
        assert admission.reserve("c")
        assert not admission.reserve("c")  # 5 connections, 3 places

    run(main())


def test_a_place_lapses_with_the_last_control_connection_of_its_peer() -> None:
    async def main() -> None:
        endpoint = MemoryEndpoint()
        async with P2PSession(bind=endpoint.bind, inference=True) as session:
            places = session._services[ALPN_INFERENCE].admission
            assert isinstance(places, ReservingAdmission)
            first, second = await endpoint.arrive("ab" * 32), await endpoint.arrive("ab" * 32)
            peers = [await shake_hands(first), await shake_hands(second)]
            for _ in range(3):
                peers[0].core.request_inference_stream(0.0)
            await peers[0].flush()
            answers = [await peers[0].until(ResponseReceived) for _ in range(3)]
            granted = [answer.response.stream_accepted for answer in answers]  # type: ignore[attr-defined]
            assert sorted(granted) == [False, True, True]
            first.theirs.close(0)
            await asyncio.sleep(1)
            assert places._places_reserved() == 2
            second.theirs.close(0)
            await asyncio.sleep(1)
            assert places._places_reserved() == 0

    run(main())
