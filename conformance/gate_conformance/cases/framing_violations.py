"""Bodies that are no JSON in UTF-8, and what a receiver does after a framing violation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from gate_conformance import codec
from gate_conformance.case import case
from gate_conformance.cases._requests import start_slow
from gate_conformance.cases._support import (
    expect_violation,
    members,
    ping_frame,
    ping_text,
    pong_ids,
    quick_requests,
    unanswered,
)
from gate_conformance.codec import MAX_BODY, frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

BAD_JSON = frame(b'{"type":')
OVERSIZE = (MAX_BODY + 1).to_bytes(4, "big")
ZERO = bytes(4)


def _body_case(requirement: str, name: str, what: str, make: Callable[[int], bytes]) -> None:
    """A case for one bad body; ``make`` gives it for the id of the Ping that it may be taken for."""

    async def bad_body(t: Trial) -> None:
        link = await t.established()
        ident = link.fresh_id()
        await expect_violation(t, link, frame(make(ident)), pongs=[ident])

    bad_body.__doc__ = f"{what} ends the connection and is not acted on."
    case(f"framing.{name}", requirement=requirement)(bad_body)


def _with(member: str) -> Callable[[int], bytes]:
    """A Ping that has this further member."""
    return lambda ident: ping_text(ident, member).encode()


def _around(before: bytes = b"", after: bytes = b"") -> Callable[[int], bytes]:
    """A Ping with bytes before or after it."""
    return lambda ident: before + ping_text(ident).encode() + after


def _plain(body: bytes) -> Callable[[int], bytes]:
    return lambda _ident: body


def _as(encoding: str) -> Callable[[int], bytes]:
    return lambda ident: ping_text(ident).encode(encoding)


def _raw_member(value: bytes) -> Callable[[int], bytes]:
    """A Ping with a further member whose string value holds these bytes."""
    return lambda ident: ping_text(ident, '"x":"@"').encode().replace(b"@", value)


for _name, _what, _make in (
    ("word", "A body that is a bare word", _plain(b"hello")),
    ("white-space-only", "A body of white space alone", _plain(b" \r\n\t ")),
    ("nul-body", "A body of one NUL", _plain(b"\0")),
    ("truncated", "A body that breaks off inside its object", lambda i: ping_text(i).encode()[:-1]),
    ("truncated-string", "A string without its end", lambda i: ping_text(i, '"x":"abc').encode()[:-1]),
    ("truncated-array", "An array without its end", _plain(b"[1,[2]")),
    ("trailing-text", "A text after the document", _around(after=b"x")),
    ("trailing-document", "A second document after the first", lambda i: ping_text(i).encode() * 2),
    ("trailing-line", "A second document on a line of its own", lambda i: f"{ping_text(i)}\n{{}}".encode()),
    ("trailing-nul", "A NUL after the document", _around(after=b"\0")),
    ("trailing-brace", "A brace too many", _around(after=b"}")),
    ("trailing-comma", "A comma before the closing brace", lambda i: ping_text(i).encode()[:-1] + b",}"),
    ("leading-nul", "A NUL before the document", _around(before=b"\0")),
    ("form-feed", "A form feed as white space", _around(before=b"\x0c")),
    ("no-break-space", "A no-break space as white space", _around(after="\u00a0".encode())),
    ("nan", "NaN", _with('"x":NaN')),
    ("infinity", "Infinity", _with('"x":Infinity')),
    ("minus-infinity", "-Infinity", _with('"x":-Infinity')),
    ("nan-in-array", "NaN in a document that is no object", _plain(b"[NaN]")),
    ("raw-newline", "A raw newline in a string", _raw_member(b"\n")),
    ("raw-tab", "A raw tab in a string", _raw_member(b"\t")),
    ("raw-nul", "A raw NUL in a string", _raw_member(b"\0")),
    ("raw-control", "A raw control character (U+001F) in a string", _raw_member(b"\x1f")),
    ("raw-control-in-name", "A raw control character in a name", _with('"a\u0001":1')),
    ("single-quotes", "Single quotes", lambda i: ping_text(i).encode().replace(b'"', b"'")),
    ("bare-names", "Names without quotes", lambda i: f'{{type:"Ping",id:{i}}}'.encode()),
    ("comment", "A comment", _around(after=b"// x")),
    (
        "leading-zero",
        "A number with a leading zero",
        lambda i: members('"type":"Ping"', f'"id":0{i}').encode(),
    ),
    ("plus-sign", "A number with a plus sign", lambda i: members('"type":"Ping"', f'"id":+{i}').encode()),
    ("bare-point", "A number that ends with its point", _with('"x":1.')),
    ("bad-escape", "An escape that JSON does not have", _with('"x":"\\x41"')),
    ("python-literal", "True with a capital", _with('"x":True')),
    ("missing-comma", "A missing comma", lambda i: f'{{"type":"Ping" "id":{i}}}'.encode()),
    ("malformed-then-garbage", "Garbage after an ill-typed member", _plain(b'{"type":"Ping","id":"x",,}')),
    ("unknown-then-garbage", "Garbage after an unknown type", _plain(b'{"type":"Nothing","x":oops}')),
):
    _body_case("FR-06", _name, _what, _make)

for _name, _what, _make in (
    ("bom", "A byte order mark before the object", _around(before=b"\xef\xbb\xbf")),
    ("bom-alone", "A body that is a byte order mark", _plain(b"\xef\xbb\xbf")),
    ("utf-16-le", "UTF-16, little endian", _as("utf-16-le")),
    ("utf-16-be", "UTF-16, big endian", _as("utf-16-be")),
    ("utf-16-bom", "UTF-16 with a byte order mark", _as("utf-16")),
    ("utf-32", "UTF-32", _as("utf-32-be")),
    ("bad-utf-8-value", "Invalid UTF-8 in an unknown member", _raw_member(b"\xff")),
    (
        "bad-utf-8-name",
        "Invalid UTF-8 in the name of an unknown member",
        lambda i: ping_text(i, '"@":1').encode().replace(b"@", b"\xfe"),
    ),
    ("bad-utf-8-type", "Invalid UTF-8 in `type`", _plain(b'{"type":"Pi\x80ng","id":1}')),
    (
        "bad-utf-8-known",
        "Invalid UTF-8 in a known member",
        _plain(b'{"type":"RequestInferenceStream","request_id":"\xc3("}'),
    ),
    ("bad-utf-8-ignored", "Invalid UTF-8 in a document that is no object", _plain(b'["\xff"]')),
    ("latin-1", "Latin-1", _raw_member(b"caf\xe9")),
    ("overlong-utf-8", "An overlong UTF-8 form", _raw_member(b"\xc0\xaf")),
    ("surrogate-utf-8", "A surrogate in UTF-8", _raw_member(b"\xed\xa0\xbd\xed\xb4\x92")),
    ("beyond-unicode", "A code point beyond U+10FFFF", _raw_member(b"\xf4\x90\x80\x80")),
    ("cut-utf-8", "A UTF-8 sequence cut short by the end of the string", _raw_member(b"\xe2\x82")),
):
    _body_case("FR-07", _name, _what, _make)


def _garbage() -> st.SearchStrategy[bytes]:
    """Bodies of all kinds that are framing violations by the codec's judgement."""
    good = '{"type":"Ping","id":7,"x":[1,{"y":"z"}],"w":null}'
    cut = st.integers(1, len(good) - 1).map(lambda at: good[:at].encode())
    changed = st.tuples(
        st.integers(0, len(good) - 1), st.sampled_from([b"\0", b"\xff", b"'", b",", b"}", b"x"])
    ).map(lambda drawn: good[: drawn[0]].encode() + drawn[1] + good[drawn[0] + 1 :].encode())
    anything = st.one_of(
        st.binary(min_size=1, max_size=60), st.text(min_size=1, max_size=30).map(_encoded), cut, changed
    )
    return anything.filter(lambda body: codec.judge(body).verdict == "framing_violation")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@case(
    "framing.generated-garbage",
    requirement="FR-06",
    roles=("acceptor",),
    seconds=6.0,
    given={"body": _garbage()},
    examples=12,
)
async def generated_garbage(t: Trial, body: bytes) -> None:
    """Whatever is no JSON in UTF-8 ends the connection."""
    link = await t.established()
    await link.send_body(body)
    await t.expect_violation(link)


