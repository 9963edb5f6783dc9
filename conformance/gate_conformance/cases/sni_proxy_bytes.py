"""SNI-proxy streams: bytes both ways between a stream and a TCP connection, through relays and daemons."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from gate_conformance.case import case
from gate_conformance.cases._data import READY, alive
from gate_conformance.cases._proxied import PASSED_WITHIN, Proxied, proxied
from gate_conformance.codec import frame

if TYPE_CHECKING:
    from gate_conformance.trial import Trial

BULK = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(256)) * 40  # 327,680 bytes
ODD = bytes(range(256)) + READY + bytes(8) + frame(b'{"type":"Ping","id":1}') + b"\xff" * 8
CUT_WITHIN = 5.0
AT_ONCE = 1.0
LATENESS = 1.0  # seconds that the suite may be late itself
FLOOD = 64  # MiB: more than what a node and the kernels of both sides hold


async def _passes(t: Trial, pair: Proxied, up: bytes, down: bytes) -> None:
    """Wait until everything that came from TCP is ``up``, and from the stream ``down``."""
    await pair.stream.until(lambda: len(pair.from_tcp) >= len(up) or _stream_end(pair) != "open", 10.0)
    await pair.tcp.until(lambda: len(pair.from_stream) >= len(down) or _tcp_end(pair) != "open", 10.0)
    for name, sent, came in (("TCP", up, pair.from_tcp), ("the stream", down, pair.from_stream)):
        if came != sent:
            same = next((i for i, (a, b) in enumerate(zip(sent, came, strict=False)) if a != b), len(came))
            actual = f"{len(came)}, alike up to {same}; stream {_stream_end(pair)}, TCP {_tcp_end(pair)}"
            requirement = "SP-28" if t.case.requirement == "SP-28" else "SP-13"
            t.fail(f"the {len(sent)} bytes from {name}, as they were", actual, requirement)


async def _both(t: Trial, pair: Proxied) -> None:
    """A few bytes both ways."""
    await asyncio.gather(pair.tcp.send(ODD), pair.stream.send(ODD[::-1]))
    await _passes(t, pair, ODD, ODD[::-1])


def _stream_end(pair: Proxied) -> str:
    return "open" if pair.stream.ended is None else pair.stream.ended.kind


def _tcp_end(pair: Proxied) -> str:
    return pair.tcp.ended or "open"


@case("sni-proxy.raw-bytes", requirement="SP-13", seconds=9.0)
async def raw_bytes(t: Trial) -> None:
    """Bytes of every kind pass both ways at the same time, in order and unchanged."""
    async with proxied(t) as pair:
        await _both(t, pair)
        await asyncio.gather(pair.tcp.send(BULK), pair.stream.send(BULK[::-1]))
        await _passes(t, pair, ODD + BULK, ODD[::-1] + BULK[::-1])
        await alive(t, pair.link, "a visitor")


@case("sni-proxy.tcp-ends-first", requirement="SP-14", seconds=9.0)
async def tcp_ends_first(t: Trial) -> None:
    """The end of the TCP connection's direction ends the stream's, behind all bytes; the other goes on."""
    async with proxied(t) as pair:
        await pair.tcp.send(ODD)
        pair.tcp.finish()
        await pair.stream.until(lambda: pair.stream.ended is not None, PASSED_WITHIN)
        if _stream_end(pair) != "finished":
            t.fail("the clean end of the stream after that of TCP", _stream_end(pair))
        if pair.from_tcp != ODD:
            t.fail("all bytes before the end", f"{len(pair.from_tcp)} of {len(ODD)} bytes")
        await pair.stream.send(ODD[::-1])
        await pair.tcp.until(lambda: len(pair.from_stream) >= len(ODD), PASSED_WITHIN)
        if pair.from_stream != ODD[::-1] or _tcp_end(pair) != "open":
            t.fail(
                "the other direction open after an end", f"{len(pair.from_stream)} bytes, {pair.tcp.ended}"
            )
        await pair.stream.finish()
        await pair.tcp.until(lambda: pair.tcp.ended is not None, PASSED_WITHIN)
        if _tcp_end(pair) != "end":
            t.fail("the clean end of TCP after that of the stream", f"{pair.tcp.ended}")
        await alive(t, pair.link, "a visitor")


@case("sni-proxy.stream-ends-first", requirement="SP-14", seconds=9.0)
async def stream_ends_first(t: Trial) -> None:
    """The end of the stream's direction ends that of the TCP connection; the other goes on."""
    async with proxied(t) as pair:
        await pair.stream.send(ODD)
        await pair.stream.finish()
        await pair.tcp.until(lambda: pair.tcp.ended is not None, PASSED_WITHIN)
        if _tcp_end(pair) != "end" or pair.from_stream != ODD:
            t.fail("all bytes and a clean end of TCP", f"{len(pair.from_stream)} bytes, {pair.tcp.ended}")
        await pair.tcp.send(ODD[::-1])
        await pair.stream.until(lambda: len(pair.from_tcp) >= len(ODD), PASSED_WITHIN)
        if pair.from_tcp != ODD[::-1] or _stream_end(pair) != "open":
            t.fail(
                "the other direction open after an end", f"{len(pair.from_tcp)} bytes, {pair.stream.ended}"
            )
        pair.tcp.finish()
        await pair.stream.until(lambda: pair.stream.ended is not None, PASSED_WITHIN)
        if _stream_end(pair) != "finished":
            t.fail("the clean end of the stream after that of TCP", _stream_end(pair))
        await alive(t, pair.link, "a visitor")


