"""Control messages one at a time: a Ping and its Pong, a request and its response, over real Iroh.

Ours: a control link of the session at either end. The anchor: bare iroh, where one side writes as many bytes
and waits for as many as the answer has, and the other echoes. Both in one process, on one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gate_p2p.core import Event, PongReceived
from gate_p2p.session.link import ControlLink
from measure import Result, side_by_side
from over_iroh import Bare, Pair

ROUND_TRIPS = 300
VALUE = "x" * 43
PING = 30  # bytes of a Ping's frame with a small id
REQUEST, RESPONSE = 144, 71  # bytes of the frames of a create and of its answer


async def echo(stream: Bare) -> None:
    """Send back what comes: a request's worth of bytes with a response's, anything else as it is."""
    while data := await stream.read():
        await stream.write(data[:RESPONSE] if len(data) == REQUEST else data)


async def bare_round_trips(stream: Bare, question: int, answer: int) -> int:
    data = bytes(question)
    for _ in range(ROUND_TRIPS):
        await stream.write(data)
        size = 0
        while size < answer:
            size += len(await stream.read())
    return ROUND_TRIPS


class Pings:
    """Pings of a link, one at a time."""

    def __init__(self) -> None:
        self._pong: asyncio.Future[None] | None = None

    def on_event(self, event: Event) -> None:
        if isinstance(event, PongReceived) and self._pong is not None:
            self._pong.set_result(None)

    async def round_trips(self, link: ControlLink) -> int:
        loop = asyncio.get_running_loop()
        for _ in range(ROUND_TRIPS):
            self._pong = loop.create_future()
            link.connection.ping(loop.time())
            link._after([])
            await self._pong
        return ROUND_TRIPS


async def requests(link: ControlLink) -> int:
    for _ in range(ROUND_TRIPS):
        await link.request_dns_challenge_create("node.private.example", VALUE)
    return ROUND_TRIPS


def run() -> list[Result]:
    """Ping, then request."""
    with asyncio.Runner() as runner:
        pings = Pings()
        pair = runner.run(Pair.bind())
        link = runner.run(pair.link(pings.on_event))
        bare = runner.run(pair.bare_streams(echo))

        def compare(
            name: str, ours: Callable[[], Awaitable[int]], anchor: Callable[[], Awaitable[int]]
        ) -> Result:
            async def wait(call: Callable[[], Awaitable[int]]) -> int:
                return await call()

            value, anchor_value = side_by_side(
                lambda: runner.run(wait(ours)), lambda: runner.run(wait(anchor))
            )
            return Result(name, value, "round trips/s", "echo on bare iroh", anchor_value, goal=0.8)

        results = [
            compare(
                "control Ping round trips",
                lambda: pings.round_trips(link),
                lambda: bare_round_trips(bare, PING, PING),
            ),
            compare(
                "control request round trips",
                lambda: requests(link),
                lambda: bare_round_trips(bare, REQUEST, RESPONSE),
            ),
        ]
        runner.run(pair.aclose())
        return results
