"""What is read of a request without decoding it."""

from __future__ import annotations

import json

import pytest

from gate_p2p.core import RemoteProtocolError
from gate_p2p.core.documents import decode_document
from gate_p2p.session.inference_body import MAX_VALUES, InferenceBody


@pytest.mark.parametrize(
    ("raw", "model", "streamed", "lists_models"),
    [
        (b'{"model":"m","stream":true}', "m", True, False),
        (b' \n{"action" : "list_models" , "stream" : false }\t', None, False, True),
        (b'{"\\u0061ction":"list\\u005fmodels"}', None, False, True),
        (b'{"model":"first","model":"l\xc3\xa4st","stream":true,"stream":1}', "l\u00e4st", False, False),
        (b'{"model":"m","x":{"action":"list_models","stream":true}}', "m", False, False),
        (b'{"model":["m"],"stream":"true","action":["list_models"]}', None, False, False),
    ],
)
def test_the_members_that_count_are_the_last_of_their_names(
    raw: bytes, model: str | None, streamed: bool, lists_models: bool
) -> None:
    body = InferenceBody(raw)
    assert (body.model, body.streamed, body.lists_models) == (model, streamed, lists_models)
    assert body.decode() == json.loads(raw)


# as deep in a document as a decoder that looks for some members alone would skip
@pytest.mark.parametrize("place", [b"%s", b'{"model":"m","x":[{"y":%s}]}', b'{"model":%s}', b"[%s]"])
@pytest.mark.parametrize(
    "value",
    [
        *(
            b"",
            b"{",
            b"1 2",
            b"NaN",
            b"01",
            b"1.",
            b"-",
            b"tru",
            b"[1,]",
            b'{"a":1,}',
            b"{a:1}",
            b"[" * 100_000,
        ),
        *(b'"\n"', b'"\\q"', b'"\\u12"', b'"\\ud800"'),
        *(b"\xef\xbb\xbf1", b"\xff", b'"\xff"', b'"\xed\xa0\x80"'),
    ],
)
def test_what_is_no_json_is_no_request_wherever_it_stands(place: bytes, value: bytes) -> None:
    raw = place % value
    if raw != b"[]":
        with pytest.raises(RemoteProtocolError):
            decode_document(raw)
        with pytest.raises(RemoteProtocolError):
            InferenceBody(raw)


@pytest.mark.parametrize(
    ("value", "few"),
    [
        (b"[%s0]" % (b"0," * MAX_VALUES), False),
        (b"[%s[]]" % (b"[]," * (MAX_VALUES // 2)), False),
        (b"[%s{}]" % (b'{"":""},' * (MAX_VALUES // 2)), False),
        (b'["%s"]' % (b"a,[{" * MAX_VALUES), True),
        (b'["%s", "\\\\"]' % (b'\\",' * MAX_VALUES), True),
        (b'["\\\\", %s""]' % (b'"\\\\",' * (MAX_VALUES + 1)), False),
        (b"[%s]" % (b"0," * (MAX_VALUES // 2) + b"0"), True),
    ],
)
def test_values_are_counted_and_what_is_in_a_text_is_none(value: bytes, few: bool) -> None:
    body = InferenceBody(b'{"model":"m","x":%s}' % value)
    assert (body.values <= MAX_VALUES) is few
    assert (body.problem is None) is few
