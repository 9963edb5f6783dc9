"""The reference node in memory: `py:gate_p2p.testing:conformance_node` for the conformance suite."""

from __future__ import annotations

import asyncio

from gate_p2p.dns.memory import MemoryDnsHandler
from gate_p2p.session.policy import ANY_PEER, NamePolicy
from gate_p2p.session.single import run_stream
from gate_p2p.transport import ControlTransport

NODE_ID = "7e57" * 16
ALLOWED_DOMAIN = "conformance.test"
SLOW_DOMAIN = "slow.conformance.test"
SLOW_SECONDS = 6.5  # the suite asks for at least 6


async def conformance_node(stream: ControlTransport, *, role: str, peer_id: str) -> None:
    """Run the reference node on one control stream until it is over.

    Any peer may act for `conformance.test` and `slow.conformance.test`, whose handler takes 6.5 s, and for no
    other name. `peer_id` is the suite's id, as the stream says too; else ValueError.
    """
    if stream.remote_id != peer_id:
        raise ValueError(f"the stream belongs to {stream.remote_id}, not to {peer_id}")
    loop = asyncio.get_running_loop()
    await run_stream(
        stream,
        role=role,
        node_id=NODE_ID,
        dns=MemoryDnsHandler(delays={SLOW_DOMAIN: SLOW_SECONDS}, clock=loop.time),
        names=NamePolicy("private.example", {ANY_PEER: (ALLOWED_DOMAIN, SLOW_DOMAIN)}),
    )
