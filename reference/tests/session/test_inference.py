"""Inference streams in memory and in virtual time: what a responder does."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from gate_p2p.core import GateError, LocalProtocolError
from gate_p2p.core.limits import MAX_FRAME
from gate_p2p.session.errors import InferenceCancelled, InferenceError
from gate_p2p.session.inference_request import InferenceRequest
from gate_p2p.session.inference_server import InferenceServer
from gate_p2p.transport import ConnectionLost

from .inference_memory import ASK, COMPLETION, STREAM, Asked, serve, taken


def test_a_request_is_served_before_its_direction_ends_and_closed_5_s_after_the_response() -> None:
    async def test(server: InferenceServer) -> None:
        asked = Asked(server)
        await asked.ask(ASK, end=False)
        request = await server.handle.next()
        assert (request.body, request.streamed, request.lists_models) == (ASK, False, False)
        await request.respond(COMPLETION)
        assert await asked.answer() == [COMPLETION]
        began = asyncio.get_running_loop().time()
        await asked.over()
        assert asyncio.get_running_loop().time() - began == pytest.approx(5, abs=0.1)
        assert request.over
        assert not request.cancelled.is_set()

    serve(test)


def test_an_end_and_bytes_after_the_request_are_no_cancellation() -> None:
    async def test(server: InferenceServer) -> None:
        asked = Asked(server)
        await asked.ask(STREAM, end=False)
        await asked.stream.write(b"\0\0\0\0rubbish")
        await asked.stream.finish()
        request = await server.handle.next()
        async with request.stream() as send:
            for n in range(3):
                await asyncio.sleep(10)
                await send({"n": n})
        assert await asked.answer() == [{"n": 0}, {"n": 1}, {"n": 2}]

    serve(test)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "no JSON object"),
        ("text", "no JSON object"),
        ({}, "names no model"),
        ({"action": None}, "names no model"),
        ({"model": 7}, "names no model"),
        ({"action": "dance", "model": "m"}, "action"),
        ({"action": 7, "model": "m"}, "action"),
    ],
)
def test_a_malformed_request_is_answered_with_a_request_error(document: Any, words: str) -> None:
    async def test(server: InferenceServer) -> None:
        asked = Asked(server)
        await asked.ask(document)
        (error,) = await asked.answer()
        assert error["error"]["type"] == "request_error"
        assert words in error["error"]["message"]

    serve(test)


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", 1), (b"\0\0", 1), (b"\0\0\0\0", 1), (b"\0\0\0\1{", 1), ((MAX_FRAME + 1).to_bytes(4, "big"), 2)],
)
def test_what_is_no_request_closes_the_connection_with_its_code(data: bytes, code: int) -> None:
    async def test(server: InferenceServer) -> None:
        asked = Asked(server)
        if data:
            await asked.stream.write(data)
        await asked.stream.finish()
        assert await asked.over() == (False, code)

    serve(test)


def test_a_peer_without_a_control_connection_is_closed_with_5() -> None:
    async def test(server: InferenceServer) -> None:
        assert await Asked(server).over() == (False, 5)

    serve(test, connected=False)


@pytest.mark.parametrize("how", ["stop", "reset", "close"])
def test_a_client_that_gives_up_cancels_its_own_work_within_5_s_and_no_other(how: str) -> None:
    async def test(server: InferenceServer) -> None:
        ended: list[float] = []
        loop = asyncio.get_running_loop()

        async def answer(request: InferenceRequest) -> None:
            try:
                await asyncio.sleep(100)
            finally:
                ended.append(loop.time())
            await request.respond(COMPLETION)

        serving = asyncio.create_task(server.handle.serve(answer))
        asked, other = Asked(server), Asked(server)
        await asked.ask(STREAM, end=how != "reset")
        await other.ask(ASK)
        await asyncio.sleep(10)
        if how == "stop":
            asked.stream.stop(9)
        elif how == "reset":
            asked.stream.reset(9)
        else:
            asked.ours.close(9)
        assert await other.answer() == [COMPLETION]
        assert 10 <= ended[0] <= 15
        assert ended[1] == pytest.approx(100)
        server.close(6, "over")  # type: ignore[arg-type]
        await serving

    serve(test)


def test_a_send_after_a_cancellation_says_so() -> None:
    async def test(server: InferenceServer) -> None:
        asked, request = await taken(server, STREAM)
        with pytest.raises(InferenceCancelled):  # noqa: PT012  the block is what is tested
            async with request.stream() as send:
                await send({"n": 1})
                asked.stream.stop(0)
                await send({"n": 2})
        assert request.cancelled.is_set()
        with pytest.raises(InferenceCancelled):
            await request.respond({})

    serve(test)


def test_exactly_one_frame_without_stream_and_at_least_one_with_it() -> None:
    async def test(server: InferenceServer) -> None:
        asked, request = await taken(server, ASK)
        with pytest.raises(GateError, match="IN-11"):  # noqa: PT012  the block is what is tested
            async with request.stream() as send:
                await send(COMPLETION)
                await send(COMPLETION)
        assert await asked.answer() == [COMPLETION]
        asked, request = await taken(server, STREAM)
        with pytest.raises(GateError, match="IN-10"):
            async with request.stream():
                pass
        (error,) = await asked.answer()
        assert error["error"]["type"] == "server_error"
        with pytest.raises(GateError, match="already"):
            await request.respond(COMPLETION)

    serve(test)


@pytest.mark.parametrize("response", [{"a": "x" * MAX_FRAME}, {"a": float("inf")}])
def test_a_response_that_no_frame_carries_becomes_an_error_object(response: dict[str, Any]) -> None:
    async def test(server: InferenceServer) -> None:
        asked, request = await taken(server, ASK)
        with pytest.raises(LocalProtocolError):
            await request.respond(response)
        (error,) = await asked.answer()
        assert error["error"]["type"] == "server_error"
        assert "frame" in error["error"]["message"]

    serve(test)


def test_what_an_answer_raises_reaches_the_client_after_the_frames_before_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(server: InferenceServer) -> None:
        async def answer(request: InferenceRequest) -> None:
            if request.body["model"] == "forgotten":
                return
            async with request.stream() as send:
                await send({"n": 1})
                if request.body["model"] == "told":
                    raise InferenceError("no room", "upstream_error")
                raise ValueError("secret")

        serving = asyncio.create_task(server.handle.serve(answer))
        for model, kind, words in (
            ("told", "upstream_error", "no room"),
            ("bug", "server_error", "the request failed"),
            ("forgotten", "server_error", "not answered"),
        ):
            asked = Asked(server)
            await asked.ask({**STREAM, "model": model})
            *_, error = await asked.answer()
            assert error["error"]["type"] == kind
            assert words in error["error"]["message"]
            asked.ours.close(0)
        server.close(6, "over")  # type: ignore[arg-type]
        await serving

    serve(test)
    assert "secret" in caplog.text


def test_what_an_answer_meets_elsewhere_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def test(server: InferenceServer) -> None:
        async def answer(request: InferenceRequest) -> None:
            if not request.streamed:
                raise ConnectionLost(0, True, "another peer")
            async with request.stream() as send:
                await send({"n": 1})
                raise ConnectionLost(0, True, "another peer")

        serving = asyncio.create_task(server.handle.serve(answer))
        for document in (ASK, STREAM):
            caplog.clear()
            asked = Asked(server)
            await asked.ask(document)
            *_, error = await asked.answer()
            assert error["error"] == {"message": "the request failed", "type": "server_error"}
            assert "another peer" in caplog.text
            asked.ours.close(0)
        server.close(6, "over")  # type: ignore[arg-type]
        await serving

    serve(test)


@pytest.mark.parametrize("message", ["half of a \ud83d pair", "long " * 4_000_000])
def test_an_error_is_told_whatever_its_words(message: str) -> None:
    async def test(server: InferenceServer) -> None:
        asked, request = await taken(server, STREAM)
        with pytest.raises(InferenceError):  # noqa: PT012  the block is what is tested
            async with request.stream() as send:
                await send({"n": 1})
                raise InferenceError(message, "upstream_error")
        _, error = await asked.answer()
        assert error["error"]["type"] == "upstream_error"
        assert error["error"]["message"][:7] == message[:7]

    serve(test)


def test_a_serve_that_is_cancelled_while_an_answer_fails_logs_the_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(server: InferenceServer) -> None:
        failing = asyncio.Event()

        async def answer(request: InferenceRequest) -> None:
            await failing.wait()
            raise ValueError("secret")

        serving = asyncio.create_task(server.handle.serve(answer))
        asked = Asked(server)
        await asked.ask(ASK)
        await asyncio.sleep(1)
        failing.set()
        await asyncio.sleep(0)  # the answer has failed, and nobody has been told
        serving.cancel()
        await asyncio.wait({serving})
        del serving
        gc.collect()  # a task's exception that nobody took is complained of here

    serve(test)
    assert "secret" in caplog.text


def test_a_serve_that_is_cancelled_resets_what_is_under_way() -> None:
    async def test(server: InferenceServer) -> None:
        async def answer(request: InferenceRequest) -> None:
            await asyncio.sleep(1000)

        serving = asyncio.create_task(server.handle.serve(answer))
        asked = Asked(server)
        await asked.ask(ASK)
        await asyncio.sleep(1)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await asyncio.sleep(1)
        assert asked.stream.other.reset_code == 0  # type: ignore[attr-defined]

    serve(test)