@case(
    "framing.generated-garbage-to-dialer",
    requirement="FR-06",
    roles=("dialer",),
    seconds=3.0,
    given={"body": _garbage()},
    examples=3,
)
async def generated_garbage_to_dialer(t: Trial, body: bytes) -> None:
    """Whatever is no JSON in UTF-8 ends the connection of a dialer too."""
    link = await t.established()
    await link.send_body(body)
    await t.expect_violation(link)


# -- after a violation -----------------------------------------------------------------------------


async def _nothing_after(t: Trial, bad: bytes) -> None:
    link = await t.established()
    same, later = link.fresh_id(), link.fresh_id()
    link.tolerate_pong(later)
    link.tolerate_pong(same)
    await link.barrier()
    await link.send_chunks((bad + ping_frame(same), ping_frame(later)), pause=0.1)
    await t.expect_violation(link)
    acted = [ident for ident in pong_ids(link.received) if ident in (same, later)]
    t.check(not acted, "no answer to frames after a violation", f"a Pong with id {acted}")


@case("framing.nothing-after-zero-length", requirement="FR-08")
async def nothing_after_zero_length(t: Trial) -> None:
    """Frames after a length of 0 are not acted on, and the connection ends."""
    await _nothing_after(t, ZERO)


@case("framing.nothing-after-oversize", requirement="FR-08")
async def nothing_after_oversize(t: Trial) -> None:
    """Frames after an oversized length are not acted on, and the connection ends."""
    await _nothing_after(t, OVERSIZE)


