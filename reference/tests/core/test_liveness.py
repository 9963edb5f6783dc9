from __future__ import annotations

import pytest

from gate_p2p.core import (
    CloseCode,
    Connection,
    LocalProtocolError,
    MessageIgnored,
    PingReceived,
    PongReceived,
    RequestFailed,
    Terminated,
)
from gate_p2p.core.liveness import MAX_UNANSWERED_PINGS, Liveness

from .pair import ACCEPTOR_ID, TXT, Pair, established_acceptor, frame


def test_ping_is_answered_with_its_id_before_the_handshake_too() -> None:
    connection = Connection.acceptor(node_id=ACCEPTOR_ID, capabilities=(), now=0.0)
    events = connection.receive_data(frame('{"type":"Ping","id":18446744073709551615}'), 0.0)
    assert events == [PingReceived(2**64 - 1)]
    assert connection.data_to_send() == frame('{"type":"Pong","id":18446744073709551615}')


def test_a_ping_is_answered_without_an_event_where_nobody_wants_one() -> None:
    connection = established_acceptor()
    connection.report_pings = False
    assert connection.receive_data(frame('{"type":"Ping","id":7}'), 101.0) == []
    assert connection.data_to_send() == frame('{"type":"Pong","id":7}')


def test_our_ping_is_answered_once_and_other_pongs_are_ignored() -> None:
    pair = Pair().established()
    number = pair.dialer.ping(pair.now)
    at_dialer, at_acceptor = pair.exchange()
    assert at_acceptor == [PingReceived(number)]
    assert at_dialer == [PongReceived(number)]
    (event,) = pair.dialer.receive_data(frame(f'{{"type":"Pong","id":{number}}}'), pair.now)
    assert isinstance(event, MessageIgnored)


def test_no_ping_before_the_handshake() -> None:
    with pytest.raises(LocalProtocolError):
        Pair().dialer.ping(0.0)


def test_two_ends_keep_each_other_alive() -> None:
    pair = Pair().established()
    at_dialer, at_acceptor = pair.pass_time(600.0)
    assert not any(isinstance(event, Terminated) for event in at_dialer + at_acceptor)
    pings = sum(isinstance(event, PingReceived) for event in at_dialer + at_acceptor)
    assert 600 / 20 <= pings <= 2 * 600 / 15


def test_silence_brings_a_ping_after_15_and_30_and_the_end_after_45_seconds() -> None:
    connection = established_acceptor()
    for at in (115.0, 130.0):
        assert connection.next_deadline() == at
        assert connection.handle_timeout(at) == []
        assert b'"Ping"' in connection.data_to_send()
    assert connection.next_deadline() == 145.0
    (event,) = connection.handle_timeout(145.0)
    assert isinstance(event, Terminated)
    assert connection.close_code is CloseCode.TIMEOUT


def test_a_peer_at_work_on_dns_is_given_until_the_deadline_of_the_request() -> None:
    pair = Pair().established()
    request_id = pair.dialer.request_dns_challenge_create("a.example", TXT, pair.now, timeout=300.0)
    pair.dialer.request_sni_stream("a.example", pair.now, timeout=320.0)  # needs no DNS, forgives no silence
    pair.dialer.data_to_send()
    for at in (115.0, 130.0, 145.0, 385.0):
        assert pair.dialer.handle_timeout(at) == []
    expired, *others, end = pair.dialer.handle_timeout(400.0)
    assert isinstance(expired, RequestFailed)
    assert (expired.request_id, expired.code) == (request_id, "timed_out")
    assert isinstance(end, Terminated)
    assert (end.code, end.reason) == (CloseCode.TIMEOUT, "nothing received for 300 s")
    assert [type(event) for event in others] == [RequestFailed]


def test_silence_is_not_forgiven_for_a_request_that_was_cancelled() -> None:
    pair = Pair().established()
    request_id = pair.dialer.request_dns_challenge_create("a.example", TXT, pair.now)
    assert pair.dialer.handle_timeout(145.0) == []
    pair.dialer.cancel_request(request_id)
    (event,) = pair.dialer.handle_timeout(146.0)
    assert isinstance(event, Terminated)


def test_silence_is_not_forgiven_any_more_once_the_answer_is_there() -> None:
    pair = Pair().established()
    request_id = pair.dialer.request_dns_challenge_create("a.example", TXT, pair.now)
    pair.acceptor.receive_data(pair.dialer.data_to_send(), pair.now)
    assert pair.dialer.handle_timeout(145.0) == []
    pair.acceptor.answer_success(request_id, 160.0)
    pair.dialer.receive_data(pair.acceptor.data_to_send(), 160.0)
    assert pair.dialer.handle_timeout(204.0) == []
    (event,) = pair.dialer.handle_timeout(205.0)
    assert isinstance(event, Terminated)


def test_any_byte_counts_as_a_sign_of_life() -> None:
    connection = established_acceptor()
    connection.receive_data(b"\x00", 110.0)
    assert connection.next_deadline() == 125.0
    connection.receive_data(b"", 120.0)
    assert connection.next_deadline() == 125.0


def test_a_clock_that_steps_back_undoes_nothing() -> None:
    connection = established_acceptor()
    connection.receive_data(frame('{"type":"Ping","id":1}'), 120.0)
    connection.receive_data(frame('{"type":"Ping","id":2}'), 50.0)
    assert connection.next_deadline() == 135.0


def test_early_calls_do_nothing() -> None:
    connection = established_acceptor()
    assert connection.handle_timeout(101.0) == []
    assert connection.data_to_send() == b""


def test_a_peer_that_answers_no_ping_does_not_grow_the_table() -> None:
    liveness = Liveness(0.0, 15.0, 45.0)
    ids = [liveness.next_ping(0.0) for _ in range(MAX_UNANSWERED_PINGS + 5)]
    assert not liveness.is_answered_by(ids[4])
    assert liveness.is_answered_by(ids[5])
    assert not liveness.is_answered_by(ids[5])
