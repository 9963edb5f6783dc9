"""Handshake: what a dialer sends, how long it waits, and what it takes for consent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._handshakes import (
    ODD_CAPABILITIES,
    alive,
    answers_to_handshakes,
    consent,
    done,
    greet,
    opened,
    refused_before_handshake,
    wait_end,
)
from gate_conformance.cases._requests import (
    CLEANUP,
    CREATE,
    INFERENCE,
    KINDS,
    Message,
    describe,
    replies,
    request,
    succeeded,
)
from gate_conformance.codec import encode, frame

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

DIALER = ("dialer",)
# A dialer waits 5 s from its Handshake; the suite sees that a little later, and closing may take a second.
NOT_BEFORE = 4.5
AT_LATEST = 8.0
_NODE_ID = re.compile(r"[0-9a-f]{64}")


@case("handshake.first", requirement="HS-01", roles=DIALER)
async def first(t: Trial) -> None:
    """The first message on the control stream is Handshake, and it comes once."""
    link = await t.connect()
    await link.expect("Handshake", within=10.0)
    if link.received[0].get("type") != "Handshake":
        t.fail("Handshake first", f"{link.received[0]}")
    await link.settle(0.5)
    count = sum(one.get("type") == "Handshake" for one in link.received)
    if count != 1:
        t.fail("one Handshake, and then the wait for its response", f"{count} Handshakes")
    early = [one for one in link.received if one.get("type") in {CREATE, CLEANUP}]
    if early:
        t.fail("no DNS challenge before the peer has said that it does them", f"{early[0]}", "DC-14")
    await link.send(consent())
    await alive(t, link)


@case("handshake.own-node-id", requirement="HS-04", roles=DIALER)
async def own_node_id(t: Trial) -> None:
    """The dialer's `node_id` is its own id: 64 lowercase hexadecimal characters."""
    link = await t.connect()
    own = (await link.expect("Handshake", within=10.0, requirement="HS-01")).get("node_id")
    if not isinstance(own, str) or not _NODE_ID.fullmatch(own):
        t.fail("64 lowercase hexadecimal characters", f"{own!r}")
    if own == t.options.peer_id:
        t.fail("the id of the node that sends it", f"the id of the suite, {own}")
    known = link.channel.remote_id
    if _NODE_ID.fullmatch(known or "") and own != known:
        t.fail(f"the id that the transport shows, {known}", own)
    await link.send(consent())
    await link.barrier()


@case("handshake.waits", requirement="HS-08", roles=DIALER, seconds=7.0)
async def waits(t: Trial) -> None:
    """A response after 4 s is accepted, and the dialer stays."""
    link = await opened(t)
    started = t.now()
    if await wait_end(link, 4.0) is not None:
        t.fail("a dialer that waits up to 5 s", f"the end after {t.now() - started:.1f} s")
    await link.send(consent())
    await alive(t, link)
    await link.settle(2.5)
    await alive(t, link)


@case("handshake.stays", requirement="HS-08", roles=DIALER, seconds=6.5)
async def stays(t: Trial) -> None:
    """The time-out of the handshake does not strike after the response."""
    link = await opened(t)
    await link.send(consent())
    await link.settle(6.0)
    await alive(t, link)


@case("handshake.no-response", requirement="HS-08", roles=DIALER, seconds=6.0)
async def no_response(t: Trial) -> None:
    """Without HandshakeResponse the dialer ends the connection after 5 s, with code 3."""
    link = await opened(t)
    await fails(t, link, t.now(), "HS-08", not_before=NOT_BEFORE)


@case("handshake.no-response-but-traffic", requirement="HS-08", roles=DIALER, seconds=6.0)
async def no_response_but_traffic(t: Trial) -> None:
    """Pings, Handshakes, requests and unknown messages do not make the dialer wait longer."""
    link = await opened(t)
    started = t.now()
    while t.now() - started < AT_LATEST - 1.0:
        await link.send({"type": "Ping", "id": link.fresh_id()})
        await link.send_text('{"type":"Teleport"}')
        await link.send(request(t, link, INFERENCE))
        if await wait_end(link, 0.9) is not None:
            break
    await fails(t, link, started, "HS-08", not_before=NOT_BEFORE)


