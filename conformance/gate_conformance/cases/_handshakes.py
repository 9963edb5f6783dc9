"""Handshakes as the suite sends them: shared by the cases of both roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gate_conformance.cases._requests import (
    INFERENCE,
    KINDS,
    Message,
    check_code,
    describe,
    request,
    succeeded,
)
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.identity import Identity
    from gate_conformance.link import End, Link
    from gate_conformance.trial import Trial

CAPABILITIES = ["inference", "sni_proxy", "dns_challenge"]
FOREIGN_IDS = {
    "of another node": "0123456789abcdef" * 4,
    "empty": "",
    "in upper case": "AB" * 32,
    "too short": "ab" * 31,
    "too long": "ab" * 500,
    "no id at all": "näh \U0001f600 \n not an id",
}
ODD_CAPABILITIES: dict[str, list[str]] = {
    "none": [],
    "unknown": ["teleport", "", "INFERENCE", "dns_challenge ", "käse", "inference,sni_proxy"],
    "repeated": ["inference", "inference", "dns_challenge", "dns_challenge", "dns_challenge"],
    "in another order": ["dns_challenge", "sni_proxy", "inference"],
    "many and long": ["c" * 5000, *(f"capability-{number}" for number in range(500))],
}
MALFORMED_HANDSHAKES: dict[str, str] = {
    "no capabilities": '{"type":"Handshake","node_id":"NODE"}',
    "capabilities null": '{"type":"Handshake","node_id":"NODE","capabilities":null}',
    "capabilities text": '{"type":"Handshake","node_id":"NODE","capabilities":"inference"}',
    "capabilities object": '{"type":"Handshake","node_id":"NODE","capabilities":{}}',
    "capabilities number": '{"type":"Handshake","node_id":"NODE","capabilities":0}',
    "capability number": '{"type":"Handshake","node_id":"NODE","capabilities":["inference",7]}',
    "capability null": '{"type":"Handshake","node_id":"NODE","capabilities":[null]}',
    "no node_id": '{"type":"Handshake","capabilities":["inference"]}',
    "node_id null": '{"type":"Handshake","node_id":null,"capabilities":["inference"]}',
    "node_id number": '{"type":"Handshake","node_id":7,"capabilities":["inference"]}',
    "node_id list": '{"type":"Handshake","node_id":["NODE"],"capabilities":["inference"]}',
    "nothing": '{"type":"Handshake"}',
}


def other_identity(t: Trial) -> Identity:
    """A second identity of the suite, which may do what the first may."""
    if t.options.other is None:
        t.not_testable("it takes a second identity that may act for --domain (--other-key)")
    return t.options.other


def ids_of_target(link: Link) -> list[str]:
    """What is known of the target's own id, which some dialers send in place of theirs."""
    known = {link.channel.remote_id or "", str((link.peer_handshake or {}).get("node_id", ""))}
    return sorted(known - {""})


def hello(t: Trial, **members: Any) -> Message:
    """A Handshake of the suite."""
    return {"type": "Handshake", "node_id": t.options.peer_id, "capabilities": CAPABILITIES, **members}


def consent(**members: Any) -> Message:
    """A HandshakeResponse of the suite that says yes."""
    return {"type": "HandshakeResponse", "accepted": True, "capabilities": CAPABILITIES, **members}


async def done(t: Trial, link: Link) -> None:
    """Let go of one of several links of a case, after a look at what the target sent on it."""
    await link.settle(0.05)
    link.check_audit()
    await t.forget(link)


async def wait_end(link: Link, within: float) -> End | None:
    """The end of the target's direction, or None when it is still open after so many seconds."""
    await link.settle(within)
    if link.ended is None:
        return None
    return await link.expect_end(within=0.5)


async def greet(t: Trial, link: Link, requirement: str | None = None, **members: Any) -> Message:
    """Send a Handshake and return its HandshakeResponse."""
    await link.send(hello(t, **members))
    return await link.expect("HandshakeResponse", within=5.0, requirement=requirement)


async def greet_accepted(t: Trial, link: Link, requirement: str | None = None, **members: Any) -> None:
    """Send a Handshake that has to be accepted."""
    response = await greet(t, link, requirement, **members)
    if response.get("accepted") is not True:
        t.fail("HandshakeResponse with accepted true", f"{response}", requirement)


async def opened(t: Trial) -> Link:
    """A link before the handshake: nothing sent to an acceptor, nothing answered to a dialer's Handshake."""
    link = await t.connect()
    if t.role == "dialer":
        await link.expect("Handshake", within=10.0, requirement="HS-01")
    return link


async def complete(t: Trial, link: Link) -> None:
    """Do the handshake that ``opened`` left out."""
    if t.role == "dialer":
        await link.send(consent())
    else:
        await greet_accepted(t, link, "HS-02")


async def may_renew(t: Trial, link: Link) -> None:
    """Show that the target accepts a plain renewal: it may refuse any, and then nothing can be compared."""
    response = await greet(t, link, "HS-12")
    if response.get("accepted") is not True:
        t.inconclusive("the target refuses a plain renewal, which it may (decision 12)")


def answers_to_handshakes(messages: list[Message]) -> list[Message]:
    """The HandshakeResponses among these messages."""
    return [one for one in messages if one.get("type") == "HandshakeResponse"]


async def no_more_responses(t: Trial, link: Link, count: int, requirement: str | None = None) -> None:
    """Fail when the link has seen more than ``count`` HandshakeResponses in all."""
    await link.settle(0.3)
    found = len(answers_to_handshakes(link.received))
    if found != count:
        t.fail(f"{count} HandshakeResponses for as many Handshakes", f"{found}", requirement)


async def without_consent(t: Trial, link: Link, body: str, what: str) -> None:
    """Send a malformed Handshake, and fail for any HandshakeResponse: HS-15 for consent, else MS-04."""
    seen = len(link.received)
    await link.send_text(body.replace("NODE", t.options.peer_id))
    ended: CaseFailed | None = None
    try:
        await link.barrier("MS-04")
    except CaseFailed as failed:  # an answer before the end says more than the end
        ended = failed
    for one in answers_to_handshakes(link.received[seen:]):
        broken = "MS-04" if one.get("accepted") is False else "HS-15"
        t.fail(f"no HandshakeResponse to a Handshake with {what}", f"{one}", broken)
    if ended is not None:
        raise ended


async def refused_before_handshake(t: Trial, link: Link, requirement: str) -> None:
    """Every type of request is refused at this point of the connection."""
    for kind in KINDS:
        message = request(t, link, kind)
        await link.send(message)
        response = await link.expect_response(message, requirement=requirement)
        if succeeded(response):
            t.fail(f"a failure for {kind} before the handshake", describe(response), requirement)
        check_code(t, response, "not_ready")


async def alive(t: Trial, link: Link, requirement: str | None = None) -> None:
    """The handshake counts: a Ping is answered, and a request is not refused as too early."""
    await link.barrier(requirement)
    message = request(t, link, INFERENCE)
    await link.send(message)
    response = await link.expect_response(message, requirement=requirement)
    if response.get("code") == "not_ready":
        t.fail("requests are taken after the handshake", describe(response), requirement)
