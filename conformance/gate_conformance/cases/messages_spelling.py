"""Spellings of one message: order, white space, escapes, null for absent, repeated members."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from gate_conformance import codec
from gate_conformance.case import case
from gate_conformance.cases._support import (
    answers_ping,
    expect_ignored,
    expect_pong,
    first_handshakes,
    members,
    ping_frame,
    ping_text,
    pong_ids,
)
from gate_conformance.codec import frame
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial


@case("messages.member-order", requirement="MS-05")
async def member_order(t: Trial) -> None:
    """Members may stand in any order."""
    link = await t.established()
    for order in itertools.permutations(("type", "id", "x")):
        ident = link.fresh_id()
        text = {"type": '"type":"Ping"', "id": f'"id":{ident}', "x": '"x":[1]'}
        await answers_ping(t, link, members(*(text[name] for name in order)).encode(), ident)
    for order in itertools.permutations(("type", "request_id", "domain")):
        request = {"type": "RequestSniStream", "request_id": link.fresh_request_id(), "domain": "localhost"}
        await link.send_text(json.dumps({name: request[name] for name in order}))
        await link.expect_response(request, requirement="MS-05")


@case("messages.handshake-member-order", requirement="MS-05")
async def handshake_member_order(t: Trial) -> None:
    """The members of Handshake may stand in any order."""
    parts = ('"type":"Handshake"', f'"node_id":"{t.options.peer_id}"', '"capabilities":["inference"]')
    await first_handshakes(
        t, [members(*order).encode() for order in list(itertools.permutations(parts))[1::2]]
    )


@case("messages.white-space", requirement="MS-05")
async def white_space(t: Trial) -> None:
    """Space, tab, line feed and carriage return may stand between tokens, and around the document."""
    link = await t.established()
    for space in (" ", "\t", "\n", "\r\n", " \r\n\t ", " " * 5000):
        ident = link.fresh_id()
        tokens = (
            "",
            "{",
            '"type"',
            ":",
            '"Ping"',
            ",",
            '"id"',
            ":",
            str(ident),
            ",",
            '"x"',
            ":",
            "[",
            "1",
            ",",
            "{",
            "}",
            "]",
            "}",
            "",
        )
        await answers_ping(t, link, space.join(tokens).encode(), ident)
    for before, after in (("\n", ""), ("", "\n"), ("", " "), ("", "\r\n\r\n"), ("\t", "\t")):
        ident = link.fresh_id()
        await answers_ping(t, link, (before + ping_text(ident) + after).encode(), ident)


@case("messages.escaped-names", requirement="MS-05")
async def escaped_names(t: Trial) -> None:
    """Escapes in member names mean the characters they stand for."""
    link = await t.established()
    for kind, name in (
        ("\\u0074ype", "id"),
        ("type", "\\u0069d"),
        ("\\u0074\\u0079\\u0070\\u0065", "\\u0069\\u0064"),
        ("typ\\u0065", "i\\u0064"),
    ):
        ident = link.fresh_id()
        await answers_ping(t, link, members(f'"{kind}":"Ping"', f'"{name}":{ident}').encode(), ident)
        await answers_ping(t, link, members(f'"{name}":{ident}', f'"{kind}":"Ping"').encode(), ident)


@case("messages.escaped-values", requirement="MS-05")
async def escaped_values(t: Trial) -> None:
    """Escapes in `type` and in texts mean the characters they stand for, in either case of digits."""
    link = await t.established()
    for kind in (
        "\\u0050ing",
        "P\\u0069ng",
        "Pin\\u0067",
        "\\u0050\\u0069\\u006E\\u0067",
        "\\u0050\\u0069\\u006e\\u0067",
    ):
        ident = link.fresh_id()
        await answers_ping(t, link, members(f'"type":"{kind}"', f'"id":{ident}').encode(), ident)
    ident = link.fresh_id()
    escapes = '"x":"\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u00e9 \\ud83d\\udd12 \\uD83D\\uDD12"'
    await answers_ping(t, link, ping_text(ident, escapes).encode(), ident)


@case("messages.escaped-request-id", requirement="MS-05")
async def escaped_request_id(t: Trial) -> None:
    """A `request_id` with escapes is the text that they spell."""
    link = await t.established()
    for written, means in (
        ("s\\u0075ite\\/1-", "suite/1-"),
        ("\\u0022q\\\\-", '"q\\-'),
        ("\\u002D\\u002d-", "---"),
    ):
        number = link.fresh_id()
        request = {"type": "RequestSniStream", "request_id": f"{means}{number}", "domain": "localhost"}
        await link.send_text(
            members('"type":"RequestSniStream"', f'"request_id":"{written}{number}"', '"domain":"localhost"')
        )
        await _response(t, link, request)


async def _response(t: Trial, link: Link, request: dict[str, Any]) -> None:
    """Wait for the response; another id than the spelled one is a matter of reading it (MS-05)."""
    try:
        await link.expect_response(request, requirement="MS-05")
    except CaseFailed as failed:
        if failed.requirement != "RQ-02":
            raise
        t.fail(failed.expected, failed.actual)


def _spelled(text: str, marks: list[int]) -> str:
    """The text as a JSON string in which the marked characters are escaped."""
    return (
        '"'
        + "".join(f"\\u{ord(char):04x}" if index in marks else char for index, char in enumerate(text))
        + '"'
    )


@case(
    "messages.generated-spellings",
    requirement="MS-05",
    seconds=2.0,
    given={
        "marks": st.lists(st.integers(0, 5), max_size=4),
        "spaces": st.lists(st.text(" \t\r\n", max_size=3), min_size=4, max_size=4),
        "order": st.permutations(range(3)),
        "as_request": st.booleans(),
    },
    examples=40,
)
async def generated_spellings(
    t: Trial, marks: list[int], spaces: list[str], order: list[int], as_request: bool
) -> None:
    """Order, white space and escapes together change nothing about a message."""
    link = await t.shared_link()
    ident, request_id = link.fresh_id(), link.fresh_request_id()
    if as_request:
        values = {
            "type": _spelled("RequestSniStream", marks),
            "request_id": _spelled(request_id, marks),
            "domain": '"localhost"',
        }
    else:
        values = {"type": _spelled("Ping", marks), "id": str(ident), "x": "null"}
    parts = [
        f"{spaces[0]}{_spelled(name, marks)}{spaces[1]}:{spaces[2]}{value}{spaces[3]}"
        for name, value in values.items()
    ]
    text = spaces[3] + members(*(parts[index] for index in order)) + spaces[0]
    await link.send_text(text)
    if as_request:
        request = {"type": "RequestSniStream", "request_id": request_id}
        await _response(t, link, request)
    else:
        await expect_pong(t, link, ident)


# -- null and absent -------------------------------------------------------------------------------


@case("messages.null-optional", requirement="MS-10")
async def null_optional(t: Trial) -> None:
    """A Cleanup with `txt_value` null is answered like one without it."""
    link = await t.established()
    outcomes = []
    for more in ({}, {"txt_value": None}):
        request = {
            "type": "DnsChallengeCleanup",
            "request_id": link.fresh_request_id(),
            "domain": t.options.domain,
            **more,
        }
        await link.send(request)
        response = await link.expect_response(request, within=20.0, requirement="MS-10")
        outcomes.append((response["success"], response.get("code")))
    if outcomes[0] != outcomes[1]:
        t.fail(f"success and code as without the member, {outcomes[0]}", f"{outcomes[1]}")
    t.note("answered with success" if outcomes[0][0] else "both refused")


@case("messages.null-in-responses", requirement="MS-10")
async def null_in_responses(t: Trial) -> None:
    """Optional members that are null, or absent, do not disturb the stream."""
    link = await t.established()
    for text in (
        '{"type":"StreamReady","request_id":"nobody","stream_accepted":true,"error":null,"code":null}',
        '{"type":"StreamReady","request_id":"nobody","stream_accepted":false}',
        '{"type":"DnsChallengeResponse","request_id":"nobody","success":true,"error":null,"code":null}',
        '{"type":"DnsChallengeResponse","request_id":"nobody","success":false}',
        '{"type":"DomainRegistrationResponse","request_id":"nobody","success":false,"domain":null,"error":null}',
    ):
        await expect_ignored(t, link, text.encode(), "a response to no request")


# -- repeated members ------------------------------------------------------------------------------


async def _repeated(t: Trial, link: Link, parts: tuple[str, ...], first: int, last: int | None) -> None:
    """Send a Ping with repeated members: a Pong of the last id or none may come, never of the first."""
    link.tolerate_pong(first)
    if last is not None:
        link.tolerate_pong(last)
    text = members(*parts)
    await link.send_text(text)
    before = pong_ids(await link.barrier())
    if first in before:
        t.fail(f"the last value of {text}, or malformed", f"a Pong with the first id {first}")
    t.note("the last value counts" if last in before else "malformed")


@case("messages.repeated-id", requirement="MS-11")
async def repeated_id(t: Trial) -> None:
    """Of a repeated `id` the last counts, or the message is malformed."""
    link = await t.established()
    for between in ((), ('"type":"Ping"',), ('"x":{"id":1}',)):
        first, last = link.fresh_id(), link.fresh_id()
        head = () if '"type":"Ping"' in between else ('"type":"Ping"',)
        await _repeated(t, link, (*head, f'"id":{first}', *between, f'"id":{last}'), first, last)
    first, last = link.fresh_id(), link.fresh_id()
    await _repeated(t, link, ('"type":"Ping"', f'"id":{first}', f'"\\u0069d":{last}'), first, last)


@case("messages.repeated-id-ill-typed", requirement="MS-11")
async def repeated_id_ill_typed(t: Trial) -> None:
    """A good `id` followed by an ill-typed one does not count."""
    link = await t.established()
    for value in ('"x"', "null", "-1", "[]", "true"):
        first = link.fresh_id()
        await _repeated(t, link, ('"type":"Ping"', f'"id":{first}', f'"id":{value}'), first, None)


@case("messages.repeated-type", requirement="MS-11")
async def repeated_type(t: Trial) -> None:
    """Of a repeated `type` the last counts, or the message is malformed."""
    link = await t.established()
    for last in ('"Nothing"', '"Pong"', "null", "7", '"HandshakeResponse"'):
        first = link.fresh_id()
        await _repeated(t, link, ('"type":"Ping"', f'"id":{first}', f'"type":{last}'), first, None)
    wanted = link.fresh_id()
    await _repeated(t, link, ('"type":"Pong"', f'"id":{wanted}', '"type":"Ping"'), -1, wanted)


@case("messages.repeated-request-id", requirement="MS-11")
async def repeated_request_id(t: Trial) -> None:
    """Of a repeated `request_id` the first is never answered."""
    link = await t.established()
    first, last = link.fresh_request_id(), link.fresh_request_id()
    for request_id in (first, last):
        link.tolerate_response(request_id)
    await link.send_text(
        members(
            '"type":"RequestSniStream"',
            f'"request_id":"{first}"',
            '"domain":"localhost"',
            f'"request_id":"{last}"',
        )
    )
    before = [*await link.barrier(), *await link.settle(0.3)]
    answered = [one["request_id"] for one in before if one.get("type") == "StreamReady"]
    t.check(first not in answered, "no answer to the first of two ids", f"StreamReady for {first}")
    t.note("the last value counts" if last in answered else "malformed")


@case("messages.repeated-unknown", requirement="MS-11")
async def repeated_unknown(t: Trial) -> None:
    """A repeated unknown member leaves the stream open; its message is acted on or malformed."""
    link = await t.established()
    ident = link.fresh_id()
    await _repeated(t, link, ('"type":"Ping"', f'"id":{ident}', '"x":1', '"x":2'), -1, ident)


# -- mutated frames --------------------------------------------------------------------------------

_GOOD = '{"type":"Ping","id":1234567,"x":[true,{"type":"Pong"}],"y":"\\u00e9"}'


def _mutations() -> st.SearchStrategy[bytes]:
    """A good body with one to three bytes changed, put in or taken out, as far as it stays JSON in UTF-8."""
    change = st.tuples(
        st.integers(0, len(_GOOD) - 1),
        st.sampled_from([0, 1]),
        st.sampled_from(["", " ", "0", "9", '"a"', ",", "null", "{}", "t", "-", "."]),
    )

    def mutated(changes: list[tuple[int, int, str]]) -> bytes:
        text = _GOOD
        for at, taken, put in changes:
            text = text[:at] + put + text[at + taken :]
        return text.encode()

    return (
        st.lists(change, min_size=1, max_size=3)
        .map(mutated)
        .filter(lambda body: codec.judge(body).verdict in ("accept", "ignore", "malformed"))
    )


@case(
    "messages.generated-mutations",
    requirement="MS-04",
    seconds=2.0,
    given={"body": _mutations()},
    examples=40,
)
async def generated_mutations(t: Trial, body: bytes) -> None:
    """A changed Ping is answered, ignored or malformed as the specification judges it."""
    link = await t.shared_link()
    judgement = codec.judge(body)
    after = link.fresh_id()
    ident = judgement.message.get("id") if judgement.message else None
    if isinstance(ident, int):
        link.tolerate_pong(ident)
    await link.send_raw(frame(body) + ping_frame(after))
    await expect_pong(t, link, after)
    is_ping = judgement.message is not None and judgement.message.get("type") == "Ping"
    if judgement.verdict == "accept" and is_ping and isinstance(ident, int):
        await expect_pong(t, link, ident, requirement="MS-01")
        return
    pongs = pong_ids(link.inbox)
    t.check(not pongs, f"no answer to {body!r}", f"a Pong with id {pongs[:1]}")
