"""A requester driven by hand at a server of inference, in memory and in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from gate_p2p.session.budget import FrameBudget
from gate_p2p.session.inference_request import InferenceRequest
from gate_p2p.session.inference_server import InferenceServer

from ..cli.process import frames
from .data_connections import data_connection
from .memory import run

ASK = {"model": "tiny", "messages": []}
STREAM = {**ASK, "stream": True}
COMPLETION = {"object": "chat.completion", "choices": []}


class Asked:
    """A requester driven by hand, at a server whose handle the test has."""

    all: ClassVar[list[Asked]] = []

    def __init__(self, server: InferenceServer) -> None:
        self.ours, theirs = data_connection()
        self.serving = asyncio.create_task(server.accepted(theirs))
        self.stream = self.ours.stream
        self.all.append(self)

    async def ask(self, document: Any, *, end: bool = True) -> None:
        body = json.dumps(document).encode()
        await self.stream.write(len(body).to_bytes(4, "big") + body)
        if end:
            await self.stream.finish()

    async def answer(self) -> list[Any]:
        """Every frame to the clean end."""
        data = b""
        while more := await self.stream.read():
            data += more
        return frames(data)

    async def over(self) -> tuple[bool, int] | None:
        """Whether we closed, and the code, once the server is through."""
        await asyncio.gather(self.serving, return_exceptions=True)
        return self.ours.closed


def serve(test: Callable[[InferenceServer], Awaitable[None]], *, connected: bool = True) -> None:
    async def main() -> None:
        server = InferenceServer(lambda peer_id: connected, FrameBudget())
        Asked.all.clear()
        await test(server)
        for asked in Asked.all:
            asked.ours.close(0)
            await asked.over()
        await asyncio.sleep(2)  # the last look of `wait_stopped`

    run(main())


async def taken(server: InferenceServer, document: dict[str, Any]) -> tuple[Asked, InferenceRequest]:
    asked = Asked(server)
    await asked.ask(document)
    return asked, await server.handle.next()
