"""Inference streams: requests, and the frames that answer them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate_conformance import codec
from gate_conformance.case import case
from gate_conformance.cases._data import END_WITHIN, alive, served
from gate_conformance.cases._inference import (
    FRAME_ALONE,
    LIST,
    MODEL_WITHIN,
    Document,
    answer,
    ask,
    body_of,
    chat,
    completion,
    documents,
    error_of,
    model_of,
    models,
    one_frame,
    refused,
    sensible,
)
from gate_conformance.codec import MAX_BODY, frame
from gate_conformance.data import INFERENCE_ALPN

if TYPE_CHECKING:
    from gate_conformance.trial import Trial

ACCEPTOR = ("acceptor",)
CHUNK = "chat.completion.chunk"


@case("inference.list-models", requirement="IN-13", roles=ACCEPTOR)
async def list_models(t: Trial) -> None:
    """`list_models` is answered with an array of models, each with a text as `id`."""
    link = await served(t, "inference")
    listed = await models(t, await ask(t, LIST))
    t.note(f"{len(listed)} models")
    await alive(t, link, "a list of models")


@case("inference.clean-end", requirement="IN-10", roles=ACCEPTOR)
async def clean_end(t: Trial) -> None:
    """Each answer is followed by the clean end of the stream, that of a failed request too."""
    link = await served(t, "inference")
    requests: tuple[tuple[object, str], ...] = (
        (LIST, "IN-13"),
        ({"action": "teleport"}, "IN-14"),
        ({"messages": []}, "IN-16"),
        ([], "IN-15"),
    )
    for document, requirement in requests:
        sensible(t, (await answer(t, await ask(t, document)))[-1], requirement)
    await alive(t, link, "several requests")


@case("inference.response-frames", requirement="IN-04", roles=ACCEPTOR)
async def response_frames(t: Trial) -> None:
    """Responses are JSON objects in frames, as control messages are."""
    link = await served(t, "inference")
    requests: tuple[tuple[object, str], ...] = (
        (LIST, "IN-13"),
        ({"action": "näh \U0001f600 \u0000"}, "IN-14"),
        ("text", "IN-15"),
    )
    for document, requirement in requests:
        found = await answer(t, await ask(t, document), requirement="IN-10")
        sensible(t, found[-1], requirement)
    await alive(t, link, "several requests")


@case("inference.request-in-pieces", requirement="IN-04", roles=ACCEPTOR)
async def request_in_pieces(t: Trial) -> None:
    """A request that arrives in pieces is one request."""
    link = await served(t, "inference")
    stream = await t.dial(INFERENCE_ALPN)
    data = frame(body_of({**LIST, "x-padding": "p" * 70_000}))
    for start, end in ((0, 1), (1, 4), (4, 9), (9, 20_000), (20_000, len(data))):
        await stream.send(data[start:end])
        await stream.until(lambda: stream.ended is not None, 0.05)
    await stream.finish()
    await models(t, stream)
    await alive(t, link, "a request in pieces")


@case("inference.one-frame-list", requirement="IN-11", roles=ACCEPTOR)
async def one_frame_list(t: Trial) -> None:
    """A list of models and an error object are one frame each."""
    link = await served(t, "inference")
    for document in (LIST, {**LIST, "stream": False}):
        sensible(t, await one_frame(t, await ask(t, document)), "IN-13")
    sensible(t, await one_frame(t, await ask(t, {"action": "teleport"})), "IN-14")
    await alive(t, link, "several requests")


@case("inference.one-frame-chat", requirement="IN-11", roles=ACCEPTOR, seconds=2.0)
async def one_frame_chat(t: Trial) -> None:
    """A chat request whose `stream` is anything but true is answered with one frame."""
    link, model = await served(t, "inference"), model_of(t)
    for members in ({}, {"stream": False}, {"stream": None}):
        completion(t, await one_frame(t, await ask(t, chat(model, **members)), MODEL_WITHIN))
    for value in ("true", 1):  # the model server may take offence at these
        await one_frame(t, await ask(t, chat(model, stream=value)), MODEL_WITHIN)
    await alive(t, link, "several requests")


@case("inference.chat", requirement="IN-16", roles=ACCEPTOR, seconds=2.0)
async def chat_is_served(t: Trial) -> None:
    """A request whose `action` is absent or null is a chat-completions request."""
    link, model = await served(t, "inference"), model_of(t)
    for document in (chat(model), {"action": None, **chat(model)}):
        completion(t, await one_frame(t, await ask(t, document), MODEL_WITHIN))
    await alive(t, link, "two requests")


@case("inference.no-model", requirement="IN-16", roles=ACCEPTOR)
async def no_model(t: Trial) -> None:
    """A chat request without a text as `model` is answered with a `request_error`."""
    link = await served(t, "inference")
    messages = chat("x")["messages"]
    values: tuple[object, ...] = (None, 7, True, ["x"], {"id": "x"})
    wrong: list[Document] = [{}, {"action": None}, *({"model": value} for value in values)]
    for members in wrong:
        await refused(t, {**members, "messages": messages}, f"a request with {members or 'no model'}")
    await refused(t, {}, "a request without members")
    await alive(t, link, "refused requests")


@case("inference.unknown-action", requirement="IN-14", roles=ACCEPTOR)
async def unknown_action(t: Trial) -> None:
    """A request with an `action` that 1.0 does not know is answered with a `request_error`."""
    link = await served(t, "inference")
    request = chat(t.options.model or "conformance")
    texts = ("teleport", "", "LIST_MODELS", "list_models ")
    actions: tuple[object, ...] = (*texts, 0, 7, True, False, [], {}, ["list_models"])
    for action in actions:
        await refused(t, {"action": action, **request}, f"the action {action!r}")
    await alive(t, link, "refused requests")


@case("inference.no-object", requirement="IN-15", roles=ACCEPTOR)
async def no_object(t: Trial) -> None:
    """A request that is JSON but no object is answered with a `request_error`."""
    link = await served(t, "inference")
    values: tuple[object, ...] = ([], [LIST], "list_models", 7, None, True, 0.5)
    for document in values:
        await refused(t, body_of(document), f"the request {document!r}")
    await alive(t, link, "refused requests")


@case("inference.error-object", requirement="IN-20", roles=ACCEPTOR)
async def error_object(t: Trial) -> None:
    """The last frame of a failed request is an error object with `message` and `type`, before a clean end."""
    link = await served(t, "inference")
    unknown = chat("conformance/no-such-model")
    failing: list[Document] = [{"action": "teleport"}, {"messages": []}, unknown, {**unknown, "stream": True}]
    for document in failing:
        found = await answer(t, await ask(t, document), MODEL_WITHIN, "IN-20")
        error = error_of(t, found[-1])
        if error is None and "model" not in document:
            t.fail("an error object as the last frame", f"{found[-1]}"[:300])
        if error is None:
            t.note("the target serves a model of any name")
        elif any(error_of(t, one) for one in found[:-1]):
            t.fail("an error object as the last frame", "one before the last")
    await alive(t, link, "failed requests")


@case("inference.error-type", requirement="IN-21", roles=ACCEPTOR)
async def error_type(t: Trial) -> None:
    """The `type` for a model that is not there is `request_error`."""
    link = await served(t, "inference")
    stream = await ask(t, chat("conformance/no-such-model"))
    error = error_of(t, (await answer(t, stream, MODEL_WITHIN))[-1])
    if error is None:
        t.inconclusive("the target serves a model of any name")
    t.check(error["type"] == "request_error", "type 'request_error'", f"type {error['type']!r}")
    await alive(t, link, "a failed request")


@case("inference.chunks", requirement="IN-18", roles=ACCEPTOR, seconds=2.0)
async def chunks(t: Trial) -> None:
    """A streamed answer is one chunk object a frame, and the end of the stream is its only mark."""
    link, model = await served(t, "inference"), model_of(t)
    found = await answer(t, await ask(t, chat(model, stream=True)), MODEL_WITHIN)
    if len(found) == 1 and found[0].get("object") == "chat.completion":
        t.note("the target does not stream (IN-19)")
        return
    for one in found:
        completion(t, one)
        if one.get("object") != CHUNK:
            t.fail(f"chunk objects, each with `object` {CHUNK!r}", f"{one}"[:300])
    t.note(f"{len(found)} chunks")
    await alive(t, link, "a streamed answer")


@case("inference.members", requirement="IN-36", roles=ACCEPTOR)
async def members(t: Trial) -> None:
    """Members are read as in control messages: order, spelling, unknown ones, null, repeats."""
    link = await served(t, "inference")
    for what, body in (
        ("unknown members", b'{"x":{"action":"teleport"},"action":"list_models","":[[],null],"error":7}'),
        ("another order", b'{"z":1,"action":"list_models","a":{"action":null}}'),
        ("white space", b' \t\r\n{ "action"\n:\t"list_models" }\r\n'),
        ("escapes", b'{"\\u0061ction":"list\\u005fmodels"}'),
        ("null members", b'{"model":null,"action":"list_models","stream":null}'),
    ):
        try_it = await ask(t, body)
        found = await one_frame(t, try_it)
        if error_of(t, found) is not None and found["error"]["type"] == "upstream_error":
            t.inconclusive("the target's model server fails")
        if not isinstance(found.get("models"), list):
            t.fail(f"a list of models for a request with {what}", f"{found}"[:300])
    await refused(
        t, b'{"action":"list_models","action":"teleport"}', "a repeated `action`, by its last value"
    )
    await refused(t, b'{"action":"list_models","action":7}', "a repeated `action`, by its last value")
    await alive(t, link, "several requests")


# -- framing, and what follows the request -----------------------------------------------------------------


def _violation_case(name: str, what: str, raw: bytes, code: int, *, finish: bool = False) -> None:
    async def ends(t: Trial) -> None:
        link = await served(t, "inference")
        await models(t, await ask(t, LIST), "IN-13")  # requests are served here
        stream = await t.dial(INFERENCE_ALPN)
        await stream.send(raw if finish else raw + frame(body_of(LIST)))
        if finish:
            await stream.finish()
        await stream.until(lambda: stream.ended is not None, END_WITHIN + link.channel.slack)
        acted = [one for one in documents(t, stream) if "models" in one]
        if acted:
            t.fail(f"nothing acted on after {what}", "a list of models")
        if stream.ended is None:
            t.fail(f"the end of the connection within 5 s of {what}", "still open")
        came = await stream.code()
        if came is not None and came != code:
            t.warn(f"close code {code} for {what}", f"{came}", "CL-01")
        await alive(t, link, what)

    ends.__doc__ = f"{what[0].upper()}{what[1:]} ends the inference connection, and nothing is answered."
    case(f"inference.violation-{name}", requirement="IN-05", roles=ACCEPTOR)(ends)


_violation_case("zero-length", "a length of 0", bytes(4), 1)
_violation_case("oversize", "a length that is too large", (MAX_BODY + 1).to_bytes(4, "big"), 2)
_violation_case("bad-json", "a body that is no JSON", frame(b'{"action":"list_models"'), 1)
_violation_case("trailing", "bytes behind the JSON", frame(b'{"action":"list_models"} x'), 1)
_violation_case("bad-utf-8", "a body that is no UTF-8", frame(b'{"action":"list_models","x":"\xff"}'), 1)
_violation_case("bom", "a byte order mark", frame(b'\xef\xbb\xbf{"action":"list_models"}'), 1)
_violation_case("end-in-frame", "an end inside the request", frame(body_of(LIST))[:-1], 1, finish=True)
_violation_case("end-in-prefix", "an end inside the length", b"\0\0", 1, finish=True)


def _following_case(name: str, what: str, more: bytes, *, finish: bool) -> None:
    async def not_acted_on(t: Trial) -> None:
        link = await served(t, "inference")
        stream = await t.dial(INFERENCE_ALPN)
        await stream.send(frame(body_of(LIST)) + more)
        if finish:
            await stream.finish()
        found = await answer(t, stream, requirement="IN-06")
        if len(found) != 1 or error_of(t, found[0]) is not None:
            t.fail(f"a list of models, whatever follows the request: {what}", f"{found}"[:300])
        await alive(t, link, what)

    not_acted_on.__doc__ = f"What follows the request is not acted on: {what}."
    case(f"inference.after-request-{name}", requirement="IN-06", roles=ACCEPTOR)(not_acted_on)


_following_case("request", "another request", codec.frame(body_of(LIST)), finish=True)
_following_case("bad-request", "a request that would fail", frame(b'{"action":"teleport"}'), finish=True)
_following_case("violation", "a length of 0", bytes(4), finish=False)
_following_case("no-json", "a frame that is no JSON", frame(b"{"), finish=False)
_following_case("part", "a part of a frame, and the end", b"\0\0\1\0{", finish=True)


@case("inference.served-before-end", requirement="IN-08", roles=ACCEPTOR)
async def served_before_end(t: Trial) -> None:
    """A request is served although the requester has not ended its direction."""
    link = await served(t, "inference")
    stream = await ask(t, LIST, finish=False)
    await models(t, stream)
    await alive(t, link, "a request without an end")


@case("inference.end-is-no-cancellation", requirement="IN-08", roles=ACCEPTOR)
async def end_is_no_cancellation(t: Trial) -> None:
    """A clean end after the request, with it or while it is worked on, cancels nothing."""
    link = await served(t, "inference")
    await models(t, await ask(t, LIST))
    if t.options.slow_model is not None:
        stream = await ask(t, chat(t.options.slow_model), finish=False)
        await stream.until(lambda: stream.ended is not None, FRAME_ALONE)
        await stream.finish()
        completion(t, await one_frame(t, stream, MODEL_WITHIN, "IN-08"))
    await alive(t, link, "two requests")
