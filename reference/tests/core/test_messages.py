from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate_p2p.core import (
    DnsChallengeCleanup,
    DnsChallengeResponse,
    DomainRegistrationRequest,
    Handshake,
    Ignored,
    Malformed,
    Message,
    NodeAddr,
    Ping,
    Pong,
    RemoteProtocolError,
    decode,
    encode,
)


@pytest.mark.parametrize(
    "message",
    [
        Handshake(node_id="ab" * 32, capabilities=("x", "y")),
        Ping(id=2**64 - 1),
        DnsChallengeResponse(request_id="r", success=False, error="é", code="failed"),
        DomainRegistrationRequest(
            request_id="r", node_addr=NodeAddr(id=tuple(range(32)), direct_addresses=("127.0.0.1:1",))
        ),
    ],
)
def test_what_is_encoded_is_read_back(message: Message) -> None:
    assert decode(encode(message)) == message


def test_absent_and_null_are_the_same() -> None:
    absent = decode(b'{"type":"DnsChallengeCleanup","request_id":"r","domain":"a.b"}')
    null = decode(b'{"type":"DnsChallengeCleanup","request_id":"r","domain":"a.b","txt_value":null}')
    assert absent == null == DnsChallengeCleanup(request_id="r", domain="a.b")


@pytest.mark.parametrize("document", ["[1,2]", '"Ping"', "null", "12", "true", '["Ping",{"id":1}]'])
def test_a_document_that_is_no_object_is_ignored(document: str) -> None:
    assert isinstance(decode(document.encode()), Ignored)


@pytest.mark.parametrize(
    "document", ["{}", '{"type":"Nope"}', '{"type":"ping","id":1}', '{"type":1,"id":1}', '{"type":null}']
)
def test_an_object_of_no_known_type_is_ignored(document: str) -> None:
    assert isinstance(decode(document.encode()), Ignored)


@pytest.mark.parametrize(
    "value",
    ["-1", str(2**64), "9" * 25, '"1"', "true", "null", "1.5", "[1]", "{}", "-9223372036854775809"],
)
def test_an_id_outside_its_range_is_malformed(value: str) -> None:
    assert isinstance(decode(f'{{"type":"Ping","id":{value}}}'.encode()), Malformed)


@given(st.integers(0, 2**64 - 1))
def test_every_id_in_the_range_is_kept_exact(value: int) -> None:
    assert decode(f'{{"id":{value},"type":"Pong"}}'.encode()) == Pong(id=value)


def test_a_malformed_request_gives_its_request_id_where_it_can_be_read() -> None:
    known = decode(b'{"type":"DnsChallengeCreate","request_id":"r1","domain":1,"txt_value":"x"}')
    unknown = decode(b'{"type":"DnsChallengeCreate","request_id":7,"domain":"a.b","txt_value":"x"}')
    assert isinstance(known, Malformed)
    assert (known.type, known.request_id) == ("DnsChallengeCreate", "r1")
    assert isinstance(unknown, Malformed)
    assert unknown.request_id is None


def test_a_registration_that_succeeds_without_domain_is_malformed() -> None:
    body = b'{"type":"DomainRegistrationResponse","request_id":"r","success":true}'
    assert isinstance(decode(body), Malformed)


def test_of_a_repeated_member_the_last_counts() -> None:
    assert decode(b'{"type":"Pong","id":1,"type":"Ping","id":2}') == Ping(id=2)
    assert decode(b'{"type":"Ping","id":"x","id":2}') == Ping(id=2)
    assert isinstance(decode(b'{"type":"Ping","id":2,"id":"x"}'), Malformed)
    repeated = b'{"type":"Pong","id":1,"type":"Ping","id":%d}' % 2**64
    assert isinstance(decode(repeated), Malformed)


@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        b" ",
        b"\xef\xbb\xbf{}",
        '{"type":"Ping","id":1}'.encode("utf-16"),
        b'{"type":"Ping","id":1} x',
        b'{"type":"Ping","id":1}\x00',
        b'{"type":"Ping","id":"x"} trailing',
        b'{"type":"Nope"} trailing',
        b'{"type":"Ping","id":1,"x":"\xff"}',
        b'{"type":"Ping","id":1,"x":"\xed\xa0\x80"}',
        b'{"type":"Ping","id":1,"x":"\x01"}',
        b'{"type":"Ping","id":1,"x":NaN}',
        b'{"type":"Ping","id":1,"x":-Infinity}',
        b'{"type":"Ping","id":01}',
        b'{"type":"Ping","id":1,}',
        b"{'type':'Ping','id':1}",
    ],
)
def test_a_body_that_is_no_json_document_is_a_violation(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(body)


def test_sixty_four_levels_are_read_and_a_million_do_not_crash() -> None:
    def nested(levels: int) -> bytes:
        return b'{"type":"Ping","id":1,"x":%s}' % (b"[" * (levels - 1) + b"]" * (levels - 1))

    assert decode(nested(64)) == Ping(id=1)
    with pytest.raises(RemoteProtocolError):
        decode(nested(1_000_000))


def test_white_space_escapes_and_the_order_of_members_mean_nothing() -> None:
    assert decode(b' {\r\n "id"\t:\n5 , "\\u0074ype" : "\\u0050ing" } \n') == Ping(id=5)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name not in {"type", "id"}), JSON))
def test_unknown_members_change_nothing(members: dict[str, object]) -> None:
    assert decode(json.dumps({**members, "type": "Ping", "id": 3}).encode()) == Ping(id=3)
