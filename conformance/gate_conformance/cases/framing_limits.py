"""Nesting, and numbers and texts that I-JSON leaves out: what has to be read, and what is a choice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._requests import SNI, answer, describe, request, succeeded
from gate_conformance.cases._support import (
    answers_ping,
    expect_ignored,
    expect_pong,
    first_handshakes,
    members,
    ping_frame,
    ping_text,
)
from gate_conformance.codec import frame
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from gate_conformance.trial import Trial


def arrays(levels: int) -> str:
    """So many arrays, one inside the other."""
    return "[" * levels + "]" * levels


def objects(levels: int) -> str:
    """So many objects, one inside the other."""
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


async def expect_read_or_violation(t: Trial, body: bytes, ident: int | None) -> None:
    """Send a body in which a receiver has the choice of FR-14.

    ``ident`` is the id of the Ping that it holds when it is read, None when reading it has no answer.
    """
    link = await t.established()
    await link.barrier()
    after = link.fresh_id()
    if ident is not None:
        link.tolerate_pong(ident)
    await link.send_raw(frame(body) + ping_frame(after))
    try:
        await expect_pong(t, link, after)
    except CaseFailed as failed:
        if failed.requirement is not None:
            raise
        if link.ended is None:
            t.fail("the message read, or the end of the connection", "neither: the stream hangs", "TR-05")
        await t.expect_violation(link)
        t.note("treated as a framing violation")
        return
    if ident is not None:
        await expect_pong(t, link, ident)
    await link.barrier()
    t.note("read")


@case("framing.nested-64-arrays", requirement="FR-12")
async def nested_64_arrays(t: Trial) -> None:
    """A message with an unknown member that makes 64 levels of arrays is read."""
    link = await t.established()
    for levels in (31, 32, 62, 63):
        ident = link.fresh_id()
        await answers_ping(t, link, ping_text(ident, f'"x":{arrays(levels)}').encode(), ident)


@case("framing.nested-64-objects", requirement="FR-12")
async def nested_64_objects(t: Trial) -> None:
    """A message with an unknown member that makes 64 levels of objects is read."""
    link = await t.established()
    for levels in (32, 63):
        ident = link.fresh_id()
        await answers_ping(t, link, ping_text(ident, f'"x":{objects(levels)}').encode(), ident)


@case("framing.nested-64-ignored", requirement="FR-12")
async def nested_64_ignored(t: Trial) -> None:
    """64 levels of arrays, and of objects without a type, are ignored like any other JSON."""
    link = await t.established()
    await expect_ignored(t, link, arrays(64).encode(), "64 levels of arrays")
    await expect_ignored(t, link, objects(64).encode(), "64 levels of objects")


@case("framing.brackets-side-by-side", requirement="FR-12")
async def brackets_side_by_side(t: Trial) -> None:
    """Hundreds of arrays and objects side by side are no nesting."""
    link = await t.established()
    for value in ("[" + ",".join(["[]"] * 300) + "]", "[" + ",".join(['{"a":[]}'] * 300) + "]"):
        ident = link.fresh_id()
        await answers_ping(t, link, ping_text(ident, f'"x":{value}').encode(), ident)


@case("framing.brackets-in-strings", requirement="FR-12")
async def brackets_in_strings(t: Trial) -> None:
    """Brackets inside strings are no nesting, after an escaped quote neither."""
    link = await t.established()
    for value in ("[" * 200, "{" * 200, '\\"' + "[" * 200, '\\\\\\"' + '{\\"a\\":' * 100, "]}" * 100):
        ident = link.fresh_id()
        await answers_ping(t, link, ping_text(ident, f'"x":"{value}"').encode(), ident)


# A double keeps none of them: the nearest one is 0 or, of the last, the smallest there is.
TINY = (
    "1e-400",
    "-1e-400",
    "1E-0400",
    "9.99e-325",
    "2.4e-324",
    "1e-99999",
    "-0.5e-2147483649",
    f"1e-{'9' * 25}",
    f"0.{'0' * 400}1",
    f"0.{'0' * 5000}7e-2",
    "3e-324",
)


@case("framing.tiny-numbers", requirement="FR-16")
async def tiny_numbers(t: Trial) -> None:
    """A message with a number too small for a double in an unknown member is acted on."""
    link = await t.established()
    for value in TINY:
        for member in (f'"x":{value}', f'"x":{{"y":[1,{value}]}}'):
            ident = link.fresh_id()
            await answers_ping(t, link, ping_text(ident, member).encode(), ident)


@case("framing.long-numbers", requirement="FR-16")
async def long_numbers(t: Trial) -> None:
    """A number with more digits than a double holds is read in an unknown member."""
    link = await t.established()
    for value in (
        "0.1234567890123456789012345678901234567890",
        f"0.{'3' * 5000}",
        f"{'9' * 300}",
        f"-{'123456789' * 30}.{'987654321' * 30}",
        f"1.{'7' * 400}e308",
        "18446744073709551616",
        "-9223372036854775809",
        f"{'1' * 100}e-100",
    ):
        ident = link.fresh_id()
        await answers_ping(t, link, ping_text(ident, f'"x":{value}').encode(), ident)


@case("framing.tiny-numbers-in-handshake", requirement="FR-16")
async def tiny_numbers_in_handshake(t: Trial) -> None:
    """A Handshake with a number too small for a double in an unknown member is answered."""
    parts = ('"type":"Handshake"', f'"node_id":"{t.options.peer_id}"', '"capabilities":[]')
    await first_handshakes(t, [members(*parts, f'"x":{value}').encode() for value in TINY[:2]])


@case("framing.tiny-numbers-in-request", requirement="FR-16")
async def tiny_numbers_in_request(t: Trial) -> None:
    """A request with a number too small for a double in an unknown member is answered as without it."""
    link = await t.established()
    plain = request(t, link, SNI)
    wanted = await answer(t, link, plain, "ST-01")
    for value in TINY[:3]:
        tiny = request(t, link, SNI)
        await link.send_text(json.dumps(tiny)[:-1] + f',"x":{value}}}')
        response = await link.expect_response(tiny)
        if response.get("code") == "malformed" or succeeded(response) < succeeded(wanted):
            t.fail(f"the answer without {value}: {describe(wanted)}", describe(response))


@case("framing.tiny-numbers-ignored", requirement="FR-16")
async def tiny_numbers_ignored(t: Trial) -> None:
    """Numbers too small for a double in what is no message are ignored with it."""
    link = await t.established()
    for value in TINY:
        for text in (value, f"[{value}]", f'{{"type":"Nothing","x":{value}}}', f'{{"type":{value}}}'):
            await expect_ignored(t, link, text.encode(), f"the document {text[:60]}")


@case(
    "framing.generated-tiny-numbers",
    requirement="FR-16",
    given={
        "sign": st.sampled_from(["", "-"]),
        "digits": st.integers(1, 10**20).map(str),
        "exponent": st.one_of(st.integers(350, 5000), st.integers(350, 10**20)),
    },
    examples=25,
)
async def generated_tiny_numbers(t: Trial, sign: str, digits: str, exponent: int) -> None:
    """However small a number is, its message is acted on (generated)."""
    link = await t.shared_link()
    ident = link.fresh_id()
    await answers_ping(t, link, ping_text(ident, f'"x":{sign}{digits}e-{exponent}').encode(), ident)


@case("framing.lone-surrogate-request-id", requirement="FR-14")
async def lone_surrogate_request_id(t: Trial) -> None:
    """A lone surrogate escape in a `request_id`: answered like another bad id, or a framing violation."""
    link = await t.established()
    await link.barrier()
    after = link.fresh_id()
    link.tolerate_response("r\ud83d")
    text = members('"type":"RequestSniStream"', '"request_id":"r\\ud83d"', '"domain":"localhost"')
    await link.send_raw(frame(text.encode()) + ping_frame(after))
    try:
        await link.expect("Pong", within=5.0, id=after)
        await link.settle(0.2)
    except CaseFailed as failed:
        # The id as it was (RQ-02) is what no sender may write (FR-13): a reader breaks one of them.
        if failed.requirement == "FR-13":
            link.broken = None
            link.audit.problems.clear()
            t.note("answered with the id as it was")
            return
        if failed.requirement is not None:
            raise
        if link.ended is None:
            t.fail("an answer, or the end of the connection", "neither: the stream hangs", "TR-05")
        await t.expect_violation(link)
        t.note("treated as a framing violation")
        return
    # How a reader renders a surrogate without partner is its own matter, and so is the id it answers with.
    link.broken = None
    link.audit.problems.clear()
    t.note("read")


def _choice_case(
    name: str, what: str, make: Callable[[int], str], *, answered: bool = True, seconds: float = 1.0
) -> None:
    async def either(t: Trial) -> None:
        ident = t.fresh_id()
        await expect_read_or_violation(t, make(ident).encode(), ident if answered else None)

    either.__doc__ = f"{what}: read, or a framing violation."
    case(f"framing.{name}", requirement="FR-14", seconds=seconds)(either)


for _name, _what, _make in (
    ("nested-65", "65 levels", lambda i: ping_text(i, f'"x":{arrays(64)}')),
    ("nested-128", "128 levels", lambda i: ping_text(i, f'"x":{objects(127)}')),
    ("nested-2000", "2,000 levels", lambda i: ping_text(i, f'"x":{arrays(2000)}')),
    ("nested-100000", "100,000 levels", lambda i: ping_text(i, f'"x":{arrays(100_000)}')),
    ("nested-objects-100000", "100,000 levels of objects", lambda i: ping_text(i, f'"x":{objects(100_000)}')),
    ("number-1e400", "A number beyond a double", lambda i: ping_text(i, '"x":1e400')),
    ("number-minus-1e400", "A negative number beyond a double", lambda i: ping_text(i, '"x":[-1e400]')),
    ("number-400-digits", "An integer of 400 digits", lambda i: ping_text(i, f'"x":1{"0" * 400}')),
    ("number-5000-digits", "An integer of 5,000 digits", lambda i: ping_text(i, f'"x":{"9" * 5000}')),
    ("lone-surrogate", "A lone surrogate escape in a value", lambda i: ping_text(i, '"x":"\\ud83d"')),
    ("lone-low-surrogate", "A lone low surrogate escape", lambda i: ping_text(i, '"x":"a\\udd12b"')),
    ("lone-surrogate-name", "A lone surrogate escape in a name", lambda i: ping_text(i, '"\\ud83d":1')),
):
    _choice_case(_name, _what, _make)

for _name, _what, _body in (
    ("nested-array-100000", "An array of 100,000 levels", arrays(100_000)),
    ("number-beyond-as-id", "An `id` beyond a double", members('"type":"Ping"', '"id":1e400')),
    ("number-5000-digits-as-id", "An `id` of 5,000 digits", members('"type":"Ping"', f'"id":{"9" * 5000}')),
    ("lone-surrogate-type", "A lone surrogate escape in `type`", members('"type":"Ping\\ud83d"', '"id":1')),
):
    _choice_case(_name, _what, lambda _ident, body=_body: body, answered=False)  # type: ignore[misc]
