"""Inference streams: a request as one JSON frame, its response as one frame or many (chapter Inference).

One connection, with one stream, for each request; the side that asks dials it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

from gate_p2p.core import CloseCode, GateError, MissingCapabilityError, RemoteProtocolError
from gate_p2p.session.control import ControlConnections, refuse_streams
from gate_p2p.session.errors import InferenceCancelled, InferenceError
from gate_p2p.session.json_stream import EndOfDocuments, JsonStream
from gate_p2p.transport import ALPN_INFERENCE, PeerConnection, PeerStream, TransportError

_log = logging.getLogger("gate_p2p.session")

INFERENCE = "inference"
LIST_MODELS = "list_models"
SILENCE = 30.0  # seconds without a byte after which an unfinished request is given up (IN-29)
RESPONSE_WITHIN = 330.0  # seconds that a requester waits for each frame (IN-31)
CLOSE_WITHIN = 5.0  # seconds that the requester has to close when its stream is through (CL-08)
MAX_WAITING = 64  # requests that nobody has taken from the handle yet; past it they are refused as busy

Dial = Callable[[str, str], Awaitable[PeerConnection]]
"""Connects to a peer id with an ALPN. Raises DialError."""


# -- the side that asks ---------------------------------------------------------------------------


class InferenceClient:
    """Makes the calls of one session."""

    def __init__(self, control: ControlConnections, dial: Dial) -> None:
        self._control = control
        self._dial = dial

    def call(self, peer_id: str, request: Mapping[str, Any]) -> InferenceCall:
        """A call that is not begun yet."""
        return InferenceCall(peer_id, request, self._connect)

    async def _connect(self, peer_id: str) -> PeerConnection:
        link = self._control.link(peer_id)
        if INFERENCE not in link.connection.peer_capabilities:
            raise MissingCapabilityError(f"{peer_id} does not advertise {INFERENCE}")
        return await self._dial(peer_id, ALPN_INFERENCE)


class InferenceCall:
    """One request. `await call` gives the one response; `async for frame in call` every frame as it comes.

    Leave an iteration early through `aclose()` or `async with`, which also stop the peer's work.
    Raises PeerNotConnected or MissingCapabilityError before anything is sent; InferenceError when the peer
    answers with an error object; TransportError when the connection is lost.
    """

    def __init__(
        self,
        peer_id: str,
        request: Mapping[str, Any],
        connect: Callable[[str], Awaitable[PeerConnection]],
    ) -> None:
        self.peer_id = peer_id
        self._request = request
        self._connect = connect
        self._frames: AsyncIterator[dict[str, Any]] | None = None

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        return self._one().__await__()

    async def _one(self) -> dict[str, Any]:
        async with self:
            async for first in self:
                if self._request.get("stream") is True:
                    async for _ in self:
                        raise InferenceError("the peer answered with a stream: iterate over the call", None)
                return first  # IN-12: not asked for a stream, the first frame is the response
        raise InferenceError("the peer ended the stream without a response", None)

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        if self._frames is None:
            self._frames = self._run()
        return self._frames

    async def __aenter__(self) -> InferenceCall:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give the call up; the peer's work stops. After the last frame it does nothing."""
        if self._frames is not None:
            await self._frames.aclose()  # type: ignore[attr-defined]  # it is an async generator

    async def _run(self) -> AsyncIterator[dict[str, Any]]:
        connection = await self._connect(self.peer_id)
        stream: PeerStream | None = None
        code = CloseCode.DONE
        try:
            stream = await connection.open_stream()
            documents = JsonStream(stream)
            await documents.write(dict(self._request))
            await documents.finish()
            while True:
                async with asyncio.timeout(RESPONSE_WITHIN):
                    frame = await documents.read()
                if not isinstance(frame, dict):
                    raise RemoteProtocolError("a response frame that is no JSON object (IN-23)")
                if (error := error_object(frame)) is not None:
                    raise error
                yield frame
        except EndOfDocuments:
            stream = None
        except TimeoutError:
            raise InferenceError(f"no response frame within {RESPONSE_WITHIN:g} s", None) from None
        except RemoteProtocolError as violation:
            code = violation.code
            raise InferenceError(f"the peer broke the protocol: {violation}", None) from None
        finally:
            if stream is not None:
                stream.stop(code)
            connection.close(code)


