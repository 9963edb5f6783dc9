"""SNI-proxy streams: how a daemon opens them, and keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate_conformance.case import case
from gate_conformance.cases._data import READY, alive, needs_data, second
from gate_conformance.cases._handshakes import hello
from gate_conformance.cases._requests import SNI, request, succeeded
from gate_conformance.cases._sni import ARRIVE_WITHIN, HELLO, READY_WITHIN, asked_for, ready, supplied, use

if TYPE_CHECKING:
    from gate_conformance.data import DataStream
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial
    from gate_conformance.wire import Wire

DAEMON = ("dialer",)
LATENESS = 1.0  # seconds that the suite may be late itself


def _beside(link: Link, other: Wire) -> bool:
    """Whether this is another open control connection with the same node."""
    return other is not link and other.ended is None and other.channel.remote_id == link.channel.remote_id


async def _use_up(t: Trial, link: Link) -> int:
    """Use every stream that the daemon keeps ready; how many there were."""
    count = 0
    while count < 40 and (stream := await t.dialled(link, 0.0, 0.0)) is not None:
        await use(stream)
        count += 1
    return count


@case("stream-requests.accepted-sni-comes", requirement="ST-04", roles=DAEMON, seconds=2.0)
async def accepted_comes(t: Trial) -> None:
    """Each accepted RequestSniStream brings a stream of its own, with READY, within 5 s."""
    async with supplied(t) as link:
        messages, since = [request(t, link, SNI) for _ in range(3)], t.now()
        for message in messages:
            await link.send(message)
        responses = [await link.expect_response(one, within=10.0, requirement="ST-01") for one in messages]
        for _ in filter(succeeded, responses):
            stream = await t.dialled(link, since, ARRIVE_WITHIN)
            if stream is None:
                t.fail("a stream for each StreamReady that accepts", "fewer", "ST-04")
            await ready(t, stream, "ST-04")
        await alive(t, link, "SNI-proxy streams")


@case("sni-proxy.daemon-dials", requirement="SP-01", roles=DAEMON, seconds=2.5)
async def daemon_dials(t: Trial) -> None:
    """A daemon dials each SNI-proxy connection, and opens one bidirectional stream on it."""
    async with supplied(t) as link:
        stream = await asked_for(t, link)
        await ready(t, stream, "SP-01")
        if await stream.channel.accept_second(1.0):
            t.fail("one bidirectional stream on the connection", "a second one")
        await alive(t, link, "an SNI-proxy stream")


@case("sni-proxy.ready-at-once", requirement="SP-03", roles=DAEMON, seconds=2.0)
async def ready_at_once(t: Trial) -> None:
    """READY is the first thing on the stream, within 2 s of the connection."""
    async with supplied(t) as link:
        for _ in range(2):
            stream = await asked_for(t, link)
            await ready(t, stream)
            late = (stream.first_at or t.now()) - stream.opened_at
            if late > READY_WITHIN + LATENESS:
                t.fail("READY within 2 s of the connection", f"after {late:.1f} s")
        await alive(t, link, "SNI-proxy streams")


@case("sni-proxy.quiet-while-idle", requirement="SP-07", roles=DAEMON, seconds=4.0)
async def quiet_while_idle(t: Trial) -> None:
    """Behind READY nothing comes, and both directions stay open, until the relay's first byte."""
    async with supplied(t) as link:
        streams = [await asked_for(t, link) for _ in range(2)]
        for stream in streams:
            await ready(t, stream)
        await link.settle(2.0)
        for stream in streams:
            if bytes(stream.received) != READY:
                t.fail("nothing behind READY on an idle stream", f"{bytes(stream.received)[9:60]!r}")
            if stream.ended is not None:
                t.fail("an idle stream that stays open", f"the target {stream.ended}")
            await stream.send(HELLO)
            if stream.not_taken:
                t.fail("an idle stream of which both directions are open", "the first byte is not taken")
        await alive(t, link, "idle streams")