@case("framing.nothing-after-bad-json", requirement="FR-08")
async def nothing_after_bad_json(t: Trial) -> None:
    """Frames after a body that is no JSON are not acted on, and the connection ends."""
    await _nothing_after(t, BAD_JSON)


@case("framing.nothing-after-bad-utf-8", requirement="FR-08")
async def nothing_after_bad_utf_8(t: Trial) -> None:
    """Frames after a body that is no UTF-8 are not acted on, and the connection ends."""
    await _nothing_after(t, frame(b'{"x":"\xff"}'))


@case("framing.ends-under-traffic", requirement="FR-08", seconds=2.0)
async def ends_under_traffic(t: Trial) -> None:
    """The connection ends within 5 s of a violation although the peer goes on sending."""
    link = await t.established()
    after = [link.fresh_id() for _ in range(12)]
    for ident in after:
        link.tolerate_pong(ident)
    await link.barrier()
    await link.send_chunks([BAD_JSON, *(ping_frame(ident) for ident in after)], pause=0.05)
    await t.expect_violation(link)
    acted = [ident for ident in pong_ids(link.received) if ident in after]
    t.check(not acted, "no answer to frames after a violation", f"a Pong with id {acted}")


@case("framing.ends-while-pending", requirement="FR-08", seconds=6.0)
async def ends_while_pending(t: Trial) -> None:
    """A slow request in flight does not keep the connection open after a violation."""
    link = await t.established()
    await start_slow(t, link, txt_value="B" * 43)  # stays behind: the same wherever a case leaves early
    await link.send_raw(BAD_JSON)
    await t.expect_violation(link)


# -- before a violation ----------------------------------------------------------------------------


