"""Inference requests and their answers: shared by the cases of the chapter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gate_conformance import codec
from gate_conformance.cases._data import ANSWER_WITHIN
from gate_conformance.data import INFERENCE_ALPN

if TYPE_CHECKING:
    from gate_conformance.data import DataStream
    from gate_conformance.trial import Trial

Document = dict[str, Any]
LIST: Document = {"action": "list_models"}
MODEL_WITHIN = 60.0  # seconds for what a model server answers
FRAME_ALONE = 1.0  # seconds in which a second frame, or another reaction, shows


def chat(model: str, **members: Any) -> Document:
    """A chat-completions request for a short answer."""
    return {"model": model, "messages": [{"role": "user", "content": "Say hello."}], **members}


def model_of(t: Trial) -> str:
    """The model that the target serves; not testable when nobody said so."""
    if t.options.model is None:
        t.not_testable("needs --model, a model that the target serves")
    return t.options.model


def slow_model_of(t: Trial) -> str:
    """The slow model; not testable when nobody said so."""
    if t.options.slow_model is None:
        t.not_testable("needs --slow-model, a model whose answer takes at least 3 s")
    return t.options.slow_model


def body_of(document: object) -> bytes:
    """A document as compact JSON."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


async def ask(t: Trial, document: object, *, finish: bool = True, reading: bool = True) -> DataStream:
    """A request on a connection of its own; bytes are a body as it is."""
    stream = await t.dial(INFERENCE_ALPN, reading=reading)
    body = document if isinstance(document, bytes) else body_of(document)
    await stream.send(codec.frame(body))
    if finish:
        await stream.finish()
    return stream


def documents(t: Trial, stream: DataStream) -> list[Document]:
    """The responses that are there so far, each a JSON object in a frame of its own (IN-04)."""
    found: list[Document] = []
    for body in stream.bodies():
        problem = codec.check_sent(body)
        if problem is not None and problem.requirement in ("FR-01", "FR-13"):
            t.fail("response frames that hold JSON objects", problem.text, "IN-04")
        found.append(json.loads(body))
    return found


async def answer(
    t: Trial,
    stream: DataStream,
    within: float = ANSWER_WITHIN,
    requirement: str | None = None,
    *,
    close: bool = True,
) -> list[Document]:
    """All responses, after which the target has ended its direction cleanly (IN-10).

    ``close``: close the connection then, as a requester does (CL-07).
    """
    blamed = requirement or "IN-10"
    await stream.until(lambda: stream.ended is not None, within)
    found = documents(t, stream)
    if stream.ended is None:
        said = f"{len(found)} frames, and the stream is open" if found else "nothing"
        t.fail(f"a response and the end of the stream within {within:g} s", said, blamed)
    if stream.ended.kind != "finished":
        t.fail("a response and a clean end", f"the target {stream.ended} after {len(found)} frames", blamed)
    if not found:
        t.fail("one response frame at least", "a stream that ends without one", blamed)
    if len(stream.received) != sum(4 + len(body) for body in stream.bodies()):
        t.fail("whole frames", "an end inside a frame", "IN-04")
    if close:
        stream.close()
    return found


def error_of(t: Trial, document: Document) -> Document | None:
    """The error in a response, None when it is no error object; in good form (IN-20)."""
    error = document.get("error")
    if error is None:
        return None
    if not isinstance(error, dict):
        t.fail("an `error` that is an object", f"{error!r}", "IN-20")
    for name in ("message", "type"):
        if not isinstance(error.get(name), str):
            t.fail(f"an error object whose `{name}` is a text", f"{document}"[:300], "IN-20")
    return error


def sensible(t: Trial, document: Document, requirement: str) -> None:
    """The answer is a list of models or an error object: the target has read the request."""
    if error_of(t, document) is None and not isinstance(document.get("models"), list):
        t.fail("a list of models or an error object", f"{document}"[:300], requirement)


async def refused(t: Trial, document: object, what: str, requirement: str | None = None) -> Document:
    """A request that is at fault: one error object of type `request_error`, and a clean end."""
    found = await answer(t, await ask(t, document), requirement=requirement)
    error = error_of(t, found[-1])
    if error is None:
        t.fail(f"an error object for {what}", f"{found[-1]}"[:300], requirement)
    if error["type"] != "request_error":
        t.fail(f"type 'request_error' for {what}", f"type {error['type']!r}", requirement)
    if len(found) != 1:
        t.fail(f"one frame for {what}", f"{len(found)} frames", "IN-11")
    return error


async def one_frame(
    t: Trial, stream: DataStream, within: float = ANSWER_WITHIN, requirement: str | None = None
) -> Document:
    """The only response."""
    found = await answer(t, stream, within, requirement)
    if len(found) != 1:
        t.fail("exactly one response frame", f"{len(found)} frames", "IN-11")
    return found[0]


async def models(t: Trial, stream: DataStream, requirement: str | None = None) -> list[Document]:
    """The models that a list_models request is answered with; inconclusive when the model server fails."""
    blamed = requirement or t.case.requirement
    found = await one_frame(t, stream, MODEL_WITHIN, blamed)
    error = error_of(t, found)
    if error is not None and error["type"] == "upstream_error":
        t.inconclusive(f"the target's model server fails: {error['message'][:200]}")
    listed = found.get("models")
    if not isinstance(listed, list):
        t.fail("an answer to list_models with `models`, an array", f"{found}"[:300], blamed)
    for one in listed:
        if not isinstance(one, dict) or not isinstance(one.get("id"), str):
            t.fail("models that are objects with a text as `id`", f"{one!r}"[:200], "IN-13")
    return listed


def completion(t: Trial, document: Document, requirement: str | None = None) -> None:
    """The response is a completion; inconclusive when the model server fails."""
    error = error_of(t, document)
    if error is not None and error["type"] == "upstream_error":
        t.inconclusive(f"the target's model server fails: {error['message'][:200]}")
    if not isinstance(document.get("choices"), list):
        t.fail("a completion with `choices`", f"{document}"[:300], requirement)
