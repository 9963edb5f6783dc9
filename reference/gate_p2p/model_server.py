"""Passes inference requests on to a server with OpenAI's HTTP API (extra `inference`).

Its objects are passed on as they are (IN-17); its errors are not, as they tell of its internals (SC-02).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import httpx
import msgspec

from gate_p2p.address import is_this_machine
from gate_p2p.core import RemoteProtocolError
from gate_p2p.core.documents import decode_document
from gate_p2p.core.limits import MAX_FRAME
from gate_p2p.server_sent_events import EventDecoder, TooLongError
from gate_p2p.session.errors import InferenceError
from gate_p2p.session.inference import REQUEST_ERROR, SERVER_ERROR, UPSTREAM_ERROR
from gate_p2p.session.inference_request import InferenceRequest
from gate_p2p.text import one_line

_log = logging.getLogger("gate_p2p.inference")

REQUESTS_AT_ONCE: Final = 64
FRAME_WITHIN: Final = 290.0
"""Seconds for the model server's answer, and for each further event; a peer is answered in 300 (IN-30)."""
CONNECT_WITHIN: Final = 10.0
MAX_EXPLANATION: Final = 4096
"""Bytes of an error's body that are read, for the log."""

_REFUSALS: Final = {
    400: "the model server does not understand the request",
    404: "the model server knows no such model",
    413: "the request is too large for the model server",
    422: "the model server cannot process the request",
}


class ModelServer:
    """`base_url`: what comes before `/chat/completions` and `/models`, with `/v1` where the server has it so.

    A server on this machine is asked directly, another through the proxy that the environment names for it
    (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`). `key`: sent as a bearer token. `at_once`: requests that are
    passed on side by side; others wait. Raises ValueError for a URL or key that cannot be one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        at_once: int = REQUESTS_AT_ONCE,
        frame_within: float = FRAME_WITHIN,
    ) -> None:
        self._base_url = _check_url(base_url)
        self._frame_within = frame_within
        headers = {"Accept-Encoding": "identity"}  # so that a bound on what comes is one on what it becomes
        if key is not None:
            if not (key and key.isascii() and key.isprintable() and " " not in key):
                raise ValueError("the key is empty, or holds characters that no key has")
            headers["Authorization"] = f"Bearer {key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=CONNECT_WITHIN),
            limits=httpx.Limits(max_connections=at_once),
            follow_redirects=False,
            # a proxy of the environment does not reach this machine's loopback, and has no business there
            trust_env=not is_this_machine(httpx.URL(self._base_url).host),
        )
        self._slots = asyncio.Semaphore(at_once)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def answer(self, request: InferenceRequest) -> None:
        """Answer one request; cancelled, it breaks off the one to the model server.

        Raises InferenceError, in words for the peer; InferenceCancelled when the peer has gone.
        """
        async with self._slots:
            if request.lists_models:
                await request.respond({"models": await self._models()})
            elif request.streamed:
                await self._stream(request)
            else:
                await request.respond(await self._completion(request))

    async def _models(self) -> list[Any]:
        async with self._ask("GET", "/models", None) as response:
            models = _object(await self._body(response)).get("data")
        if not isinstance(models, list):
            raise _broken("a list of models without `data`")
        return [model for model in models if isinstance(model, dict) and isinstance(model.get("id"), str)]

    async def _completion(self, request: InferenceRequest) -> dict[str, Any]:
        async with self._ask("POST", "/chat/completions", _passed_on(request)) as response:
            return _object(await self._body(response))

    async def _stream(self, request: InferenceRequest) -> None:
        async with self._ask("POST", "/chat/completions", _passed_on(request)) as response:
            if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                await request.respond(_object(await self._body(response)))  # it does not stream (IN-19)
                return
            async with request.stream() as send, aclosing(self._events(response)) as events:
                async for data in events:
                    await send(_object(data))

    # -- HTTP

    @asynccontextmanager
    async def _ask(self, method: str, path: str, body: bytes | None) -> AsyncIterator[httpx.Response]:
        """The response, once its head is there and says success. `body`: JSON."""
        headers = None if body is None else {"Content-Type": "application/json"}
        request = self._client.build_request(method, self._base_url + path, content=body, headers=headers)
        try:
            async with asyncio.timeout(self._frame_within):
                response = await self._client.send(request, stream=True)
        except TimeoutError:
            raise _too_slow() from None
        except httpx.HTTPError as error:
            _log.error("the model server cannot be reached: %s", one_line(repr(error)))
            raise InferenceError("the model server cannot be reached", UPSTREAM_ERROR) from None
        try:
            if response.status_code != 200:
                raise await self._refusal(response)
            yield response
        finally:
            await response.aclose()

    async def _refusal(self, response: httpx.Response) -> InferenceError:
        explanation = b""
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                async for chunk in response.aiter_raw():
                    explanation += chunk
                    if len(explanation) >= MAX_EXPLANATION:
                        break
        except (httpx.HTTPError, TimeoutError) as error:
            _log.debug("no explanation: %r", error)
        status = response.status_code
        text = one_line(explanation[:MAX_EXPLANATION].decode("utf-8", "replace"))
        if status in _REFUSALS:
            _log.info("the model server refused a request with status %d: %s", status, text)
            return InferenceError(_REFUSALS[status], REQUEST_ERROR)
        _log.error("the model server failed with status %d: %s", status, text)
        busy = "is busy: try again later" if status in {429, 503} else "failed"
        return InferenceError(f"the model server {busy}", UPSTREAM_ERROR)

    async def _body(self, response: httpx.Response) -> bytes:
        """The whole body, which is one frame."""
        body = bytearray()
        try:
            async with asyncio.timeout(self._frame_within):
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_FRAME:
                        raise _too_long()
        except TimeoutError:
            raise _too_slow() from None
        except httpx.HTTPError as error:
            raise _broken_off(repr(error)) from None
        return bytes(body)

    async def _events(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The data of each event up to `[DONE]`. Comments are no events: they win no time (IN-30)."""
        loop = asyncio.get_running_loop()
        decoder = EventDecoder(MAX_FRAME)
        chunks = response.aiter_raw()
        deadline = loop.time() + self._frame_within
        try:
            while True:
                async with asyncio.timeout_at(deadline):
                    chunk: bytes | None = await anext(chunks, None)
                if chunk is None:
                    break
                for data in decoder.feed(chunk):
                    if data.strip() == b"[DONE]":
                        return
                    yield data
                    deadline = loop.time() + self._frame_within  # while a peer does not read, no time runs
        except TooLongError:
            raise _too_long() from None
        except TimeoutError:
            raise _too_slow() from None
        except httpx.HTTPError as error:
            raise _broken_off(repr(error)) from None
        last = decoder.end()
        if last is None or last.strip() != b"[DONE]":
            raise _broken_off("a stream ended without [DONE]")


