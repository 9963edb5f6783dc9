"""A relay that is killed leaves its records in the zone; the next one, with the journal, sees to them."""

from __future__ import annotations

import asyncio
import base64
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate_p2p.node_names import node_labels
from gate_p2p.session import P2PSession, PeerConnected
from gate_p2p.session.events import SessionEvent

from ..cli.process import Node
from .knot import ALL, ZONE, Knot, free_port, needs_knot, until

pytestmark = [*needs_knot, pytest.mark.iroh]

A, B = "a" * 43, "b" * 43
SHORT_LEASES = (
    "from gate_p2p.dns.leases import Leases\n"
    "from gate_p2p.dns.registrar import PublishingRegistrar\n"
    "Leases.__init__.__kwdefaults__['lease'] = 0.5\n"
    "PublishingRegistrar.__init__.__kwdefaults__['lease'] = 0.5\n"
)


@pytest.fixture
def knot(tmp_path: Path) -> Iterator[Knot]:
    with Knot(tmp_path / "knot", "127.0.0.1", free_port(["127.0.0.1"])) as knot:
        yield knot


def relay(knot: Knot, directory: Path, port: int, *, before: str = "") -> Node:
    """The same relay each time: key, port and journal are in files or given."""
    secret = directory / "tsig"
    secret.touch(0o600)
    secret.write_text(f"{ALL.algorithm}:{ALL.name}:{base64.b64encode(ALL.secret).decode()}")
    return Node(
        *("relay", "--listen", f"127.0.0.1:{port}", "--key", str(directory / "relay.key")),
        *("--suffix", ZONE, "--publish-address", "192.0.2.9", "--dns-journal", str(directory / "journal")),
        *("--rfc2136", knot.address, "--dns-server", knot.address, "--tsig-key-file", str(secret)),
        before=before,
    )


async def kill(node: Node) -> None:
    node.process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(node.process.communicate, timeout=45)


async def test_after_a_kill_a_peer_cleans_up_and_the_lease_sees_to_the_rest(
    tmp_path: Path, knot: Knot
) -> None:
    port = free_port(["127.0.0.1"])
    connections: asyncio.Queue[SessionEvent] = asyncio.Queue()
    async with P2PSession(secret_key=secrets.token_bytes(32)) as daemon:
        daemon.subscribe(connections.put_nowait)

        async def connected() -> None:
            while not isinstance(await connections.get(), PeerConnected):
                pass

        domain = f"{node_labels(daemon.node_id).z_base_32}.{ZONE}"
        with await asyncio.to_thread(relay, knot, tmp_path, port) as first:
            peer = await daemon.add_peer(first.first)
            await connected()
            assert await daemon.request_domain_registration(peer.node_id) == domain
            for value in (A, B):
                await daemon.request_dns_challenge_create(peer.node_id, domain, value)
            await kill(first)
        assert knot.challenges(domain) == (A, B)
        with await asyncio.to_thread(relay, knot, tmp_path, port) as second:
            await connected()
            await daemon.request_dns_challenge_cleanup(peer.node_id, domain, A)
            assert knot.challenges(domain) == (B,)
            assert knot.look_up(domain, "A") == ("192.0.2.9",)
            await kill(second)
    # the daemon has gone for good
    with await asyncio.to_thread(relay, knot, tmp_path, port, before=SHORT_LEASES) as third:
        await until(lambda: knot.challenges(domain) == ())
        await until(lambda: knot.look_up(domain, "A") == ("192.0.2.80",))  # the wildcard's again
        status, _, log = await asyncio.to_thread(third.stop, signal.SIGTERM)
    assert status == 0
    assert "Traceback" not in log
    assert "crash would leave" not in log
    assert "TXT: 1 values of an earlier run" in log
    assert "1 names of an earlier run" in log
    assert (tmp_path / "journal").read_bytes().count(b'"+"') == 2  # and what takes these back
