"""A node that serves inference from an HTTP server, asked over Iroh."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from gate_p2p import model_server as module
from gate_p2p.model_server import ModelServer
from gate_p2p.session import InferenceError, P2PSession
from gate_p2p.session.inference_body import InferenceBody

from .openai_server import OpenAiServer, chunk, completion, openai_server

pytestmark = pytest.mark.iroh


class Nodes:
    """A client that is connected to a daemon, and the daemon's upstream."""

    def __init__(self, upstream: OpenAiServer, daemon: P2PSession, client: P2PSession) -> None:
        self.upstream = upstream
        self.daemon = daemon
        self.client = client

    def infer(self, model: str, **more: Any) -> Any:
        return self.client.infer(self.daemon.node_id, {"model": model, "messages": [], **more})

    async def error(self, model: str, **more: Any) -> InferenceError:
        with pytest.raises(InferenceError) as caught:
            await anext(aiter(self.infer(model, **more)))
        return caught.value


@asynccontextmanager
async def nodes(**settings: Any) -> AsyncIterator[Nodes]:
    async with openai_server() as upstream, P2PSession(inference=True) as daemon, P2PSession() as client:
        server = ModelServer(upstream.url + "/", **settings)
        handle = daemon.take_inference_handle()
        assert handle is not None
        serving = asyncio.create_task(handle.serve(server.answer))
        await (await client.add_peer(daemon.node_addr())).wait_connected()
        yield Nodes(upstream, daemon, client)
        await client.aclose()  # first: it would dial the other again
        await daemon.aclose()
        await serving  # ends with the session
        await server.aclose()


@pytest.fixture
async def net() -> AsyncIterator[Nodes]:
    async with nodes(key="sesame") as made:
        yield made


async def test_one_completion_with_members_passed_on_as_they_are(net: Nodes) -> None:
    more = {"temperature": 0.5, "x-unknown": {"a": [None, 2**53]}, "stream": None}
    assert await net.infer("tiny", action=None, **more) == completion("Hello, Gate!")
    method, path, headers, body = net.upstream.seen[0]
    assert (method, path) == ("POST", "/v1/chat/completions")
    assert headers["authorization"] == "Bearer sesame"
    assert body == {"model": "tiny", "messages": [], **more}
    assert await net.infer("tiny", stream="yes") == completion("Hello, Gate!")


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        (
            b'{"model": "m", "n": 1.00, "big": 1e999, "u": "\\u00e9"}',
            b'{"model":"m","n":1.00,"big":1e999,"u":"\\u00e9"}',
        ),
        (b'{"model":"a","action":null,"model":"b","stream":1}', b'{"model":"b","stream":false}'),
        (b'{"model":"m","stream":true}', b'{"model":"m","stream":true}'),
    ],
)
def test_members_are_passed_on_as_their_bytes(sent: bytes, passed_on: bytes) -> None:
    body = InferenceBody(sent)
    request = SimpleNamespace(raw=body.raw, streamed=body.streamed)
    assert module._passed_on(request) == passed_on  # type: ignore[arg-type]


async def test_a_server_on_this_machine_is_not_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with nodes() as made:
        assert await made.infer("tiny") == completion("Hello, Gate!")


def test_a_server_elsewhere_is_asked_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for url, direct in (
        ("http://localhost:1/v1", True),
        ("http://[::1]:1", True),
        ("http://192.0.2.1", False),
    ):
        client = ModelServer(url)._client
        assert (client._transport_for_url(client.base_url.join(url)) is client._transport) is direct


async def test_a_stream_is_one_chunk_a_frame(net: Nodes) -> None:
    assert [frame async for frame in net.infer("tiny", stream=True)] == [chunk("Hello"), chunk(", Gate!")]
    assert [frame async for frame in net.infer("no-stream", stream=True)] == [completion("Hello, Gate!")]


async def test_models_are_those_of_the_server_that_have_an_id(net: Nodes) -> None:
    answer = await net.client.infer(net.daemon.node_id, {"action": "list_models"})
    assert answer == {"models": [{"id": "tiny", "object": "model", "owned_by": "test"}, {"id": "big"}]}
    assert net.upstream.seen[0][:2] == ("GET", "/v1/models")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "kind"),
    [
        *((f"status-{status}", "request_error") for status in (400, 404, 413, 422)),
        *((f"status-{status}", "upstream_error") for status in (204, 302, 401, 403, 429, 500, 503)),
        ("no-json", "upstream_error"),
        ("no-object", "upstream_error"),
        ("inner-error", "upstream_error"),
        ("huge", "server_error"),
    ],
)
async def test_failures_have_their_kind_and_tell_nothing_of_the_server(
    net: Nodes, model: str, kind: str, stream: bool
) -> None:
    error = await net.error(model, stream=stream)
    assert error.kind == kind
    assert not any(word in str(error) for word in ("secret", "10.0.0", "127.0.0.1", "http", "sesame"))


