"""Bulk bytes of an SNI-proxy stream, one way, over real Iroh.

Ours: what a relay and a daemon hold of a stream in use, which they read from and write to. The anchor: bare
iroh, with the fast write where there is one, in the same process and in turns. TCP is on neither side.
"""

from __future__ import annotations

import asyncio

from gate_p2p.session.sni_stream import CHUNK, SniStream
from measure import Result, side_by_side
from over_iroh import Bare, Pair

SIZE = 64 * CHUNK  # 16 MiB
DATA = bytes(CHUNK)


async def take_bare(stream: Bare) -> None:
    """Read for ever; a byte back for every SIZE bytes."""
    size = 0
    while data := await stream.read():
        size += len(data)
        if size >= SIZE:
            size -= SIZE
            await stream.write(b"!")


async def take_ours(stream: SniStream) -> None:
    """The same."""
    size = 0
    while data := await stream.read():
        size += len(data)
        if size >= SIZE:
            size -= SIZE
            await stream.write(b"!")


async def bulk(stream: Bare | SniStream) -> int:
    """Send SIZE bytes, and wait until they have been read."""
    for _ in range(SIZE // CHUNK):
        await stream.write(DATA)
    await stream.read()
    return SIZE


async def sni_stream(pair: Pair) -> SniStream:
    """The daemon's end of a stream, whose other end takes what comes."""
    dialled, accepted = await pair.connections()
    ours = SniStream(dialled, await dialled.open_stream(), dialled=True)

    async def serve() -> None:
        await take_ours(SniStream(accepted, await accepted.accept_stream(), dialled=False))

    pair.spawn(serve())
    return ours


def run() -> list[Result]:
    """Bytes in a second."""
    with asyncio.Runner() as runner:
        pair = runner.run(Pair.bind())
        ours = runner.run(sni_stream(pair))
        anchor = runner.run(pair.bare_streams(take_bare))
        value, anchor_value = side_by_side(
            lambda: runner.run(bulk(ours)), lambda: runner.run(bulk(anchor)), rounds=9
        )
        runner.run(pair.aclose())
    return [
        Result(
            "SNI-proxy stream, bulk",
            value / 1e6,
            "MB/s",
            "bare iroh, fast write",
            anchor_value / 1e6,
            goal=0.85,
        )
    ]