async def _good_before(t: Trial, bad: bytes) -> None:
    link = await t.established()
    good = [link.fresh_id() for _ in range(3)]
    await link.barrier()
    await link.send_raw(b"".join(ping_frame(ident) for ident in good) + bad)
    await t.expect_violation(link)
    answered = pong_ids(link.received)
    missing = [ident for ident in good if ident not in answered]
    if len(missing) == len(good):
        t.fail("the Pings before the violation to be acted on", "no Pong for any of them")
    if missing:
        t.warn("a Pong for each Ping before the violation", f"{len(missing)} of {len(good)} missing", "FR-10")


@case("framing.good-before-zero-length", requirement="FR-09")
async def good_before_zero_length(t: Trial) -> None:
    """Good frames in the same write before a length of 0 are acted on."""
    await _good_before(t, ZERO)


@case("framing.good-before-oversize", requirement="FR-09")
async def good_before_oversize(t: Trial) -> None:
    """Good frames in the same write before an oversized length are acted on."""
    await _good_before(t, OVERSIZE)


@case("framing.good-before-bad-json", requirement="FR-09")
async def good_before_bad_json(t: Trial) -> None:
    """Good frames in the same write before a body that is no JSON are acted on."""
    await _good_before(t, BAD_JSON)


@case("framing.good-before-eof", requirement="FR-09")
async def good_before_eof(t: Trial) -> None:
    """Good frames before an end of stream inside a frame are acted on."""
    link = await t.established()
    good = link.fresh_id()
    await link.barrier()
    await link.send_raw(ping_frame(good) + ping_frame(good + 1)[:9])
    await link.finish()
    await t.expect_violation(link)
    if good not in pong_ids(link.received):
        t.fail("the Ping before the part of a frame to be acted on", "no Pong for it")


@case("framing.answers-before-close", requirement="FR-10", seconds=2.0)
async def answers_before_close(t: Trial) -> None:
    """Answers to earlier messages that are ready go out before the close."""
    link = await t.established()
    requests, ident = await quick_requests(t, link), link.fresh_id()
    await link.send_raw(b"".join(map(codec.encode, requests)) + ping_frame(ident) + BAD_JSON)
    await t.expect_violation(link)
    t.check(ident in pong_ids(link.received), "the Pong before the close", "the connection ended without it")
    missing = unanswered(link, requests)
    t.check(not missing, "the responses before the close", f"the connection ended without those to {missing}")


# -- the end of the stream inside a frame ----------------------------------------------------------


async def _end_inside(t: Trial, part: bytes, pongs: list[int], link: Link) -> None:
    for ident in pongs:
        link.tolerate_pong(ident)
    await link.barrier()
    await link.send_raw(part)
    await link.finish()
    await t.expect_violation(link)
    acted = [ident for ident in pong_ids(link.received) if ident in pongs]
    t.check(not acted, "the part of a frame not to be acted on", f"a Pong with id {acted}")


@case("framing.eof-in-prefix", requirement="FR-11", seconds=2.0)
async def eof_in_prefix(t: Trial) -> None:
    """A stream that ends inside a prefix is ended by the node."""
    link = await t.established()
    await _end_inside(t, b"\0\0", [], link)


@case("framing.eof-after-prefix", requirement="FR-11")
async def eof_after_prefix(t: Trial) -> None:
    """A stream that ends between prefix and body is ended by the node."""
    link = await t.established()
    await _end_inside(t, b"\0\0\0\x20", [], link)


@case("framing.eof-in-body", requirement="FR-11")
async def eof_in_body(t: Trial) -> None:
    """A stream that ends inside a body is ended by the node, and the part is not acted on."""
    link = await t.established()
    ident = link.fresh_id()
    body = ping_text(ident).encode()
    await _end_inside(t, (len(body) + 1).to_bytes(4, "big") + body, [ident], link)


@case("framing.eof-far-in-body", requirement="FR-11")
async def eof_far_in_body(t: Trial) -> None:
    """A whole message in a frame that promised 10 MiB is not acted on when the stream ends."""
    link = await t.established()
    ident = link.fresh_id()
    await _end_inside(t, MAX_BODY.to_bytes(4, "big") + ping_text(ident).encode(), [ident], link)
