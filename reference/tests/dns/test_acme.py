"""A daemon gets a certificate for its name and the wildcard below it: Iroh, relay, knot, pebble, all real."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gate_p2p.dns.leasing import LeasingHandler
from gate_p2p.dns.registrar import PublishingRegistrar
from gate_p2p.dns.rfc2136 import Rfc2136Backend
from gate_p2p.session import P2PSession

from .knot import ALL, KNOTD, ZONE, Knot, free_port

if TYPE_CHECKING:
    from cryptography import x509

MISSING = [
    *(["knot"] if KNOTD is None else []),
    *(["pebble"] if shutil.which("pebble") is None else []),
    *(["the extra acme"] if importlib.util.find_spec("acme") is None else []),
]
pytestmark = [
    pytest.mark.acme,
    pytest.mark.knot,
    pytest.mark.iroh,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


def check_chain(chain: list[x509.Certificate], root: x509.Certificate, domain: str) -> None:
    """Hold the chain to the root, and the leaf to the domain and its wildcard."""
    from cryptography import x509
    from cryptography.x509 import verification

    leaf, *rest = chain
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sorted(names.get_values_for_type(x509.DNSName)) == sorted([domain, f"*.{domain}"])
    for name in (domain, f"below.{domain}"):
        policy = verification.PolicyBuilder().store(verification.Store([root]))
        policy.build_server_verifier(x509.DNSName(name)).verify(leaf, rest)


async def test_a_daemon_gets_a_certificate_for_its_name_and_the_wildcard(tmp_path: Path) -> None:
    from .pebble import Account, Pebble

    ports = [free_port(["127.0.0.1"]) for _ in range(3)]
    with (
        Knot(tmp_path / "knot", "127.0.0.1", ports[0]) as knot,
        Pebble(tmp_path / "pebble", knot.address, ports[1:]) as pebble,
    ):
        backend = Rfc2136Backend(knot.address, ALL, servers=[knot.address])
        handler = LeasingHandler(backend)
        registrar = PublishingRegistrar(backend, ZONE, ["192.0.2.9"])
        seen: list[tuple[str, ...]] = []
        async with (
            P2PSession(dns_challenge_handler=handler, registrar=registrar, suffix=ZONE) as relay,
            P2PSession() as daemon,
        ):
            peer = await daemon.add_peer(relay.node_addr())
            await peer.wait_connected()
            domain = await daemon.request_domain_registration(relay.node_id)

            async def publish(name: str, value: str) -> None:
                await daemon.request_dns_challenge_create(relay.node_id, name, value)
                seen.append(knot.challenges(name))
                assert knot.look_up(domain, "A") == ("192.0.2.9",)  # no empty non-terminal

            async def clean_up(name: str, value: str) -> None:
                await daemon.request_dns_challenge_cleanup(relay.node_id, name, value)

            chain = await Account(pebble).certificates([domain, f"*.{domain}"], publish, clean_up)
        check_chain(chain, pebble.root(), domain)
        assert [len(values) for values in seen] == [1, 2]  # both stood there at the same time
        assert knot.challenges(domain) == ()
        assert handler.records == ()
        await handler.aclose()
