"""Asking a peer for an inference: one connection with one stream for each request (chapter Inference)."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any

from gate_p2p.core import INFERENCE, CloseCode, MissingCapabilityError, RemoteProtocolError
from gate_p2p.core.documents import encode_document
from gate_p2p.session.control import ControlConnections
from gate_p2p.session.errors import InferenceError
from gate_p2p.session.json_stream import EndOfDocuments, JsonStream
from gate_p2p.text import one_line
from gate_p2p.transport import ALPN_INFERENCE, PeerConnection, TransportError

_log = logging.getLogger("gate_p2p.session")

LIST_MODELS = "list_models"
REQUEST_ERROR, UPSTREAM_ERROR, SERVER_ERROR = KINDS = ("request_error", "upstream_error", "server_error")
RESPONSE_WITHIN = 330.0  # seconds that a requester waits for each frame (IN-31)

Dial = Callable[[str, str], Awaitable[PeerConnection]]
"""Connects to a peer id with an ALPN. Raises DialError."""

Connect = Callable[[str], AbstractAsyncContextManager[PeerConnection]]


class InferenceClient:
    """Makes the calls of one session."""

    def __init__(self, control: ControlConnections, dial: Dial) -> None:
        self._control = control
        self._dial = dial
        self._open: set[PeerConnection] = set()

    def call(self, peer_id: str, request: Mapping[str, Any], timeout: float | None = None) -> InferenceCall:
        """A call that is not begun yet. Raises ValueError for a `timeout` that is none."""
        return InferenceCall(peer_id, request, self._connect, timeout)

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the connections of all calls; their callers get ConnectionLost."""
        for connection in tuple(self._open):
            connection.close(code, reason)

    @asynccontextmanager
    async def _connect(self, peer_id: str) -> AsyncIterator[PeerConnection]:
        link = self._control.link(peer_id)
        if INFERENCE not in link.connection.peer_capabilities:
            raise MissingCapabilityError(f"{peer_id} does not advertise {INFERENCE}")
        connection = await self._dial(peer_id, ALPN_INFERENCE)
        self._open.add(connection)
        try:
            yield connection
        finally:
            self._open.discard(connection)


class InferenceCall:
    """One request. `await call` gives the one response; `async for frame in call` every frame as it comes.

    `timeout`: seconds for all of it, from the dial to the last frame; None: 330 for each frame. Past it the
    peer's work stops, and InferenceError is raised.
    Leave an iteration early through `async with` or `aclose()`, which also stop the peer's work; to drop the
    call, or to cancel the task that waits for it, does so too.
    Raises PeerNotConnected, MissingCapabilityError or LocalProtocolError (no JSON, too long) before anything
    is sent; InferenceError when the peer answers with an error object or not as it should; TransportError
    when it cannot be dialled, resets the stream, or the connection is lost.
    """

    def __init__(
        self, peer_id: str, request: Mapping[str, Any], connect: Connect, timeout: float | None = None
    ) -> None:
        if timeout is not None and not 0 < timeout < math.inf:
            raise ValueError(f"timeout is {timeout!r}; expected a positive number of seconds, or None")
        self.peer_id = peer_id
        self._request = dict(request)
        self._connect = connect
        self._timeout = timeout
        self._frames: AsyncGenerator[dict[str, Any], None] | None = None

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        return self._one().__await__()

    async def _one(self) -> dict[str, Any]:
        if self._frames is not None:
            raise RuntimeError("this call has been made already: make a new one with `infer`")
        response: dict[str, Any] | None = None
        async with self:
            async for frame in self:
                if response is not None:
                    raise InferenceError("the peer answered with a stream: iterate over the call", None)
                response = frame
        assert response is not None  # without a frame the iteration raises
        return response

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        if self._frames is None:
            self._frames = _frames(self.peer_id, self._request, self._connect, self._timeout)
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
            await self._frames.aclose()


async def _frames(
    peer_id: str, request: dict[str, Any], connect: Connect, timeout: float | None
) -> AsyncGenerator[dict[str, Any], None]:
    """The frames of one call. No method: it would keep its own call alive when that is dropped."""
    frame = encode_document(request)
    ends = None if timeout is None else asyncio.get_running_loop().time() + timeout

    @asynccontextmanager
    async def in_time() -> AsyncIterator[None]:  # around every wait of ours, and no frame that is given out
        try:
            async with asyncio.timeout_at(ends):
                yield
        except TimeoutError:
            raise InferenceError(f"the answer was not complete within {timeout:g} s", None) from None

    async with AsyncExitStack() as stack:
        async with in_time():
            connection = await stack.enter_async_context(connect(peer_id))
        code = CloseCode.DONE
        try:
            async with in_time():
                documents = JsonStream(await connection.open_stream())
                await _send(peer_id, documents, frame)
                first = await _response(documents)
            if first is None:
                raise InferenceError("the peer ended the stream without a response", None)
            yield first
            # without `"stream": true` the first frame is the response, whatever follows it (IN-12)
            while request.get("stream") is True:
                async with in_time():
                    more = await _response(documents)
                if more is None:
                    break
                yield more
        except RemoteProtocolError as violation:
            code = violation.code
            raise InferenceError(f"the peer broke the protocol: {violation}", None) from None
        finally:
            # also what tells the peer that we want no more (IN-24): QUIC's STOP_SENDING would wait
            # for the read that is under way
            connection.close(code)


async def _send(peer_id: str, documents: JsonStream, frame: bytes) -> None:
    try:
        await documents.write(frame, RESPONSE_WITHIN)
        await documents.finish()
    except TimeoutError:
        raise InferenceError(f"the peer took nothing for {RESPONSE_WITHIN:g} s", None) from None
    except TransportError as error:
        # stopped (IN-09) or closed: what the peer said before that counts (CL-09), and the read tells
        _log.debug("%s: the request was not ended: %s", peer_id, one_line(str(error)))


async def _response(documents: JsonStream) -> dict[str, Any] | None:
    """The next frame; None at the clean end. Raises InferenceError, RemoteProtocolError."""
    try:
        async with asyncio.timeout(RESPONSE_WITHIN):
            frame = await documents.read()
    except EndOfDocuments:
        return None
    except TimeoutError:
        raise InferenceError(f"the peer sent no frame within {RESPONSE_WITHIN:g} s", None) from None
    if not isinstance(frame, dict):
        raise InferenceError("the peer answered with something that is no JSON object", None)
    if (error := error_of(frame)) is not None:
        raise error
    return frame


def error_of(frame: Mapping[str, Any]) -> InferenceError | None:
    """The error that a frame tells of, if it is an error object: one with any `error` but null (IN-22)."""
    error = frame.get("error")
    if error is None:
        return None
    members = error if isinstance(error, dict) else {"message": error}
    message, kind = members.get("message"), members.get("type")
    return InferenceError(
        message if isinstance(message, str) and message else "the peer gave no reason",
        kind if kind in KINDS else SERVER_ERROR,
    )
