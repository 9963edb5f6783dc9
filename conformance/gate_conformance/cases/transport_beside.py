"""Transport: what Gate does not serve: other ALPNs, streams beside the control stream, datagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate_conformance import codec
from gate_conformance.case import case
from gate_conformance.cases._handshakes import complete, consent, hello, opened
from gate_conformance.cases._requests import INFERENCE, describe, request, succeeded
from gate_conformance.cases._stopping import closed_after_stop
from gate_conformance.cases._support import ping_frame, pong_ids
from gate_conformance.cases.transport import first_bytes, open_second, write_second
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.channel import Channel
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

# None of them is a name that a node could serve for another reason.
FOREIGN_ALPNS = (
    "gate/control",
    "gate/control/1",
    "gate/control/1.0.0",
    "GATE/CONTROL/1.0",
    "gate/control/1.0/conformance",
    "conformance",
)
WAYS = ("unidirectional stream", "datagram")


@case("transport.foreign-alpn", requirement="TR-07", roles=("acceptor",), seconds=2.0)
async def foreign_alpn(t: Trial) -> None:
    """A connection with an ALPN that nobody serves is refused in the TLS handshake."""
    for alpn in FOREIGN_ALPNS:
        came = await t.offer(alpn)
        if came is None:
            t.not_testable("this kind of target has no ALPN")
        if came != "refused":
            t.fail(f"a connection with the ALPN {alpn} refused (alert 120, no_application_protocol)", came)
    await t.still_serving()


async def _send_beside(t: Trial, link: Link, way: str, data: bytes) -> None:
    taken = await link.channel.send_beside(way, data)
    if taken is None:
        t.not_testable("this kind of target has nothing but the control stream")
    t.note(f"a {way} was sent" if taken else f"the target takes no {way}")


def _beside_case(way: str, name: str) -> None:
    async def not_acted_on(t: Trial) -> None:
        link = await t.established()
        idents = [link.fresh_id() for _ in range(3)]
        for ident in idents:
            link.tolerate_pong(ident)
            await _send_beside(t, link, way, codec.encode(hello(t)) + ping_frame(ident))
        for wait in (0.2, 0.6):
            await link.settle(wait)
            await _undisturbed(t, link, f"a {way} with messages")
        acted = [ident for ident in pong_ids(link.received) if ident in idents]
        if acted:
            t.fail(f"no answer to a Ping in a {way}", f"a Pong with id {acted[0]}")
        again = [one for one in link.received if one["type"] == "HandshakeResponse"]
        if len(again) > (t.role == "acceptor"):
            t.fail(f"no answer to a Handshake in a {way}", f"{again[-1]}")

    not_acted_on.__doc__ = f"A Handshake and a Ping in a {way} have no effect on the control stream."
    case(f"transport.{name}-not-acted-on", requirement="TR-08", seconds=2.0)(not_acted_on)

    async def no_handshake(t: Trial) -> None:
        link = await opened(t)
        first = hello(t) if t.role == "acceptor" else {"type": "HandshakeResponse", "accepted": True}
        await _send_beside(t, link, way, codec.encode({"capabilities": [], **first}))
        await link.settle(0.3)
        early = request(t, link, INFERENCE)
        await link.send(early)
        response = await link.expect_response(early, requirement="HS-07")
        if succeeded(response) or response.get("code") not in {None, "not_ready"}:
            t.fail(f"no handshake by a {way}: a request after it not ready", describe(response))
        await complete(t, link)
        await link.barrier()

    no_handshake.__doc__ = f"A Handshake, or its answer, in a {way} makes no handshake."
    case(f"transport.{name}-no-handshake", requirement="TR-08", seconds=1.5)(no_handshake)

    async def no_violation(t: Trial) -> None:
        link = await t.established()
        for data in (bytes(4), b"\xff" * 40, codec.frame(b"{")):
            await _send_beside(t, link, way, data)
            await link.settle(0.2)
            await _undisturbed(t, link, f"a {way} that is no frame")

    no_violation.__doc__ = f"What would break the framing does nothing in a {way}."
    case(f"transport.{name}-with-violation", requirement="TR-08", seconds=1.5)(no_violation)


async def _undisturbed(t: Trial, link: Link, what: str) -> None:
    try:
        await link.barrier()
    except CaseFailed as failed:
        t.fail(f"a control stream undisturbed by {what}", failed.actual)


for _way in WAYS:
    _beside_case(_way, _way.replace(" ", "-"))


# -- streams that the acceptor opens, and the end of the control stream by a reset -------------------


async def _stream_of_acceptor(t: Trial, link: Link, data: bytes) -> Channel | None:
    """A stream that the suite opens as the acceptor, with this on it; None when the target lets none be."""
    second = await open_second(t, link, "TR-10")
    if second is not None:
        await write_second(t, second, data)
    return second


@case("transport.stream-of-acceptor-not-served", requirement="TR-10", roles=("dialer",), seconds=2.0)
async def stream_of_acceptor_not_served(t: Trial) -> None:
    """On a stream that the acceptor opens a dialer answers nothing, and the control stream goes on."""
    link = await t.established()
    idents = [link.fresh_id() for _ in range(2)]
    for ident in idents:
        link.tolerate_pong(ident)
        data = codec.encode(hello(t)) + ping_frame(ident)
        second = await _stream_of_acceptor(t, link, data)
        came = await first_bytes(second, 0.8) if second is not None else b""
        if came:
            t.fail("silence or a reset on a stream of the acceptor", f"{len(came)} bytes: {came[4:120]!r}")
        await _undisturbed(t, link, "a stream of the acceptor")
    acted = [ident for ident in pong_ids(link.received) if ident in idents]
    if acted:
        t.fail("no answer to a Ping on a stream of the acceptor", f"a Pong with id {acted[0]}")


@case("transport.stream-of-acceptor-with-violation", requirement="TR-10", roles=("dialer",), seconds=2.0)
async def stream_of_acceptor_with_violation(t: Trial) -> None:
    """What would break the framing does nothing on a stream that the acceptor opens."""
    link = await t.established()
    for data in (bytes(4), b"\xff" * 40):
        await _stream_of_acceptor(t, link, data)
        await link.settle(0.3)
        await _undisturbed(t, link, "a stream of the acceptor that is no frames")


@case("transport.stream-of-acceptor-no-handshake", requirement="TR-10", roles=("dialer",), seconds=1.5)
async def stream_of_acceptor_no_handshake(t: Trial) -> None:
    """A HandshakeResponse on a stream that the acceptor opens is no consent."""
    link = await opened(t)
    await _stream_of_acceptor(t, link, codec.encode(consent()))
    await link.settle(0.3)
    early = request(t, link, INFERENCE)
    await link.send(early)
    response = await link.expect_response(early, requirement="HS-07")
    if succeeded(response) or response.get("code") not in {None, "not_ready"}:
        t.fail("no handshake by another stream: a request after it not ready", describe(response))
    await complete(t, link)
    await link.barrier()


def _reset_case(name: str, what: str, data: bytes) -> None:
    async def reset(t: Trial) -> None:
        link = await t.established()
        await link.barrier()
        if data:
            await link.send_raw(data)
            await link.settle(0.2)
        if not link.reset(7):
            t.not_testable("this kind of target has no resets")
        await link.expect_end(within=5.0)
        if t.role == "acceptor":
            await t.still_serving()

    reset.__doc__ = f"A node closes the connection when its peer resets the control stream {what}."
    case(f"transport.reset-{name}", requirement="TR-12", seconds=1.5)(reset)


_reset_case("between-frames", "between frames", b"")
_reset_case("inside-frame", "inside a frame", b"\0\0\1\0{")


def _stop_case(name: str, what: str, *, silent: bool) -> None:
    async def stop(t: Trial) -> None:
        link = await t.established()
        await closed_after_stop(t, link, 7, silent=silent)
        await t.still_serving()

    stop.__doc__ = f"A node closes the connection when its peer stops the control stream {what}."
    case(f"transport.stopped-{name}", requirement="TR-12", seconds=2.0)(stop)


_stop_case("in-silence", "and sends nothing more", silent=True)
_stop_case("while-asked", "and goes on to send Pings", silent=False)
