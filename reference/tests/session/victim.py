"""A node that a test kills: `python victim.py KEY LISTEN [SURVIVOR]` prints its address, then never rests.

It serves everything, answers no request for the name STUCK, and asks each of its peers for everything, again
and again. With SURVIVOR, an address, it dials that.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from gate_p2p.core import GateError, Limits
from gate_p2p.dns.memory import MemoryDnsHandler
from gate_p2p.session import InferenceRequest, P2PSession, SniStream

STUCK = "stuck.kill.test"
QUICK = "quick.kill.test"
VALUE = "v" * 43
LIMITS = Limits(keepalive_interval=0.7, dead_after=2.5)


class StuckHandler(MemoryDnsHandler):
    """Never answers for one name."""

    async def create(self, peer_id: str, domain: str, txt_value: str) -> None:
        await super().create(peer_id, domain, txt_value)
        if domain == STUCK:
            await asyncio.Event().wait()

    async def cleanup(self, peer_id: str, domain: str, txt_value: str | None) -> None:
        await super().cleanup(peer_id, domain, txt_value)
        if domain == STUCK:
            await asyncio.Event().wait()


class StuckRegistrar:
    """Gives nobody a name."""

    async def register(self, peer_id: str, addresses: Sequence[str]) -> str:
        await asyncio.Event().wait()
        raise AssertionError


async def drip(request: InferenceRequest) -> None:
    """Answer with a stream that goes on and on."""
    async with request.stream() as send:
        while True:
            await send({"token": "again"})
            await asyncio.sleep(0.02)


async def hold(stream: SniStream) -> None:
    """The TCP connection behind a stream: it echoes."""
    while data := await stream.read():
        await stream.write(data)
    await stream.finish()


async def flows(session: P2PSession, peer_id: str) -> None:
    """Every flow at this peer once, side by side; they fail when they have to."""

    async def infer() -> None:
        async with session.infer(peer_id, {"model": "any", "stream": True}) as frames:
            async for _ in frames:
                pass

    await asyncio.gather(
        session.request_dns_challenge_create(peer_id, STUCK, VALUE, 5),
        session.request_dns_challenge_cleanup(peer_id, STUCK, VALUE, 5),
        session.request_dns_challenge_create(peer_id, QUICK, VALUE, 20),
        session.request_dns_challenge_cleanup(peer_id, QUICK, VALUE, 20),
        session.request_domain_registration(peer_id, 5),
        session.request_sni_stream(peer_id, QUICK, 20),
        session.request_inference_stream(peer_id, 20),
        infer(),
        return_exceptions=True,
    )


async def main(key: str, listen: str, survivor: str | None) -> None:
    """Run until killed."""
    async with P2PSession(
        listen=listen,
        secret_key=bytes.fromhex(key),
        inference=True,
        sni_proxy=True,
        dns_challenge_handler=StuckHandler(),
        registrar=StuckRegistrar(),
        allowed={"*": [STUCK, QUICK]},
        limits=LIMITS,  # one that was frozen finds out by itself what it missed
    ) as session:
        inference = session.take_inference_handle()
        assert inference is not None
        serving = asyncio.create_task(inference.serve(drip))
        print(session.node_addr(), flush=True)
        if survivor is not None:
            peer = await session.add_peer(survivor)
            session.supply_sni_streams(peer.node_id, hold, idle=2)
        asking: dict[str, asyncio.Task[None]] = {}
        while not serving.done():
            for peer_id in session.list_peers():
                if peer_id not in asking or asking[peer_id].done():
                    asking[peer_id] = asyncio.create_task(flows(session, peer_id))
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
    except GateError as error:
        sys.exit(str(error))
