"""Ping and Pong, keep-alive, and when a connection is dead."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gate_conformance import codec
from gate_conformance.case import case
from gate_conformance.cases._held import Held
from gate_conformance.cases._requests import CLEANUP, CREATE, REGISTRATION
from gate_conformance.cases._support import PONG_WITHIN, expect_pong, ping_frame, pong_ids
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

TXT = "A" * 43
# What the clocks of two nodes and the way between them may differ by.
TOLERANCE = 0.7


@case("liveness.ping", requirement="LV-01")
async def ping(t: Trial) -> None:
    """A Ping is answered with a Pong of its id within 5 s."""
    link = await t.established()
    ident = link.fresh_id()
    await link.send({"type": "Ping", "id": ident})
    await link.expect("Pong", within=PONG_WITHIN, requirement="LV-01", id=ident)


@case("liveness.many-pings", requirement="LV-01")
async def many_pings(t: Trial) -> None:
    """Pings one after the other are answered each with its own id, once."""
    link = await t.established()
    asked = [link.fresh_id() for _ in range(50)]
    for ident in asked:
        await link.send({"type": "Ping", "id": ident})
        await expect_pong(t, link, ident)
    await link.settle(0.2)
    t.check(
        sorted(pong_ids(link.received)) == asked,
        "one Pong for each Ping",
        f"{len(pong_ids(link.received))} Pongs for 50 Pings",
    )


@case("liveness.one-pong", requirement="LV-01")
async def one_pong(t: Trial) -> None:
    """A Ping has one Pong, and no second one later."""
    link = await t.established()
    ident = link.fresh_id()
    await link.send({"type": "Ping", "id": ident})
    await expect_pong(t, link, ident)
    await link.settle(0.8)
    t.check(pong_ids(link.received) == [ident], "one Pong", f"Pongs {pong_ids(link.received)}")


@case("liveness.id-zero", requirement="LV-01")
async def id_zero(t: Trial) -> None:
    """A Ping with id 0 is answered."""
    link = await t.established()
    await link.send({"type": "Ping", "id": 0})
    await expect_pong(t, link, 0)


@case("liveness.same-id-again", requirement="LV-01")
async def same_id_again(t: Trial) -> None:
    """Pings with one id have a Pong each, at once and one after the other; falling ids do no harm."""
    link = await t.established()
    ident = link.fresh_id()
    await link.send_raw(ping_frame(ident) * 3)
    for _ in range(3):
        await expect_pong(t, link, ident)
    for number in (ident, ident, 5, 4, ident):
        await link.send({"type": "Ping", "id": number})
        await expect_pong(t, link, number)


@case("liveness.before-handshake", requirement="LV-01")
async def before_handshake(t: Trial) -> None:
    """A Ping is answered before the handshake is done, and the handshake goes on."""
    link = await t.connect()
    if t.role == "dialer":
        await link.expect("Handshake", within=5.0)
    await _ping(t, link, 3)
    if t.role == "dialer":
        await link.send({"type": "HandshakeResponse", "accepted": True, "capabilities": []})
    else:
        await link.send({"type": "Handshake", "node_id": t.options.peer_id, "capabilities": []})
        await link.expect("HandshakeResponse", within=5.0)
    await link.barrier()


async def _ping(t: Trial, link: Link, times: int) -> None:
    for _ in range(times):
        ident = link.fresh_id()
        await link.send({"type": "Ping", "id": ident})
        await expect_pong(t, link, ident)


@case("liveness.behind-handshake", requirement="LV-01")
async def behind_handshake(t: Trial) -> None:
    """A Ping right behind a Handshake, in the same write, is answered."""
    link = await t.connect()
    if t.role == "dialer":
        await link.expect("Handshake", within=5.0)
    ident = link.fresh_id()
    hello = {"type": "Handshake", "node_id": t.options.peer_id, "capabilities": ["inference"]}
    await link.send_raw(codec.encode(hello) + ping_frame(ident))
    await expect_pong(t, link, ident)


@case("liveness.while-pending", requirement="LV-02")
async def while_pending(t: Trial) -> None:
    """Pings among a dozen requests in one write are answered within 5 s."""
    link = await t.established()
    data, pings = b"", []
    for _ in range(12):
        ident, request = link.fresh_id(), _create(link, t.options.domain)
        pings.append(ident)
        data += codec.encode(request) + ping_frame(ident)
    start = t.now()
    await link.send_raw(data)
    for ident in pings:
        await link.expect("Pong", within=max(PONG_WITHIN + start - t.now(), 0.1), id=ident)


def _create(link: Link, domain: str) -> dict[str, Any]:
    return {
        "type": "DnsChallengeCreate",
        "request_id": link.fresh_request_id(),
        "domain": domain,
        "txt_value": TXT,
    }


async def _slow_request(t: Trial) -> tuple[Link, dict[str, Any]]:
    """A link with a slow request in flight."""
    if t.options.slow_domain is None:
        t.not_testable("needs --slow-domain, a name whose handler takes at least 6 s")
    link = await t.established()
    request = _create(link, t.options.slow_domain)
    await link.send(request)
    return link, request


def _is_for(message: dict[str, Any], request: dict[str, Any]) -> bool:
    return bool(message.get("request_id") == request["request_id"])


def _answered(link: Link, request: dict[str, Any]) -> bool:
    return any(_is_for(one, request) for one in link.received)


@case("liveness.while-slow-pending", requirement="LV-02", seconds=4.0)
async def while_slow_pending(t: Trial) -> None:
    """Pings are answered within 5 s while a slow request is being handled."""
    link, request = await _slow_request(t)
    started = t.now()
    await _ping(t, link, 2)
    await link.settle(2.0)
    await _ping(t, link, 2)
    took = [
        at - started for one, at in zip(link.received, link.received_at, strict=True) if _is_for(one, request)
    ]
    if took:
        why = "its handler has to take at least 6 s" if took[0] < 5.0 else "the Pongs came so slowly"
        t.inconclusive(f"the request for --slow-domain was answered after {took[0]:.1f} s: {why}")


@case("liveness.flood", requirement="LV-03", seconds=3.0)
async def flood(t: Trial) -> None:
    """4,000 Pings in one write have 4,000 Pongs."""
    await _flood(t, 4000, 1)


@case("liveness.flood-in-writes", requirement="LV-03", seconds=3.0)
async def flood_in_writes(t: Trial) -> None:
    """Pings in writes that follow without waiting for Pongs are all answered."""
    await _flood(t, 1500, 50)


@case("liveness.flood-unread", requirement="LV-03", seconds=6.0)
async def flood_unread(t: Trial) -> None:
    """Pongs are not dropped while the peer does not read: 34,000 Pings come back once it reads again."""
    link = await t.established()
    held = Held(link.channel)
    link.channel = held
    await link.barrier()  # the read that was under way is over now, and the next one is held
    # More than the 1.2 MB that a QUIC connection takes unread, and thousands of Pongs beyond.
    asked = [10**18 + number for number in range(34_000)]
    pieces = [
        b"".join(ping_frame(ident) for ident in asked[start : start + 500]) for start in range(0, 34_000, 500)
    ]
    sending = asyncio.ensure_future(link.send_chunks(pieces))
    await asyncio.sleep(1.5)
    held.let_go()
    await sending
    await _all_pongs(t, link, asked)


async def _flood(t: Trial, count: int, writes: int) -> None:
    link = await t.established()
    asked = [link.fresh_id() for _ in range(count)]
    step = count // writes
    for start in range(0, count, step):
        await link.send_raw(b"".join(ping_frame(ident) for ident in asked[start : start + step]))
    await _all_pongs(t, link, asked)


async def _all_pongs(t: Trial, link: Link, asked: list[int]) -> None:
    """Wait for all Pongs, in any order, for as long as more of them come."""
    count, seen, until = len(asked), 0, t.now() + 20.0
    while t.now() < until and link.ended is None and seen < count:
        await link.settle(0.1)
        before, seen = seen, len(pong_ids(link.received))
        until = t.now() + 8.0 if seen > before else until
    came = set(pong_ids(link.received))
    missing = [ident for ident in asked if ident not in came]
    if missing:
        t.fail(
            f"{count} Pongs",
            f"{count - len(missing)}, the first missing is that of Ping {asked.index(missing[0]) + 1}",
        )
    await link.barrier()


# -- Pongs that nobody asked for -------------------------------------------------------------------


@case("liveness.unasked-pong", requirement="LV-04")
async def unasked_pong(t: Trial) -> None:
    """A Pong that nobody asked for is ignored, whatever its id, and not answered."""
    link = await t.established()
    for number in (0, 1, 2**32, 2**64 - 1, link.fresh_id()):
        link.tolerate_pong(number)
        await link.send({"type": "Pong", "id": number})
        before = await link.barrier()
        t.check(not pong_ids(before), "no answer to a Pong", f"a Pong with id {pong_ids(before)[:1]}")
    await link.send_raw(codec.encode({"type": "Pong", "id": 7}) * 100)
    link.tolerate_pong(7)
    before = await link.barrier()
    t.check(not pong_ids(before), "no answer to a Pong", f"{len(pong_ids(before))} Pongs")
    await link.settle(0.3)
    await link.barrier()


@case("liveness.unasked-pong-first", requirement="LV-04", roles=("acceptor",))
async def unasked_pong_first(t: Trial) -> None:
    """A Pong before the handshake is ignored."""
    link = await t.connect()
    link.tolerate_pong(9)
    await link.send({"type": "Pong", "id": 9})
    await link.send({"type": "Handshake", "node_id": t.options.peer_id, "capabilities": []})
    await link.expect("HandshakeResponse", within=5.0, requirement="LV-04")
    await link.barrier()
    t.check(9 not in pong_ids(link.received), "no answer to a Pong", "a Pong with its id")


# -- keep-alive ------------------------------------------------------------------------------------


async def _ping_of_target(link: Link, within: float) -> int | None:
    """The id of the target's next Ping, None when none comes in time or the stream ends."""
    try:
        message = await link.expect("Ping", within=within)
    except CaseFailed as failed:
        if failed.requirement is not None:
            raise
        return None
    return int(message["id"])


