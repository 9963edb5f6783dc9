"""A daemon: serves inference, and sets a DNS challenge at the relay whose address is its argument."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys

from gate_p2p.node_names import node_labels
from gate_p2p.session import InferenceRequest, P2PSession


async def answer(request: InferenceRequest) -> None:
    if request.lists_models:
        await request.respond({"models": ["echo"]})
    else:
        await request.respond({"model": "echo", "choices": [{"message": request.body["messages"][-1]}]})


async def main(relay_addr: str) -> None:
    daemon_key = secrets.token_bytes(32)  # keep it in a file: it is who this node is

    # Create daemon session
    async with await P2PSession.builder().with_inference().with_private_key(daemon_key).build() as session:
        # Handle inference requests
        inference_handle = session.take_inference_handle()
        assert inference_handle is not None
        serving = asyncio.create_task(inference_handle.serve(answer))

        # Connect to relay
        session.subscribe(lambda event: print(event, file=sys.stderr))
        relay = await session.add_peer(relay_addr)
        await relay.wait_connected()
        print("connected to", *session.list_peers(), flush=True)

        # Prove to a certificate authority that this node's own name is its own
        name = f"{node_labels(session.node_id).z_base_32}.private.example"
        await session.request_dns_challenge_create(relay.node_id, name, secrets.token_urlsafe(32))
        print("the record stands at", f"_acme-challenge.{name}", flush=True)
        await session.request_dns_challenge_cleanup(relay.node_id, name)

        await serving


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: daemon.py ADDRESS, as the relay prints it")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
