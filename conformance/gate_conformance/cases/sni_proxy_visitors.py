"""SNI-proxy streams: how a relay leads visitors to the streams of its daemons."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gate_conformance.case import case
from gate_conformance.cases._data import READY, alive, served
from gate_conformance.cases._proxied import PASSED_WITHIN, arrives, front, https_of, visit
from gate_conformance.cases._requests import SNI, Message
from gate_conformance.cases._sni import idle_stream
from gate_conformance.data import SNI_ALPN
from gate_conformance.tcp import Tcp, client_hello, in_records
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.data import DataStream
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

RELAY = ("acceptor",)
NOBODY = "nobody.invalid"
TURNED_AWAY_WITHIN = 12.0  # SP-11 names no time, and a ClientHello has 10 s (SP-12)
ALERT = b"\x15"  # the type of a TLS record that holds an alert


async def _idle(t: Trial, link: Link, count: int = 1) -> list[DataStream]:
    """So many idle streams, which the relay has had the time to notice, the oldest first."""
    streams = []
    for _ in range(count):
        streams.append(await idle_stream(t))
        await link.settle(0.3)
    return streams


@case("sni-proxy.visitor-bytes", requirement="SP-09", roles=RELAY, seconds=9.0)
async def visitor_bytes(t: Trial) -> None:
    """A stream gets the bytes of one visitor, from the first on, and those of no other."""
    async with front(t) as link:
        name = https_of(t)[1]
        streams = await _idle(t, link, 2)
        datas = [client_hello(name) + bytes(range(256)) * 12, client_hello(name)]
        used: list[DataStream] = []
        for data in datas:
            await visit(t, data)
            await _until_used(streams, used)
        for stream, data in zip(used, datas, strict=False):
            await arrives(t, stream, data)
        if len(used) != 2:
            t.fail("a stream for each visitor", f"{len(used)} streams for two")
        await link.settle(0.3)
        for stream, data in zip(used, datas, strict=True):
            await arrives(t, stream, data)
        await alive(t, link, "two visitors")


async def _until_used(streams: list[DataStream], used: list[DataStream]) -> None:
    """Wait for the first byte on one more of the streams."""
    limit = asyncio.get_running_loop().time() + PASSED_WITHIN
    while asyncio.get_running_loop().time() < limit:
        fresh = [stream for stream in streams if stream.received and stream not in used]
        if fresh:
            used.append(fresh[0])
            return
        await asyncio.sleep(0.02)


@case("sni-proxy.visitor-of-unasked-stream", requirement="SP-22", roles=RELAY, seconds=9.0)
async def unasked(t: Trial) -> None:
    """A stream that the relay did not ask for is as good as any."""
    async with front(t) as link:
        (stream,) = await _idle(t, link)
        hello = client_hello(https_of(t)[1])
        await visit(t, hello)
        await arrives(t, stream, hello, "SP-22")
        await alive(t, link, "a visitor")


@case("sni-proxy.visitor-before-ready", requirement="SP-04", roles=RELAY, seconds=9.0)
async def before_ready(t: Trial) -> None:
    """A stream on which READY is not complete is given to no visitor."""
    async with front(t) as link:
        (whole,) = await _idle(t, link)
        part = await t.dial(SNI_ALPN)
        await part.send(READY[:8])
        await link.settle(0.3)
        hello = client_hello(https_of(t)[1])
        await visit(t, hello)
        await arrives(t, whole, hello, "SP-04")
        if part.received:
            t.fail("nothing on a stream without READY", f"{len(part.received)} bytes")
        await alive(t, link, "a visitor")


@case("sni-proxy.names", requirement="SP-10", roles=RELAY, seconds=9.0)
async def names(t: Trial) -> None:
    """The name and one below it lead to the peer that they belong to; other names do not."""
    async with front(t) as link:
        name = https_of(t)[1]
        for hers in (name, name.upper(), f"www.{name}"):
            (stream,) = await _idle(t, link)
            hello = client_hello(hers)
            await visit(t, hello)
            await arrives(t, stream, hello, "SP-10")
        (stream,) = await _idle(t, link)
        foreign = (NOBODY, f"a.b.{name}", f"x{name}", f"{name}.{NOBODY}")
        await visit(t, client_hello(name.partition(".")[2]))  # which may belong to somebody else
        visitors = [await visit(t, client_hello(one)) for one in foreign]
        await _turned_away(t, visitors, foreign)
        if stream.received:
            t.fail("visitors of the peer's own names alone", f"{len(stream.received)} bytes for another name")
        await alive(t, link, "visitors of several names")


async def _turned_away(t: Trial, visitors: list[Tcp], whats: tuple[str, ...]) -> None:
    for visitor, what in zip(visitors, whats, strict=True):
        closed = await visitor.until(lambda v=visitor: v.ended is not None, TURNED_AWAY_WITHIN)  # type: ignore[misc]
        if not closed:
            t.fail(f"the close of a visitor: {what}", f"open after {TURNED_AWAY_WITHIN:g} s", "SP-11")
        if visitor.received and visitor.received[:1] != ALERT:
            t.note(f"a visitor ({what}) was told more than an alert: {bytes(visitor.received)[:40]!r}")


@case("sni-proxy.no-visitors", requirement="SP-11", roles=RELAY, seconds=9.0)
async def no_visitors(t: Trial) -> None:
    """What is no ClientHello, or names nobody, is closed without a stream."""
    async with front(t) as link:
        (stream,) = await _idle(t, link)
        strange = {
            "plain HTTP": b"GET / HTTP/1.1\r\nHost: " + https_of(t)[1].encode() + b"\r\n\r\n",
            "a ClientHello without a server name": client_hello(None),
            "a name that leads nowhere": client_hello(NOBODY),
            "a ServerHello": b"\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03",
            "zero bytes": bytes(64),
        }
        visitors: list[Tcp] = [await visit(t, data) for data in strange.values()]
        await _turned_away(t, visitors, tuple(strange))
        if stream.received or stream.ended is not None:
            t.fail("an idle stream untouched", f"{len(stream.received)} bytes, {stream.ended}")
        hello = client_hello(https_of(t)[1])
        await visit(t, hello)
        await arrives(t, stream, hello)
        await alive(t, link, "strange visitors")


@case("sni-proxy.hello-in-pieces", requirement="SP-12", roles=RELAY, seconds=9.0)
async def hello_in_pieces(t: Trial) -> None:
    """A ClientHello is read however it is cut into TLS records and TCP segments, up to 16,384 bytes."""
    async with front(t) as link:
        name = https_of(t)[1]
        for hello in (in_records(client_hello(name), 100), client_hello(name, 15_900)):
            (stream,) = await _idle(t, link)
            tcp = await visit(t, hello[:1])
            for start, end in ((1, 60), (60, 300), (300, len(hello))):
                await asyncio.sleep(0.05)
                await tcp.send(hello[start:end])
            await stream.until(lambda s=stream, h=hello: len(s.received) >= len(h), PASSED_WITHIN)  # type: ignore[misc]
            t.check(
                bytes(stream.received) == hello,
                f"a ClientHello of {len(hello)} bytes on the stream",
                f"{len(stream.received)} bytes",
            )
        await alive(t, link, "visitors in pieces")


@case("sni-proxy.hello-in-time", requirement="SP-12", roles=RELAY, seconds=12.0)
async def hello_in_time(t: Trial) -> None:
    """A visitor whose ClientHello is not whole after 10 s, or after 65,536 bytes, is closed."""
    link = await served(t, "sni_proxy")
    name = https_of(t)[1]
    slow = await visit(t, client_hello(name)[:40])
    handshake = b"\x01\x01\x00\x00" + bytes(80_000)  # a ClientHello of 65,536 bytes, by what it says
    long = await visit(t, in_records(b"\x16\x03\x01" + b"\x40\x00" + handshake[:16384], 16384))
    for at in range(16384, 80_000, 16384):
        part = handshake[at : at + 16384]
        await long.send(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part)
    closed = await long.until(lambda: long.ended is not None, PASSED_WITHIN)
    t.check(closed, "the close of a visitor whose ClientHello is too long", "open after 5 s")
    closed = await slow.until(lambda: slow.ended is not None, 12.0)
    t.check(closed, "the close of a visitor without a whole ClientHello after 10 s", "open after 12 s")
    await alive(t, link, "visitors without a ClientHello")


@case("sni-proxy.newest-first", requirement="SP-18", roles=RELAY, seconds=9.0)
async def newest_first(t: Trial) -> None:
    """A visitor gets the stream that became idle last."""
    async with front(t) as link:
        streams = await _idle(t, link, 3)
        for newest in reversed(streams):
            await visit(t, client_hello(https_of(t)[1]))
            await newest.until(lambda s=newest: bool(s.received), 2.0)  # type: ignore[misc]
            t.check(newest.received, "the newest idle stream for a visitor", "another one")
        await alive(t, link, "three visitors")


@case("sni-proxy.dead-streams", requirement="SP-19", roles=RELAY, seconds=9.0)
async def dead_streams(t: Trial) -> None:
    """A visitor gets no stream that has ended, or whose connection has."""
    async with front(t) as link:
        good, closed, ended, reset = await _idle(t, link, 4)
        closed.close(0)
        await ended.finish()
        reset.reset(0)
        await link.settle(1.0)
        hello = client_hello(https_of(t)[1])
        await visit(t, hello)
        await arrives(t, good, hello, "SP-19")
        if ended.received or reset.received:
            t.fail("nothing on a stream that has ended", "bytes of a visitor")
        await alive(t, link, "streams that ended")


@case("sni-proxy.asks-for-stream", requirement="SP-21", roles=RELAY, seconds=3.0, exclusive=True)
async def asks_for_stream(t: Trial) -> None:
    """Without an idle stream the relay asks for one, and gives it the visitor; without one it closes."""
    async with front(t) as link:
        name = https_of(t)[1]
        hello = client_hello(name)
        await visit(t, hello)
        request = await _asked(t, link)
        t.check(request["domain"] == name.lower(), f"`domain` {name!r}", f"{request['domain']!r}")
        ready = {"type": "StreamReady", "request_id": request["request_id"], "stream_accepted": True}
        await link.send(ready)
        (stream,) = await _idle(t, link)
        await arrives(t, stream, hello)
        refused = await visit(t, client_hello(name))
        request = await _asked(t, link)
        answer = {"stream_accepted": False, "error": "none to be had", "code": "failed"}
        await link.send({"type": "StreamReady", "request_id": request["request_id"], **answer})
        closed = await refused.until(lambda: refused.ended is not None, PASSED_WITHIN)
        t.check(closed, "the close of a visitor for whom no stream comes", "open after 5 s")
        await alive(t, link, "visitors without a stream")


async def _asked(t: Trial, link: Link) -> Message:
    """The relay's RequestSniStream, which it may send on any control connection of the suite's."""
    try:
        return await link.expect(SNI, PASSED_WITHIN, "SP-21")
    except CaseFailed:
        if any(one is not link and one.ended is None for one in t.health.links):
            t.inconclusive("the relay may have asked on another control connection of the suite's")
        raise


@case("stream-requests.sixteen-outstanding", requirement="ST-09", roles=RELAY, seconds=4.0, exclusive=True)
async def sixteen_outstanding(t: Trial) -> None:
    """With 20 visitors waiting no more than 16 requests for streams are outstanding."""
    async with front(t) as link:
        visitors = [await visit(t, client_hello(https_of(t)[1])) for _ in range(20)]
        await _asked(t, link)
        await link.settle(1.5)
        asked = [one["request_id"] for one in link.received if one["type"] == SNI]
        t.check(len(asked) <= 16, "16 RequestSniStream outstanding at most", f"{len(asked)}")
        t.note(f"{len(asked)} for 20 visitors")
        answered: set[str] = set()
        limit = t.now() + 2 * PASSED_WITHIN
        while t.now() < limit and any(visitor.ended is None for visitor in visitors):
            for request_id in [one for one in asked if one not in answered]:
                answered.add(request_id)
                answer = {"stream_accepted": False, "error": "none to be had", "code": "failed"}
                await link.send({"type": "StreamReady", "request_id": request_id, **answer})
            await link.settle(0.3)
            asked = [one["request_id"] for one in link.received if one["type"] == SNI]
        await alive(t, link, "many visitors")
