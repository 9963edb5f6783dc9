"""Endpoints over real Iroh: binding, dialling, accepting, and the end."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from gate_p2p.iroh import (
    ALPN_CONTROL,
    ALPN_INFERENCE,
    BindError,
    DialError,
    Endpoint,
    NodeAddress,
    TransportError,
)
from gate_p2p.iroh import endpoint as endpoint_module

from .conftest import Bind, Connect

pytestmark = pytest.mark.iroh


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0"])
async def test_a_loopback_listener_binds_loopback_alone(bind: Bind, listen: str) -> None:
    endpoint = await bind(listen=listen)
    hosts = {address.rpartition(":")[0] for address in endpoint._socket_addresses}
    assert hosts == {"127.0.0.1", "[::1]"}
    assert endpoint.address.socket_addresses[0].startswith(listen[:-1])


async def test_a_wildcard_listener_is_addressed_by_loopback(bind: Bind) -> None:
    endpoint = await bind(listen="0.0.0.0:0")
    assert endpoint.address.socket_addresses[0].startswith("127.0.0.1:")
    accepting = asyncio.create_task(endpoint.accept())
    await (await bind()).dial(endpoint.address, ALPN_CONTROL)
    assert await accepting is not None


async def test_ids_and_alpn_are_known_on_both_sides(bind: Bind) -> None:
    dialer, acceptor = await bind(secret_key=b"\1" * 32), await bind(alpns=(ALPN_INFERENCE, ALPN_CONTROL))
    accepting = asyncio.create_task(acceptor.accept())
    dialled = await dialer.dial(acceptor.address, ALPN_CONTROL)
    accepted = await accepting
    assert accepted is not None
    assert (dialled.remote_id, accepted.remote_id) == (acceptor.node_id, dialer.node_id)
    assert dialled.alpn == accepted.alpn == ALPN_CONTROL


async def test_the_same_key_gives_the_same_id(bind: Bind) -> None:
    first, second = await bind(secret_key=b"\1" * 32), await bind(secret_key=b"\1" * 32)
    assert (
        first.node_id == second.node_id == "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
    )


@pytest.mark.parametrize("key", [b"", b"\1" * 31, b"\1" * 64])
async def test_a_key_of_another_length_is_a_bind_error(key: bytes) -> None:
    with pytest.raises(BindError, match=f"32 bytes, this one has {len(key)}"):
        await Endpoint.bind(secret_key=key)


async def test_a_port_in_use_is_a_bind_error_with_a_hint(bind: Bind) -> None:
    port = (await bind()).address.socket_addresses[0]
    with pytest.raises(BindError, match="the port is in use"):
        await Endpoint.bind(listen=port)


async def test_an_address_that_is_not_ours_is_a_bind_error() -> None:
    with pytest.raises(BindError, match=r"cannot listen on 192\.0\.2\.1:0"):
        await Endpoint.bind(listen="192.0.2.1:0")
    with pytest.raises(BindError, match="host names"):
        await Endpoint.bind(listen="localhost:0")


async def test_the_port_is_free_again_after_closing() -> None:
    first = await Endpoint.bind()
    listen = first.address.socket_addresses[0]
    await first.aclose()
    second = await Endpoint.bind(listen=listen)
    assert second.address.socket_addresses[0] == listen
    await second.aclose()


async def test_an_unknown_alpn_is_named(bind: Bind) -> None:
    dialer, acceptor = await bind(), await bind()
    accepting = asyncio.create_task(acceptor.accept())
    with pytest.raises(DialError, match=r"does not speak gate/other/1\.0") as caught:
        await dialer.dial(acceptor.address, "gate/other/1.0")
    assert caught.value.kind == "unknown_alpn"
    # the failed one does not end the accepting
    await dialer.dial(acceptor.address, ALPN_CONTROL)
    assert await accepting is not None


@pytest.mark.iroh1(reason="iroh 0.35 hears nothing of a wrong id")
async def test_a_wrong_id_is_told_from_no_answer(bind: Bind) -> None:
    dialer, acceptor = await bind(), await bind()
    accepting = asyncio.create_task(acceptor.accept())
    wrong = NodeAddress((await bind()).node_id, acceptor.address.socket_addresses)
    with pytest.raises(DialError, match="check the node id") as caught:
        await dialer.dial(wrong, ALPN_CONTROL)
    assert caught.value.kind == "wrong_id"
    accepting.cancel()


async def test_our_own_id_cannot_be_dialled(bind: Bind) -> None:
    endpoint = await bind()
    with pytest.raises(DialError, match="own id") as caught:
        await endpoint.dial(endpoint.address, ALPN_CONTROL)
    assert caught.value.kind == "own_id"


async def test_an_id_without_an_address_is_a_dial_error(bind: Bind) -> None:
    dialer = await bind()
    with pytest.raises(DialError, match="no address") as caught:
        await dialer.dial(NodeAddress((await bind()).node_id, ()), ALPN_CONTROL)
    assert caught.value.kind == "no_address"


async def test_a_dead_port_times_out_within_the_callers_time(bind: Bind) -> None:
    dialer = await bind()
    dead = NodeAddress((await bind()).node_id, (f"127.0.0.1:{free_port()}",))
    with pytest.raises(DialError, match="no answer") as caught:
        await dialer.dial(dead, ALPN_CONTROL, timeout=0.05)
    assert caught.value.kind == "no_answer"
    await dialer.aclose()
    with pytest.raises(DialError, match="closed"):
        await dialer.dial(dead, ALPN_CONTROL)


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_late_connection_is_closed(bind: Bind, cancelled: bool) -> None:
    dialer, acceptor = await bind(), await bind()
    accepting = asyncio.create_task(acceptor.accept())
    dialling = asyncio.create_task(
        dialer.dial(acceptor.address, ALPN_CONTROL, timeout=30 if cancelled else 0.0)
    )
    await asyncio.sleep(0)
    if cancelled:
        dialling.cancel()
    await asyncio.wait({dialling})
    assert dialling.cancelled() if cancelled else isinstance(dialling.exception(), DialError)
    late = await accepting
    assert late is not None
    assert (await late.wait_closed()).by_peer


async def test_accept_gives_none_once_the_endpoint_is_closed(bind: Bind) -> None:
    endpoint = await bind()
    waiting = [asyncio.create_task(endpoint.accept()) for _ in range(2)]
    await asyncio.sleep(0)
    await endpoint.aclose()
    assert [await task for task in waiting] == [None, None]
    assert await endpoint.accept() is None
    await endpoint.aclose()


async def test_accept_may_be_cancelled(bind: Bind) -> None:
    dialer, acceptor = await bind(), await bind()
    first = asyncio.create_task(acceptor.accept())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    dialled = await dialer.dial(acceptor.address, ALPN_CONTROL)
    accepted = await acceptor.accept()
    assert accepted is not None
    assert accepted.remote_id == dialer.node_id
    assert not dialled.closed


@pytest.mark.iroh1(reason="iroh 0.35 has established a connection before it asks")
async def test_newcomers_past_the_limit_are_refused_and_the_others_served(
    bind: Bind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_module, "MAX_HALF_OPEN", 1)
    dialer, acceptor = await bind(), await bind()
    waiting = asyncio.create_task(acceptor.accept())
    await dialer.dial(acceptor.address, ALPN_CONTROL)
    assert await waiting is not None
    await dialer.dial(acceptor.address, ALPN_CONTROL)  # waits to be accepted
    while acceptor._ready.empty():  # noqa: ASYNC110  there is no event for what is not taken yet
        await asyncio.sleep(0)
    with pytest.raises(DialError, match="refuses") as caught:
        await dialer.dial(acceptor.address, ALPN_CONTROL)
    assert caught.value.kind == "refused"
    assert await acceptor.accept() is not None
    await dialer.dial(acceptor.address, ALPN_CONTROL)


async def test_closing_ends_every_call_under_way(connect: Connect, bind: Bind) -> None:
    dialled, accepted = await connect()
    stream = await dialled.open_stream()
    await stream.write(b"x")
    assert await (await accepted.accept_stream()).read() == b"x"
    calls = [
        asyncio.create_task(call)
        for call in (
            stream.read(),
            dialled.accept_stream(),
            stream.write(bytes(5_000_000)),
            accepted.wait_closed(),
        )
    ]
    lonely = await bind()
    dead = NodeAddress(accepted.remote_id, (f"127.0.0.1:{free_port()}",))
    dialling = asyncio.create_task(lonely.dial(dead, ALPN_CONTROL))
    await asyncio.sleep(0)
    dialled.close(6, "bye")
    await lonely.aclose()
    await asyncio.wait({*calls, dialling})
    for task in calls[:3]:
        assert isinstance(task.exception(), TransportError)
    assert isinstance(dialling.exception(), DialError)


def test_asyncio_run_has_nothing_to_cancel(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        dialer, acceptor = await Endpoint.bind(), await Endpoint.bind()
        accepting = asyncio.create_task(acceptor.accept())
        dialled = await dialer.dial(acceptor.address, ALPN_CONTROL)
        accepted = await accepting
        assert accepted is not None
        stream = await dialled.open_stream()
        await stream.write(b"x")
        reading = asyncio.create_task(stream.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
        await dialer.aclose()
        await acceptor.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert not caplog.records


async def test_a_time_out_says_what_to_look_at(bind: Bind) -> None:
    dialer = await bind()
    dead = NodeAddress((await bind()).node_id, (f"127.0.0.1:{free_port()}",))
    with pytest.raises(DialError) as caught:
        await dialer.dial(dead, ALPN_CONTROL, timeout=0.05)
    assert str(caught.value) == f"cannot reach {dead}: no answer in 0.05 s: {dialer._raw.no_answer}"
