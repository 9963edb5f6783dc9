"""Inference streams between sessions over Iroh."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gate_p2p.core import CloseCode, MissingCapabilityError
from gate_p2p.core.documents import encode_document
from gate_p2p.session import (
    InferenceCancelled,
    InferenceHandle,
    InferenceRequest,
    P2PSession,
    PeerNotConnected,
    RequestError,
)
from gate_p2p.session import inference_request as request_module
from gate_p2p.session import inference_server as server_module
from gate_p2p.session import session as session_module
from gate_p2p.transport import ALPN_INFERENCE, ConnectionLost

pytestmark = pytest.mark.iroh

ASK: dict[str, Any] = {"model": "tiny", "messages": []}
STREAM: dict[str, Any] = {**ASK, "stream": True}


class Pair:
    """A client, a node that serves inference, and that node's handle."""

    def __init__(self, client: P2PSession, node: P2PSession, handle: InferenceHandle) -> None:
        self.client = client
        self.node = node
        self.handle = handle


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    before = asyncio.all_tasks()
    async with P2PSession(inference=True) as node, P2PSession() as client:
        handle = node.take_inference_handle()
        assert handle is not None
        assert node.take_inference_handle() is None
        await (await client.add_peer(node.node_addr())).wait_connected()
        yield Pair(client, node, handle)
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert left == {asyncio.current_task()}


async def test_one_result_and_a_stream_and_many_at_once(pair: Pair) -> None:
    async def answer(request: InferenceRequest) -> None:
        assert request.peer_id == pair.client.node_id
        if not request.streamed:
            await request.respond({"echo": request.body})
            return
        async with request.stream() as send:
            for n in range(request.body["n"]):
                await send({"n": n, "text": "x" * 20_000})

    serving = asyncio.create_task(pair.handle.serve(answer))
    big = {**ASK, "text": "y" * 3_000_000}
    assert await pair.client.infer(pair.node.node_id, big) == {"echo": big}

    async def count(n: int) -> list[int]:
        return [frame["n"] async for frame in pair.client.infer(pair.node.node_id, {**STREAM, "n": n})]

    got = await asyncio.gather(*(count(n) for n in range(1, 17)))
    assert got == [list(range(n)) for n in range(1, 17)]
    serving.cancel()
    await asyncio.wait({serving})


@pytest.mark.parametrize("how", ["cancel", "stop", "reset"])
async def test_a_cancelled_request_is_noticed_before_anything_is_sent(pair: Pair, how: str) -> None:
    if how == "cancel":
        asking = asyncio.ensure_future(pair.client.infer(pair.node.node_id, ASK))
        request = await pair.handle.next()
        asking.cancel()
    else:  # a requester that keeps its connection
        endpoint = pair.client._running()
        connection = await endpoint.dial(pair.node.node_addr(), ALPN_INFERENCE)
        stream = await connection.open_stream()
        body = b'{"model":"tiny"}'
        await stream.write(len(body).to_bytes(4, "big") + body)
        request = await pair.handle.next()
        if how == "stop":
            stream.stop(3)
        else:
            stream.reset(3)
    async with asyncio.timeout(5):
        await request.cancelled.wait()
    with pytest.raises(InferenceCancelled):
        await request.respond({})


async def test_a_request_outlives_the_control_connection(pair: Pair) -> None:
    asking = asyncio.ensure_future(pair.client.infer(pair.node.node_id, ASK))
    request = await pair.handle.next()
    await pair.client.remove_peer(pair.node.node_id)
    assert pair.client.list_peers() == []
    await request.respond({"late": True})
    assert await asking == {"late": True}


async def test_a_node_that_stops_closes_with_6_and_ends_its_handle(pair: Pair) -> None:
    asking = asyncio.ensure_future(pair.client.infer(pair.node.node_id, ASK))
    request = await pair.handle.next()
    await pair.client.remove_peer(pair.node.node_id)
    await pair.node.aclose()
    with pytest.raises(ConnectionLost) as caught:
        await asking
    assert caught.value.code == 6
    assert [one async for one in pair.handle] == []
    with pytest.raises(InferenceCancelled):
        await request.respond({})


async def test_nothing_is_dialled_without_the_peer_or_its_capability(pair: Pair) -> None:
    with pytest.raises(PeerNotConnected):
        await pair.client.infer("ab" * 32, ASK)
    with pytest.raises(MissingCapabilityError):
        await pair.node.infer(pair.client.node_id, ASK)


async def test_a_client_that_takes_nothing_learns_why_it_is_given_up(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_module, "TAKEN_WITHIN", 0.3)
    monkeypatch.setattr(
        server_module, "CLOSE_WITHIN", 0.3
    )  # the reset waits behind the write, and Iroh for room
    connection = await pair.client._running().dial(pair.node.node_addr(), ALPN_INFERENCE)
    stream = await connection.open_stream()
    await stream.write(encode_document(ASK))
    request = await pair.handle.next()
    with pytest.raises(InferenceCancelled):
        await request.respond({"text": "x" * 8_000_000})  # far more than what is under way unread
    end = await connection.wait_closed()
    assert (end.code, end.by_peer) == (CloseCode.TIMEOUT, True)


async def test_a_place_that_was_given_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "INFERENCE_CONNECTIONS", (10, 1))
    async with P2PSession(inference=True) as node, P2PSession() as client:
        handle = node.take_inference_handle()
        assert handle is not None
        await (await client.add_peer(node.node_addr())).wait_connected()
        await client.request_inference_stream(node.node_id)
        with pytest.raises(RequestError) as caught:
            await client.request_inference_stream(node.node_id)
        assert caught.value.code == "quota"
        asking = asyncio.ensure_future(client.infer(node.node_id, ASK))
        request = await handle.next()
        with pytest.raises(ConnectionLost) as lost:  # one past the bound
            await client.infer(node.node_id, ASK)
        assert lost.value.code == 5
        await request.respond({})
        assert await asking == {}
        await client.aclose()