def error_object(frame: Mapping[str, Any]) -> InferenceError | None:
    """The error that a response frame tells of, if it is an error object: any `error` but null (IN-22)."""
    error = frame.get("error")
    if error is None:
        return None
    members = error if isinstance(error, dict) else {"message": error}
    message, kind = members.get("message"), members.get("type")
    return InferenceError(
        message if isinstance(message, str) else "the peer gave no reason",
        kind if isinstance(kind, str) else None,
    )


# -- the side that answers ------------------------------------------------------------------------


class InferenceServer:
    """Reads the request of each inference connection, and has whoever took `handle` answer it."""

    def __init__(self, is_connected: Callable[[str], bool]) -> None:
        self._is_connected = is_connected
        self.handle = InferenceHandle()

    async def accepted(self, connection: PeerConnection) -> None:
        """Serve one connection to its end. Raises TransportError."""
        if not self._is_connected(connection.remote_id):
            connection.close(CloseCode.NOT_AUTHORISED, "no control connection is established")
            return
        try:
            async with asyncio.timeout(SILENCE) as patience:
                loop = asyncio.get_running_loop()
                stream = await connection.accept_stream()
                documents = JsonStream(stream, lambda: patience.reschedule(loop.time() + SILENCE))
                body = await documents.read()
        except TimeoutError:
            connection.close(CloseCode.TIMEOUT, "no request in time")
            return
        except EndOfDocuments:
            connection.close(CloseCode.PROTOCOL_VIOLATION, "the stream ended without a request")
            return
        except RemoteProtocolError as violation:
            connection.close(violation.code, str(violation))
            return
        request = InferenceRequest(connection.remote_id, body, documents)
        helpers = [loop.create_task(call) for call in (request.watch(), refuse_streams(connection))]
        try:
            if (problem := request_problem(body)) is not None:
                await request.fail(problem)
            elif not self.handle.offer(request):
                await request.fail("busy: try again later", "server_error")
            await request.done.wait()
        finally:
            for helper in helpers:
                helper.cancel()
        if request.cancelled.is_set():
            stream.reset(CloseCode.DONE)
        else:
            await stream.wait_delivered(CLOSE_WITHIN)
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await connection.wait_closed()
        except TimeoutError:
            _log.debug("%s: the peer left its inference connection open", connection.remote_id)


def request_problem(body: Any) -> str | None:
    """What is wrong with a request, as far as every responder looks at it (IN-13 to IN-16)."""
    if not isinstance(body, dict):
        return "the request is no JSON object"
    action = body.get("action")
    if action is None:
        return None if isinstance(body.get("model"), str) else "the request names no model"
    return None if action == LIST_MODELS else "the request has an action that is not known here"


