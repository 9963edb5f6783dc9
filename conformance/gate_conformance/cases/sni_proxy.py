"""SNI-proxy streams: how a relay takes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from gate_conformance.case import case
from gate_conformance.cases._data import (
    READY,
    alive,
    beside,
    second,
    served,
)
from gate_conformance.cases._sni import READY_WITHIN, STAYS, idle_stream
from gate_conformance.data import SNI_ALPN

if TYPE_CHECKING:
    from gate_conformance.data import DataStream
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

RELAY = ("acceptor",)
END_BY = 5.0  # seconds from the accepted connection
NO_READY: dict[str, tuple[bytes, str, int]] = {  # what is sent, how it goes on, and the code of the close
    "nothing": (b"", "", 4),
    "a part of READY": (READY[:8], "", 4),
    "another first byte": (b"\x16" + READY[1:], "", 1),
    "another last byte": (READY[:8] + b"y", "", 1),
    "another length": (b"\0\0\0\x06" + READY[4:] + b"!", "", 1),
    "a ClientHello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), "", 1),
    "an end before READY": (READY[:5], "finish", 1),
    "an end at once": (b"", "finish", 1),
    "a reset before READY": (READY[:5], "reset", 1),
}


async def _without_ready(t: Trial, link: Link, requirement: str) -> dict[str, DataStream]:
    """A stream for each of the above, once each has ended, or the time for it is over."""
    streams: dict[str, DataStream] = {}
    for what, (data, then, _) in NO_READY.items():
        streams[what] = stream = await t.dial(SNI_ALPN)
        if data:
            await stream.send(data)
        if then == "finish":
            await stream.finish()
        elif then == "reset":
            stream.reset(0)
    for what, stream in streams.items():
        left = stream.opened_at + END_BY + link.channel.slack - t.now()
        await stream.until(lambda s=stream: s.ended is not None, max(left, 0.1))  # type: ignore[misc]
        if stream.received:
            t.fail("a relay that answers nothing", f"{bytes(stream.received)[:40]!r} after {what}", "SP-09")
        if stream.ended is None and requirement == "SP-05":
            t.fail(f"an end within 5 s after {what}", f"still open after {t.now() - stream.opened_at:.1f} s")
    return streams


def _still_idle(t: Trial, stream: DataStream, what: str, requirement: str | None = None) -> None:
    if stream.received:
        t.fail(f"a relay that answers nothing to {what}", f"{bytes(stream.received)[:40]!r}", requirement)
    if stream.ended is not None:
        waited = stream.ended.at - stream.opened_at
        t.fail(f"an idle stream after {what}", f"the target {stream.ended} after {waited:.1f} s", requirement)


async def _stays(t: Trial, stream: DataStream, what: str, requirement: str | None = None) -> None:
    """The stream is idle: it is still there when the time for READY is long over."""
    left = stream.opened_at + STAYS - t.now()
    await stream.until(lambda: stream.ended is not None, max(left, 0.5))
    _still_idle(t, stream, what, requirement)


@contextlib.asynccontextmanager
async def _relay(t: Trial) -> AsyncIterator[Link]:
    """A relay that nobody else has idle streams at; it does look for READY, as another stream shows."""
    link = await served(t, "sni_proxy")
    async with t.alone_in_pool(link):
        wrong = await t.dial(SNI_ALPN)
        await wrong.send(READY[:8] + b"?")
        yield link
        left = wrong.opened_at + END_BY + link.channel.slack - t.now()
        if not await wrong.until(lambda: wrong.ended is not None, max(left, 0.1)):
            t.fail(
                "an end within 5 s after nine other bytes",
                f"still open after {t.now() - wrong.opened_at:.1f} s",
                "SP-05",
            )
        await alive(t, link, "SNI-proxy connections")


@case("sni-proxy.ready-in-pieces", requirement="SP-04", roles=RELAY, seconds=9.0)
async def ready_in_pieces(t: Trial) -> None:
    """READY makes a stream idle, whole or cut into pieces."""
    async with _relay(t):
        whole = await idle_stream(t)
        halves, bytewise = await t.dial(SNI_ALPN), await t.dial(SNI_ALPN)
        for stream, cuts in ((halves, (5,)), (bytewise, range(1, 9))):
            for start, end in zip((0, *cuts), (*cuts, 9), strict=True):
                await stream.send(READY[start:end])
                await asyncio.sleep(0.05)
        for stream, what in ((whole, "READY"), (halves, "READY in two parts"), (bytewise, "READY by bytes")):
            await _stays(t, stream, what)


@case("sni-proxy.no-ready", requirement="SP-05", roles=RELAY, seconds=9.0)
async def no_ready(t: Trial) -> None:
    """A connection without READY is ended within 5 s, and one with READY stays."""
    link = await served(t, "sni_proxy")
    async with t.alone_in_pool(link):
        idle = await idle_stream(t)
        await _without_ready(t, link, "SP-05")
        await _stays(t, idle, "READY, beside connections without it", "SP-04")
        await alive(t, link, "connections without READY")


@case("sni-proxy.no-ready-code", requirement="SP-06", roles=RELAY, seconds=9.0)
async def no_ready_code(t: Trial) -> None:
    """A connection without READY is closed with code 1, or with 4 when nothing wrong came in 2 s."""
    link = await served(t, "sni_proxy")
    streams = await _without_ready(t, link, "SP-06")
    for what, stream in streams.items():
        if stream.ended is None:
            t.inconclusive(f"the connection is not ended after {what}")
        code, wanted = await stream.code(), NO_READY[what][2]
        t.check(code == wanted, f"close code {wanted} after {what}", f"code {code}")
        waited = stream.ended.at - stream.opened_at
        if wanted == 4:
            t.check(waited >= READY_WITHIN - 0.5, f"2 s of patience after {what}", f"{waited:.1f} s")
        t.check(waited < READY_WITHIN + 2.0, f"the end at 2 s at the latest after {what}", f"{waited:.1f} s")
    await alive(t, link, "connections without READY")


@case("sni-proxy.idle-speaks", requirement="SP-08", roles=RELAY, seconds=9.0)
async def idle_speaks(t: Trial) -> None:
    """An idle connection on which a byte comes is closed with code 1, one that ends or is reset with 0."""
    async with _relay(t) as link:
        streams = {what: await idle_stream(t) for what in ("a byte", "an end", "a reset")}
        at_once = await t.dial(SNI_ALPN)
        await at_once.send(READY + b"x")
        await link.settle(0.5)
        for stream in streams.values():
            _still_idle(t, stream, "READY", "SP-04")
        await streams["a byte"].send(b"x")
        await streams["an end"].finish()
        streams["a reset"].reset(0)
        streams["a byte right behind READY"] = at_once
        for what, stream in streams.items():
            code = await stream.code(3.0)
            wanted = 1 if "byte" in what else 0
            t.check(code == wanted, f"a close with code {wanted} after {what}", f"code {code}")


@case("sni-proxy.eight-idle", requirement="SP-24", roles=RELAY, seconds=9.0)
async def eight_idle(t: Trial) -> None:
    """Eight idle streams of one peer are no more than a relay keeps."""
    async with _relay(t) as link:
        streams = [await idle_stream(t) for _ in range(8)]
        await link.settle(1.0)
        open_still = [stream for stream in streams if stream.ended is None]
        t.check(len(open_still) == 8, "eight idle streams", f"{len(open_still)} of eight")


@case("sni-proxy.second-stream", requirement="SP-31", roles=RELAY, seconds=9.0)
async def second_stream(t: Trial) -> None:
    """Another stream of the connection, and what comes beside streams, does nothing to the idle stream."""
    async with _relay(t):
        other, stream = await idle_stream(t), await idle_stream(t)
        for data in (READY, b"\x16\x03\x01", bytes(4)):
            came = await second(t, other, data, 0.5)
            if came:
                t.fail("silence or a reset on a second stream", f"{came[:40]!r}")
        for way in ("unidirectional stream", "datagram"):
            await beside(t, stream, way, b"x" * 9)
        await _stays(t, other, "a second stream")
        await _stays(t, stream, "what is no bidirectional stream")


@case("sni-proxy.any-code", requirement="CL-10", roles=RELAY, seconds=9.0)
async def any_code(t: Trial) -> None:
    """An idle stream that is reset is no stream any more, whatever the code of the reset."""
    async with _relay(t) as link:
        streams = {code: await idle_stream(t) for code in (0, 6, 2**62 - 1)}
        await link.settle(0.5)
        for code, stream in streams.items():
            _still_idle(t, stream, "READY", "SP-04")
            stream.reset(code)
        limit = t.now() + 4.0
        for stream in streams.values():
            await stream.until(lambda s=stream: s.ended is not None, limit - t.now())  # type: ignore[misc]
        ended = {code: stream.ended is not None for code, stream in streams.items()}
        if len(set(ended.values())) > 1:
            t.fail("the same after a reset with any code", f"ended: {ended}")


@case("closing.sni-proxy-ends-alone", requirement="CL-11", roles=RELAY, seconds=9.0)
async def sni_proxy_ends_alone(t: Trial) -> None:
    """SNI-proxy connections that end in whatever way end no other connection of the peer."""
    async with _relay(t) as link:
        idle = await idle_stream(t)
        for data in (b"GET / HTTP/1.1\r\n\r\n", READY + b"x", READY, READY[:4]):
            stream = await t.dial(SNI_ALPN)
            await stream.send(data)
            await stream.until(lambda s=stream: s.ended is not None, 0.3)  # type: ignore[misc]
            stream.close(2**32 + 1)
        await link.settle(0.5)
        _still_idle(t, idle, "the end of other connections", "CL-11")
