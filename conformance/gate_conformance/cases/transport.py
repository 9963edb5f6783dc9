"""Transport: streams and connections side by side, and staying up whatever comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gate_conformance import codec
from gate_conformance.case import case
from gate_conformance.cases._support import expect_pong, ping_frame
from gate_conformance.channel import Channel, ChannelLost, ChannelReset
from gate_conformance.codec import MAX_BODY, frame
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial


@case("transport.dialer-opens-stream", requirement="TR-01", roles=("dialer",))
async def dialer_opens_stream(t: Trial) -> None:
    """The dialer opens the stream, and both directions of it carry the protocol."""
    link = await t.connect()
    await link.expect("Handshake", within=5.0)
    await link.send({"type": "HandshakeResponse", "accepted": True, "capabilities": []})
    await link.barrier()


@case("transport.dialer-opens-one-stream", requirement="TR-01", roles=("dialer",), seconds=1.5)
async def dialer_opens_one_stream(t: Trial) -> None:
    """The dialer opens no second bidirectional stream on the connection."""
    link = await t.established()
    more = await link.channel.accept_second(within=1.0)
    if more is None:
        t.not_testable("this kind of target has no second stream")
    if more:
        t.fail("one bidirectional stream on the connection", "a second stream of the dialer")
    await link.barrier()


# -- a second stream -------------------------------------------------------------------------------


async def open_second(t: Trial, link: Link, requirement: str = "TR-03") -> Channel | None:
    """A second stream, or None when the target does not let one be opened."""
    # Opening is never cancelled: when it takes too long, its outcome is of no interest any more.
    opening = asyncio.ensure_future(link.channel.open_second())
    await asyncio.wait({opening}, timeout=2.0)
    if not opening.done():
        opening.add_done_callback(lambda done: done.cancelled() or done.exception())
        t.note("the target lets no second stream be opened")
        return None
    try:
        second = opening.result()
    except ChannelLost as error:
        t.fail("a connection that goes on", f"no second stream can be opened: {error}", requirement)
    if second is None:
        t.not_testable("this kind of target has no second stream")
    return second


async def first_bytes(second: Channel, seconds: float) -> bytes:
    """The first bytes of a second stream; none when it is reset, ends, or stays silent."""
    reading = asyncio.ensure_future(second.read())
    await asyncio.wait({reading}, timeout=seconds)
    if not reading.done():
        # A read is never cancelled: it ends with the connection, and its outcome is of no interest then.
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        return b""
    try:
        return reading.result()
    except (ChannelReset, ChannelLost):
        return b""


async def write_second(t: Trial, channel: Channel | None, data: bytes, *, finish: bool = False) -> None:
    """Write on a second stream; that the target refuses it is no error."""
    if channel is None:
        return
    try:
        await channel.write(data)
        if finish:
            await channel.finish()
    except (ChannelReset, ChannelLost):
        t.note("refused")


async def _undisturbed(t: Trial, link: Link, what: str, requirement: str) -> None:
    """The link serves on, now and a moment later."""
    for wait in (0.0, 0.4):
        await asyncio.sleep(wait)
        try:
            await link.barrier()
        except CaseFailed as failed:
            t.fail(f"a control stream undisturbed by {what}", failed.actual, requirement)


@case("transport.second-stream-not-served", requirement="TR-02", roles=("acceptor",), seconds=2.0)
async def second_stream_not_served(t: Trial) -> None:
    """On a second stream nothing is answered."""
    link = await t.established()
    second = await open_second(t, link)
    hello = {"type": "Handshake", "node_id": t.options.peer_id, "capabilities": []}
    await write_second(t, second, codec.encode(hello) + ping_frame(link.fresh_id()))
    came = await first_bytes(second, 1.2) if second is not None else b""
    t.check(not came, "silence or a reset on a second stream", f"{len(came)} bytes: {came[4:120]!r}")
    t.note("not served")


@case("transport.second-stream-no-disturbance", requirement="TR-03", roles=("acceptor",), seconds=2.0)
async def second_stream_no_disturbance(t: Trial) -> None:
    """A second stream with a Handshake and a Ping leaves the first as it is."""
    link = await t.established()
    second = await open_second(t, link)
    hello = {"type": "Handshake", "node_id": t.options.peer_id, "capabilities": []}
    await write_second(t, second, codec.encode(hello) + ping_frame(link.fresh_id()))
    await _undisturbed(t, link, "a second stream", "TR-03")


@case("transport.second-stream-with-violation", requirement="TR-03", roles=("acceptor",), seconds=2.0)
async def second_stream_with_violation(t: Trial) -> None:
    """A framing violation on a second stream leaves the first as it is."""
    link = await t.established()
    await write_second(t, await open_second(t, link), bytes(4) + b"\xff" * 40)
    await _undisturbed(t, link, "a framing violation on a second stream", "TR-03")


@case("transport.second-stream-finished", requirement="TR-03", roles=("acceptor",), seconds=2.0)
async def second_stream_finished(t: Trial) -> None:
    """A second stream that ends leaves the first as it is."""
    link = await t.established()
    await write_second(t, await open_second(t, link), b"\0", finish=True)
    await _undisturbed(t, link, "the end of a second stream", "TR-03")


@case("transport.many-streams", requirement="TR-03", roles=("acceptor",), seconds=2.0)
async def many_streams(t: Trial) -> None:
    """Several more streams leave the first as it is."""
    link = await t.established()
    for number in range(5):
        await write_second(t, await open_second(t, link), bytes([number]))
    await _undisturbed(t, link, "five more streams", "TR-03")


# -- connections side by side ------------------------------------------------------------------------


async def _another(t: Trial, what: str = "another connection beside the first") -> Link:
    try:
        return await t.established()
    except CaseFailed as failed:
        t.fail(f"{what} is served", failed.actual, "TR-04")


@case("transport.two-connections", requirement="TR-04", roles=("acceptor",), seconds=2.0)
async def two_connections(t: Trial) -> None:
    """Two connections of one peer are served side by side, and the second does not replace the first."""
    first = await t.established()
    await first.barrier()
    second = await _another(t)
    await _undisturbed(t, first, "a second connection", "TR-04")
    await _undisturbed(t, second, "the first connection", "TR-04")
    await _undisturbed(t, first, "a second connection", "TR-04")


@case("transport.ten-connections", requirement="TR-04", roles=("acceptor",), seconds=2.0)
async def ten_connections(t: Trial) -> None:
    """Ten connections of one peer are served side by side."""
    links = [await _another(t) for _ in range(10)]
    for link in (*links, *reversed(links)):
        try:
            await link.barrier()
        except CaseFailed as failed:
            t.fail("each of ten connections is served", failed.actual)


@case("transport.parts-on-two-connections", requirement="TR-04", roles=("acceptor",))
async def parts_on_two_connections(t: Trial) -> None:
    """Parts of frames on two connections do not mix."""
    links = [await t.established(), await _another(t)]
    idents = [link.fresh_id() for link in links]
    frames = [ping_frame(ident) for ident in idents]
    for start, end in ((0, 2), (2, 12), (12, None)):
        for link, data in zip(links, frames, strict=True):
            await link.send_raw(data[start:end])
            await asyncio.sleep(0.03)
    for link, ident in zip(links, idents, strict=True):
        await expect_pong(t, link, ident)


@case("transport.same-ids-on-two-connections", requirement="TR-04", roles=("acceptor",))
async def same_ids_on_two_connections(t: Trial) -> None:
    """Ids of Pings and requests on one connection have nothing to do with those on another."""
    links = [await t.established(), await _another(t)]
    ident, request_id = links[0].fresh_id(), links[0].fresh_request_id()
    request = {
        "type": "DnsChallengeCreate",
        "request_id": request_id,
        "domain": t.options.domain,
        "txt_value": "C" * 43,
    }
    for link in links:
        await link.send_raw(codec.encode(request) + ping_frame(ident))
    for link in links:
        await expect_pong(t, link, ident, requirement="TR-04")
        await link.expect_response(request, within=30.0, requirement="TR-04")


def _disturbance_case(name: str, what: str, data: bytes, how: str) -> None:
    async def not_disturbed(t: Trial) -> None:
        first, second = await t.established(), await _another(t)
        await second.barrier()
        if data:
            await second.send_raw(data)
        if how == "finish":
            await second.finish()
        if how == "close":
            second.close(7)
        else:
            await second.expect_end(within=5.0, requirement="FR-08" if how == "wait" else "CL-02")
        await _undisturbed(t, first, what, "TR-04")
        third = await _another(t, f"a new connection after {what}")
        await third.barrier()

    not_disturbed.__doc__ = f"{what[0].upper()}{what[1:]} on one connection leaves another as it is."
    case(f"transport.{name}", requirement="TR-04", roles=("acceptor",), seconds=2.0)(not_disturbed)


_disturbance_case("violation-elsewhere", "a framing violation", bytes(4), "wait")
_disturbance_case("oversize-elsewhere", "an oversized length", (MAX_BODY + 1).to_bytes(4, "big"), "wait")
_disturbance_case("bad-json-elsewhere", "a body that is no JSON", frame(b"{"), "wait")
_disturbance_case("finish-elsewhere", "a clean end", b"", "finish")
_disturbance_case("close-elsewhere", "a closed connection", b"", "close")


# -- staying up --------------------------------------------------------------------------------------


def _leaving_case(name: str, what: str, data: bytes, *, handshake: bool = True, code: int = 0) -> None:
    async def leaves(t: Trial) -> None:
        for _ in range(2):
            link = await (t.established() if handshake else t.connect())
            if link.channel.kind == "exit":
                t.not_testable("a connection that is dropped needs a connection")
            if data:
                await link.send_raw(data)
            link.close(code)
            await t.forget(link)
        await t.still_serving()

    leaves.__doc__ = f"A peer that leaves {what} does not bring the node down."
    case(f"transport.leaves-{name}", requirement="TR-05", roles=("acceptor",))(leaves)


_leaving_case("at-once", "without opening a stream", b"", handshake=False)
_leaving_case("after-one-byte", "after one byte", b"\0", handshake=False)
_leaving_case("inside-handshake", "inside its Handshake", b'\0\0\0\x60{"type":"Handsh', handshake=False)
_leaving_case("after-handshake", "right after the handshake", b"", code=6)
_leaving_case("inside-frame", "inside a frame", b"\0\0\1\0{", code=2**32)
_leaving_case("with-answers-under-way", "while answers are under way", ping_frame(3) * 2000)
_leaving_case("after-violation", "right after a framing violation", bytes(4))


@case("transport.leaves-with-request", requirement="TR-05", roles=("acceptor",), seconds=2.0)
async def leaves_with_request(t: Trial) -> None:
    """A peer that leaves with requests in flight does not bring the node down."""
    domains = [t.options.domain, *([t.options.slow_domain] if t.options.slow_domain else [])]
    link = await t.established()
    if link.channel.kind == "exit":
        t.not_testable("a connection that is dropped needs a connection")
    for domain in domains:
        await link.send(
            {
                "type": "DnsChallengeCreate",
                "request_id": link.fresh_request_id(),
                "domain": domain,
                "txt_value": "B" * 43,  # stays behind: the same wherever a case leaves early
            }
        )
    link.close(0)
    await t.forget(link)
    await asyncio.sleep(0.3)
    await t.still_serving()


@case("transport.many-violations", requirement="TR-05", roles=("acceptor",), seconds=4.0)
async def many_violations(t: Trial) -> None:
    """Ten connections in a row that break the framing do not bring the node down."""
    bad = (bytes(4), b"\xff" * 64, frame(b"\xff"), frame(b"["), b"GET / HTTP/1.1\r\n\r\n")
    for raw in bad * 2:
        link = await t.connect()
        await link.send_raw(raw)
        await link.expect_end(within=5.0, requirement="FR-08")
        await t.forget(link)
    await t.still_serving()


@case("transport.stays-up-after-odd-input", requirement="TR-05")
async def stays_up_after_odd_input(t: Trial) -> None:
    """Input that programs stumble over, one after the other on one stream, leaves it working."""
    link = await t.established()
    for text in (
        "[" * 30 + "]" * 30,
        '"' + "\\u0000" * 1000 + '"',
        '{"type":"Ping","id":{"id":{"id":{}}}}',
        '{"type":["Handshake"]}',
        '{"type":"Handshake","node_id":{},"capabilities":{"0":"inference"}}',
        '{"type":"Pong","id":[]}',
        '{"type":"DomainRegistrationRequest","node_addr":7}',
        '{"type":"StreamReady","request_id":"%s%n${x}{0}","stream_accepted":true,"error":"%s"}',
        '{"type":"DnsChallengeResponse","request_id":"","success":false,"error":""}',
        '{"type":"HandshakeResponse","accepted":true,"capabilities":["\\u0000"]}',
        "0" + "." + "1" * 500,
        '{"":{"":{"":[]}}}',
    ):
        await link.send_text(text)
        await link.barrier()
