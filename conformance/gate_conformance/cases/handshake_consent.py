"""Handshake: what a dialer does not take for consent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate_conformance.case import case
from gate_conformance.cases._handshakes import consent, opened, wait_end
from gate_conformance.cases._requests import INFERENCE, replies, request, succeeded
from gate_conformance.cases.handshake_dialer import AT_LATEST, DIALER, fails
from gate_conformance.codec import encode, frame

if TYPE_CHECKING:
    from gate_conformance.trial import Trial

NO_CONSENT: dict[str, tuple[str, str]] = {
    "accepted-missing": ("without `accepted`", '{"type":"HandshakeResponse","capabilities":[]}'),
    "accepted-null": (
        "with `accepted` null",
        '{"type":"HandshakeResponse","accepted":null,"capabilities":[]}',
    ),
    "accepted-text": (
        'with `accepted` "true"',
        '{"type":"HandshakeResponse","accepted":"true","capabilities":[]}',
    ),
    "accepted-number": ("with `accepted` 1", '{"type":"HandshakeResponse","accepted":1,"capabilities":[]}'),
    "accepted-list": (
        "with `accepted` [true]",
        '{"type":"HandshakeResponse","accepted":[true],"capabilities":[]}',
    ),
    "capabilities-missing": ("without `capabilities`", '{"type":"HandshakeResponse","accepted":true}'),
    "capabilities-null": (
        "with `capabilities` null",
        '{"type":"HandshakeResponse","accepted":true,"capabilities":null}',
    ),
    "capabilities-text": (
        "with text as `capabilities`",
        '{"type":"HandshakeResponse","accepted":true,"capabilities":"x"}',
    ),
    "capability-number": (
        "with a number in `capabilities`",
        '{"type":"HandshakeResponse","accepted":true,"capabilities":[1]}',
    ),
    "ping": ("of type Ping", '{"type":"Ping","id":7}'),
    "pong": ("of type Pong", '{"type":"Pong","id":0}'),
    "stream-ready": ("of type StreamReady", '{"type":"StreamReady","request_id":"a","stream_accepted":true}'),
    "dns-response": (
        "of type DnsChallengeResponse",
        '{"type":"DnsChallengeResponse","request_id":"a","success":true}',
    ),
    "registration-response": (
        "of type DomainRegistrationResponse",
        '{"type":"DomainRegistrationResponse","request_id":"a","success":true,"domain":"a.example"}',
    ),
    "accepted-elsewhere": (
        "with its consent in another member",
        '{"type":"HandshakeResponse","Accepted":true,"data":{"accepted":true},"capabilities":[]}',
    ),
    "malformed-handshake": (
        "of type Handshake, malformed",
        '{"type":"Handshake","node_id":7,"accepted":true}',
    ),
}


def _no_consent(name: str, what: str, body: str) -> None:
    async def no_consent(t: Trial) -> None:
        link = await opened(t)
        started = t.now()
        early = request(t, link, INFERENCE)
        await link.send_text(body)
        await link.send(early)
        await fails(t, link, started, "HS-11")
        if any(succeeded(one) for one in replies(link.received, early["request_id"])):
            t.fail(f"no request acted on after an answer {what}", "a request is answered with success")

    no_consent.__doc__ = f"An answer {what} is no consent."
    case(f"handshake.no-consent-{name}", requirement="HS-11", roles=DIALER, seconds=6.0)(no_consent)


for _name, (_what, _body) in NO_CONSENT.items():
    _no_consent(_name, _what, _body)


VIOLATIONS: dict[str, tuple[bytes, int]] = {
    "length-zero": (bytes(4), 1),
    "too-long": ((10_485_761).to_bytes(4, "big"), 2),
    "no-json": (frame(b'{"type":"HandshakeResponse","accepted":true,"capabilities":[]'), 1),
    "trailing": (frame(b'{"type":"HandshakeResponse","accepted":true,"capabilities":[]}}'), 1),
}


def _violation(name: str, raw: bytes, code: int) -> None:
    async def violation(t: Trial) -> None:
        link = await opened(t)
        started = t.now()
        await link.send_raw(raw + encode(consent()))
        end = await wait_end(link, AT_LATEST - (t.now() - started) + link.channel.slack)
        if end is None:
            t.fail("the end of the connection", "still open after a framing violation")
        if end.code not in {None, code}:
            t.warn(f"close code {code}", f"code {end.code}", "CL-01")

    violation.__doc__ = f"A framing violation ({name}) in place of the response ends the connection."
    case(f"handshake.violation-{name}", requirement="HS-11", roles=DIALER, seconds=2.0)(violation)


for _name, (_raw, _code) in VIOLATIONS.items():
    _violation(_name, _raw, _code)


def _code_case(name: str, what: str, body: str) -> None:
    async def closes_with_3(t: Trial) -> None:
        link = await opened(t)
        if link.channel.kind != "stream":
            t.not_testable("standard output has no close code")
        if body:
            await link.send_text(body)
        end = await wait_end(link, AT_LATEST + link.channel.slack)
        if end is None:
            t.fail("the end of the connection", f"still open after {AT_LATEST:.0f} s", "HS-11")
        t.check(end.code == 3, "a connection closed with code 3", f"code {end.code}")

    closes_with_3.__doc__ = f"A dialer closes with code 3 after {what}."
    case(f"handshake.code-{name}", requirement="HS-16", roles=DIALER, seconds=6.0)(closes_with_3)


_code_case("refused", "a refusal", '{"type":"HandshakeResponse","accepted":false,"capabilities":[]}')
_code_case("no-response", "5 s without a response", "")
_code_case("malformed", "a malformed response", '{"type":"HandshakeResponse","accepted":1}')