@pytest.mark.parametrize("model", ["broken-off", "broken-json", "error-event", "no-done"])
async def test_a_stream_that_breaks_off_ends_with_an_error_after_its_chunks(net: Nodes, model: str) -> None:
    got: list[Any] = []

    async def collect() -> None:
        async for frame in net.infer(model, stream=True):
            got.append(frame)

    with pytest.raises(InferenceError) as caught:
        await collect()
    assert got == [chunk("Hello"), chunk(", Gate!")]
    assert caught.value.kind == "upstream_error"
    assert "secret" not in str(caught.value)


async def test_a_server_that_is_not_there_is_an_upstream_error() -> None:
    async with nodes() as net:
        async with openai_server() as gone:
            url = gone.url
        server = ModelServer(url)
        handle = asyncio.create_task(_serve_another(net, server))
        error = await handle
        assert error.kind == "upstream_error"
        assert str(error) == "the model server cannot be reached"
        await server.aclose()


async def _serve_another(net: Nodes, server: ModelServer) -> InferenceError:
    async with P2PSession(inference=True) as other:
        handle = other.take_inference_handle()
        assert handle is not None
        serving = asyncio.create_task(handle.serve(server.answer))
        await (await net.client.add_peer(other.node_addr())).wait_connected()
        with pytest.raises(InferenceError) as caught:
            await net.client.infer(other.node_id, {"model": "tiny"})
        await net.client.remove_peer(other.node_id)
        await other.aclose()
        await serving
        return caught.value


@pytest.mark.parametrize("model", ["silent", "comments"])
async def test_a_server_that_takes_too_long_is_an_upstream_error(model: str) -> None:
    async with nodes(frame_within=0.3) as net:
        error = await net.error(model, stream=True)
        assert (error.kind, str(error)) == ("upstream_error", "the model server took too long")
        await net.upstream.gone.wait()


async def test_an_endless_line_is_bounded(net: Nodes) -> None:
    error = await net.error("endless-line", stream=True)
    assert error.kind == "server_error"
    await net.upstream.gone.wait()
    assert net.upstream.written < 4 * 10_485_760


@pytest.mark.parametrize("model", ["silent", "endless"])
async def test_a_client_that_leaves_ends_the_request_to_the_server(net: Nodes, model: str) -> None:
    async def ask() -> None:
        async for _ in net.infer(model, stream=True):
            pass

    asking = asyncio.create_task(ask())
    await net.upstream.arrived.wait()
    asking.cancel()
    await asyncio.wait({asking})
    async with asyncio.timeout(5):
        await net.upstream.gone.wait()


async def test_a_client_that_does_not_read_holds_up_the_server(net: Nodes) -> None:
    async with net.infer("flood", stream=True) as call:
        frames = aiter(call)
        await anext(frames)
        before = -1
        while net.upstream.written != before:  # until it does not get rid of more
            before = net.upstream.written
            await asyncio.sleep(0.5)
        assert before < 64 * 1024 * 1024
        for _ in range(10):
            assert (await anext(frames))["choices"][0]["delta"]["content"].startswith("more")


async def test_more_than_the_server_may_get_at_once_wait() -> None:
    async with nodes(at_once=2) as net:
        calls = [net.infer("endless", stream=True) for _ in range(2)]
        for call in calls:
            await anext(aiter(call))
        third = asyncio.create_task(_one(net))
        await asyncio.sleep(0.2)
        assert len(net.upstream.seen) == 2
        await calls[0].aclose()
        assert await third == completion("Hello, Gate!")
        await calls[1].aclose()


async def _one(net: Nodes) -> Any:
    return await net.infer("tiny")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("127.0.0.1:8000", "base URL"),
        ("ftp://example.org/v1", "base URL"),
        ("http://", "base URL"),
        ("http://user:secret@example.org/v1", "key in a file"),
        ("http://example.org/v1?a=1", "nothing follows"),
    ],
)
def test_a_url_that_is_no_base_is_refused(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        ModelServer(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "two words", "new\nline", "é"])
def test_a_key_that_cannot_be_one_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        ModelServer("http://127.0.0.1/v1", key=key)


def test_the_times_leave_the_responder_its_own() -> None:
    assert module.FRAME_WITHIN < 300
