"""Framing: lengths, and frames however they are cut."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._support import (
    answers_ping,
    expect_ignored,
    expect_pong,
    expect_violation,
    members,
    padded_ping,
    ping_frame,
    pong_ids,
)
from gate_conformance.codec import MAX_BODY, frame

if TYPE_CHECKING:
    from gate_conformance.trial import Trial

# Long enough that each chunk is a read of its own, on a transport that keeps writes apart.
APART = 0.03


@case("framing.sends-frames", requirement="FR-01")
async def sends_frames(t: Trial) -> None:
    """Everything that the target sends is a frame of one JSON object."""
    link = await t.established()
    request = {"type": "RequestSniStream", "request_id": link.fresh_request_id(), "domain": "localhost"}
    await link.send(request)
    await link.expect_response(request)
    await link.barrier()
    await link.send({"type": "Handshake", "node_id": t.options.peer_id, "capabilities": []})
    await link.expect("HandshakeResponse", within=5.0)


@case("framing.sends-i-json", requirement="FR-13")
async def sends_i_json(t: Trial) -> None:
    """What the target writes is I-JSON, also where it repeats what it was sent."""
    link = await t.established()
    for text in (
        "caf\u00e9",
        "\U0001f512",
        'quote " backslash \\ slash /',
        "tab\tnewline\n",
        "\u2028",
        "x" * 2000,
    ):
        request = {"type": "RequestSniStream", "request_id": text, "domain": f"{text}.\u00e4"}
        await link.send(request)
        await link.expect_response(request)
    await link.barrier()


@case("framing.shortest-bodies", requirement="FR-02")
async def shortest_bodies(t: Trial) -> None:
    """Bodies of one and two bytes are frames like others."""
    link = await t.established()
    for body in (b"7", b"0", b"{}", b"[]", b'""', b"10"):
        await expect_ignored(t, link, body, f"the body {body.decode()}")


@case("framing.longest-body", requirement="FR-02", seconds=4.0)
async def longest_body(t: Trial) -> None:
    """A body of exactly 10,485,760 bytes is read."""
    link = await t.established()
    ident = link.fresh_id()
    await link.send_body(padded_ping(ident, MAX_BODY))
    # More than 5 s, because the time to carry 10 MiB is not the target's alone.
    await link.expect("Pong", within=20.0, id=ident)
    await link.barrier()


@case("framing.length-boundaries", requirement="FR-02", seconds=2.0)
async def length_boundaries(t: Trial) -> None:
    """Bodies around the powers of two that a length or a buffer could turn at are read."""
    link = await t.established()
    for size in (
        127,
        128,
        255,
        256,
        257,
        4095,
        4096,
        32767,
        32768,
        65531,
        65532,
        65535,
        65536,
        65537,
        1_048_577,
    ):
        ident = link.fresh_id()
        await answers_ping(t, link, padded_ping(ident, size), ident)


@case("framing.single-bytes", requirement="FR-05", seconds=2.0)
async def single_bytes(t: Trial) -> None:
    """A frame that comes in single bytes is one message."""
    link = await t.established()
    ident = link.fresh_id()
    await link.send_chunks((bytes([byte]) for byte in ping_frame(ident)), pause=0.01)
    await expect_pong(t, link, ident)


@case("framing.single-byte-handshake", requirement="FR-05", seconds=2.0)
async def single_byte_handshake(t: Trial) -> None:
    """The first frame may come in single bytes too."""
    link = await t.connect()
    if t.role == "acceptor":
        text = members('"type":"Handshake"', f'"node_id":"{t.options.peer_id}"', '"capabilities":[]')
    else:
        await link.expect("Handshake", within=10.0)
        text = members('"type":"HandshakeResponse"', '"accepted":true', '"capabilities":[]')
    data, start = frame(text.encode()), t.now()
    for index in range(len(data)):
        if t.now() - start > 1.5:  # a slow machine: the dialer waits 5 s only
            await link.send_raw(data[index:])
            break
        await link.send_raw(data[index : index + 1])
        await asyncio.sleep(0.005)
    if t.role == "acceptor":
        await link.expect("HandshakeResponse", within=5.0)
    await link.barrier()


def _cut_case(name: str, at: int, what: str) -> None:
    async def cut(t: Trial) -> None:
        link = await t.established()
        for _ in range(2):
            ident = link.fresh_id()
            data = ping_frame(ident)
            await link.send_chunks((data[:at], data[at:]), pause=0.15)
            await expect_pong(t, link, ident)

    cut.__doc__ = f"A frame cut {what} is one message."
    case(f"framing.{name}", requirement="FR-05")(cut)


for _name, _at, _what in (
    ("prefix-cut-1", 1, "after the first byte of its prefix"),
    ("prefix-cut-2", 2, "after the second byte of its prefix"),
    ("prefix-cut-3", 3, "after the third byte of its prefix"),
    ("prefix-apart", 4, "between prefix and body"),
    ("body-cut", 11, "inside its body"),
    ("last-byte-apart", -1, "before its last byte"),
):
    _cut_case(_name, _at, _what)


@case("framing.slow-frame", requirement="FR-05", seconds=6.0)
async def slow_frame(t: Trial) -> None:
    """A frame whose parts come seconds apart is one message."""
    link = await t.established()
    ident = link.fresh_id()
    data = ping_frame(ident)
    await link.send_chunks((data[:2], data[2:9], data[9:]), pause=2.6)
    await expect_pong(t, link, ident)


@case("framing.two-in-one", requirement="FR-05")
async def two_in_one(t: Trial) -> None:
    """Two frames in one write are two messages."""
    link = await t.established()
    first, second = link.fresh_id(), link.fresh_id()
    await link.send_raw(ping_frame(first) + ping_frame(second))
    await expect_pong(t, link, first)
    await expect_pong(t, link, second)


@case("framing.frame-and-part", requirement="FR-05", seconds=2.0)
async def frame_and_part(t: Trial) -> None:
    """A write may end anywhere inside the frame after a whole one."""
    link = await t.established()
    for rest in (1, 3, 4, 5, 20):
        first, second = link.fresh_id(), link.fresh_id()
        data, cut = ping_frame(first) + ping_frame(second), len(ping_frame(first)) + rest
        await link.send_raw(data[:cut])
        await expect_pong(t, link, first)
        await link.send_raw(data[cut:])
        await expect_pong(t, link, second)


@case("framing.many-in-one", requirement="FR-05", seconds=2.0)
async def many_in_one(t: Trial) -> None:
    """Hundreds of frames of many lengths in one write are all read, whatever buffers they straddle."""
    link = await t.established()
    wanted = [link.fresh_id() for _ in range(300)]
    frames = [frame(padded_ping(ident, 60 + (index * 37) % 1500)) for index, ident in enumerate(wanted)]
    await link.send_raw(b"".join(frames))
    for ident in wanted:
        await expect_pong(t, link, ident)


@case("framing.ignored-among-good", requirement="FR-05")
async def ignored_among_good(t: Trial) -> None:
    """Frames between, before and after ignored ones in one write are read."""
    link = await t.established()
    wanted = [link.fresh_id() for _ in range(3)]
    ignored = (b"[]", b'{"type":"Nothing"}', b'{"type":"Ping"}')
    await link.send_raw(
        b"".join(frame(body) + ping_frame(ident) for body, ident in zip(ignored, wanted, strict=True))
    )
    for ident in wanted:
        await expect_pong(t, link, ident)


@case("framing.frames-in-a-body", requirement="FR-05")
async def frames_in_a_body(t: Trial) -> None:
    """What looks like a frame inside a body is part of the body."""
    link = await t.established()
    inner, outer = link.fresh_id(), link.fresh_id()
    text = members(
        f'"pad":"\\u0000\\u0000\\u0000\\u0018{{\\"type\\":\\"Ping\\",\\"id\\":{inner}}}"', '"type":"Ping"'
    )
    await expect_ignored(t, link, text.encode(), "a frame inside a string", pongs=[inner])
    await answers_ping(t, link, padded_ping(outer, 0x7B7B), outer)


@case(
    "framing.generated-chunks",
    requirement="FR-05",
    seconds=3.0,
    given={
        "sizes": st.lists(st.integers(48, 400), min_size=1, max_size=6),
        "cuts": st.lists(st.integers(0, 2400), max_size=8),
        "between": st.lists(
            st.sampled_from([b"", b"null", b'{"type":"Nothing","id":1}', b"[[1]]"]), min_size=6, max_size=6
        ),
    },
    examples=25,
)
async def generated_chunks(t: Trial, sizes: list[int], cuts: list[int], between: list[bytes]) -> None:
    """Any cutting of a stream of frames gives the same messages."""
    link = await t.shared_link()
    wanted = [link.fresh_id() for _ in sizes]
    data = b""
    for ident, size, ignored in zip(wanted, sizes, between, strict=False):
        data += (frame(ignored) if ignored else b"") + frame(padded_ping(ident, size))
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
    await link.send_chunks([data[start:end] for start, end in itertools.pairwise(edges)], pause=0.004)
    for ident in wanted:
        await expect_pong(t, link, ident)


def _oversize_case(name: str, length: int, what: str) -> None:
    async def oversize(t: Trial) -> None:
        link = await t.established()
        await expect_violation(t, link, length.to_bytes(4, "big"))

    oversize.__doc__ = f"A length of {what} ends the connection before any of the body has come."
    case(f"framing.oversize-{name}", requirement="FR-03")(oversize)


for _name, _length, _what in (
    ("by-one", MAX_BODY + 1, "10,485,761"),
    ("16-mib", 0x0100_0000, "16 MiB"),
    ("100-mib", 0x0640_0000, "100 MiB"),
    ("2-gib-less-one", 0x7FFF_FFFF, "2^31-1"),
    ("sign-bit", 0x8000_0000, "2^31"),
    ("sign-bit-and-low", 0x8000_0020, "2^31+32"),
    ("all-ones", 0xFFFF_FFFF, "2^32-1"),
):
    _oversize_case(_name, _length, _what)


@case("framing.oversize-in-pieces", requirement="FR-03")
async def oversize_in_pieces(t: Trial) -> None:
    """An oversized length is judged also when its prefix comes in two writes."""
    link = await t.established()
    await link.barrier()
    prefix = (MAX_BODY + 1).to_bytes(4, "big")
    await link.send_chunks((prefix[:3], prefix[3:]), pause=0.15)
    await t.expect_violation(link)


@case("framing.oversize-with-frames", requirement="FR-03")
async def oversize_with_frames(t: Trial) -> None:
    """Frames after an oversized length are neither waited for as its body nor acted on."""
    link = await t.established()
    inner = link.fresh_id()
    raw = (MAX_BODY + 1).to_bytes(4, "big") + ping_frame(inner) * 3
    await expect_violation(t, link, raw, pongs=[inner], requirement="FR-08")


@case("framing.zero-length", requirement="FR-04")
async def zero_length(t: Trial) -> None:
    """A frame of length 0 ends the connection."""
    link = await t.established()
    await expect_violation(t, link, bytes(4))


@case("framing.zero-length-with-frame", requirement="FR-04")
async def zero_length_with_frame(t: Trial) -> None:
    """A length of 0 is not skipped when a good frame follows it."""
    link = await t.established()
    after = link.fresh_id()
    await expect_violation(t, link, bytes(4) + ping_frame(after), pongs=[after], requirement="FR-08")


@case("framing.zero-length-first", requirement="FR-04", roles=("acceptor",))
async def zero_length_first(t: Trial) -> None:
    """A length of 0 ends the connection before the handshake too."""
    link = await t.connect()
    await link.send_raw(bytes(4))
    await t.expect_violation(link)


@case("framing.sequence-of-good", requirement="FR-05")
async def sequence_of_good(t: Trial) -> None:
    """Frames keep their step over a hundred exchanges one after the other."""
    link = await t.established()
    for _ in range(100):
        ident = link.fresh_id()
        await link.send_raw(ping_frame(ident))
        await expect_pong(t, link, ident)
    t.check(
        not pong_ids(link.inbox), "one Pong for each Ping", f"more Pongs: {pong_ids(link.inbox)}", "LV-01"
    )
