"""A relay: sets DNS challenges for its daemons, and has streams to each of them. Runs until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib

from gate_p2p.dns.memory import MemoryDnsHandler
from gate_p2p.session import P2PSession


async def main() -> None:
    dns_handler = MemoryDnsHandler()  # or a LeasingHandler over Rfc2136Backend or CloudflareBackend

    # Create relay session with DNS handler
    builder = (
        P2PSession.builder().with_sni_proxy().with_dns_challenge().with_dns_challenge_handler(dns_handler)
    )
    async with await builder.build() as session:
        print(session.node_addr(), flush=True)
        session.subscribe(lambda event: print(event, flush=True))

        # Handle SNI proxy streams: sni_handle.open(peer_id, domain) is one TCP connection's way to a daemon
        sni_handle = session.take_sni_proxy_handle()
        assert sni_handle is not None
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
