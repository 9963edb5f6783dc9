"""How long a responder of inference waits, and how much it keeps, in memory and in virtual time."""

from __future__ import annotations

import asyncio
import json

import pytest

from gate_p2p.core.documents import encode_document
from gate_p2p.session.errors import InferenceCancelled, InferenceError, SessionClosed
from gate_p2p.session.inference_body import MAX_VALUES
from gate_p2p.session.inference_request import InferenceRequest
from gate_p2p.session.inference_server import InferenceServer
from gate_p2p.transport import ConnectionLost

from .inference_memory import ASK, COMPLETION, STREAM, Asked, serve, taken


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


@pytest.mark.parametrize("value", [b"1e999", b"[%s[]]" % (b"[]," * MAX_VALUES)])
def test_a_request_that_cannot_be_decoded_counts_its_bytes_however_often_it_is_tried(value: bytes) -> None:
    async def test(server: InferenceServer) -> None:
        server._budget.total = 2_000_000
        asked = Asked(server)
        body = b'{"action":"list_models","x":%s}' % value
        sending = asyncio.create_task(asked.stream.write(len(body).to_bytes(4, "big") + body))
        request = await server.handle.next()
        await sending
        for _ in range(3):
            with pytest.raises(InferenceError):
                _ = request.body
            assert server._budget.held == len(body)
        assert asked.ours.closed is None
        request.abandon()

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


@pytest.mark.parametrize("how", ["serve", "next"])
def test_a_client_is_told_that_its_answer_takes_too_long_whoever_is_at_it(how: str) -> None:
    async def test(server: InferenceServer) -> None:
        async def answer(request: InferenceRequest) -> None:
            async with request.stream():
                await asyncio.sleep(1000)

        serving = asyncio.create_task(server.handle.serve(answer)) if how == "serve" else None
        asked = Asked(server)
        stream = asked.stream.other
        write = stream.write

        async def write_and_wait(data: bytes) -> None:
            await write(data)
            await asyncio.sleep(1)  # the answer is cancelled, and gives the request up, meanwhile

        stream.write = write_and_wait  # type: ignore[method-assign]
        await asked.ask(STREAM)
        (error,) = await asked.answer()
        assert error["error"]["message"] == "the answer took too long"
        await asyncio.sleep(1)
        assert stream.reset_code is None  # type: ignore[attr-defined]  # it would overtake the error
        server.close(6, "over")  # type: ignore[arg-type]
        if serving is not None:
            await serving

    serve(test)


def test_a_client_that_stops_the_stream_after_the_answer_is_closed_with_0() -> None:
    async def test(server: InferenceServer) -> None:
        asked, request = await taken(server, ASK)
        await request.respond(COMPLETION)
        assert await asked.answer() == [COMPLETION]
        asked.stream.stop(0)
        assert await asked.over() == (False, 0)

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