@case("liveness.keep-alive", requirement="LV-05", seconds=31.0, idle=True)
async def keep_alive(t: Trial) -> None:
    """A Ping comes within 20 s of silence from the handshake on, and again after the next silence."""
    link = await t.established()
    link.auto_pong = False
    first = await _ping_of_target(link, 20.0 + TOLERANCE)
    t.check(
        first is not None, "a Ping within 20 s without bytes, counted from the handshake", link.describe(20.0)
    )
    if first is None:
        return
    # Bytes they are, but no answer: the connection lives, and the silence begins anew.
    await link.send({"type": "Pong", "id": (first + 1) % 2**64})
    await link.barrier("LV-04")
    second = await _ping_of_target(link, 20.0 + TOLERANCE)
    if link.ended is not None:
        t.fail("a connection that goes on after a Pong with a strange id", link.describe(), "LV-04")
    t.check(second is not None, "another Ping within 20 s of the next silence", link.describe(20.0))
    if second is not None:
        await link.send({"type": "Pong", "id": second})
        await link.barrier()


@case("liveness.keep-alive-counts-received", requirement="LV-05", seconds=20.0, idle=True)
async def keep_alive_counts_received(t: Trial) -> None:
    """What the target sends itself does not put off its keep-alive Ping."""
    link, request = await _slow_request(t)
    link.auto_pong = False
    sent = t.now()
    ping = await _ping_of_target(link, 20.0 + TOLERANCE)
    if any(
        at - sent < 5.0
        for one, at in zip(link.received, link.received_at, strict=True)
        if _is_for(one, request)
    ):
        t.inconclusive(
            "the request for --slow-domain was answered at once: its handler has to take at least 6 s"
        )
    t.check(ping is not None, "a Ping within 20 s without bytes received", link.describe(20.0))
    if ping is not None and _answered(link, request):
        t.note("its answer to a slow request went out in between")


