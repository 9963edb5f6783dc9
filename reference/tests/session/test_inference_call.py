"""Asking for an inference, in memory and in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gate_p2p.core import GateError, LocalProtocolError
from gate_p2p.core.documents import encode_document
from gate_p2p.session.errors import InferenceError
from gate_p2p.session.inference import InferenceCall

from ..cli.process import frames
from .data_connections import DataConnection, data_connection
from .inference_memory import ASK, COMPLETION, STREAM
from .memory import run

Peer = Callable[[DataConnection], Coroutine[Any, Any, None]]


def call_of(
    request: dict[str, Any], peer: Peer, timeout: float | None = None
) -> tuple[InferenceCall, DataConnection]:
    """A call that `peer` answers, and the peer's end of its connection."""
    ours, theirs = data_connection()

    @asynccontextmanager
    async def connect(peer_id: str) -> AsyncIterator[DataConnection]:
        task = asyncio.create_task(peer(theirs))
        try:
            yield ours
        finally:
            task.cancel()

    return InferenceCall(ours.remote_id, request, connect, timeout), theirs


async def collect(call: InferenceCall, into: list[Any]) -> None:
    async for frame in call:
        into.append(frame)


def says(*pieces: bytes, end: bool = True) -> Peer:
    async def peer(connection: DataConnection) -> None:
        stream = await connection.accept_stream()
        while await stream.read():
            pass
        for piece in pieces:
            await stream.write(piece)
        if end:
            await stream.finish()

    return peer


def test_the_request_is_one_frame_and_then_the_end_of_the_direction() -> None:
    seen = bytearray()

    async def peer(connection: DataConnection) -> None:
        stream = await connection.accept_stream()
        while data := await stream.read():
            seen.extend(data)
        await stream.write(encode_document(COMPLETION))

    async def main() -> None:
        call, theirs = call_of(ASK, peer)
        assert await call == COMPLETION  # without the end of the stream (IN-12)
        assert theirs.closed == (False, 0)
        with pytest.raises(RuntimeError, match="made already"):
            await call

    run(main())
    assert frames(bytes(seen)) == [ASK]


def test_without_stream_what_follows_the_first_frame_is_ignored() -> None:
    async def main() -> None:
        call, _ = call_of(
            ASK, says(encode_document(COMPLETION), encode_document({"error": "late"}), b"\0" * 4)
        )
        assert [frame async for frame in call] == [COMPLETION]

    run(main())


def test_a_stream_is_every_frame_to_the_clean_end() -> None:
    async def main() -> None:
        sent = [{"n": n} for n in range(5)]
        call, theirs = call_of(STREAM, says(b"".join(map(encode_document, sent))))
        assert [frame async for frame in call] == sent
        assert theirs.closed == (False, 0)
        call, _ = call_of(STREAM, says(encode_document(COMPLETION)))
        assert await call == COMPLETION  # a responder that does not stream (IN-19)
        call, _ = call_of(STREAM, says(encode_document({}), encode_document({})))
        with pytest.raises(InferenceError, match="iterate"):
            await call

    run(main())


@pytest.mark.parametrize(
    ("pieces", "words", "code"),
    [
        ((), "without a response", 0),
        ((b"[]",), "no JSON object", 0),
        ((b"{",), "no JSON document", 1),
        ((None,), "inside a frame", 1),
        ((b"",), "length 0", 1),
    ],
)
@pytest.mark.parametrize("request_", [ASK, STREAM])
def test_a_response_that_is_none_fails_the_request(
    request_: dict[str, Any], pieces: tuple[bytes | None, ...], words: str, code: int
) -> None:
    async def main() -> None:
        sent = [b"\0\0\0" if one is None else len(one).to_bytes(4, "big") + one for one in pieces]
        call, theirs = call_of(request_, says(*sent))
        with pytest.raises(InferenceError, match=words) as caught:
            [frame async for frame in call]
        assert caught.value.kind is None
        assert theirs.closed == (False, code)

    run(main())


@pytest.mark.parametrize(
    ("error", "text", "kind"),
    [
        ({"message": "no such model", "type": "request_error"}, "no such model", "request_error"),
        ({"message": "m", "type": "upstream_error", "code": 7}, "m", "upstream_error"),
        ({"message": "m", "type": "overloaded"}, "m", "server_error"),
        ({"message": "m"}, "m", "server_error"),
        ({"message": 7, "type": []}, "the peer gave no reason", "server_error"),
        ("words", "words", "server_error"),
        (False, "the peer gave no reason", "server_error"),
        ({}, "the peer gave no reason", "server_error"),
    ],
)
def test_an_error_object_fails_the_request_also_after_frames(error: Any, text: str, kind: str) -> None:
    async def main() -> None:
        call, _ = call_of(STREAM, says(encode_document({"n": 1}), encode_document({"error": error})))
        got: list[Any] = []
        with pytest.raises(InferenceError) as caught:
            await collect(call, got)
        assert got == [{"n": 1}]
        assert (str(caught.value), caught.value.kind) == (text, kind)
        call, _ = call_of(ASK, says(encode_document({"error": None})))
        assert await call == {"error": None}

    run(main())


