"""JSON documents in frames: what is written, what is read, and where reading ends."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate_p2p.core import CloseCode, LocalProtocolError, RemoteProtocolError
from gate_p2p.core.documents import MAX_LEVELS, DocumentDecoder, decode_document, encode_document
from gate_p2p.core.limits import MAX_FRAME


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def nested(levels: int) -> dict[str, Any]:
    """An object with so many levels, itself included."""
    document: Any = {}
    for _ in range(levels - 1):
        document = [document]
    return {"a": document[0]} if isinstance(document, list) else {}


def test_a_document_is_compact_json_in_one_frame() -> None:
    assert encode_document({"a": [1, True, None, "é"], "b": 1.5}) == frame(
        '{"a":[1,true,null,"é"],"b":1.5}'.encode()
    )


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)
documents = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), values, max_size=4)


@given(st.lists(documents, max_size=5), st.data())
def test_what_is_written_is_read_however_the_stream_is_cut(
    sent: list[dict[str, Any]], data: st.DataObject
) -> None:
    stream = b"".join(map(encode_document, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder = DocumentDecoder()
    got = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += decoder.feed(stream[start:stop])
    decoder.end()
    assert got == sent
    assert decoder.violation is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "Out of range"),
        (float("-inf"), "Out of range"),
        (10**309, "beyond a double"),
        (-(10**309), "beyond a double"),
        ("\ud800", "surrogates"),
        ({1: "one", "1": "the same name"}, "no text"),
        ([b"bytes"], "a bytes"),
        ({"a"}, "a set"),
    ],
)
def test_what_is_no_i_json_is_not_sent(value: object, words: str) -> None:
    with pytest.raises(LocalProtocolError, match=words):
        encode_document({"a": value})


def test_the_largest_doubles_are_sent() -> None:
    largest = int(sys.float_info.max)
    assert json.loads(encode_document({"a": (largest, -largest)})[4:]) == {"a": [largest, -largest]}


def test_as_many_levels_are_sent_as_every_receiver_reads_and_no_more() -> None:
    assert decode_document(encode_document(nested(MAX_LEVELS))[4:]) == nested(MAX_LEVELS)
    with pytest.raises(LocalProtocolError, match="more than 64 levels"):
        encode_document(nested(MAX_LEVELS + 1))
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(LocalProtocolError, match="more than 64 levels"):
        encode_document({"a": endless})


def test_the_longest_frame_is_sent_and_read_and_a_byte_more_is_not() -> None:
    longest = {"a": "x" * (MAX_FRAME - len('{"a":""}'))}
    stream = encode_document(longest)
    assert len(stream) == 4 + MAX_FRAME
    assert DocumentDecoder().feed(stream) == [longest]
    with pytest.raises(LocalProtocolError, match="at most 10485760"):
        encode_document({"a": longest["a"] + "x"})


@pytest.mark.parametrize("body", [b"[]", b"1e-400", b'"text"', b"null", b' {"a":1,"a":2}\n'])
def test_any_json_document_is_read(body: bytes) -> None:
    assert decode_document(body) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [b"{", b"{} {}", b"NaN", b'"\n"', b"\xef\xbb\xbf{}", b"\xff", b'"\xed\xa0\x80"', b"[" * 100_000],
)
def test_a_body_that_is_no_json_document_is_a_violation_after_those_before_it(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_document(body)
    decoder = DocumentDecoder()
    assert decoder.feed(frame(b"1") + frame(body) + frame(b"2")) == [1]
    assert decoder.violation is not None
    assert decoder.violation.code is CloseCode.PROTOCOL_VIOLATION
    assert decoder.feed(frame(b"3")) == []
    before = decoder.violation
    decoder.end()
    assert decoder.violation is before


@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        (bytes(4), CloseCode.PROTOCOL_VIOLATION),
        ((MAX_FRAME + 1).to_bytes(4, "big"), CloseCode.FRAME_TOO_LARGE),
    ],
)
def test_a_bad_length_is_a_violation_with_its_code(prefix: bytes, code: CloseCode) -> None:
    decoder = DocumentDecoder()
    assert decoder.feed(frame(b"{}") + prefix) == [{}]
    assert decoder.violation is not None
    assert decoder.violation.code is code


@pytest.mark.parametrize("stop", [1, 4, 5])
def test_an_end_inside_a_frame_is_a_violation(stop: int) -> None:
    decoder = DocumentDecoder()
    assert decoder.feed(frame(b"{}")[:stop]) == []
    assert decoder.unfinished == stop
    assert decoder.violation is None
    decoder.end()
    assert decoder.violation is not None
    assert decoder.violation.code is CloseCode.PROTOCOL_VIOLATION