@case("liveness.dead", requirement="LV-06", seconds=46.0, idle=True)
async def dead(t: Trial) -> None:
    """A connection without a byte is closed after 45 s, with code 4."""
    link = await t.established()
    link.auto_pong = False
    try:
        end = await link.expect_end(within=50.0 + TOLERANCE)
    except CaseFailed:
        if any(one.get("type") in (CREATE, CLEANUP, REGISTRATION) for one in link.received):
            t.not_testable("the target waits for the answer to a request of its own (LV-09)")
        raise
    t.check(end.seconds >= 45.0 - TOLERANCE, "45 s without bytes", f"{end} after {end.seconds:.1f} s")
    if link.channel.kind == "stream":
        t.check(end.code == 4, "close code 4", f"{end.code}")
    await t.still_serving()


ALIVE_STEPS, ALIVE_PAUSE = 6, 8.0  # 48 s, more than the 45 s after which a connection is dead


@case("liveness.alive-by-pongs", requirement="LV-07", seconds=48.5, idle=True)
async def alive_by_pongs(t: Trial) -> None:
    """A connection on which only Pongs arrive is alive."""
    link = await t.established()
    for step in range(ALIVE_STEPS):
        await _pause_alive(t, link)
        await link.send({"type": "Pong", "id": step})
    await _still_alive(t, link)


@case("liveness.alive-by-part-of-frame", requirement="LV-07", seconds=48.5, idle=True)
async def alive_by_part_of_frame(t: Trial) -> None:
    """A connection on which a frame arrives byte by byte is alive, and the frame is read in the end."""
    link = await t.established()
    link.auto_pong = False
    ident = link.fresh_id()
    data = ping_frame(ident)
    for step in range(ALIVE_STEPS):
        await link.send_raw(data[step : step + 1])
        await _pause_alive(t, link)
    await link.send_raw(data[ALIVE_STEPS:])
    await expect_pong(t, link, ident)


@case("liveness.alive-by-ignored", requirement="LV-07", seconds=48.5, idle=True)
async def alive_by_ignored(t: Trial) -> None:
    """A connection on which only ignored and malformed messages arrive is alive."""
    link = await t.established()
    link.auto_pong = False
    # Pauses so long that the target pings in between: it may not insist on a Pong while other bytes come.
    for body in (b"[]", b'{"type":"Nothing"}', b'{"type":"Ping"}'):
        await _pause_alive(t, link, 2 * ALIVE_PAUSE)
        await link.send_body(body)
    await _still_alive(t, link)


async def _pause_alive(t: Trial, link: Link, seconds: float = ALIVE_PAUSE) -> None:
    """Wait a step; fail at once when the connection ends meanwhile."""
    until = t.now() + seconds
    while t.now() < until:
        await asyncio.sleep(min(0.5, max(until - t.now(), 0.01)))
        if link.ended is not None:
            t.fail("a connection that lives while bytes arrive", link.describe())


async def _still_alive(t: Trial, link: Link) -> None:
    await link.barrier()
    t.note("still answers after 48 s")
