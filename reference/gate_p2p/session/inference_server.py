"""Serving inference: the request of each connection is read here, and answered by whoever took the handle."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gate_p2p.core import CloseCode, GateError, RemoteProtocolError
from gate_p2p.session.budget import OVER_BUDGET, FrameBudget, Share
from gate_p2p.session.control import refuse_streams
from gate_p2p.session.errors import InferenceCancelled, InferenceError, SessionClosed
from gate_p2p.session.inference import REQUEST_ERROR, SERVER_ERROR
from gate_p2p.session.inference_body import InferenceBody
from gate_p2p.session.inference_request import InferenceRequest
from gate_p2p.session.json_stream import EndOfDocuments, JsonStream
from gate_p2p.text import one_line
from gate_p2p.transport import PeerConnection

_log = logging.getLogger("gate_p2p.session")

SILENCE = 30.0  # seconds without a byte after which an unfinished request is given up (IN-29)
# Seconds for a whole request: 10 MiB at 280 kbit/s. Else a byte now and then would hold a place for ever.
REQUEST_WITHIN = 300.0
CLOSE_WITHIN = 5.0  # seconds that the requester has to close when its stream is through (CL-08)
MAX_WAITING = 64  # requests that nobody has taken from the handle yet; past it they are refused as busy


class InferenceServer:
    """Serves the inference connections of one session. `budget`: bounds the memory that they take."""

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
        share = self._budget.share(
            connection.remote_id, lambda: connection.close(CloseCode.NOT_AUTHORISED, OVER_BUDGET)
        )
        try:
            if (request := await self._read(connection, share)) is not None:
                await self._serve(connection, request)
        finally:
            share.hold(0)
            self._open.discard(connection)

    def close(self, code: CloseCode, reason: str) -> None:
        """Close every connection, and end the handle."""
        self.handle.close()
        for connection in tuple(self._open):
            connection.close(code, reason)

    async def _read(self, connection: PeerConnection, share: Share) -> InferenceRequest | None:
        """The request; None when there is none, and the connection is closed."""
        loop = asyncio.get_running_loop()
        last = loop.time() + REQUEST_WITHIN
        try:
            async with asyncio.timeout(SILENCE) as patience:

                def on_bytes(unfinished: int) -> None:
                    patience.reschedule(min(loop.time() + SILENCE, last))
                    share.hold(unfinished)

                stream = await connection.accept_stream()
                documents = JsonStream(stream, on_bytes, InferenceBody)
                body = await documents.read()
        except TimeoutError:
            connection.close(CloseCode.TIMEOUT, "no request in time")
        except EndOfDocuments:
            connection.close(CloseCode.PROTOCOL_VIOLATION, "the stream ended without a request")
        except RemoteProtocolError as violation:
            connection.close(violation.code, str(violation))
        else:
            return InferenceRequest(connection.remote_id, body, stream, documents, share.hold)
        return None

    async def _serve(self, connection: PeerConnection, request: InferenceRequest) -> None:
        others = asyncio.get_running_loop().create_task(refuse_streams(connection))
        try:
            try:
                if request.problem is not None:
                    await request.fail(request.problem, REQUEST_ERROR)
                elif not self.handle.offer(request):
                    await request.fail("busy: try again later", SERVER_ERROR)
            except InferenceCancelled as error:
                _log.debug("%s: %s", connection.remote_id, one_line(str(error)))
            await request.until_over()
            code = await request.wait_delivered()
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN):
                    await connection.wait_closed()
            connection.close(code)
        finally:
            others.cancel()
            request.abandon()


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
    work = loop.create_task(_answer(request, answer))
    gone = loop.create_task(request.cancelled.wait())
    try:
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            work.cancel()
            await asyncio.wait({work})
        if not request.over and not work.cancelled():
            error = work.result()
            await request.fail(str(error), error.kind or SERVER_ERROR)
    except GateError as lost:  # the client has gone, or `answer` left somebody else at it
        _log.debug("%s: %s", request.peer_id, one_line(str(lost)))
    finally:
        request.abandon()


async def _answer(
    request: InferenceRequest, answer: Callable[[InferenceRequest], Awaitable[None]]
) -> InferenceError:
    """Run `answer`; what to tell the client if it was told nothing.

    What `answer` raises ends here, in the log: `_attend` may be cancelled, and take it from nobody then.
    """
    try:
        await answer(request)
    except InferenceError as error:
        _log.info("%s: an inference request failed: %s", request.peer_id, one_line(str(error)))
        return error
    except Exception as error:  # noqa: BLE001  a bug met by one request must not end the others
        if isinstance(error, InferenceCancelled) and request.cancelled.is_set():
            _log.debug("%s: %s", request.peer_id, one_line(str(error)))
        else:
            _log.exception("%s: an inference request failed", request.peer_id)
            return InferenceError("the request failed", SERVER_ERROR)
    return InferenceError("the request was not answered", SERVER_ERROR)