async def fails(t: Trial, link: Link, started: float, requirement: str, not_before: float = 0.0) -> None:
    """Wait for the end of a failed handshake that began at ``started``; look at its time and code."""
    end = await wait_end(link, max(AT_LATEST - (t.now() - started), 0.1) + link.channel.slack)
    if end is None or link.ended is None:
        t.fail(
            "the end of the connection 5 s after Handshake",
            f"still open after {AT_LATEST:.0f} s",
            requirement,
        )
    waited = link.ended.seconds - started
    if waited < not_before:
        t.fail("a dialer that waits up to 5 s", f"the end after {waited:.1f} s", requirement)
    if end.code not in {None, 3}:
        t.warn("close code 3", f"code {end.code}", "HS-16")


@case("handshake.refused", requirement="HS-09", roles=DIALER, seconds=2.0)
async def refused(t: Trial) -> None:
    """After `accepted: false` the dialer closes, with code 3, and does nothing more."""
    await refuse(t, consent(accepted=False, capabilities=[]))


@case("handshake.refused-then-accepted", requirement="HS-09", roles=DIALER, seconds=2.0)
async def refused_then_accepted(t: Trial) -> None:
    """A second response that says yes does not undo `accepted: false`."""
    await refuse(t, consent(accepted=False), consent())


@case("handshake.refused-late", requirement="HS-09", roles=DIALER, seconds=5.0)
async def refused_late(t: Trial) -> None:
    """`accepted: false` after 3 s and a Ping ends the connection like an early one."""
    link = await opened(t)
    await link.barrier("HS-08")
    await link.settle(3.0)
    await refuse(t, consent(accepted=False), link=link)


async def refuse(t: Trial, *responses: Message, link: Link | None = None) -> None:
    """Send these responses and a request, and expect the end without any more activity."""
    link = link or await opened(t)
    seen = len(link.received)
    late = request(t, link, INFERENCE)
    await link.send_raw(b"".join(encode(one) for one in (*responses, late)))
    end = await wait_end(link, 5.0 + link.channel.slack)
    if end is None:
        t.fail("the end of the connection within 5 s", "still open after 5 s")
    if any(succeeded(one) for one in replies(link.received, late["request_id"])):
        t.fail("no request acted on after `accepted: false`", "a request is answered with success")
    active = [one for one in link.received[seen:] if one.get("type") in (*KINDS, "Handshake")]
    if active:
        t.fail("no more activity after `accepted: false`", f"{active[0]}")
    if end.code not in {None, 3}:
        t.warn("close code 3", f"code {end.code}", "HS-16")


@case("handshake.waiting-ping", requirement="HS-10", roles=DIALER)
async def waiting_ping(t: Trial) -> None:
    """Ping is answered while the dialer waits, and the wait goes on."""
    link = await opened(t)
    for _ in range(3):
        ping = {"type": "Ping", "id": link.fresh_id()}
        await link.send(ping)
        await link.expect("Pong", within=4.0, id=ping["id"], requirement="HS-10")
    await link.send(consent())
    await alive(t, link)


@case("handshake.waiting-ping-in-front", requirement="HS-10", roles=DIALER)
async def waiting_ping_in_front(t: Trial) -> None:
    """Ping, an unknown message and the response in one write: all are taken, in their order."""
    link = await opened(t)
    ping = {"type": "Ping", "id": link.fresh_id()}
    await link.send_raw(encode(ping) + frame(b'{"type":"Teleport"}') + frame(b"[1]") + encode(consent()))
    await link.expect("Pong", within=5.0, id=ping["id"], requirement="HS-10")
    await alive(t, link)


