"""Inference streams in memory and in virtual time: what a responder does."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest

from gate_p2p.core import GateError, LocalProtocolError
from gate_p2p.core.documents import encode_document
from gate_p2p.core.limits import MAX_FRAME
from gate_p2p.session.budget import FrameBudget
from gate_p2p.session.errors import InferenceCancelled, InferenceError, SessionClosed
from gate_p2p.session.inference_body import MAX_VALUES
from gate_p2p.session.inference_request import InferenceRequest
from gate_p2p.session.inference_server import InferenceServer
from gate_p2p.transport import ConnectionLost

from .data_connections import data_connection
from .memory import run

ASK = {"model": "tiny", "messages": []}
STREAM = {**ASK, "stream": True}
COMPLETION = {"object": "chat.completion", "choices": []}


def frames(data: bytes) -> list[Any]:
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        found.append(json.loads(data[4 : 4 + size]))
        data = data[4 + size :]
    return found


class Asked:
    """A requester driven by hand, at a server whose handle the test has."""

    all: ClassVar[list[Asked]] = []

    def __init__(self, server: InferenceServer) -> None:
        self.ours, theirs = data_connection()
        self.serving = asyncio.create_task(server.accepted(theirs))
        self.stream = self.ours.stream
        self.all.append(self)

    async def ask(self, document: Any, *, end: bool = True) -> None:
        body = json.dumps(document).encode()
        await self.stream.write(len(body).to_bytes(4, "big") + body)
        if end:
            await self.stream.finish()

    async def answer(self) -> list[Any]:
        """Every frame to the clean end."""
        data = b""
        while more := await self.stream.read():
            data += more
        return frames(data)

    async def over(self) -> tuple[bool, int] | None:
        """Whether we closed, and the code, once the server is through."""
        await asyncio.gather(self.serving, return_exceptions=True)
        return self.ours.closed


def serve(test: Callable[[InferenceServer], Awaitable[None]], *, connected: bool = True) -> None:
    async def main() -> None:
        server = InferenceServer(lambda peer_id: connected, FrameBudget())
        Asked.all.clear()
        await test(server)
        for asked in Asked.all:
            asked.ours.close(0)
            await asked.over()
        await asyncio.sleep(2)  # the last look of `wait_stopped`

    run(main())


async def taken(server: InferenceServer, document: dict[str, Any]) -> tuple[Asked, InferenceRequest]:
    asked = Asked(server)
    await asked.ask(document)
    return asked, await server.handle.next()


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


def test_a_silent_requester_is_closed_after_30_s_a_slow_one_is_not_and_an_endless_one_after_300_s() -> None:
    async def test(server: InferenceServer) -> None:
        loop = asyncio.get_running_loop()
        assert await Asked(server).over() == (False, 4)
        assert loop.time() == pytest.approx(30)
        asked = Asked(server)
        frame = encode_document(ASK)
        for start in range(0, len(frame), 4):
            await asyncio.sleep(29)
            await asked.stream.write(frame[start : start + 4])
        assert 250 < loop.time() - 30 < 300
        assert (await server.handle.next()).body == ASK
        asked.ours.close(0)
        asked, began = Asked(server), loop.time()
        with pytest.raises(ConnectionLost):  # noqa: PT012  until it is closed
            for byte in frame:
                await asked.stream.write(bytes([byte]))
                await asyncio.sleep(29)
        assert await asked.over() == (False, 4)
        assert loop.time() - began == pytest.approx(300 // 29 * 29 + 29)

    serve(test)


def test_the_bytes_of_a_request_count_to_its_end_and_more_once_it_is_decoded() -> None:
    async def test(server: InferenceServer) -> None:
        budget = server._budget
        asked, request = await taken(server, {**ASK, "text": "x" * 10_000})
        assert budget.held == len(request.raw) > 10_000
        assert request.body["text"] == "x" * 10_000
        assert 2 * len(request.raw) < budget.held < 3 * len(request.raw)
        before = budget.held
        assert request.body is request.body
        assert budget.held == before
        asked.stream.capacity = 1000
        answering = asyncio.create_task(request.respond({"text": "y" * 5_000}))
        await asyncio.sleep(1)
        assert budget.held > before + 5_000  # the response too, until it is taken
        await asked.answer()
        await answering
        asked.ours.close(0)
        await asked.over()
        assert budget.held == 0
        # what an application asks for afterwards is its own affair
        asked, request = await taken(server, ASK)
        asked.ours.close(0)
        await asked.over()
        assert request.body == ASK
        assert budget.held == 0

    serve(test)


def test_requests_past_the_budget_are_closed_with_5_and_their_work_ends() -> None:
    async def test(server: InferenceServer) -> None:
        server._budget.total = 25_000
        ended: list[str] = []

        async def answer(request: InferenceRequest) -> None:
            try:
                await asyncio.sleep(100)
            finally:
                assert request.model is not None
                ended.append(request.model)

        serving = asyncio.create_task(server.handle.serve(answer))
        asked = []
        for model, size in (("small", 100), ("large", 12_000), ("larger", 14_000)):
            asked.append(Asked(server))
            await asked[-1].ask({**ASK, "model": model, "text": "x" * size})
            await asyncio.sleep(1)
        assert ended == ["larger"]
        assert [one.ours.closed for one in asked] == [None, None, (False, 5)]
        server.close(6, "over")  # type: ignore[arg-type]
        await serving

    serve(test)


@pytest.mark.parametrize("action", [{}, {"action": "list_models"}])
def test_a_request_of_more_values_than_any_conversation_has_is_not_decoded(action: dict[str, str]) -> None:
    async def test(server: InferenceServer) -> None:
        asked = Asked(server)
        body = b'{"model":"m","x":[%s[]],%s' % (
            b"[]," * MAX_VALUES,
            json.dumps({"b": 1, **action}).encode()[1:],
        )
        sending = asyncio.create_task(asked.stream.write(len(body).to_bytes(4, "big") + body))
        if action:  # of which the rest means nothing
            request = await server.handle.next()
            with pytest.raises(InferenceError, match="values"):
                _ = request.body
            await request.respond({"models": []})
            assert await asked.answer() == [{"models": []}]
        else:
            (error,) = await asked.answer()
            assert error["error"]["type"] == "request_error"
            assert "values" in error["error"]["message"]
        await sending

    serve(test)


def test_a_number_that_is_none_here_is_the_clients_error() -> None:
    async def test(server: InferenceServer) -> None:
        async def answer(request: InferenceRequest) -> None:
            await request.respond(request.body)

        serving = asyncio.create_task(server.handle.serve(answer))
        asked = Asked(server)
        body = b'{"model":"m","x":1e999}'
        await asked.stream.write(len(body).to_bytes(4, "big") + body)
        (error,) = await asked.answer()
        assert error["error"]["type"] == "request_error"
        assert "number" in error["error"]["message"].lower()
        server.close(6, "over")  # type: ignore[arg-type]
        await serving

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


def test_a_client_that_does_not_read_holds_up_its_own_answer_and_loses_nothing() -> None:
    async def test(server: InferenceServer) -> None:
        asked, request = await taken(server, STREAM)
        asked.stream.capacity = 1000
        sent = [{"n": n, "text": "x" * 400} for n in range(20)]
        done: list[int] = []

        async def answer() -> None:
            async with request.stream() as send:
                for frame in sent:
                    await send(frame)
                    done.append(frame["n"])  # type: ignore[arg-type]

        answering = asyncio.create_task(answer())
        await asyncio.sleep(200)
        assert len(done) == 2
        assert await asked.answer() == sent
        await answering

    serve(test)


def test_a_response_of_which_nothing_is_taken_for_300_s_is_reset_with_4() -> None:
    async def test(server: InferenceServer) -> None:
        asked, request = await taken(server, ASK)
        asked.stream.capacity = 10
        with pytest.raises(InferenceCancelled, match="300 s"):
            await request.respond(COMPLETION)
        assert asyncio.get_running_loop().time() == pytest.approx(300)
        await asyncio.sleep(1)
        assert asked.stream.other.reset_code == 4  # type: ignore[attr-defined]
        assert await asked.over() == (False, 4)  # what it sees where the reset did not reach it

    serve(test)


def test_a_request_that_nobody_answers_is_failed_within_300_s() -> None:
    async def test(server: InferenceServer) -> None:
        asked, request = await taken(server, STREAM)
        (error,) = await asked.answer()
        assert error["error"]["type"] == "server_error"
        assert 290 < asyncio.get_running_loop().time() < 300
        assert request.cancelled.is_set()
        with pytest.raises(InferenceCancelled):
            await request.respond(COMPLETION)
        # and so is one whose next frame does not come
        asked, request = await taken(server, STREAM)
        began = asyncio.get_running_loop().time()
        with pytest.raises(InferenceCancelled):  # noqa: PT012  the block is what is tested
            async with request.stream() as send:
                for _ in range(3):
                    await asyncio.sleep(250)
                    await send({})
                await asyncio.sleep(310)
                await send({})
        assert asyncio.get_running_loop().time() - began == pytest.approx(1060)
        *good, error = await asked.answer()
        assert len(good) == 3
        assert "error" in error

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


def test_more_requests_than_anybody_takes_are_refused_as_busy() -> None:
    async def test(server: InferenceServer) -> None:
        waiting = [Asked(server) for _ in range(64)]
        for one in waiting:
            await one.ask(ASK)
        await asyncio.sleep(1)
        late = Asked(server)
        await late.ask(ASK)
        (error,) = await late.answer()
        assert error["error"]["type"] == "server_error"
        waiting[0].ours.close(0)
        await asyncio.sleep(1)
        better = Asked(server)
        await better.ask({**ASK, "model": "better"})
        await asyncio.sleep(1)
        got = [(await server.handle.next()).body["model"] for _ in range(64)]
        assert got[-1] == "better"
        server.close(6, "over")  # type: ignore[arg-type]
        with pytest.raises(SessionClosed):
            await server.handle.next()
        assert [request async for request in server.handle] == []
        assert better.ours.closed == (False, 6)
        with pytest.raises(ConnectionLost):
            await better.stream.read()

    serve(test)
