"""The correct responder: one inference connection, from its request to its close."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from .protocol import DONE, TIMED_OUT, VIOLATION, DataStream, Message, Violation
from .wire import Wire
from .world import MODELS, SLOW_MODEL, World

LOST = (OSError, EOFError)
CHUNKS = ("Hel", "lo", ".")


class Responder:
    """One request. Every fault is a subclass of this, with one thing changed."""

    wire: type[Wire] = Wire
    silence = 30.0  # without a byte, before the request is complete
    close_after = 5.0  # once both directions have ended
    timeout_code = TIMED_OUT
    slow_seconds = 4.0
    fails_with = "request_error"

    def __init__(self, stream: DataStream, peer_id: str, world: World) -> None:
        self.stream = stream
        self.peer_id = peer_id
        self.world = world
        self.reader = self.wire()
        self.ended = False  # the requester's direction
        self.tasks: set[asyncio.Task[None]] = set()

    # -- life of the connection

    def go(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        return task

    async def run(self) -> None:
        """Until the connection is closed."""
        self.world.responders.append(self)
        try:
            self.go(self.surplus())
            await self.connection()
        except Violation as violation:
            await self.on_violation(violation)
        except TimeoutError:
            self.stream.close(self.timeout_code, "no request in time")
        except LOST as error:
            await self.on_lost(error)
        finally:
            self.world.responders.remove(self)
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)

    async def connection(self) -> None:
        value = await self.request()
        work = self.go(self.respond(value))
        gone = [self.go(self.watch_input()), self.go(self.watch_output())]
        await self.until_done(work, gone)
        if not work.done():
            work.cancel()
            self.stream.close(DONE, "cancelled")
            return
        work.result()
        await self.wind_up()

    async def until_done(self, work: asyncio.Task[None], gone: list[asyncio.Task[None]]) -> None:
        await asyncio.wait({work, *gone}, return_when=asyncio.FIRST_COMPLETED)

    async def wind_up(self) -> None:
        await self.stream.wait_delivered(60.0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stream.wait_closed(), self.close_after)
        self.stream.close(DONE)

    async def on_violation(self, violation: Violation) -> None:
        self.stream.close(violation.code, violation.reason)

    async def on_lost(self, error: Exception) -> None:
        self.stream.close(DONE, "cancelled")

    async def surplus(self) -> None:
        """Refuses every other stream."""
        while True:
            other = await self.stream.accept()
            other.reset(VIOLATION)
            other.stop(VIOLATION)

    # -- the request

    async def request(self) -> Any:
        """The first frame as JSON; what follows is dropped."""
        while True:
            data = await asyncio.wait_for(self.stream.read(), self.silence)
            if not data:
                raise Violation("the stream ended without a request", VIOLATION)
            for body in self.reader.bodies(data):
                return self.reader.parse(body)

    async def watch_input(self) -> None:
        """Returns when the request is cancelled by a reset or a loss; a clean end means nothing."""
        try:
            while await self.stream.read():
                pass
        except LOST:
            return
        self.ended = True
        await self.on_clean_end()

    async def on_clean_end(self) -> None:
        await asyncio.Event().wait()

    async def watch_output(self) -> None:
        await self.stream.wait_stopped()

    # -- the answer

    async def respond(self, value: Any) -> None:
        async for document in self.documents(value):
            await self.send(document)
        await self.finish()

    async def send(self, document: Any) -> None:
        await self.stream.write(self.reader.frame(self.reader.body_of(document)))

    async def finish(self) -> None:
        await self.stream.finish()

    async def documents(self, value: Any) -> AsyncIterator[Any]:
        if not isinstance(value, dict):
            yield self.error("the request is no object")
            return
        action = self.action_of(value)
        if action is None:
            async for document in self.chat(value):
                yield document
        elif isinstance(action, str) and action == "list_models":
            async for document in self.models(value):
                yield document
        else:
            yield self.error("an unknown action")

    def action_of(self, value: Message) -> Any:
        return value.get("action")

    async def models(self, value: Message) -> AsyncIterator[Any]:
        yield {"models": [{"id": name, "object": "model"} for name in MODELS]}

    async def chat(self, value: Message) -> AsyncIterator[Any]:
        model = self.model_of(value)
        if not isinstance(model, str):
            yield self.error("no model")
        elif model not in MODELS:
            yield self.error(f"no model named {model}", self.fails_with)
        else:
            pause = self.slow_seconds / len(CHUNKS) if model == SLOW_MODEL else 0.0
            async for document in self.completion(model, pause, self.streamed(value)):
                yield document

    def model_of(self, value: Message) -> Any:
        return value.get("model")

    def streamed(self, value: Message) -> bool:
        return value.get("stream") is True

    async def completion(self, model: str, pause: float, streamed: bool) -> AsyncIterator[Any]:
        for text in CHUNKS:
            await asyncio.sleep(pause)
            if streamed:
                choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
                yield {"object": "chat.completion.chunk", "model": model, "choices": [choice]}
        if not streamed:
            message = {"role": "assistant", "content": "".join(CHUNKS)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            yield {"object": "chat.completion", "model": model, "choices": [choice]}

    def error(self, text: str, kind: str = "request_error") -> Any:
        return {"error": {"message": text, "type": kind}}
