"""Who is let in while many handshakes are under way."""

from __future__ import annotations

import asyncio

import pytest

from gate_p2p.iroh import ALPN_CONTROL, Endpoint
from gate_p2p.iroh import endpoint as endpoint_module
from gate_p2p.iroh.endpoint import MAX_HALF_OPEN, RETRY_HALF_OPEN

from .conftest import Bind
from .raw_memory import MemoryEndpoint


async def test_packets_with_forged_addresses_shut_nobody_out() -> None:
    raw = MemoryEndpoint()
    endpoint = Endpoint(raw, (ALPN_CONTROL,), "127.0.0.1:0")
    accepting = asyncio.create_task(endpoint.accept())
    forged = [await raw.arrive(answers=False) for _ in range(MAX_HALF_OPEN + 64)]
    became = [one.became for one in forged]
    assert became[:RETRY_HALF_OPEN] == ["half open"] * RETRY_HALF_OPEN
    assert set(became[RETRY_HALF_OPEN:]) == {"asked again"}
    # an honest one is asked too, and comes again
    assert (await raw.arrive()).became == "asked again"
    assert (await raw.arrive(validated=True)).became == "established"
    assert await accepting is not None
    await endpoint.aclose()


async def test_those_with_a_proven_address_are_refused_at_the_bound() -> None:
    raw = MemoryEndpoint()
    endpoint = Endpoint(raw, (ALPN_CONTROL,), "127.0.0.1:0")
    accepting = asyncio.create_task(endpoint.accept())
    half_open = [await raw.arrive(validated=True, answers=False) for _ in range(MAX_HALF_OPEN)]
    assert {one.became for one in half_open} == {"half open"}
    assert (await raw.arrive(validated=True)).became == "refused"
    assert (await raw.arrive()).became == "asked again"
    await endpoint.aclose()
    assert await accepting is None


@pytest.mark.iroh
async def test_a_dialer_that_is_asked_for_a_proof_of_its_address_gets_in(
    bind: Bind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "RETRY_HALF_OPEN", 0)
    dialer, acceptor = await bind(), await bind()
    accepting = asyncio.create_task(acceptor.accept())
    await dialer.dial(acceptor.address, ALPN_CONTROL)
    assert await accepting is not None
