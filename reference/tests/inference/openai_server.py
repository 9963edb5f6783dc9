"""A local HTTP server with OpenAI's API: models, completions, streams, and the ways in which one fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

CHUNK = "chat.completion.chunk"


def chunk(text: str, finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return {"id": "c1", "object": CHUNK, "model": "tiny", "choices": [choice]}


def completion(text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"id": "c1", "object": "chat.completion", "model": "tiny", "choices": [choice]}


class OpenAiServer:
    """What a request gets depends on its model; see `_complete`. `seen`: method, path, headers, body."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], Any]] = []
        self.gone = asyncio.Event()  # a client has left in the middle of an endless stream
        self.arrived = asyncio.Event()
        self.written = 0
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            document: Any = json.loads(body) if body else None
            self.arrived.set()
            self.seen.append((method, path, headers, document))
            if (method, path) == ("GET", "/v1/models"):
                data = [{"id": "tiny", "object": "model", "owned_by": "test"}, {"id": "big"}, {"no": "id"}]
                self._whole(writer, 200, {"object": "list", "data": data})
            elif (method, path) == ("POST", "/v1/chat/completions"):
                await self._complete(reader, writer, document)
            else:
                self._whole(writer, 404, {"error": {"message": "no such path"}})
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _head(self, writer: asyncio.StreamWriter, status: int, kind: str, *more: str) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", "Connection: close", *more]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def _whole(self, writer: asyncio.StreamWriter, status: int, document: Any) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self._head(writer, status, "application/json", f"Content-Length: {len(body)}")
        writer.write(body)

    async def _piece(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """A piece of a chunked body."""
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await writer.drain()
        self.written += len(data)

    async def _complete(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: dict[str, Any]
    ) -> None:
        model = body["model"]
        if model.startswith("status-"):
            error = {"error": {"message": "secret internals at 10.0.0.7", "type": "whatever"}}
            self._whole(writer, int(model.removeprefix("status-")), error)
        elif model == "no-json":
            self._whole(writer, 200, b"<html>secret</html>")
        elif model == "no-object":
            self._whole(writer, 200, [1])
        elif model == "inner-error":
            self._whole(writer, 200, {"error": {"message": "secret"}})
        elif model == "huge":
            self._whole(writer, 200, completion("x" * 11_000_000))
        elif model == "silent":
            await reader.read()
            self.gone.set()
        elif body.get("stream") is not True or model == "no-stream":
            self._whole(writer, 200, completion("Hello, Gate!"))
        else:
            await self._stream(reader, writer, model)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, model: str) -> None:
        self._head(writer, 200, "text/event-stream; charset=utf-8", "Transfer-Encoding: chunked")
        if model == "endless-line":
            await self._until_gone(reader, writer, b"data: ", b"x" * 65536)
        elif model == "comments":
            await self._until_gone(reader, writer, b"", b": still here\n\n", pause=0.02)
        elif model in {"endless", "flood"}:
            event = b"data: " + json.dumps(chunk("more " * (1 if model == "endless" else 10_000))).encode()
            pause = 0.02 if model == "endless" else 0.0
            await self._until_gone(reader, writer, b"", event + b"\n\n", pause=pause)
        else:
            await self._piece(writer, b": hello\n\n")
            for text in ("Hello", ", Gate!"):
                await self._piece(writer, f"data: {json.dumps(chunk(text))}\n\n".encode())
            if model == "broken-json":
                await self._piece(writer, b'data: {"id": secret\n\n')
            elif model == "broken-off":
                writer.transport.abort()
                return
            elif model == "error-event":
                await self._piece(writer, b'data: {"error": {"message": "secret"}}\n\n')
            if model != "no-done":
                await self._piece(writer, b"data: [DONE]\n\n")
            writer.write(b"0\r\n\r\n")

    async def _until_gone(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        first: bytes,
        again: bytes,
        pause: float = 0.0,
    ) -> None:
        left = asyncio.ensure_future(reader.read())
        try:
            if first:
                await self._piece(writer, first)
            while not left.done():
                await self._piece(writer, again)
                await asyncio.sleep(pause)
        except ConnectionError:
            pass
        finally:
            left.cancel()
            self.gone.set()


@asynccontextmanager
async def openai_server() -> AsyncIterator[OpenAiServer]:
    """A running server; `url` is the base to give to a client."""
    model_server = OpenAiServer()
    server = await asyncio.start_server(model_server.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    model_server.url = f"http://127.0.0.1:{port}/v1"
    async with server:
        yield model_server
