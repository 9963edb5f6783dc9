"""Control messages without waiting for each answer, over real Iroh.

One client on bare iroh, the same for both, writes Pings and counts the bytes that come back. Ours: the
session's control link, which answers every Ping. The anchor: an echo of frames made by hand, which cuts what
it reads into frames and sends them back, one write for each read, and reads no JSON. Two depths: 64 messages
in flight, as many as the session lets a peer have requests, and as many as the transport takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from measure import Result, side_by_side
from over_iroh import Bare, Pair

PINGS = 10_000
IN_FLIGHT = 64
WRITE = 65536  # bytes that the flood writes at a time
FIRST_ID = 2**40


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


HANDSHAKE = frame(b'{"type":"Handshake","node_id":"%s","capabilities":[]}' % (b"da" * 32))
FRAME = frame(b'{"type":"Ping","id":%d}' % FIRST_ID)
FRAMES = b"".join(frame(b'{"type":"Ping","id":%d}' % (FIRST_ID + number)) for number in range(PINGS))


async def echo_frames(stream: Bare) -> None:
    """Send every frame back when it is complete."""
    rest = b""
    while data := await stream.read():
        rest += data
        start, frames = 0, []
        while len(rest) - start >= 4:
            end = start + 4 + int.from_bytes(rest[start : start + 4], "big")
            if end > len(rest):
                break
            frames.append(rest[start:end])
            start = end
        rest = rest[start:]
        await stream.write(b"".join(frames))


async def window(stream: Bare) -> int:
    """Keep 64 Pings on their way until all are answered: a Pong is as long as its Ping."""
    sent, answered = 0, 0
    while answered < len(FRAMES):
        room = answered - answered % len(FRAME) + IN_FLIGHT * len(FRAME)
        if room > sent and sent < len(FRAMES):
            await stream.write(FRAMES[sent:room])
            sent = min(room, len(FRAMES))
        answered += len(await stream.read())
    return PINGS


async def flood(stream: Bare) -> int:
    """Write all Pings, and read meanwhile until as many bytes have come back."""

    async def write() -> None:
        for start in range(0, len(FRAMES), WRITE):
            await stream.write(FRAMES[start : start + WRITE])

    writing = asyncio.ensure_future(write())
    size = 0
    while size < len(FRAMES):
        size += len(await stream.read())
    await writing
    return PINGS


async def shake_hands(stream: Bare) -> None:
    await stream.write(HANDSHAKE)
    answer = b""
    while len(answer) < 4 or len(answer) < 4 + int.from_bytes(answer[:4], "big"):
        answer += await stream.read()


def run() -> list[Result]:
    """Messages answered in a second, at both depths."""
    results = []
    with asyncio.Runner() as runner:
        pair = runner.run(Pair.bind())
        ours = runner.run(pair.bare_to_link())
        runner.run(shake_hands(ours))
        anchor = runner.run(pair.bare_streams(echo_frames))
        for name, client in (("64 in flight", window), ("flood", flood)):
            value, anchor_value = side_by_side(
                partial(_run, runner, client, ours), partial(_run, runner, client, anchor), rounds=31
            )
            results.append(
                Result(
                    f"pipelined messages, {name}",
                    value,
                    "messages/s",
                    "frame echo on bare iroh",
                    anchor_value,
                    goal=0.65,
                )
            )
        runner.run(pair.aclose())
    return results


def _run(runner: asyncio.Runner, client: Callable[[Bare], Coroutine[Any, Any, int]], stream: Bare) -> int:
    return runner.run(client(stream))
