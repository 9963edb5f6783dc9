"""One bound over the unfinished frames of a session (LM-03)."""

from __future__ import annotations

import asyncio

from gate_p2p.core import CloseCode
from gate_p2p.session import P2PSession
from gate_p2p.session.budget import OVER_BUDGET, FrameBudget

from .endpoints import MemoryConnection, MemoryEndpoint
from .memory import Peer, run
from .test_connections import end, shake_hands


def test_the_fullest_connection_of_the_greediest_peer_is_cut_and_no_other() -> None:
    budget = FrameBudget(100)
    cut: list[str] = []
    alone = budget.share("a", lambda: cut.append("alone"))
    first = budget.share("b", lambda: cut.append("first"))
    second = budget.share("b", lambda: cut.append("second"))
    alone.hold(40)
    first.hold(25)
    second.hold(35)
    assert (budget.held, cut) == (100, [])
    alone.hold(41)  # one byte too many; `b` holds 60 over two connections
    assert (budget.held, cut) == (66, ["second"])
    second.hold(0)  # its connection ends
    first.hold(0)
    alone.hold(0)
    assert budget.held == 0


def test_one_frame_over_the_bound_cuts_itself() -> None:
    budget = FrameBudget(10)
    cut: list[str] = []
    budget.share("a", lambda: cut.append("a")).hold(11)
    assert (budget.held, cut) == (0, ["a"])


def test_a_session_closes_who_holds_most_with_code_5_and_serves_the_others() -> None:
    async def begin(peer: Peer, size: int) -> None:
        await peer.stream.write((600_000).to_bytes(4, "big") + b" " * size)
        await asyncio.sleep(0.01)

    async def main() -> None:
        endpoint = MemoryEndpoint()
        async with P2PSession(bind=endpoint.bind) as session:
            session._budget.total = 1_000_000
            connections: list[MemoryConnection] = []
            peers: list[Peer] = []
            for number in range(3):
                connections.append(await endpoint.arrive(f"{number:064x}"))
                peers.append(await shake_hands(connections[-1]))
            for peer, size in zip(peers, (300_000, 450_000, 200_000), strict=True):
                await begin(peer, size)
            assert session._budget.held == 950_012
            assert len(session.list_peers()) == 3
            await peers[2].stream.write(b" " * 100_000)
            await asyncio.sleep(2)
            assert [end(connection) for connection in connections] == [
                None,
                (CloseCode.NOT_AUTHORISED, OVER_BUDGET),
                None,
            ]
            assert session._budget.held == 600_008
            # a frame that gets complete counts no more
            await peers[2].stream.write(b" " * 300_000)
            await asyncio.sleep(2)
            assert session._budget.held == 300_004
            assert sorted(session.list_peers()) == [f"{0:064x}"]  # blanks are no JSON document (FR-06)
        assert session._budget.held == 0

    run(main())