@case("handshake.waiting-requests", requirement="HS-10", roles=DIALER)
async def waiting_requests(t: Trial) -> None:
    """Requests are refused while the dialer waits, and taken afterwards."""
    link = await opened(t)
    await refused_before_handshake(t, link, "HS-10")
    await link.send(consent())
    await alive(t, link)


@case("handshake.waiting-handshake", requirement="HS-10", roles=DIALER, seconds=2.5)
async def waiting_handshake(t: Trial) -> None:
    """A Handshake is answered once while the dialer waits, and the wait goes on."""
    link = await opened(t)
    await greet(t, link, "HS-10")
    await link.settle(1.5)
    await link.send(consent())
    await alive(t, link)
    count = len(answers_to_handshakes(link.received))
    if count != 1:
        t.fail("one HandshakeResponse for one Handshake", f"{count}", "HS-02")


@case("handshake.waiting-handshake-is-no-consent", requirement="HS-11", roles=DIALER, seconds=6.0)
async def waiting_handshake_is_no_consent(t: Trial) -> None:
    """A Handshake of the acceptor does not stand for its response."""
    link = await opened(t)
    started = t.now()
    await greet(t, link, "HS-10")
    early = request(t, link, INFERENCE)
    await link.send(early)
    response = await link.expect_response(early, requirement="HS-10")
    if succeeded(response):
        t.fail("no request acted on before the response", describe(response))
    await fails(t, link, started, "HS-11")


@case("handshake.waiting-unknown", requirement="HS-10", roles=DIALER)
async def waiting_unknown(t: Trial) -> None:
    """Unknown types and JSON that is no message are ignored while the dialer waits."""
    link = await opened(t)
    for body in (
        '{"type":"Teleport","id":1}',
        '{"type":"handshakeresponse","accepted":true,"capabilities":[]}',
        "{}",
        "[]",
        "null",
        "7",
    ):
        await link.send_text(body)
    await link.barrier()
    early = request(t, link, INFERENCE)
    await link.send(early)
    if succeeded(await link.expect_response(early)):
        t.fail("no request acted on before the response", "success", "HS-11")
    await link.send(consent())
    await alive(t, link)


@case("handshake.odd-capabilities", requirement="HS-06", roles=DIALER)
async def odd_capabilities(t: Trial) -> None:
    """A response with unknown, repeated and reordered capabilities is consent."""
    link = await opened(t)
    await link.send(consent(capabilities=[one for some in ODD_CAPABILITIES.values() for one in some]))
    await alive(t, link)


@case("handshake.no-capabilities", requirement="HS-06", roles=DIALER)
async def no_capabilities(t: Trial) -> None:
    """A response with an empty list of capabilities is consent."""
    link = await opened(t)
    await link.send(consent(capabilities=[]))
    await link.settle(0.5)
    await alive(t, link)


@case("handshake.consent-then-refusal", requirement="HS-13", roles=DIALER, seconds=1.5)
async def consent_then_refusal(t: Trial) -> None:
    """A second response right behind the first is unasked, and ignored."""
    link = await opened(t)
    await link.send_raw(encode(consent()) + encode(consent(accepted=False)))
    await link.settle(1.0)
    if sum(one.get("type") == "Handshake" for one in link.received) > 1:
        t.inconclusive("the target sent a second Handshake, which the second response answers")
    await alive(t, link)


@case(
    "handshake.any-consent",
    requirement="HS-06",
    roles=DIALER,
    given={
        "capabilities": st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=8),
        "extra": st.dictionaries(
            st.text("abcxyz_", min_size=1, max_size=8),
            st.none() | st.integers(-9, 9) | st.just({"a": []}),
            max_size=3,
        ),
    },
    examples=4,
    seconds=3.0,
)
async def any_consent(t: Trial, capabilities: list[str], extra: dict[str, object]) -> None:
    """A response that says yes is consent whatever its further texts and members are (generated)."""
    link = await opened(t)
    await link.send({**extra, **consent(capabilities=capabilities)})
    await alive(t, link)
    await done(t, link)