@case("sni-proxy.tcp-cut-off", requirement="SP-15", seconds=9.0)
async def tcp_cut_off(t: Trial) -> None:
    """A TCP connection that is reset is passed on as a reset or a closed connection, not as a clean end."""
    async with proxied(t) as pair:
        await _both(t, pair)
        pair.tcp.abort()
        await pair.stream.until(lambda: pair.stream.ended is not None, CUT_WITHIN)
        if _stream_end(pair) in ("open", "finished"):
            t.fail(
                "a reset of the stream, or a close, after a reset of TCP", f"{pair.stream.ended or 'nothing'}"
            )
        await alive(t, pair.link, "a visitor who was cut off")


@case("sni-proxy.tcp-cut-off-code", requirement="SP-16", seconds=9.0)
async def tcp_cut_off_code(t: Trial) -> None:
    """When TCP is lost the stream is reset, or its connection closed, with code 0 within 1 s."""
    async with proxied(t) as pair:
        since = t.now()
        pair.tcp.abort()
        await pair.stream.until(lambda: pair.stream.ended is not None, CUT_WITHIN)
        end = pair.stream.ended
        t.check(end is not None, "an end of the stream after the loss of TCP", "none within 5 s")
        if end is not None:
            t.check(end.code == 0, "code 0", f"{end}")
            late = end.at - since
            t.check(late <= AT_ONCE + LATENESS, "the end within 1 s", f"after {late:.1f} s")
        await alive(t, pair.link, "a visitor who was lost")


@case("sni-proxy.stream-cut-off", requirement="SP-15", seconds=9.0)
async def stream_cut_off(t: Trial) -> None:
    """A stream that is reset ends the TCP connection, by a reset where the node can."""
    async with proxied(t) as pair:
        await _both(t, pair)
        pair.stream.reset(7)
        await pair.tcp.until(lambda: pair.tcp.ended is not None, CUT_WITHIN)
        if _tcp_end(pair) == "open":
            t.fail("the end of the TCP connection after a reset of the stream", "none within 5 s")
        t.note("reset" if _tcp_end(pair) == "reset" else "the TCP connection is closed, not reset")
        await alive(t, pair.link, "a stream that was cut off")


@case("sni-proxy.outlives-control", requirement="SP-28", seconds=9.0)
async def outlives_control(t: Trial) -> None:
    """A stream in use goes on when the control connection has ended."""
    async with proxied(t) as pair:
        await _both(t, pair)
        pair.link.close(0)
        await asyncio.sleep(1.0)
        await pair.tcp.send(BULK)
        await pair.stream.send(BULK)
        await _passes(t, pair, ODD + BULK, ODD[::-1] + BULK)
        await t.still_serving()


@case("sni-proxy.stream-not-read", requirement="SP-17", seconds=9.0)
async def stream_not_read(t: Trial) -> None:
    """A node reads no more from TCP than it can hand on to a stream that nobody reads."""
    async with proxied(t, stream_reading=False) as pair:
        taken = 0
        while taken < FLOOD and await pair.tcp.send(bytes(1 << 20), within=1.5):
            taken += 1
        if taken >= FLOOD:
            t.fail("no more taken than what is handed on", f"{FLOOD} MiB, of which nothing was read")
        if _tcp_end(pair) != "open":
            t.fail("a TCP connection that waits", f"its {_tcp_end(pair)} after {taken} MiB")
        t.note(f"{taken} MiB were taken")
        await alive(t, pair.link, "a stream that is not read")


@case("sni-proxy.tcp-not-read", requirement="SP-17", seconds=9.0)
async def tcp_not_read(t: Trial) -> None:
    """A node reads no more from a stream than it can hand on to a TCP connection that nobody reads."""
    async with proxied(t, tcp_reading=False) as pair:
        pair.tcp.pause()
        taken = 0
        while taken < FLOOD and await pair.stream.send(bytes(1 << 20), within=1.5):
            taken += 1
        if taken >= FLOOD:
            t.fail("no more taken than what is handed on", f"{FLOOD} MiB, of which nothing was read")
        if pair.stream.not_taken or _stream_end(pair) != "open":
            t.fail("a stream that waits", f"its end after {taken} MiB")
        t.note(f"{taken} MiB were taken")
        await alive(t, pair.link, "a TCP connection that is not read")


@case("closing.sni-proxy-through", requirement="CL-07", roles=("dialer",), seconds=9.0)
async def daemon_closes(t: Trial) -> None:
    """A daemon closes the connection with code 0 when both directions have ended."""
    async with proxied(t) as pair:
        await _end_both(pair)
        code = await pair.stream.code(4.0)
        t.check(code == 0, "a close with code 0 after both ends", f"code {code}")
        await alive(t, pair.link, "a visitor")


@case("closing.sni-proxy-through-relay", requirement="CL-08", roles=("acceptor",), seconds=9.0)
async def relay_closes(t: Trial) -> None:
    """A relay closes the connection with code 0 some 5 s after both ends, if the daemon has not."""
    async with proxied(t) as pair:
        await _end_both(pair)
        code = await pair.stream.code(12.0)
        t.check(code == 0, "a close with code 0 some 5 s after both ends", f"code {code}")
        await alive(t, pair.link, "a visitor")


async def _end_both(pair: Proxied) -> None:
    await pair.stream.finish()
    pair.tcp.finish()
    await pair.tcp.until(lambda: pair.tcp.ended is not None, PASSED_WITHIN)
    await pair.stream.until(lambda: pair.stream.ended is not None, PASSED_WITHIN)
