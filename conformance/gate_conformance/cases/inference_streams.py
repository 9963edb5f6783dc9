"""Inference streams: connections side by side, cancellation, time, and the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate_conformance.case import case
from gate_conformance.cases._data import (
    ANSWER_WITHIN,
    alive,
    beside,
    second,
    served,
)
from gate_conformance.cases._inference import (
    LIST,
    MODEL_WITHIN,
    answer,
    ask,
    body_of,
    chat,
    completion,
    models,
    one_frame,
    slow_model_of,
)
from gate_conformance.cases._requests import INFERENCE, request, succeeded
from gate_conformance.codec import frame
from gate_conformance.data import INFERENCE_ALPN

if TYPE_CHECKING:
    from gate_conformance.data import DataStream
    from gate_conformance.trial import Trial

ACCEPTOR = ("acceptor",)
REQUEST = frame(body_of(LIST))
SILENCE = 30.0
ODD_CODES = (0, 7, 2**32 + 1, 2**62 - 1)


async def _half(t: Trial) -> DataStream:
    """A request of which the last bytes are missing."""
    stream = await t.dial(INFERENCE_ALPN)
    await stream.send(REQUEST[:-5])
    return stream


async def _rest(stream: DataStream) -> None:
    await stream.send(REQUEST[-5:])
    await stream.finish()


@case("inference.side-by-side", requirement="IN-32", roles=ACCEPTOR, seconds=2.0)
async def side_by_side(t: Trial) -> None:
    """A request is served while others of the same peer are not complete, or wait for a model."""
    link = await served(t, "inference")
    waiting = [await _half(t)]  # IN-32 says "several", and no number
    slow = None if t.options.slow_model is None else await ask(t, chat(t.options.slow_model))
    stream = await ask(t, LIST)
    came = await stream.until(lambda: stream.ended is not None, ANSWER_WITHIN)
    t.check(came, f"an answer within {ANSWER_WITHIN:g} s, beside other requests", "none")
    if slow is not None:
        t.check(slow.ended is None, "an answer before that of a slow request", "the slow one came first")
    for one in waiting:
        await _rest(one)
        await models(t, one, "IN-10")
    await alive(t, link, "requests side by side")


@case("inference.second-stream", requirement="IN-35", roles=ACCEPTOR, seconds=2.0)
async def second_stream(t: Trial) -> None:
    """A request on a second stream of the connection is not answered, and the first goes on."""
    link = await served(t, "inference")
    stream = await _half(t)
    for data, seconds in ((REQUEST, 1.0), (bytes(4), 0.2)):
        came = await second(t, stream, data, seconds)
        if came:
            t.fail("silence or a reset on a second stream", f"{len(came)} bytes: {came[4:120]!r}")
    await _rest(stream)
    await models(t, stream)
    await alive(t, link, "a second stream on an inference connection")


@case("inference.beside-the-stream", requirement="IN-35", roles=ACCEPTOR, seconds=2.0)
async def beside_the_stream(t: Trial) -> None:
    """A unidirectional stream and a datagram do nothing to the stream of the request."""
    link = await served(t, "inference")
    stream = await _half(t)
    for way in ("unidirectional stream", "datagram"):
        await beside(t, stream, way, REQUEST)
    await stream.until(lambda: stream.ended is not None, 0.5)
    if stream.received or stream.ended is not None:
        t.fail("nothing before the request is complete", f"{len(stream.received)} bytes, {stream.ended}")
    await _rest(stream)
    await models(t, stream)
    await alive(t, link, "what came beside the stream")


# -- cancellation ------------------------------------------------------------------------------------------


@case("inference.cancels-nothing-else", requirement="IN-25", roles=ACCEPTOR, seconds=2.0)
async def cancels_nothing_else(t: Trial) -> None:
    """Requests that are reset, closed or stopped on their way take no other request along."""
    link = await served(t, "inference")
    others = [await _half(t) for _ in range(2)]
    for code in (0, 7):
        reset, stopped = await _half(t), await ask(t, LIST, reading=False)
        reset.reset(code)
        (await _half(t)).close(code)
        stopped.stop(code)
        await link.settle(0.25)
        for one in (reset, stopped):  # few connections at a time
            one.close(code)
    for one in others:
        await _rest(one)
        await models(t, one)
    await models(t, await ask(t, LIST))
    await alive(t, link, "cancelled requests")


@case("inference.cancels-slow-alone", requirement="IN-25", roles=ACCEPTOR, seconds=6.0)
async def cancels_slow_alone(t: Trial) -> None:
    """Of several slow requests one that is reset gets no answer, and one that is not cancelled its own."""
    link, model = await served(t, "inference"), slow_model_of(t)
    kept, reset = await ask(t, chat(model)), await ask(t, chat(model), finish=False)
    closed, stopped = await ask(t, chat(model)), await ask(t, chat(model), reading=False)
    await link.settle(0.5)
    reset.reset(0)
    closed.close(0)
    stopped.stop(0)
    completion(t, await one_frame(t, kept, MODEL_WITHIN, "IN-25"))
    await reset.until(lambda: reset.ended is not None, 2.0)
    # what was on its way before the responder noticed may arrive
    came = f"{len(reset.received)} bytes"
    t.check(not reset.received, "no answer to a request that was reset", came, "IN-26")
    await alive(t, link, "cancelled requests")


@case("inference.any-code-cancels", requirement="CL-10", roles=ACCEPTOR, seconds=3.0)
async def any_code_cancels(t: Trial) -> None:
    """A request that is reset before it is complete is over, whatever the code of the reset."""
    link = await served(t, "inference")
    streams = [await _half(t) for _ in ODD_CODES]
    for stream, code in zip(streams, ODD_CODES, strict=True):
        stream.reset(code)
    for stream, code in zip(streams, ODD_CODES, strict=True):
        await stream.until(lambda s=stream: s.ended is not None, ANSWER_WITHIN)  # type: ignore[misc]
        if (stream.ended is None) != (streams[0].ended is None):
            t.fail(
                "the same after a reset with any code", f"code {code}: {stream.ended}; 0: {streams[0].ended}"
            )
        if stream.received:
            t.fail("no answer to a request that was reset", f"{len(stream.received)} bytes")
    await models(t, await ask(t, LIST))
    await alive(t, link, "resets with odd codes")


# -- time, and the end -------------------------------------------------------------------------------------


@case("inference.no-request-in-time", requirement="IN-29", roles=ACCEPTOR, seconds=SILENCE, idle=True)
async def no_request_in_time(t: Trial) -> None:
    """A connection on which nothing comes for 30 s before the request is complete is closed with code 4."""
    link = await served(t, "inference")
    part = await _half(t)
    await part.until(lambda: part.ended is not None, SILENCE + 10.0)
    waited = t.now() - part.opened_at
    t.check(
        part.ended, "a connection without a whole request closed after 30 s", f"open after {waited:.0f} s"
    )
    t.check(waited > SILENCE - 5.0, "30 s for a request", f"the end after {waited:.0f} s")
    if part.ended is not None:
        code = await part.code()
        t.check(code == 4, "close code 4", f"{code}")
    await alive(t, link, "a request that never came")


@case("inference.outlives-control", requirement="IN-33", roles=ACCEPTOR, seconds=6.0)
async def outlives_control(t: Trial) -> None:
    """A request under way is answered although the control connection has ended."""
    link, model = await served(t, "inference"), slow_model_of(t)
    finished, streamed = await ask(t, chat(model)), await ask(t, chat(model, stream=True))
    await link.settle(0.5)
    link.close(0)
    completion(t, await one_frame(t, finished, MODEL_WITHIN, "IN-33"))
    for one in await answer(t, streamed, MODEL_WITHIN, "IN-33"):
        completion(t, one, "IN-33")
    await t.still_serving()


@case("inference.closed-after-both-ends", requirement="CL-08", roles=ACCEPTOR, seconds=6.0)
async def closed_after_both_ends(t: Trial) -> None:
    """The responder closes with code 0 when both directions have ended and the requester does not close."""
    link = await served(t, "inference")
    stream = await ask(t, LIST)
    await answer(t, stream, close=False)
    code = await stream.code(12.0)
    t.check(code == 0, "a connection closed with code 0 some 5 s after both ends", f"code {code}")
    await alive(t, link, "an inference connection that was through")


@case("inference.granted-is-served", requirement="ST-05", roles=ACCEPTOR)
async def granted_is_served(t: Trial) -> None:
    """An inference connection after an accepted RequestInferenceStream is served."""
    link = await served(t, "inference")
    message = request(t, link, INFERENCE)
    await link.send(message)
    response = await link.expect_response(message, requirement="ST-02")
    if not succeeded(response):
        t.inconclusive(f"the target grants no inference stream: {response.get('error')}")
    await models(t, await ask(t, LIST), "ST-05")
    await alive(t, link, "an inference that was granted")


@case("closing.inference-ends-alone", requirement="CL-11", roles=ACCEPTOR, seconds=2.0)
async def inference_ends_alone(t: Trial) -> None:
    """Inference connections that end in whatever way end no other connection of the peer."""
    link = await served(t, "inference")
    other = await _half(t)
    for raw, code in ((bytes(4), None), (b"\xff" * 8, None), (b"", 0), (REQUEST, 5), (REQUEST[:9], 2**32)):
        stream = await t.dial(INFERENCE_ALPN)
        if raw:
            await stream.send(raw)
        if code is None:
            await stream.until(lambda s=stream: s.ended is not None, 5.0)  # type: ignore[misc]
        else:
            stream.close(code)
    await link.settle(0.4)
    await alive(t, link, "inference connections that broke off")
    await _rest(other)
    await models(t, other)
