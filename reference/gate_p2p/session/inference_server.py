"""Serving inference: the request of each connection is read here, and answered by whoever took the handle."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from gate_p2p.core import CloseCode, GateError, RemoteProtocolError
from gate_p2p.session.budget import OVER_BUDGET, FrameBudget
from gate_p2p.session.control import refuse_streams
from gate_p2p.session.errors import InferenceCancelled, InferenceError, SessionClosed
from gate_p2p.session.inference import LIST_MODELS, REQUEST_ERROR, SERVER_ERROR
from gate_p2p.session.inference_request import InferenceRequest
from gate_p2p.session.json_stream import EndOfDocuments, JsonStream
from gate_p2p.transport import PeerConnection, TransportError

_log = logging.getLogger("gate_p2p.session")

SILENCE = 30.0  # seconds without a byte after which an unfinished request is given up (IN-29)
CLOSE_WITHIN = 5.0  # seconds that the requester has to close when its stream is through (CL-08)
MAX_WAITING = 64  # requests that nobody has taken from the handle yet; past it they are refused as busy


class InferenceServer:
    """Serves the inference connections of one session. `budget`: bounds requests that are not complete."""

    def __init__(self, is_connected: Callable[[str], bool], budget: FrameBudget) -> None:
        self._is_connected = is_connected
        self._budget = budget
        self._open: set[PeerConnection] = set()
        self.handle = InferenceHandle()

    async def accepted(self, connection: PeerConnection) -> None:
        """Serve one connection to its end. Raises TransportError."""
        if not self._is_connected(connection.remote_id):
            connection.close(CloseCode.NOT_AUTHORISED, "no control connection is established")
            return
        self._open.add(connection)
        try:
            if (request := await self._read(connection)) is not None:
                await self._serve(connection, request)
        finally:
            self._open.discard(connection)

    def close(self, code: CloseCode, reason: str) -> None:
        """Close every connection, and end the handle."""
        self.handle.close()
        for connection in tuple(self._open):
            connection.close(code, reason)

    async def _read(self, connection: PeerConnection) -> InferenceRequest | None:
        """The request; None when there is none, and the connection is closed."""
        loop = asyncio.get_running_loop()
        share = self._budget.share(
            connection.remote_id, lambda: connection.close(CloseCode.NOT_AUTHORISED, OVER_BUDGET)
        )
        try:
            async with asyncio.timeout(SILENCE) as patience:

                def on_bytes(unfinished: int) -> None:
                    patience.reschedule(loop.time() + SILENCE)
                    share.hold(unfinished)

                stream = await connection.accept_stream()
                documents = JsonStream(stream, on_bytes)
                body = await documents.read()
        except TimeoutError:
            connection.close(CloseCode.TIMEOUT, "no request in time")
        except EndOfDocuments:
            connection.close(CloseCode.PROTOCOL_VIOLATION, "the stream ended without a request")
        except RemoteProtocolError as violation:
            connection.close(violation.code, str(violation))
        else:
            return InferenceRequest(connection.remote_id, body, stream, documents)
        finally:
            share.hold(0)
        return None

    async def _serve(self, connection: PeerConnection, request: InferenceRequest) -> None:
        others = asyncio.get_running_loop().create_task(refuse_streams(connection))
        try:
            try:
                if (problem := request_problem(request.body)) is not None:
                    await request.fail(problem, REQUEST_ERROR)
                elif not self.handle.offer(request):
                    await request.fail("busy: try again later", SERVER_ERROR)
            except InferenceCancelled as error:
                _log.debug("%s: %s", connection.remote_id, error)
            await request.until_over()
            await request.wait_delivered()
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN):
                    await connection.wait_closed()
        finally:
            others.cancel()
            request.abandon()


def request_problem(body: Any) -> str | None:
    """What is wrong with a request, as far as every responder looks at it (IN-13 to IN-16)."""
    if not isinstance(body, dict):
        return "the request is no JSON object"
    action = body.get("action")
    if action is None:
        return None if isinstance(body.get("model"), str) else "the request names no model"
    return None if action == LIST_MODELS else "the request has an action that is not known here"


class InferenceHandle:
    """The requests of peers: `async for request in handle`, or `await handle.serve(answer)`.

    Both end with the session.
    """

    def __init__(self) -> None:
        self._waiting: deque[InferenceRequest] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    def offer(self, request: InferenceRequest) -> bool:
        """Queue a request; False when too many wait already."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting = deque(one for one in self._waiting if not one.over)
        if self._closed or len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append(request)
        self._changed.set()
        return True

    def close(self) -> None:
        """No more requests come."""
        self._closed = True
        self._waiting.clear()
        self._changed.set()

    async def next(self) -> InferenceRequest:
        """The next request whose client is still there. Cancelling loses none. Raises SessionClosed."""
        while not self._closed:
            while self._waiting:
                if not (request := self._waiting.popleft()).over:
                    return request
            self._changed.clear()
            await self._changed.wait()
        raise SessionClosed("the session is closed: no more inference requests come")

    def __aiter__(self) -> InferenceHandle:
        return self

    async def __anext__(self) -> InferenceRequest:
        try:
            return await self.next()
        except SessionClosed:
            raise StopAsyncIteration from None

    async def serve(self, answer: Callable[[InferenceRequest], Awaitable[None]]) -> None:
        """Run `answer` for every request, side by side, until the session ends.

        A client that goes away cancels its own. An InferenceError that `answer` raises is told to the client
        as it is; any other exception as a failure without its words, with an entry in the log.
        """
        async with asyncio.TaskGroup() as group:
            async for request in self:
                group.create_task(_attend(request, answer))


async def _attend(request: InferenceRequest, answer: Callable[[InferenceRequest], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    work = loop.create_task(_call(answer, request))
    gone = loop.create_task(request.cancelled.wait())
    try:
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            work.cancel()
            await asyncio.wait({work})
        await _conclude(request, None if work.cancelled() else work.exception())
    finally:
        request.abandon()


async def _call(answer: Callable[[InferenceRequest], Awaitable[None]], request: InferenceRequest) -> None:
    await answer(request)


async def _conclude(request: InferenceRequest, error: BaseException | None) -> None:
    """Log what went wrong, and tell the client of it where it was not told yet."""
    message, kind = "the request was not answered", SERVER_ERROR
    if isinstance(error, InferenceError):
        message, kind = str(error), error.kind or SERVER_ERROR
        _log.info("%s: an inference request failed: %s", request.peer_id, message)
    elif error is not None and not isinstance(error, InferenceCancelled | TransportError):
        message = "the request failed"
        _log.error("%s: an inference request failed", request.peer_id, exc_info=error)
    if not request.over:
        try:
            await request.fail(message, kind)
        except GateError as lost:
            _log.debug("%s: %s", request.peer_id, lost)
