"""The end of an endpoint, and of one that is not wanted any more before it is bound."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gate_p2p.iroh import ALPN_CONTROL, DialError, Endpoint, NodeAddress, TransportError

from .raw_memory import MemoryEndpoint


def endpoint_on(raw: MemoryEndpoint) -> Endpoint:
    return Endpoint(raw, (ALPN_CONTROL,), "127.0.0.1:0")


async def test_a_close_goes_on_when_its_caller_is_cancelled_and_the_next_waits_for_it() -> None:
    raw = MemoryEndpoint()
    raw.may_close.clear()
    endpoint = endpoint_on(raw)
    first = asyncio.create_task(endpoint.aclose())
    await raw.closing.wait()
    first.cancel()
    await asyncio.wait({first})
    assert first.cancelled()
    second = asyncio.create_task(endpoint.aclose())
    await asyncio.sleep(0)
    assert not second.done()
    raw.may_close.set()
    await second
    assert raw.closed.is_set()
    assert await endpoint.accept() is None
    with pytest.raises(DialError, match="closed"):
        await endpoint.dial(NodeAddress("ab" * 32, ()), ALPN_CONTROL)


async def test_a_close_that_fails_is_logged_and_is_an_end(caplog: pytest.LogCaptureFixture) -> None:
    raw = MemoryEndpoint()
    raw.failing = True
    endpoint = endpoint_on(raw)
    accepting = asyncio.create_task(endpoint.accept())
    await raw.arrive()
    connection = await accepting
    assert connection is not None
    for _ in range(2):
        await endpoint.aclose()
    assert caplog.messages == ["iroh would not close"]
    with pytest.raises(TransportError):
        await connection.open_stream()


class SlowGeneration:
    """Binds when it is let."""

    def __init__(self) -> None:
        self.raw = MemoryEndpoint()
        self.begun = asyncio.Event()
        self.may_bind = asyncio.Event()

    def node_id_of(self, secret_key: bytes) -> str:
        return self.raw.node_id

    async def bind(
        self,
        secret_key: bytes | None,
        socket_addresses: Sequence[str],
        alpns: Sequence[str],
        *,
        fast_io: bool,
    ) -> MemoryEndpoint:
        self.begun.set()
        await self.may_bind.wait()
        return self.raw


async def test_a_cancelled_bind_is_waited_for_and_what_it_bound_is_closed() -> None:
    generation = SlowGeneration()
    binding = asyncio.create_task(Endpoint.bind(generation=generation))
    await generation.begun.wait()
    for _ in range(2):
        binding.cancel()
        await asyncio.sleep(0)
        assert not binding.done()
    generation.may_bind.set()
    await asyncio.wait({binding})
    assert binding.cancelled()
    assert generation.raw.closed.is_set()


@pytest.mark.iroh
@pytest.mark.parametrize("turns", [1, 2, 4])
async def test_the_port_of_a_cancelled_bind_is_free_again(turns: int) -> None:
    first = await Endpoint.bind()
    listen = first.address.socket_addresses[0]
    await first.aclose()
    binding = asyncio.create_task(Endpoint.bind(listen=listen))
    for _ in range(turns):
        await asyncio.sleep(0)
    binding.cancel()
    await asyncio.wait({binding})
    assert binding.cancelled()
    await (await Endpoint.bind(listen=listen)).aclose()


@pytest.mark.iroh1(reason="is about the adapter to iroh 1.x")
async def test_an_error_of_iroh_at_the_end_is_translated() -> None:
    import iroh

    from gate_p2p.iroh import iroh1

    class Broken(iroh.IrohError):
        def __init__(self) -> None:
            """Made by iroh alone, otherwise."""

        def message(self) -> str:
            return "no\n  causes"

    async def close() -> None:
        raise Broken

    raw = SimpleNamespace(id=lambda: "ab", bound_sockets=list, close=close)
    endpoint = iroh1.Endpoint(cast("Any", raw), fast_io=False)
    with pytest.raises(TransportError, match=r"^the endpoint was not closed in order: no$"):
        await endpoint.close()
    await endpoint.close()
