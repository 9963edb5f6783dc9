"""Malformed messages: a known type with a missing or ill-typed member is never acted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._handshakes import without_consent
from gate_conformance.cases._requests import REGISTRATION, answer, describe, replies, request, succeeded
from gate_conformance.cases._support import (
    answers_ping,
    expect_ignored,
    expect_pong,
    members,
    ping_frame,
    ping_text,
    pong_ids,
)
from gate_conformance.codec import RESPONSE_OF, frame
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.trial import Trial

# What a lax reader may make of an id that is none.
GUESSES = (0, 1, 2, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1)


@case("messages.ping-without-id", requirement="MS-04")
async def ping_without_id(t: Trial) -> None:
    """A Ping without `id` is not answered, and the stream stays open."""
    link = await t.established()
    for text in (
        '{"type":"Ping"}',
        '{"type":"Ping","Id":1}',
        '{"type":"Ping","ping_id":1}',
        '{"type":"Ping","request_id":"1"}',
    ):
        await expect_ignored(t, link, text.encode(), text, pongs=GUESSES)


@case("messages.malformed-handshake", requirement="MS-04")
async def malformed_handshake(t: Trial) -> None:
    """A malformed Handshake on an established stream is not answered, and the stream stays open."""
    link = await t.established()
    for more in (
        (),
        ('"node_id":"x"',),
        ('"capabilities":[]',),
        ('"node_id":7', '"capabilities":[]'),
        ('"node_id":null', '"capabilities":[]'),
        ('"node_id":"x"', '"capabilities":null'),
        ('"node_id":"x"', '"capabilities":"inference"'),
        ('"node_id":"x"', '"capabilities":{}'),
        ('"node_id":"x"', '"capabilities":[1]'),
        ('"node_id":"x"', '"capabilities":["inference",null]'),
        ('"node_id":["x"]', '"capabilities":[]'),
    ):
        text = members('"type":"Handshake"', *more)
        await without_consent(t, link, text, f"the members {','.join(more) or 'none'}")


@case("messages.malformed-answers", requirement="MS-04")
async def malformed_answers(t: Trial) -> None:
    """Malformed Pongs, HandshakeResponses and responses have no effect, and the stream stays open."""
    link = await t.established()
    for text in (
        '{"type":"Pong"}',
        '{"type":"Pong","id":"1"}',
        '{"type":"Pong","id":null}',
        '{"type":"Pong","id":-1}',
        '{"type":"Pong","id":1.5}',
        '{"type":"HandshakeResponse"}',
        '{"type":"HandshakeResponse","accepted":false}',
        '{"type":"HandshakeResponse","capabilities":[]}',
        '{"type":"HandshakeResponse","accepted":"false","capabilities":[]}',
        '{"type":"HandshakeResponse","accepted":0,"capabilities":[]}',
        '{"type":"HandshakeResponse","accepted":null,"capabilities":[]}',
        '{"type":"HandshakeResponse","accepted":false,"capabilities":"x"}',
        '{"type":"StreamReady"}',
        '{"type":"StreamReady","request_id":"r"}',
        '{"type":"StreamReady","request_id":7,"stream_accepted":true}',
        '{"type":"StreamReady","request_id":"r","stream_accepted":"yes"}',
        '{"type":"StreamReady","request_id":"r","stream_accepted":false,"error":7}',
        '{"type":"DnsChallengeResponse","request_id":"r"}',
        '{"type":"DnsChallengeResponse","success":true}',
        '{"type":"DnsChallengeResponse","request_id":null,"success":true}',
        '{"type":"DnsChallengeResponse","request_id":"r","success":1}',
        '{"type":"DomainRegistrationResponse","request_id":"r"}',
        '{"type":"DomainRegistrationResponse","request_id":"r","success":true}',
        '{"type":"DomainRegistrationResponse","request_id":"r","success":true,"domain":null}',
        '{"type":"DomainRegistrationResponse","request_id":"r","success":true,"domain":["a.test"]}',
    ):
        await expect_ignored(t, link, text.encode(), text)


@case("messages.malformed-request-without-id", requirement="MS-04")
async def malformed_request_without_id(t: Trial) -> None:
    """A request whose `request_id` is missing or no text is not acted on, and the stream stays open."""
    link = await t.established()
    for kind in RESPONSE_OF:
        for more in (
            (),
            ('"request_id":7',),
            ('"request_id":null',),
            ('"request_id":["a"]',),
            ('"request_id":{}',),
            ('"request_id":true',),
        ):
            text = members(f'"type":"{kind}"', '"domain":"localhost"', '"txt_value":"x"', *more)
            await expect_ignored(t, link, text.encode(), text)


@case("messages.malformed-request", requirement="MS-04")
async def malformed_request(t: Trial) -> None:
    """A request with a missing or ill-typed member never succeeds, and the stream stays open."""
    link = await t.established()
    value = "A" * 43
    domain = t.options.domain
    for kind, more in (
        ("RequestSniStream", ()),
        ("RequestSniStream", ('"domain":null',)),
        ("RequestSniStream", (f'"domain":["{domain}"]',)),
        ("RequestSniStream", ('"domain":7',)),
        ("DnsChallengeCreate", (f'"domain":"{domain}"',)),
        ("DnsChallengeCreate", (f'"txt_value":"{value}"',)),
        ("DnsChallengeCreate", (f'"domain":"{domain}"', '"txt_value":null')),
        ("DnsChallengeCreate", (f'"domain":"{domain}"', '"txt_value":7')),
        ("DnsChallengeCreate", (f'"domain":["{domain}"]', f'"txt_value":"{value}"')),
        ("DnsChallengeCleanup", ()),
        ("DnsChallengeCleanup", ('"domain":null',)),
        ("DnsChallengeCleanup", (f'"domain":"{domain}"', '"txt_value":7')),
        ("DnsChallengeCleanup", (f'"domain":"{domain}"', '"txt_value":[]')),
        ("DomainRegistrationRequest", ()),
        ("DomainRegistrationRequest", ('"node_addr":null',)),
        ("DomainRegistrationRequest", ('"node_addr":"x"',)),
        ("DomainRegistrationRequest", ('"node_addr":{"id":[1,2],"direct_addresses":[]}',)),
        ("DomainRegistrationRequest", ('"node_addr":{"direct_addresses":[]}',)),
        (
            "DomainRegistrationRequest",
            (f'"node_addr":{{"id":[{",".join(["256"] * 32)}],"direct_addresses":[]}}',),
        ),
        (
            "DomainRegistrationRequest",
            (f'"node_addr":{{"id":[{",".join(["1"] * 32)}],"direct_addresses":"x"}}',),
        ),
    ):
        request_id = link.fresh_request_id()
        link.tolerate_response(request_id)
        text = members(f'"type":"{kind}"', f'"request_id":"{request_id}"', *more)
        response = RESPONSE_OF[kind]
        await expect_ignored(t, link, text.encode(), text, allowed=[response])
        for one in link.received:
            if one.get("request_id") == request_id and True in (
                one.get("success"),
                one.get("stream_accepted"),
            ):
                t.fail(f"no success for the malformed {text}", f"{one}")


@case("messages.stays-open-after-malformed", requirement="MS-04")
async def stays_open_after_malformed(t: Trial) -> None:
    """Many malformed messages in one write do not end the stream."""
    link = await t.established()
    for guess in GUESSES:
        link.tolerate_pong(guess)
    bad = b'{"type":"Ping"}', b'{"type":"Handshake"}', b'{"type":"Pong","id":"x"}', b'{"type":"Ping","id":[]}'
    await link.send_raw(b"".join(frame(body) for body in bad) * 50)
    before = await link.barrier()
    t.check(not pong_ids(before), "no answer to malformed messages", f"Pongs with ids {pong_ids(before)[:5]}")


# -- the range and the type of id --------------------------------------------------------------------


@case("messages.id-range", requirement="MS-06")
async def id_range(t: Trial) -> None:
    """Every `id` from 0 to 2^64-1 comes back exactly."""
    edges = (2**8, 2**15, 2**16, 2**31, 2**32, 2**52, 2**53, 2**62, 2**63, 2**64)
    for ident in (
        0,
        1,
        *sorted({edge + step for edge in edges for step in (-1, 0, 1, 3) if edge + step < 2**64}),
    ):
        await _exact(t, ident)


@case(
    "messages.generated-ids", requirement="MS-06", given={"ident": st.integers(2**53, 2**64 - 1)}, examples=30
)
async def generated_ids(t: Trial, ident: int) -> None:
    """Any `id` above 2^53 comes back exactly."""
    await _exact(t, ident)


async def _exact(t: Trial, ident: int) -> None:
    """Ping with this id; what a reader with too small a number would answer is not blamed on LV-01."""
    link = await t.shared_link()
    nearest = int(float(ident))
    for guess in (
        nearest,
        min(nearest, 2**64 - 1),
        ident % 2**32,
        ident % 2**31,
        ident % 2**63,
        min(ident, 2**63 - 1),
        min(ident, 2**53 - 1),
    ):
        link.tolerate_pong(guess)
    await link.send_body(ping_text(ident).encode())
    try:
        await expect_pong(t, link, ident)
    except CaseFailed as failed:
        if failed.requirement == "MS-09":
            raise
        pongs = pong_ids(link.inbox)
        actual = f"a Pong with id {pongs[0]}" if pongs and link.ended is None else failed.actual
        t.fail(f"a Pong with id {ident}", actual)


@case("messages.id-written-in-digits", requirement="MS-09")
async def id_written_in_digits(t: Trial) -> None:
    """The `id` of a Pong is written in digits alone, also where a program prints exponents."""
    link = await t.established()
    for ident in (10**15, 10**16, 10**17, 10**18, 10**19, 5 * 10**18, 2**64 - 1, 0):
        await answers_ping(t, link, ping_text(ident).encode(), ident, requirement="MS-06")


@case("messages.sends-known-members", requirement="MS-12")
async def sends_known_members(t: Trial) -> None:
    """Every message that the target sends has the members of its schema."""
    link = await t.established()
    long_name = f"{'a' * 64}.test"
    address = {"id": [0] * 32, "direct_addresses": ["127.0.0.1:1"]}
    for asked in (
        {"type": "RequestSniStream", "domain": "localhost"},
        {"type": "DnsChallengeCreate", "domain": long_name, "txt_value": "A" * 43},
        {"type": "DnsChallengeCleanup", "domain": long_name},
        {"type": "RequestInferenceStream"},
        {"type": "DomainRegistrationRequest", "node_addr": address},
    ):
        numbered = {**asked, "request_id": link.fresh_request_id()}
        await link.send(numbered)
        await link.expect_response(numbered)
    await link.barrier()
    await link.send({"type": "Handshake", "node_id": t.options.peer_id, "capabilities": ["dns_challenge"]})
    await link.expect("HandshakeResponse", within=5.0)


def _id_case(name: str, what: str, *values: str) -> None:
    async def bad_id(t: Trial) -> None:
        link = await t.established()
        for value in values:
            text = ping_text(value)
            await expect_ignored(t, link, text.encode(), text, pongs=GUESSES)

    bad_id.__doc__ = f"A Ping whose `id` is {what} is malformed."
    case(f"messages.id-{name}", requirement="MS-07")(bad_id)


_id_case("negative", "negative", "-1", "-2", "-9223372036854775808", "-18446744073709551615", "-1.0")
_id_case(
    "too-big",
    "2^64 or above",
    "18446744073709551616",
    "18446744073709551617",
    "36893488147419103232",
    f"1{'0' * 30}",
    "9" * 300,
)
_id_case(
    "too-big-exponent", "2^64 or above, written with an exponent", "1e20", "1e300", "1.8446744073709552e19"
)
_id_case("fraction", "a number with a fraction", "1.5", "0.5", "1e-1", "-0.5", "15e-1", "1.25")
_id_case("text", "text", '"1"', '"0"', '""', '"one"', '"0x1"', '"18446744073709551615"')
_id_case("boolean", "a boolean", "true", "false")
_id_case("null", "null", "null")
_id_case("container", "an array or an object", "[1]", "[]", "{}", '{"id":1}', "[[1]]")


def _integer_like_case(name: str, written: str, equals: int) -> None:
    async def integer_like(t: Trial) -> None:
        link = await t.established()
        for guess in GUESSES:
            link.tolerate_pong(guess)
        await link.send_body(ping_text(written).encode())
        before = await link.barrier()
        others = [ident for ident in pong_ids(before) if ident != equals]
        if others:
            t.fail(f"no Pong, or one with id {equals}", f"a Pong with id {others[0]}")
        t.note(f"read as {equals}" if pong_ids(before) else "malformed")

    integer_like.__doc__ = f"An `id` written {written}: malformed, or {equals}."
    case(f"messages.id-{name}", requirement="MS-08")(integer_like)


_integer_like_case("one-point-zero", "1.0", 1)
_integer_like_case("one-e-zero", "1e0", 1)
_integer_like_case("minus-zero", "-0", 0)
_integer_like_case("twenty-e-minus-one", "20e-1", 2)


def _octet_case(name: str, spelling: str, only: int | None = None) -> None:
    async def octet(t: Trial) -> None:
        link = await t.established()
        octets = list(bytes.fromhex(t.options.peer_id))
        if only is not None:
            octets[5] = only  # of another node then: refused when it is read
        plain = request(t, link, REGISTRATION, node_addr={"id": octets, "direct_addresses": []})
        control = await answer(t, link, plain, "DR-01")
        spelt = [str(one) for one in octets]
        spelt[5] = spelling.format(octets[5])
        tried = request(t, link, REGISTRATION, node_addr=None)
        address = f'"node_addr":{{"id":[{",".join(spelt)}],"direct_addresses":[]}}'
        link.tolerate_response(tried["request_id"])
        text = f'{{"type":"{REGISTRATION}","request_id":"{tried["request_id"]}",{address}}}'
        await link.send_text(text)
        await link.barrier("MS-08")
        await link.settle(0.5)
        await link.barrier("MS-08")
        found = replies(link.received, tried["request_id"])
        if found and succeeded(found[0]) and not succeeded(control):
            t.fail(f"no success for an element written {spelt[5]}, as for {octets[5]}", describe(found[0]))
        if len(found) > 1:
            t.fail("one response", f"{len(found)} responses", "RQ-01")
        t.note(describe(found[0]) if found else "not answered")

    octet.__doc__ = f"An element of `node_addr.id` written {spelling.format('N')}: malformed, or the integer."
    case(f"messages.octet-{name}", requirement="MS-08")(octet)


_octet_case("point-zero", "{}.0")
_octet_case("e-zero", "{}e0")
_octet_case("minus-zero", "-0", 0)


@case(
    "messages.generated-bad-ids",
    requirement="MS-07",
    seconds=2.0,
    given={
        "value": st.one_of(
            st.integers(max_value=-1).map(str),
            st.integers(2**64, 2**80).map(str),
            st.integers(0, 2**40).map(lambda whole: f"{whole}.5"),
            st.integers(0, 2**64).map(lambda whole: f'"{whole}"'),
            st.lists(st.integers(0, 9), max_size=3).map(lambda numbers: f"[{','.join(map(str, numbers))}]"),
        )
    },
    examples=30,
)
async def generated_bad_ids(t: Trial, value: str) -> None:
    """No `id` outside its range or type is answered."""
    link = await t.shared_link()
    after = link.fresh_id()
    for guess in GUESSES:
        link.tolerate_pong(guess)
    await link.send_raw(frame(ping_text(value).encode()) + ping_frame(after))
    await expect_pong(t, link, after)
    pongs = pong_ids(link.inbox)
    t.check(not pongs, f"no answer to a Ping with id {value}", f"a Pong with id {pongs[:1]}")
