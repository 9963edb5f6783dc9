"""Faults in inference requests and their answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ..inference import Responder
from ..protocol import VIOLATION, Message, Violation
from ..world import MODELS
from .on_data import responder_fault

# -- how many frames, and the end


@responder_fault("inference-never-ends", "IN-10", "IN-06", "IN-20")
class NeverEnds(Responder):
    """Does not end its direction after the answer."""

    async def finish(self) -> None:
        """The connection stays as it is."""


@responder_fault("inference-resets-after-answer", "IN-10", "IN-20", "IN-06")
class ResetsAfterAnswer(Responder):
    """Resets its direction after the answer."""

    async def finish(self) -> None:
        self.stream.reset(0)


@responder_fault("inference-failure-without-frame", "IN-10", "IN-20")
class FailureWithoutFrame(Responder):
    """Ends the stream without a word when a request fails."""

    async def send(self, document: Any) -> None:
        if "error" not in document:
            await super().send(document)


@responder_fault("inference-closes-on-failure", "IN-10", "IN-20", "IN-14", "IN-15", "IN-16")
class ClosesOnFailure(Responder):
    """Closes the connection when a request fails."""

    async def send(self, document: Any) -> None:
        if "error" in document:
            self.stream.close(VIOLATION)
        await super().send(document)


@responder_fault("inference-list-in-frames", "IN-11", "IN-13")
class ListInFrames(Responder):
    """Sends each model in a frame of its own."""

    async def models(self, value: Message) -> AsyncIterator[Any]:
        for name in MODELS:
            yield {"models": [{"id": name}]}


@responder_fault("inference-stream-truthy", "IN-11")
class StreamTruthy(Responder):
    """Streams for every `stream` that is not false or null."""

    def streamed(self, value: Message) -> bool:
        return bool(value.get("stream"))


@responder_fault("inference-always-streams", "IN-11", "IN-16")
class AlwaysStreams(Responder):
    """Streams for everybody."""

    def streamed(self, value: Message) -> bool:
        return True


@responder_fault("inference-done-as-frame", "IN-18", "IN-33")
class DoneAsFrame(Responder):
    """Ends a streamed answer with a frame that says so."""

    async def completion(self, model: str, pause: float, streamed: bool) -> AsyncIterator[Any]:
        async for document in super().completion(model, pause, streamed):
            yield document
        if streamed:
            yield {"done": True}


@responder_fault("inference-chunks-without-object", "IN-18")
class ChunksWithoutObject(Responder):
    """Sends the text of the chunks alone."""

    async def completion(self, model: str, pause: float, streamed: bool) -> AsyncIterator[Any]:
        async for document in super().completion(model, pause, streamed):
            yield {"choices": document["choices"]} if streamed else document


# -- what a request asks for


@responder_fault("inference-models-as-texts", "IN-13")
class ModelsAsTexts(Responder):
    """Lists models as texts."""

    async def models(self, value: Message) -> AsyncIterator[Any]:
        yield {"models": list(MODELS)}


@responder_fault("inference-models-as-data", "IN-13", "IN-36", "IN-06")
class ModelsAsData(Responder):
    """Passes on the list as the model server gives it, in `data`."""

    async def models(self, value: Message) -> AsyncIterator[Any]:
        yield {"object": "list", "data": [{"id": name} for name in MODELS]}


@responder_fault("inference-no-list", "IN-13", "IN-36", "IN-06")
class NoList(Responder):
    """Does not know list_models."""

    async def models(self, value: Message) -> AsyncIterator[Any]:
        yield self.error("an unknown action")


@responder_fault("inference-any-action-is-chat", "IN-14")
class AnyActionIsChat(Responder):
    """Takes an unknown action for a chat request."""

    def action_of(self, value: Message) -> Any:
        action = value.get("action")
        return action if action == "list_models" else None


@responder_fault("inference-falsy-action-is-none", "IN-14")
class FalsyActionIsNone(Responder):
    """Takes an action that is false, 0 or empty for none."""

    def action_of(self, value: Message) -> Any:
        return value.get("action") or None


@responder_fault("inference-unknown-action-server-error", "IN-14", "IN-36")
class UnknownActionServerError(Responder):
    """Calls an unknown action a fault of its own."""

    def error(self, text: str, kind: str = "request_error") -> Any:
        return super().error(text, "server_error" if "action" in text else kind)


@responder_fault("inference-no-object-server-error", "IN-15")
class NoObjectServerError(Responder):
    """Calls a request that is no object a fault of its own."""

    def error(self, text: str, kind: str = "request_error") -> Any:
        return super().error(text, "server_error" if "object" in text else kind)


@responder_fault("inference-no-object-is-violation", "IN-15", "IN-10")
class NoObjectIsViolation(Responder):
    """Closes over a request that is no object."""

    async def request(self) -> Any:
        value = await super().request()
        if not isinstance(value, dict):
            raise Violation("no object", VIOLATION)
        return value


@responder_fault("inference-default-model", "IN-16")
class DefaultModel(Responder):
    """Serves a request that names no model by its own choice."""

    def model_of(self, value: Message) -> Any:
        return value.get("model") or MODELS[0]


@responder_fault("inference-model-as-text", "IN-16", "IN-20")
class ModelAsText(Responder):
    """Makes a text of whatever the model is, and fails over it as its own fault."""

    fails_with = "server_error"

    def model_of(self, value: Message) -> Any:
        return str(value.get("model"))


@responder_fault("inference-null-action-unknown", "IN-16", "IN-36")
class NullActionUnknown(Responder):
    """Takes an action of null for one that it does not know."""

    def action_of(self, value: Message) -> Any:
        return value["action"] or "null" if "action" in value else None


# -- errors


@responder_fault("inference-error-without-type", "IN-20")
class ErrorWithoutType(Responder):
    """Leaves the type out of error objects."""

    def error(self, text: str, kind: str = "request_error") -> Any:
        return {"error": {"message": text}}


@responder_fault("inference-error-is-text", "IN-20")
class ErrorIsText(Responder):
    """Writes the text of an error as `error`."""

    def error(self, text: str, kind: str = "request_error") -> Any:
        return {"error": text}


@responder_fault("inference-resets-over-model", "IN-20", "IN-10")
class ResetsOverModel(Responder):
    """Resets its direction in place of an error object for an unknown model."""

    async def respond(self, value: Any) -> None:
        if isinstance(value, dict) and isinstance(value.get("model"), str) and value["model"] not in MODELS:
            self.stream.reset(0)
            return
        await super().respond(value)


@responder_fault("inference-unknown-model-upstream-error", "IN-21")
class UnknownModelUpstreamError(Responder):
    """Calls an unknown model a fault of the model server."""

    fails_with = "upstream_error"
