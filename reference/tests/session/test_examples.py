"""The examples of the guide, as processes, over Iroh."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gate_p2p.dns.memory import MemoryDnsHandler
from gate_p2p.node_names import node_labels
from gate_p2p.session import P2PSession, PeerConnected

pytestmark = pytest.mark.iroh

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def example(name: str, *arguments: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run an example to the end of the block, then interrupt it; gives its standard output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        ROOT / "docs" / "examples" / name,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # KeyboardInterrupt
        env={**os.environ, "PYTHONPATH": str(ROOT / "reference"), "PYTHONWARNINGS": "error"},
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()
            raise


async def line(output: asyncio.StreamReader) -> str:
    async with asyncio.timeout(30):
        return (await output.readline()).decode().strip()


async def test_the_daemon_and_the_relay_of_the_guide_work_together() -> None:
    async with example("relay.py") as relay:
        address = await line(relay)
        async with example("daemon.py", address) as daemon:
            assert await line(daemon) == f"connected to {address[:64]}"
            assert "it offers inference" in await line(relay)
            assert (await line(daemon)).endswith(".private.example")
        assert "is gone" in await line(relay)


async def test_the_daemon_of_the_guide_answers_inference_requests() -> None:
    connected: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def heard(event: object) -> None:
        if isinstance(event, PeerConnected) and not connected.done():
            connected.set_result(event.peer_id)

    async with P2PSession(dns_challenge_handler=MemoryDnsHandler()) as relay:
        relay.subscribe(heard)
        async with example("daemon.py", str(relay.node_addr())) as daemon:
            daemon_id = await connected
            assert await line(daemon) == f"connected to {relay.node_id}"
            own = node_labels(daemon_id).z_base_32
            assert await line(daemon) == f"the record stands at _acme-challenge.{own}.private.example"
            assert await relay.infer(daemon_id, {"action": "list_models"}) == {"models": ["echo"]}
            message = {"role": "user", "content": "hello"}
            response = await relay.infer(daemon_id, {"model": "echo", "messages": [message]})
            assert response["choices"] == [{"message": message}]


async def test_the_relay_of_the_guide_carries_out_challenges_for_whoever_owns_the_name() -> None:
    async with example("relay.py") as relay, P2PSession() as daemon:
        peer = await daemon.add_peer(await line(relay))
        await peer.wait_connected()
        name = f"{node_labels(daemon.node_id).hex}.private.example"
        await daemon.request_dns_challenge_create(peer.node_id, name, "v" * 43)
        await daemon.request_dns_challenge_cleanup(peer.node_id, name)
