"""Closing: the code after a violation, and a clean end of the stream."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from gate_conformance import codec
from gate_conformance.case import case
from gate_conformance.cases._handshakes import opened, wait_end
from gate_conformance.cases._stopping import closed_after_stop
from gate_conformance.cases._support import expect_pong, ping_frame, pong_ids, quick_requests, unanswered
from gate_conformance.codec import MAX_BODY, frame
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.link import End, Link
    from gate_conformance.trial import Trial


def _needs_code(t: Trial, link: Link) -> None:
    if link.channel.kind != "stream":
        t.not_testable("standard output has no close code")


def _check_code(t: Trial, end: End, *codes: int) -> None:
    wanted = " or ".join(str(code) for code in codes)
    t.check(
        end.code in codes,
        f"a connection closed with code {wanted}",
        "no close code" if end.code is None else f"code {end.code}",
    )


def _code_case(name: str, what: str, raw: bytes, code: int, *, finish: bool = False) -> None:
    async def closes_with(t: Trial) -> None:
        link = await t.established()
        _needs_code(t, link)
        await link.barrier()
        await link.send_raw(raw)
        if finish:
            await link.finish()
        _check_code(t, await t.expect_violation(link), code)

    closes_with.__doc__ = f"{what} closes the connection with code {code}."
    case(f"closing.code-{name}", requirement="CL-01")(closes_with)


_code_case("oversize", "A length of 10,485,761", (MAX_BODY + 1).to_bytes(4, "big"), 2)
_code_case("oversize-sign-bit", "A length with the highest bit set", b"\xff\xff\xff\xff", 2)
_code_case("zero-length", "A length of 0", bytes(4), 1)
_code_case("bad-json", "A body that is no JSON", frame(b"{]"), 1)
_code_case("bad-utf-8", "A body that is no UTF-8", frame(b'"\xff"'), 1)
_code_case("bom", "A body with a byte order mark", frame(b"\xef\xbb\xbf{}"), 1)
_code_case("eof-in-body", "An end of stream inside a body", b"\0\0\0\x09{", 1, finish=True)
_code_case("eof-in-prefix", "An end of stream inside a prefix", b"\0\0\0", 1, finish=True)
_code_case("eof-after-one-byte", "An end of stream after the first byte of a prefix", b"\0", 1, finish=True)
_code_case("eof-after-prefix", "An end of stream after a prefix", b"\0\0\0\x05", 1, finish=True)


def _early_code_case(name: str, what: str, raw: bytes, code: int, *, finish: bool = False) -> None:
    async def closes_with(t: Trial) -> None:
        link = await opened(t)
        _needs_code(t, link)
        started = t.now()
        await link.send_raw(raw)
        if finish:
            await link.finish()
        # a dialer may wait for the end of its 5 s
        end = await wait_end(link, (5.0 if t.role == "acceptor" else 8.0) + link.channel.slack)
        if end is None:
            t.fail("the end of the connection", f"still open after {t.now() - started:.0f} s", "FR-08")
        _check_code(t, end, code)

    closes_with.__doc__ = f"{what} before the handshake closes the connection with code {code}, and not 3."
    case(f"closing.early-code-{name}", requirement="CL-01")(closes_with)


_early_code_case("oversize", "A length of 10,485,761", (MAX_BODY + 1).to_bytes(4, "big"), 2)
_early_code_case("zero-length", "A length of 0", bytes(4), 1)
_early_code_case("bad-json", "A body that is no JSON", frame(b"{]"), 1)
_early_code_case("bad-utf-8", "A body that is no UTF-8", frame(b'"\xff"'), 1)
_early_code_case("eof-in-body", "An end of stream inside a body", b"\0\0\0\x09{", 1, finish=True)


@case("closing.finish", requirement="CL-02")
async def finish(t: Trial) -> None:
    """After a clean end of the stream the node closes with code 0 within 5 s."""
    link = await t.established()
    await link.barrier()
    await link.finish()
    end = await link.expect_end(within=5.0)
    if link.channel.kind == "stream":
        _check_code(t, end, 0)
    await t.still_serving()


@case("closing.finish-with-answers", requirement="CL-02")
async def finish_with_answers(t: Trial) -> None:
    """Answers that are ready are sent after a clean end of the peer's direction."""
    link = await t.established()
    await link.barrier()
    requests = await quick_requests(t, link)
    pings = [link.fresh_id() for _ in range(20)]
    await link.send_raw(
        b"".join(map(codec.encode, requests)) + b"".join(ping_frame(ident) for ident in pings)
    )
    await link.finish()
    end = await link.expect_end(within=5.0)
    missing = [ident for ident in pings if ident not in pong_ids(link.received)]
    t.check(not missing, "a Pong for each Ping before the end", f"{len(missing)} of {len(pings)} missing")
    late = unanswered(link, requests)
    t.check(not late, "the responses before the end", f"the connection ended without those to {late}")
    if link.channel.kind == "stream":
        _check_code(t, end, 0)
    await t.still_serving()


