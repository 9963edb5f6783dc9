from __future__ import annotations

import pytest

from gate_p2p.core import (
    CloseCode,
    LocalProtocolError,
    MessageIgnored,
    PingReceived,
    RequestFailed,
    State,
    Terminated,
)

from .pair import Pair, established_acceptor, frame
from .test_requests import ask, create

PING = frame('{"type":"Ping","id":1}')


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (bytes(4), CloseCode.PROTOCOL_VIOLATION),
        (frame("nonsense"), CloseCode.PROTOCOL_VIOLATION),
        (b"\x00\xa0\x00\x01", CloseCode.FRAME_TOO_LARGE),
        (b"\xff\xff\xff\xff", CloseCode.FRAME_TOO_LARGE),
    ],
)
def test_after_a_violation_what_came_before_is_answered_and_nothing_after_it(
    bad: bytes, code: CloseCode
) -> None:
    connection = established_acceptor()
    events = connection.receive_data(PING + bad + PING, 100.0)
    assert [type(event) for event in events] == [PingReceived, Terminated]
    assert connection.close_code is code
    assert connection.finished
    assert connection.data_to_send() == frame('{"type":"Pong","id":1}')
    assert connection.receive_data(PING, 100.0) == []
    assert connection.data_to_send() == b""


@pytest.mark.parametrize("part", [1, 3, 4, 10])
def test_an_end_inside_a_frame_is_a_violation(part: int) -> None:
    connection = established_acceptor()
    connection.receive_data(PING[:part], 100.0)
    (event,) = connection.receive_eof(100.0)
    assert isinstance(event, Terminated)
    assert event.code is CloseCode.PROTOCOL_VIOLATION


def test_an_end_between_frames_is_a_goodbye() -> None:
    connection = established_acceptor()
    assert connection.receive_eof(100.0) == [Terminated(CloseCode.DONE, "the peer ended the stream")]
    assert connection.finished
    assert connection.receive_eof(100.0) == []


@pytest.mark.parametrize("bad", [b"", bytes(4)])
def test_answers_that_are_ready_within_a_second_are_sent_before_the_close(bad: bytes) -> None:
    connection = established_acceptor()
    connection.receive_data(create("soon") + create("late"), 100.0)
    if bad:
        connection.receive_data(bad, 100.0)
    else:
        connection.receive_eof(100.0)
    assert connection.state is State.DRAINING
    assert connection.next_deadline() == 101.0
    connection.answer_success("soon", 100.5)
    assert b"soon" in connection.data_to_send()
    assert connection.handle_timeout(100.9) == []
    connection.handle_timeout(101.0)
    assert connection.finished
    connection.answer_success("late", 102.0)
    assert connection.data_to_send() == b""


def test_the_drain_ends_with_the_last_answer() -> None:
    connection = established_acceptor()
    connection.receive_data(create("r"), 100.0)
    connection.receive_eof(100.0)
    assert not connection.finished
    connection.answer_failure("r", 100.2, error="no")
    assert connection.finished


def test_what_is_pending_fails_when_the_peer_says_goodbye() -> None:
    pair = Pair().established()
    request_id = ask(pair, "create")
    failed, terminated = pair.dialer.receive_eof(pair.now)
    assert isinstance(failed, RequestFailed)
    assert failed.request_id == request_id
    assert isinstance(terminated, Terminated)
    with pytest.raises(LocalProtocolError):
        ask(pair, "create")


def test_a_lost_connection_fails_what_is_pending_and_sends_nothing_more() -> None:
    pair = Pair().established()
    ask(pair, "create")
    events = pair.dialer.connection_lost(pair.now, "reset")
    assert [type(event) for event in events] == [RequestFailed, Terminated]
    assert pair.dialer.finished
    assert pair.dialer.data_to_send() == b""
    assert pair.dialer.connection_lost(pair.now) == []


def test_a_connection_lost_while_draining_is_finished() -> None:
    connection = established_acceptor()
    connection.receive_data(create("r") + bytes(4), 100.0)
    assert connection.connection_lost(100.1) == []
    assert connection.finished
    assert connection.close_code is CloseCode.PROTOCOL_VIOLATION


def test_our_own_close_says_why_and_is_final() -> None:
    pair = Pair().established()
    events = pair.dialer.close(pair.now, CloseCode.SHUTTING_DOWN, "stopping")
    assert events == [Terminated(CloseCode.SHUTTING_DOWN, "stopping")]
    assert pair.dialer.finished
    assert pair.dialer.close(pair.now) == []
    assert pair.dialer.close_reason == "stopping"
    with pytest.raises(LocalProtocolError):
        pair.dialer.renew_handshake(pair.now)


def test_data_to_send_can_be_taken_in_slices() -> None:
    pair = Pair()
    whole = bytes(pair.dialer._out)
    taken = b""
    while part := pair.dialer.data_to_send(7):
        assert len(part) <= 7
        taken += part
    assert taken == whole


def test_messages_of_no_consequence_leave_the_stream_open() -> None:
    connection = established_acceptor()
    for text in ("[]", "{}", '{"type":"Ping","id":-1}', '{"type":"Pong","id":1.5}', '{"type":"Handshake"}'):
        (event,) = connection.receive_data(frame(text), 100.0)
        assert isinstance(event, MessageIgnored)
    assert connection.established
    assert connection.data_to_send() == b""
