"""SNI-proxy streams: shared by the cases of relays and daemons."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from gate_conformance.cases._data import READY, needs_data
from gate_conformance.cases._requests import SNI, describe, request, succeeded
from gate_conformance.data import SNI_ALPN

if TYPE_CHECKING:
    from gate_conformance.data import DataStream
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

HELLO = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"  # what a TLS connection might begin with
READY_WITHIN = 2.0
ARRIVE_WITHIN = 5.0
STAYS = 3.0  # seconds after which a relay would have given up a stream that it does not take for idle


async def idle_stream(t: Trial, *, reading: bool = True) -> DataStream:
    """A stream of the suite's at a relay, with READY on it."""
    stream = await t.dial(SNI_ALPN, reading=reading)
    await stream.send(READY)
    return stream


async def use(stream: DataStream) -> None:
    """The relay's first bytes, once READY is there, and the end of the visit."""
    await stream.until(lambda: len(stream.received) >= len(READY) or stream.ended is not None, READY_WITHIN)
    await stream.send(HELLO)
    await stream.finish()


@contextlib.asynccontextmanager
async def supplied(t: Trial) -> AsyncIterator[Link]:
    """A control connection with a daemon that opens SNI-proxy streams; unsupported for any other.

    One stream has been used. No other case has to do with streams of this daemon meanwhile.
    """
    needs_data(t)
    link = await t.established()
    async with t.alone_in_pool(link):
        if link.channel.remote_id in t.health.no_supply:
            t.unsupported("the target opens no SNI-proxy streams")
        message, since = request(t, link, SNI), t.now()
        await link.send(message)
        response = await link.expect_response(message, within=10.0, requirement="ST-01")
        if not succeeded(response):
            if response.get("code") not in ("unsupported", None):
                t.inconclusive(f"the target opens no SNI-proxy stream now: {describe(response)}")
            t.health.no_supply.add(link.channel.remote_id)
            t.unsupported(f"the target opens no SNI-proxy streams: {response.get('error')}")
        first = await t.dialled(link, since, ARRIVE_WITHIN)
        if first is None:
            t.fail("an SNI-proxy stream within 5 s of the StreamReady that accepts", "none", "ST-04")
        await use(first)
        yield link


async def asked_for(t: Trial, link: Link, *, reading: bool = True, domain: str | None = None) -> DataStream:
    """A stream that the daemon opens because it is asked to."""
    message = request(t, link, SNI, **({} if domain is None else {"domain": domain}))
    since = t.now()
    await link.send(message)
    response = await link.expect_response(message, within=10.0, requirement="ST-01")
    if not succeeded(response):
        t.inconclusive(f"the target opens no further SNI-proxy stream: {describe(response)}")
    stream = await t.dialled(link, since, ARRIVE_WITHIN, reading=reading)
    if stream is None:
        t.fail("an SNI-proxy stream within 5 s of the StreamReady that accepts", "none", "ST-04")
    return stream


async def ready(t: Trial, stream: DataStream, requirement: str = "SP-03") -> None:
    """READY, whole and alone, at the beginning of a stream that the target opened."""
    await stream.until(lambda: len(stream.received) >= len(READY) or stream.ended is not None, ARRIVE_WITHIN)
    came = bytes(stream.received)
    if came[: len(READY)] != READY:
        end = f", and the target {stream.ended}" if stream.ended is not None else ""
        t.fail("READY as the first bytes of the stream", f"{came[:20]!r}{end}", requirement)
