"""Places for connections, and those that are kept for somebody."""

from __future__ import annotations

import asyncio

from gate_p2p.session.admission import RESERVED_FOR, Admission

from .data_connections import data_connection
from .memory import run


def test_a_reserved_place_is_one_connection_and_lapses() -> None:
    async def main() -> None:
        admission = Admission(3, 2)
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
        assert not admission.reserve("a third")
        await asyncio.sleep(RESERVED_FOR)
        assert admission.reserve("a third")
        with first:
            pass
        assert admission.reserve(peer_id)

    run(main())
