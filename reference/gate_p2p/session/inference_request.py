"""One inference request of a peer, and the ways to answer it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from gate_p2p.core import CloseCode, GateError, LocalProtocolError
from gate_p2p.core.documents import encode_document
from gate_p2p.session.errors import InferenceCancelled, InferenceError
from gate_p2p.session.inference import REQUEST_ERROR, SERVER_ERROR
from gate_p2p.session.inference_body import InferenceBody
from gate_p2p.session.json_stream import JsonStream
from gate_p2p.text import one_line
from gate_p2p.transport import PeerStream, TransportError

_log = logging.getLogger("gate_p2p.session")

FRAME_WITHIN = 295.0  # seconds from the request or a frame to the next; a peer waits 300 and more (IN-30)
TAKEN_WITHIN = 300.0  # seconds for a peer to take some of a response, before it is reset (IN-28)
MAX_ERROR_TEXT = 4096  # characters of an error that are sent: for people, and of no use to them when longer

Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class InferenceRequest:
    """One request of a peer: answer it once, by `respond`, `stream` or `fail`.

    `raw`: the JSON object as it was sent, see `body`. `lists_models`: it asks which models there are, and is
    answered with `{"models": [...]}` (IN-13).
    `streamed`: it takes many frames, else exactly one (IN-11). `problem`: why it is not served; None for all
    that an application gets.
    `cancelled` is set when no answer is wanted any more: the client has given up or is gone, takes nothing of
    the answer, or was told that it takes too long. Every send then raises InferenceCancelled.
    """

    def __init__(
        self,
        peer_id: str,
        body: InferenceBody,
        stream: PeerStream,
        documents: JsonStream,
        hold: Callable[[int], None],
    ) -> None:
        """`hold` is told how many bytes of memory the request takes, whenever that changes."""
        self.peer_id = peer_id
        self.raw = body.raw
        self.streamed = body.streamed
        self.lists_models = body.lists_models
        self.problem = body.problem
        self.cancelled = asyncio.Event()
        self._body = body
        self._decoded: dict[str, Any] | None = None
        self._hold = hold
        self._held = len(body.raw)
        self._stream = stream
        self._documents = documents
        self._answered = False
        self._sent = 0
        self._sending = False
        self._ending = False
        self._giving_up = False
        self._late_at = asyncio.get_running_loop().time() + FRAME_WITHIN
        self._over = asyncio.Event()
        self._reset: CloseCode | None = None
        hold(self._held)

    @property
    def model(self) -> str | None:
        """The name of the model that is asked, read anew each time."""
        return self._body.model

    @property
    def body(self) -> dict[str, Any]:
        """`raw`, decoded when this is first asked for; not to be asked for where `raw` will do.

        Raises InferenceError, which is for the client, when it has numbers beyond a double, or more values
        than are decoded here.
        """
        if self._decoded is None:
            self._held = len(self.raw) + self._body.decoded_size
            self._note_held()
            try:
                self._decoded = self._body.decode()
            except InferenceError:
                self._held = len(self.raw)  # nothing stays of it
                self._note_held()
                raise
        return self._decoded

    @property
    def over(self) -> bool:
        """Whether the answer is complete, or not wanted any more."""
        return self._over.is_set()

    def _note_held(self, frame: int = 0) -> None:
        if not self._over.is_set():  # after that the server has taken it off the books, or will
            self._hold(self._held + frame)

    # -- answering

    async def respond(self, response: Mapping[str, Any]) -> None:
        """Answer with one frame. Raises InferenceCancelled, LocalProtocolError (no JSON, too long).

        What cannot be sent is answered with an error object all the same (IN-34).
        """
        async with self.stream() as send:
            await send(response)

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Send]:
        """`async with request.stream() as send: await send(frame)`; the end of the block ends the stream.

        A `send` waits while the client does not read. An exception in the block goes on, and becomes an error
        object: an InferenceError with its words and kind, any other without its words.
        """
        self._answer_once()
        try:
            try:
                yield self._send
                if not self._sent:
                    raise GateError("a request is answered with one frame at least (IN-10)")
            except Exception as error:
                if not self.cancelled.is_set():
                    with suppress(InferenceCancelled):  # what went wrong first is what the caller hears of
                        await self._end_with(error)
                raise
            await self._finish()
        finally:
            self.abandon()

    async def fail(self, message: str, kind: str = REQUEST_ERROR) -> None:
        """Answer with an error object; `kind`: `request_error`, `upstream_error` or `server_error`.

        Raises InferenceCancelled.
        """
        self._answer_once()
        try:
            await self._write(encode_document(_error_frame(message, kind)))
            await self._finish()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Answer no more: the stream is reset, the client's request fails. Does nothing after an answer, nor
        while the client is being told that there will be none.
        """
        if not self._giving_up:
            self._drop()

    def _drop(self, code: CloseCode = CloseCode.DONE) -> None:
        if not self._over.is_set():
            self._reset = code
            self.cancelled.set()
            self._over.set()

    def _answer_once(self) -> None:
        if self.cancelled.is_set():
            raise InferenceCancelled("no answer is wanted any more")
        if self._answered:
            raise GateError("this request has been answered already")
        self._answered = True

    async def _send(self, frame: Mapping[str, Any]) -> None:
        if self._over.is_set():
            raise InferenceCancelled("no answer is wanted any more")
        if self._sent and not self.streamed:
            raise GateError('a request without `"stream": true` is answered with one frame (IN-11)')
        await self._write(encode_document(frame))

    async def _write(self, frame: bytes) -> None:
        if self.cancelled.is_set():
            raise InferenceCancelled("no answer is wanted any more")
        await self._pass_on(frame)

    async def _pass_on(self, frame: bytes) -> None:
        self._sending = True
        self._note_held(len(frame))
        try:
            await self._documents.write(frame, TAKEN_WITHIN)
        except TimeoutError:
            self._drop(CloseCode.TIMEOUT)
            raise InferenceCancelled(f"the client took nothing for {TAKEN_WITHIN:g} s") from None
        except TransportError as error:
            self._drop()
            raise InferenceCancelled(f"the client has given up: {error}") from None
        finally:
            self._sending = False
            self._note_held()
        self._sent += 1
        self._late_at = asyncio.get_running_loop().time() + FRAME_WITHIN

    async def _finish(self) -> None:
        self._ending = True
        try:
            await self._documents.finish()
        except TransportError as error:
            raise InferenceCancelled(f"the client has given up: {error}") from None
        self._over.set()

    async def _end_with(self, error: Exception) -> None:
        """Tell the client of an error, where it has not got its one frame already (IN-11, IN-20)."""
        if not self._sent or self.streamed:
            message, kind = "the request failed", SERVER_ERROR
            if isinstance(error, InferenceError):
                message, kind = str(error), error.kind or SERVER_ERROR
            elif isinstance(error, LocalProtocolError):
                message = "the response does not fit into a frame"
            await self._write(encode_document(_error_frame(message, kind)))
        await self._finish()

    # -- what the server does beside the answer

    async def until_over(self) -> None:
        """Wait until the request is answered, given up, or too old, which the client is then told."""
        loop = asyncio.get_running_loop()
        watches = [loop.create_task(watch) for watch in (self._watch_input(), self._watch_output())]
        try:
            while not self._over.is_set():
                try:
                    # while a client takes no more of a frame, the time for that counts
                    wait = 1.0 if self._sending else self._late_at - loop.time()
                    async with asyncio.timeout(wait):
                        await self._over.wait()
                except TimeoutError:
                    if not self._sending and loop.time() >= self._late_at:
                        await self._give_up()
        finally:
            for watch in watches:
                watch.cancel()

    async def wait_delivered(self) -> CloseCode:
        """After the end: wait until the client has everything, or reset the stream; the code to close with.

        The reset may reach the client as that close alone: while a write waits for room, Iroh resets nothing.
        """
        if self._reset is not None:
            self._stream.reset(self._reset)
            return self._reset
        if not await self._stream.wait_delivered(TAKEN_WITHIN):  # or the client has stopped it
            self._stream.reset(CloseCode.TIMEOUT)
        return CloseCode.DONE

    async def _give_up(self) -> None:
        _log.warning("%s: an inference request was not answered in %g s", self.peer_id, FRAME_WITHIN)
        self._answered = self._giving_up = True
        self.cancelled.set()  # whoever works on the answer abandons the request then
        try:
            await self._pass_on(encode_document(_error_frame("the answer took too long", SERVER_ERROR)))
            await self._finish()
        except InferenceCancelled as error:
            _log.debug("%s: %s", self.peer_id, one_line(str(error)))
        finally:
            self._giving_up = False
            self.abandon()

    async def _watch_input(self) -> None:
        """Notice a reset or a lost connection (IN-25).

        Bytes behind the request mean nothing (IN-06), a clean end neither (IN-08).
        """
        try:
            await self._documents.drain()
        except TransportError as error:
            self._cancel(str(error))

    async def _watch_output(self) -> None:
        """Notice that the client stops our direction, before a write would fail (IN-25, IN-26)."""
        await self._stream.wait_stopped()
        if not self._ending:
            self._cancel("the client takes no more of the answer")

    def _cancel(self, why: str) -> None:
        if not self._over.is_set():
            _log.debug("%s: the inference request is cancelled: %s", self.peer_id, one_line(why))
            self.abandon()


def _error_frame(message: str, kind: str) -> dict[str, Any]:
    """An error object that can be sent, whatever the message is made of."""
    message = message[:MAX_ERROR_TEXT].encode("utf-8", "replace").decode()
    return {"error": {"message": message, "type": kind}}
