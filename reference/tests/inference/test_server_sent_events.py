"""Server-sent events out of bytes, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate_p2p.server_sent_events import EventDecoder, TooLongError

STREAM = (
    b"\xef\xbb\xbf: a comment\n\n"
    b"data: one\n\n"
    b"event: x\r\nid: 7\r\ndata:two\r\ndata: lines\r\n\r\n"
    b"data\rretry: 9\r\r"
    b"\n\n\ndata:  [DONE]\n\n"
)
EVENTS = [b"one", b"two\nlines", b"", b" [DONE]"]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_any_cutting_of_a_stream_gives_the_same_events(cuts: list[int]) -> None:
    decoder = EventDecoder(100)
    got = []
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(STREAM)], strict=True):
        got += list(decoder.feed(STREAM[start:stop]))
    assert got == EVENTS
    assert decoder.end() is None


@pytest.mark.parametrize("rest", [b"data: last", b"data: last\n"])
def test_the_last_event_needs_no_blank_line(rest: bytes) -> None:
    decoder = EventDecoder(100)
    assert list(decoder.feed(rest)) == []
    assert decoder.end() == b"last"


@pytest.mark.parametrize("piece", [b"x", b"data: x\n"])
def test_what_never_ends_is_bounded(piece: bytes) -> None:
    decoder = EventDecoder(100)

    def feed() -> None:
        for _ in range(101):
            list(decoder.feed(piece))

    with pytest.raises(TooLongError):
        feed()


def test_events_before_one_that_is_too_long_are_given_out() -> None:
    events = EventDecoder(20).feed(b"data: good\n\ndata: " + b"x" * 20)
    assert next(events) == b"good"
    with pytest.raises(TooLongError):
        next(events)


def test_comments_do_not_pile_up() -> None:
    decoder = EventDecoder(20)
    for _ in range(1000):
        assert list(decoder.feed(b": still here\n\n")) == []