class InferenceHandle:
    """The requests of peers: `async for request in handle`, or `await handle.serve(answer)`."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[InferenceRequest] = asyncio.Queue(MAX_WAITING)

    def offer(self, request: InferenceRequest) -> bool:
        """Queue a request; False when too many wait already."""
        try:
            self._waiting.put_nowait(request)
        except asyncio.QueueFull:
            return False
        return True

    async def next(self) -> InferenceRequest:
        """The next request whose client is still there. Cancelling loses none."""
        while (request := await self._waiting.get()).cancelled.is_set():
            pass
        return request

    def __aiter__(self) -> InferenceHandle:
        return self

    async def __anext__(self) -> InferenceRequest:
        return await self.next()

    async def serve(self, answer: Callable[[InferenceRequest], Awaitable[None]]) -> None:
        """Run `answer` for every request, side by side, for ever; a client that goes away cancels its own.

        What `answer` raises becomes an error object for the client and an entry in the log.
        """
        async with asyncio.TaskGroup() as group:
            async for request in self:
                group.create_task(_attend(request, answer))


async def _attend(request: InferenceRequest, answer: Callable[[InferenceRequest], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()

    async def run() -> None:
        await answer(request)

    work = loop.create_task(run())
    gone = loop.create_task(request.cancelled.wait())
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        work.cancel()
        await asyncio.wait({work})
    error = None if work.cancelled() else work.exception()
    if error is not None and not isinstance(error, InferenceCancelled | TransportError):
        _log.error("an inference request of %s failed", request.peer_id, exc_info=error)
    if not request.done.is_set():
        try:
            await request.fail("the request failed", "server_error")
        except (InferenceCancelled, TransportError) as lost:
            _log.debug("%s: %s", request.peer_id, lost)


class InferenceRequest:
    """One request of a peer: answer it once, by `respond`, `stream` or `fail`.

    `body`: the JSON object as it was sent. `lists_models`: it asks which models there are, and is answered
    with `{"models": [...]}` (IN-13). `streamed`: it takes many frames, else exactly one (IN-11).
    `cancelled` is set when the client has given up or is gone; every send then raises InferenceCancelled.
    """

    def __init__(self, peer_id: str, body: Any, documents: JsonStream) -> None:
        self.peer_id = peer_id
        self.body: dict[str, Any] = body
        self.streamed = isinstance(body, dict) and body.get("stream") is True
        self.lists_models = isinstance(body, dict) and body.get("action") == LIST_MODELS
        self._sent = 0
        self.cancelled = asyncio.Event()
        self.done = asyncio.Event()
        self._documents = documents
        self._answered = False

    async def respond(self, response: Mapping[str, Any]) -> None:
        """Answer with one frame. Raises InferenceCancelled, LocalProtocolError (no JSON, too long)."""
        async with self.stream() as send:
            await send(response)

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Callable[[Mapping[str, Any]], Awaitable[None]]]:
        """`async with request.stream() as send: await send(frame)`; the end of the block ends the stream.

        A `send` waits while the client does not read. An exception in the block becomes an error object, and
        goes on.
        """
        self._answer_once()
        try:
            try:
                yield self._send
            except (InferenceCancelled, TransportError):
                raise
            except Exception:
                await self._send(_error_frame("the request failed", "server_error"))
                raise
            await self._documents.finish()
        finally:
            self.done.set()

    async def fail(self, message: str, kind: str = "request_error") -> None:
        """Answer with an error object; `kind`: `request_error`, `upstream_error` or `server_error`."""
        self._answer_once()
        try:
            await self._send(_error_frame(message, kind))
            await self._documents.finish()
        finally:
            self.done.set()

    def _answer_once(self) -> None:
        if self._answered:
            raise GateError("this request has been answered already")
        self._answered = True

    async def _send(self, frame: Mapping[str, Any]) -> None:
        if self.cancelled.is_set():
            raise InferenceCancelled("the client has given up")
        if self._sent and not self.streamed and "error" not in frame:
            raise GateError("a request without `stream` is answered with one frame (IN-11)")
        self._sent += 1
        try:
            await self._documents.write(dict(frame))
        except TransportError as error:
            self.cancelled.set()
            raise InferenceCancelled(f"the client has given up: {error}") from None

    async def watch(self) -> None:
        """Notice that the client gives up: a reset or a lost connection.

        Bytes behind the request mean nothing (IN-06), a clean end neither (IN-08).
        """
        try:
            await self._documents.drain()
            return
        except TransportError as error:
            _log.debug("%s: the client gave up: %s", self.peer_id, error)
        self.cancelled.set()
        self.done.set()


def _error_frame(message: str, kind: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind}}