def test_a_stream_that_is_reset_or_lost_fails_what_it_was_in() -> None:
    async def main() -> None:
        async def reset(connection: DataConnection) -> None:
            stream = await connection.accept_stream()
            await stream.write(encode_document({"n": 1}))
            stream.reset(9)

        async def close(connection: DataConnection) -> None:
            stream = await connection.accept_stream()
            await stream.write(encode_document({"n": 1}))
            connection.close(0)

        for peer in (reset, close):
            call, _ = call_of(STREAM, peer)
            with pytest.raises(GateError, match=r"reset|closed"):
                [frame async for frame in call]
            call, _ = call_of(ASK, peer)
            assert await call == {"n": 1}  # what came before counts (CL-09)

    run(main())


def test_a_requester_whose_direction_is_stopped_reads_on() -> None:
    async def main() -> None:
        async def stop(connection: DataConnection) -> None:
            connection.stream.stop(0)
            await connection.stream.write(encode_document(COMPLETION))
            await connection.stream.finish()

        call, theirs = call_of(ASK, stop)
        theirs.stream.stop(0)
        assert await call == COMPLETION

    run(main())


def test_each_frame_may_take_330_seconds_and_no_more() -> None:
    async def main() -> None:
        async def slow(connection: DataConnection) -> None:
            stream = await connection.accept_stream()
            for pause in (329, 329, 400):
                await asyncio.sleep(pause)
                await stream.write(encode_document({"pause": pause}))

        call, theirs = call_of(STREAM, slow)
        got: list[Any] = []
        with pytest.raises(InferenceError, match="no frame within 330 s"):
            await collect(call, got)
        assert len(got) == 2
        assert asyncio.get_running_loop().time() == pytest.approx(329 + 329 + 330)
        assert theirs.closed == (False, 0)

    run(main())


@pytest.mark.parametrize("request_", [ASK, STREAM])
def test_a_time_out_is_for_the_whole_call(request_: dict[str, Any]) -> None:
    async def main() -> None:
        async def slow(connection: DataConnection) -> None:
            stream = await connection.accept_stream()
            for n in range(10):
                await asyncio.sleep(4)
                if request_ is STREAM:
                    await stream.write(encode_document({"n": n}))

        call, theirs = call_of(request_, slow, 10)
        got: list[Any] = []
        with pytest.raises(InferenceError, match="not complete within 10 s"):
            await collect(call, got)
        assert got == ([{"n": 0}, {"n": 1}] if request_ is STREAM else [])
        assert asyncio.get_running_loop().time() == pytest.approx(10)
        assert theirs.closed == (False, 0)

    run(main())


def test_a_time_out_holds_for_the_dial() -> None:
    async def main() -> None:
        @asynccontextmanager
        async def connect(peer_id: str) -> AsyncIterator[DataConnection]:
            await asyncio.sleep(30)
            yield data_connection()[0]

        with pytest.raises(InferenceError, match="within 2 s"):
            await InferenceCall("ab" * 32, ASK, connect, 2)
        assert asyncio.get_running_loop().time() == pytest.approx(2)

    run(main())


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_time_out_that_is_none_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match="positive number of seconds"):
        call_of(ASK, says(), timeout)


@pytest.mark.parametrize("how", ["aclose", "with", "drop", "cancel"])
def test_a_call_that_is_left_early_closes_its_connection(how: str) -> None:
    async def main() -> None:
        call, theirs = call_of(STREAM, says(encode_document({"n": 1}), end=False))
        if how == "aclose":
            async for _ in call:
                break
            assert theirs.closed is None
            await call.aclose()
        elif how == "with":
            async with call:
                async for _ in call:
                    break
        elif how == "drop":
            async for _ in call:
                break
            del call
        else:
            waiting = asyncio.ensure_future(call)
            await asyncio.sleep(1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await asyncio.sleep(0.01)
        assert theirs.closed == (False, 0)

    run(main())


def test_what_cannot_be_sent_is_said_before_anything_is_dialled() -> None:
    async def main() -> None:
        call, theirs = call_of({"model": float("nan")}, says())
        with pytest.raises(LocalProtocolError):
            await call
        assert theirs.closed is None

    run(main())
