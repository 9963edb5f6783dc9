"""Nodes that do nothing sensible: a suite in which one of them passes tests nothing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable

from .node import LOST
from .protocol import Stream

NullNode = Callable[[Stream], Awaitable[None]]


async def silent(stream: Stream) -> None:
    """Reads and says nothing; ends when its peer ends."""
    while await stream.read():
        pass


async def echo(stream: Stream) -> None:
    """Sends back what it reads."""
    while data := await stream.read():
        await stream.write(data)


async def closes(stream: Stream) -> None:
    """Closes at once."""
    await stream.finish()


async def errors(stream: Stream) -> None:
    """Answers every read with an error message."""
    body = b'{"type":"Error","error":"internal error"}'
    while await stream.read():
        await stream.write(len(body).to_bytes(4, "big") + body)


async def noise(stream: Stream) -> None:
    """Answers every read with bytes that mean nothing."""
    block = b"gate"
    while await stream.read():
        block = hashlib.sha256(block).digest()
        await stream.write(block)


async def never_reads(stream: Stream) -> None:
    """Keeps the stream open without reading."""
    await asyncio.sleep(3600.0)


NULLS: dict[str, NullNode] = {
    "null-silent": silent,
    "null-echo": echo,
    "null-closes": closes,
    "null-errors": errors,
    "null-noise": noise,
    "null-never-reads": never_reads,
}


async def run_null(name: str, stream: Stream) -> None:
    """Runs a null node until its stream is over, however it ends."""
    with contextlib.suppress(*LOST):  # that the peer goes ends a null node like any other
        await NULLS[name](stream)
    stream.close(0)
