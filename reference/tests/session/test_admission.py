"""Places for connections, and those that are kept for somebody."""

from __future__ import annotations

import asyncio

from gate_p2p.core import ResponseReceived
from gate_p2p.session import P2PSession
from gate_p2p.session.admission import RESERVED_FOR, Admission
from gate_p2p.transport import ALPN_INFERENCE

from .data_connections import data_connection
from .endpoints import MemoryEndpoint
from .memory import run
from .test_connections import shake_hands


def test_a_reserved_place_is_one_connection_and_lapses() -> None:
    async def main() -> None:
        admission = Admission(4, 2)
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


def test_places_are_reserved_for_one_peer_twice_and_for_all_together_by_half() -> None:
    async def main() -> None:
        admission = Admission(8, 8)
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