@case("closing.finish-while-pending", requirement="CL-02", seconds=3.0)
async def finish_while_pending(t: Trial) -> None:
    """A request that is still pending does not hold up the close after a clean end."""
    if t.options.slow_domain is None:
        t.not_testable("needs --slow-domain, a name whose handler takes at least 6 s")
    link = await t.established()
    request = {
        "type": "DnsChallengeCreate",
        "request_id": link.fresh_request_id(),
        "domain": t.options.slow_domain,
        "txt_value": "B" * 43,
    }
    await link.send(request)
    await link.barrier()
    await link.finish()
    end = await link.expect_end(within=5.0)
    if link.channel.kind == "stream":
        _check_code(t, end, 0)
    await t.still_serving()


REASONS = ("", "bye", "\0\n%s{0}", "r" * 200, "\U0001f44b")
RESET_CODES = (7, 0, 1, 5, 2**62 - 1)  # with the first, that of the cases of TR-12, the code is no matter
CODES = (0, 1, 2, 3, 4, 5, 6, 7, 255, 65536, 2**32, 2**62 - 1)


@case("closing.any-code", requirement="CL-03", roles=("acceptor",), seconds=3.0)
async def any_code(t: Trial) -> None:
    """Whatever code and reason a peer closes with, the next connection is served as ever."""
    for code, reason in zip(CODES, itertools.cycle(REASONS), strict=False):
        link = await t.established()
        _needs_code(t, link)
        await link.barrier()
        link.close(code, reason)
        await t.forget(link)
        try:
            link = await t.established()
            await link.barrier()
        except CaseFailed as failed:
            t.fail(f"a new connection served after a close with code {code}", failed.actual)
        await t.forget(link)


@case("closing.any-reset-code", requirement="CL-10", seconds=3.0)
async def any_reset_code(t: Trial) -> None:
    """Whatever the code is with which a peer resets the control stream, the connection is closed."""
    for code in RESET_CODES:
        link = await t.established()
        await link.barrier()
        if not link.reset(code):
            t.not_testable("this kind of target has no resets")
        await link.expect_end(within=5.0, requirement="TR-12" if code == RESET_CODES[0] else None)
        await t.forget(link)
    await t.still_serving()


@case("closing.any-stop-code", requirement="CL-10", seconds=4.0)
async def any_stop_code(t: Trial) -> None:
    """Whatever the code is with which a peer stops the control stream, the connection is closed."""
    for code in RESET_CODES:
        link = await t.established()
        await closed_after_stop(t, link, code, requirement="TR-12" if code == RESET_CODES[0] else None)
        await t.forget(link)
    await t.still_serving()


@case("closing.target-ends", requirement="CL-04", roles=("dialer",), seconds=2.0)
async def target_ends(t: Trial) -> None:
    """A node that is told to end (SIGTERM) closes its connection with code 6."""
    link = await t.established()
    await link.barrier()
    if not link.channel.end_target():
        t.not_testable("it takes a target that the suite starts itself over Iroh (--dialer)")
    end = await wait_end(link, 10.0 + link.channel.slack)
    if end is None:
        t.warn("a connection closed with code 6", "still open 10 s after SIGTERM")
    else:
        _check_code(t, end, 6)


@case("closing.target-says-goodbye", requirement="CL-13", roles=("dialer",), seconds=2.0)
async def target_says_goodbye(t: Trial) -> None:
    """A node that ends its direction of the stream first, at SIGTERM, closes the connection within 5 s."""
    link = await t.established()
    await link.barrier()
    if not link.channel.end_target():
        t.not_testable("it takes a target that the suite starts itself over Iroh (--dialer)")
    if await link.until(lambda: link.ended is not None, 10.0 + link.channel.slack):
        assert link.ended is not None
        if link.ended.kind != "finished":
            t.unsupported(f"the target says no goodbye: it {link.ended}")
        report = await link.channel.wait_closed(5.0 + link.channel.slack)
        t.check(report.code is not None, "a close 5 s after the target's own end of stream", "no close")
    else:
        t.inconclusive("the target does not end at SIGTERM")


@case("closing.any-code-before-handshake", requirement="CL-03", roles=("acceptor",), seconds=2.0)
async def any_code_before_handshake(t: Trial) -> None:
    """Whatever code a peer closes with before its Handshake, the next connection is served as ever."""
    for code in CODES[1::3]:
        link = await t.connect()
        _needs_code(t, link)
        await link.send_raw(b"\0")
        link.close(code)
        await t.forget(link)
    await t.still_serving()


@case("closing.finish-before-handshake", requirement="CL-02", roles=("acceptor",))
async def finish_before_handshake(t: Trial) -> None:
    """A stream that ends before any Handshake is closed within 5 s too."""
    link = await t.connect()
    ident = link.fresh_id()
    await link.send_raw(ping_frame(ident))
    await expect_pong(t, link, ident)
    await link.finish()
    await link.expect_end(within=5.0)
    await t.still_serving()


# -- one connection of several ---------------------------------------------------------------------------


@case("closing.other-control-connection", requirement="CL-11", roles=("acceptor",), seconds=2.0)
async def other_control_connection(t: Trial) -> None:
    """A control connection goes on when another of the same peer ends, in whatever way."""
    first = await t.established()
    for code in (0, 1, 5, 6):
        link = await t.established()
        if link.channel.kind != "stream":
            t.not_testable("each stream has a process of its own here")
        await link.barrier()
        link.close(code)
        await t.forget(link)
    await first.settle(0.4)
    await first.barrier("CL-11")
