"""What shows only to another identity than the suite's own: one that is refused, and one beside the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate_conformance import codec
from gate_conformance.case import case
from gate_conformance.cases._handshakes import answers_to_handshakes, hello, other_identity, wait_end
from gate_conformance.cases._requests import INFERENCE, request
from gate_conformance.cases._support import expect_pong, ping_frame
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

ACCEPTOR = ("acceptor",)


async def turned_away(t: Trial) -> tuple[Link, bool]:
    """A link of the refused identity, and whether the target has said no in a HandshakeResponse.

    Without it the target has ended the connection.
    """
    identity = t.options.refused
    if identity is None:
        t.not_testable("it takes an identity that the target does not admit (--refused-key)")
    link = await t.connect(identity)
    await link.send(hello(t, node_id=identity.peer_id))

    def decided() -> bool:
        return link.ended is not None or bool(answers_to_handshakes(link.received))

    if not await link.until(decided, 5.0 + link.channel.slack):
        t.fail("HandshakeResponse, or the end of the connection", "neither within 5 s", "HS-02")
    said = answers_to_handshakes(link.received)
    if said and said[0]["accepted"] is True:
        t.inconclusive("the target admits the identity of --refused-key")
    return link, bool(said)


@case("handshake.refused-identity", requirement="HS-17", roles=ACCEPTOR, seconds=2.0)
async def refused_identity(t: Trial) -> None:
    """After `accepted: false` the acceptor closes the connection itself, with code 3."""
    link, said = await turned_away(t)
    if not said:
        t.unsupported("the target closes the connection of --refused-key without a HandshakeResponse")
    end = await wait_end(link, 5.0 + link.channel.slack)
    if end is None:
        t.warn("the end of the connection 1 s after `accepted: false`", "still open after 5 s")
    elif link.channel.kind == "stream":
        t.check(end.code == 3, "a connection closed with code 3", f"code {end.code}")
    await t.still_serving()


@case("closing.refused-identity", requirement="CL-05", roles=ACCEPTOR, seconds=2.0)
async def closed_to_identity(t: Trial) -> None:
    """A connection that a peer may not have is closed with code 5."""
    link, said = await turned_away(t)
    if said:
        t.unsupported("the target turns --refused-key away by its HandshakeResponse")
    if link.channel.kind != "stream":
        t.not_testable("standard output has no close code")
    end = await link.expect_end(within=0.5)
    t.check(end.code == 5, "a connection closed with code 5", f"code {end.code}")
    await t.still_serving()


@case("transport.two-peers", requirement="TR-04", roles=ACCEPTOR, seconds=2.0)
async def two_peers(t: Trial) -> None:
    """Connections of two peers are served side by side, and a violation on one leaves the other as it is."""
    identity = other_identity(t)
    first = await t.established()
    try:
        second = await t.established(identity=identity)
    except CaseFailed as failed:
        t.fail("a connection of a second peer is served beside that of the first", failed.actual)
    ident, request_id = first.fresh_id(), first.fresh_request_id()
    for link in (first, second):
        message = request(t, link, INFERENCE, request_id=request_id)
        await link.send_raw(codec.encode(message) + ping_frame(ident))
    for link in (second, first):
        await expect_pong(t, link, ident, requirement="TR-04")
        await link.expect_response(message, within=10.0, requirement="TR-04")
    await second.send_raw(bytes(4))
    await second.expect_end(within=5.0, requirement="FR-08")
    try:
        await first.barrier()
    except CaseFailed as failed:
        t.fail("a connection undisturbed by a violation of another peer", failed.actual)