_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _passed_on(request: InferenceRequest) -> bytes:
    """The request with its members as they were sent, byte for byte, the last of those with the same name.

    But no `action`, which is null if it is there, and no `stream` that a server might take for true.
    """
    members = _members(request.raw)
    members.pop("action", None)
    if not request.streamed and bytes(members.get("stream", b"null")) != b"null":
        members["stream"] = msgspec.Raw(b"false")
    return msgspec.json.encode(members)


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body or an event; an error in it is one of the model server."""
    try:
        document = decode_document(body.strip())
    except RemoteProtocolError as error:
        raise _broken(str(error)) from None
    if not isinstance(document, dict):
        raise _broken("an answer that is no JSON object")
    if document.get("error") is not None:
        _log.error("the model server answered with an error: %s", one_line(repr(document["error"])))
        raise InferenceError("the model server failed", UPSTREAM_ERROR)
    return document


def _broken(what: str) -> InferenceError:
    _log.error("the model server sent %s", one_line(what))
    return InferenceError("the model server's answer cannot be read", UPSTREAM_ERROR)


def _broken_off(how: str) -> InferenceError:
    _log.error("the model server broke off: %s", one_line(how))
    return InferenceError("the model server broke off", UPSTREAM_ERROR)


def _too_slow() -> InferenceError:
    _log.error("the model server took too long")
    return InferenceError("the model server took too long", UPSTREAM_ERROR)


def _too_long() -> InferenceError:
    _log.error("an answer of the model server is longer than a frame")
    return InferenceError("the response does not fit into a frame", SERVER_ERROR)


def _check_url(text: str) -> str:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise ValueError(f"{text!r} is no URL: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"{text!r} is no base URL: expected http://HOST[:PORT]/v1 or https://HOST/v1")
    if url.userinfo:
        raise ValueError("a base URL holds no user name and no password: say the key in a file")
    if url.query or url.fragment:
        raise ValueError(f"{text!r} is no base URL: nothing follows its path")
    return str(url).rstrip("/")