@case("sni-proxy.without-capability", requirement="SP-02", roles=DAEMON, seconds=5.0)
async def without_capability(t: Trial) -> None:
    """No SNI-proxy connection is opened to a peer that does not advertise `sni_proxy`."""
    needs_data(t)
    link = await t.established(["dns_challenge"])
    async with t.alone_in_pool(link):
        if link.channel.remote_id in t.health.no_supply:
            t.unsupported("the target opens no SNI-proxy streams")
        message, since = request(t, link, SNI), t.now()
        await link.send(message)
        await link.expect_response(message, within=10.0, requirement="ST-01")
        if await t.dialled(link, since, 2.0) is not None:
            if any(_beside(link, one) for one in t.health.links):
                t.inconclusive(
                    "another control connection of this node's is open, with `sni_proxy` advertised"
                )
            t.fail("no SNI-proxy connection to a peer without `sni_proxy`", "one was opened")
        await link.send(hello(t, capabilities=["dns_challenge", "sni_proxy"]))
        response = await link.expect("HandshakeResponse", within=5.0, requirement="HS-12")
        if response["accepted"] is not True:
            t.inconclusive("the target refuses a renewal, so nothing can be compared")
        message = request(t, link, SNI)
        await link.send(message)
        after = await link.expect_response(message, within=10.0, requirement="ST-01")
        if not succeeded(after):
            t.unsupported("the target opens no SNI-proxy streams")
        stream = await t.dialled(link, since, ARRIVE_WITHIN)
        if stream is None:
            t.fail("an SNI-proxy stream within 5 s of the StreamReady that accepts", "none", "ST-04")
        await ready(t, stream)
        await alive(t, link, "a renewal")


@case("sni-proxy.stream-of-relay", requirement="SP-31", roles=DAEMON, seconds=3.0)
async def stream_of_relay(t: Trial) -> None:
    """A daemon does not act on a stream that the relay opens on an SNI-proxy connection."""
    async with supplied(t) as link:
        stream = await asked_for(t, link)
        await ready(t, stream)
        for data in (HELLO, READY, bytes(4)):
            came = await second(t, stream, data, 0.5)
            if came:
                t.fail("silence or a reset on a stream of the relay", f"{came[:40]!r}")
        if bytes(stream.received) != READY or stream.ended is not None:
            t.fail(
                "an idle stream undisturbed by another", f"{stream.ended or bytes(stream.received)[9:60]!r}"
            )
        await alive(t, link, "a stream of the relay")


@case("sni-proxy.keeps-ready", requirement="SP-23", roles=DAEMON, seconds=8.0)
async def keeps_ready(t: Trial) -> None:
    """A daemon keeps 1 to 8 idle streams, and opens others when they are used."""
    async with supplied(t) as link:
        await _use_up(t, link)
        first = await t.dialled(link, 0.0, ARRIVE_WITHIN)
        t.check(first is not None, "an idle stream, and another when it is used", "none within 5 s")
        if first is None:
            return
        await ready(t, first)
        count = 1
        while await t.dialled(link, 0.0, 1.0) is not None:
            count += 1
        t.check(count <= 8, "1 to 8 idle streams", f"{count} of them")
        t.note(f"{count} idle streams")
        since = t.now()
        await use(first)
        again = await t.dialled(link, since, ARRIVE_WITHIN)
        t.check(again is not None, "another stream when one is used", "none within 5 s")
        await alive(t, link, "streams that were used")


@case("sni-proxy.waits-after-loss", requirement="SP-25", roles=DAEMON, seconds=9.0)
async def waits_after_loss(t: Trial) -> None:
    """After the early end of an idle stream a daemon waits about a second before it opens another."""
    async with supplied(t) as link:
        await _use_up(t, link)
        kept: list[DataStream] = []
        while (stream := await t.dialled(link, 0.0, 1.0)) is not None and len(kept) < 16:
            kept.append(stream)
        if not kept:
            t.inconclusive("the target keeps no streams ahead")
        since = t.now()
        kept[0].close(0)  # one alone: a pause may grow with each early end
        next_one = await t.dialled(link, since, 8.0)
        if next_one is None:
            t.check(condition=False, expected="another stream after a pause", actual="none within 8 s")
            return
        waited = next_one.opened_at - since
        t.check(waited >= 0.7, "a pause of 1 s after an early end", f"another stream after {waited:.2f} s")
        await use(next_one)
        await alive(t, link, "idle streams that were closed")


@case("closing.sni-proxy-ends-alone-daemon", requirement="CL-11", roles=DAEMON, seconds=2.0)
async def ends_alone(t: Trial) -> None:
    """SNI-proxy connections that end in whatever way end no other connection of the daemon's."""
    async with supplied(t) as link:
        other = await asked_for(t, link)
        streams = [await asked_for(t, link) for _ in range(4)]
        for stream, code in zip(streams, (0, 1, 5, 2**32 + 1), strict=True):
            await ready(t, stream)
            stream.close(code)
        await link.settle(0.5)
        if other.ended is not None:
            t.fail("an SNI-proxy connection that another leaves alone", f"the target {other.ended}")
        await alive(t, link, "SNI-proxy connections that ended")
        await use(other)
