from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate_p2p.core import CloseCode, FrameDecoder, encode_frame


def test_a_frame_is_a_big_endian_length_and_the_body() -> None:
    assert encode_frame(b"{}") == b"\x00\x00\x00\x02{}"


@given(st.lists(st.binary(min_size=1, max_size=40)), st.data())
def test_any_cutting_of_a_stream_gives_the_same_bodies(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(encode_frame, bodies))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    decoder = FrameDecoder(40)
    got = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += decoder.feed(stream[start:stop])
    assert got == bodies
    assert decoder.violation is None
    assert not decoder.inside_frame


def test_the_longest_frame_is_read_and_one_byte_more_is_judged_from_the_prefix() -> None:
    decoder = FrameDecoder(10)
    assert decoder.feed(encode_frame(b"x" * 10)) == [b"x" * 10]
    assert decoder.feed(b"\x00\x00\x00\x0b") == []
    assert decoder.violation is not None
    assert decoder.violation.code is CloseCode.FRAME_TOO_LARGE


def test_a_length_of_zero_is_a_violation_after_the_frames_before_it() -> None:
    decoder = FrameDecoder(10)
    assert decoder.feed(encode_frame(b"a") + bytes(4) + encode_frame(b"b")) == [b"a"]
    assert decoder.violation is not None
    assert decoder.violation.code is CloseCode.PROTOCOL_VIOLATION
    assert decoder.feed(encode_frame(b"c")) == []


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
def test_part_of_a_frame_shows_as_inside_frame(stop: int) -> None:
    decoder = FrameDecoder(10)
    decoder.feed(encode_frame(b"ab")[:stop])
    assert decoder.inside_frame


def test_a_long_frame_in_many_pieces_is_kept_once() -> None:
    decoder = FrameDecoder(1 << 20)
    stream = encode_frame(b"y" * (1 << 20)) + encode_frame(b"z")
    got = [body for i in range(0, len(stream), 4096) for body in decoder.feed(stream[i : i + 4096])]
    assert [len(body) for body in got] == [1 << 20, 1]


def test_the_bytes_of_a_frame_that_is_not_complete_are_counted_until_it_is_or_is_dropped() -> None:
    decoder = FrameDecoder(10)
    decoder.feed(encode_frame(b"abcdef")[:7])
    assert decoder.unfinished == 7
    decoder.feed(b"def" + b"\0")
    assert decoder.unfinished == 1
    decoder.drop()
    assert decoder.unfinished == 0
    assert not decoder.inside_frame
