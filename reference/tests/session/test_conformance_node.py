"""The node in memory that the conformance suite judges (`py:gate_p2p.testing:conformance_node`)."""

from __future__ import annotations

import asyncio

import pytest

from gate_p2p.core import DnsChallengeResponse, Established, ResponseReceived
from gate_p2p.dns.memory import MemoryDnsHandler
from gate_p2p.session.single import run_stream
from gate_p2p.testing import conformance_node

from .memory import ACCEPTOR, DIALER, MemoryStream, Peer, run, stream_pair

VALUE = "v" * 43


async def answer(peer: Peer, domain: str) -> tuple[DnsChallengeResponse, float]:
    loop = asyncio.get_running_loop()
    asked = loop.time()
    peer.core.request_dns_challenge_create(domain, VALUE, asked)
    await peer.flush()
    event = await peer.until(ResponseReceived)
    assert isinstance(event, ResponseReceived)
    assert isinstance(event.response, DnsChallengeResponse)
    return event.response, loop.time() - asked


@pytest.mark.parametrize("role", ["acceptor", "dialer"])
def test_it_serves_two_names_one_of_them_slowly_and_refuses_the_rest(role: str) -> None:
    async def main() -> None:
        dialer, acceptor = stream_pair()
        ours, theirs = (acceptor, dialer) if role == "acceptor" else (dialer, acceptor)
        peer_id = DIALER if role == "acceptor" else ACCEPTOR
        running = asyncio.create_task(conformance_node(ours, role=role, peer_id=peer_id))
        peer = Peer(theirs, role="dialer" if role == "acceptor" else "acceptor")
        await peer.flush()
        await peer.until(Established)
        response, seconds = await answer(peer, "conformance.test")
        assert response.success
        assert seconds == 0
        response, seconds = await answer(peer, "slow.conformance.test")
        assert response.success
        assert seconds == 6.5
        response, _ = await answer(peer, "other.conformance.test")
        assert (response.success, response.code) == (False, "not_authorised")
        await theirs.finish()
        await running
        assert theirs.closed is not None
        assert theirs.closed[1] == 0

    run(main())


def test_a_stream_of_somebody_else_is_an_error() -> None:
    async def main() -> None:
        ours: MemoryStream = stream_pair()[0]
        with pytest.raises(ValueError, match="belongs to"):
            await conformance_node(ours, role="dialer", peer_id=DIALER)

    run(main())


def test_a_handler_without_a_policy_is_an_error() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="what peers may act for"):
            await run_stream(stream_pair()[0], role="dialer", node_id=DIALER, dns=MemoryDnsHandler())

    run(main())
