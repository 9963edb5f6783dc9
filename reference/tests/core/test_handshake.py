from __future__ import annotations

from typing import Any

import pytest

from gate_p2p.core import (
    CapabilitiesRenewed,
    CloseCode,
    Connection,
    Established,
    LocalProtocolError,
    MessageIgnored,
    PingReceived,
    RequestRefused,
    State,
    Terminated,
)
from gate_p2p.core.limits import MAX_FRAME

from .pair import ACCEPTOR_ID, CONSENT, DIALER_ID, HANDSHAKE, TXT, Pair, established_acceptor, frame


def dialer() -> Connection:
    connection = Connection.dialer(node_id=DIALER_ID, capabilities=("inference",), now=0.0)
    connection.data_to_send()
    return connection


def test_the_dialer_speaks_first_and_both_sides_are_established() -> None:
    pair = Pair()
    assert pair.acceptor.data_to_send() == b""
    at_dialer, at_acceptor = pair.exchange()
    assert at_acceptor == [Established(frozenset({"inference"}), DIALER_ID)]
    assert at_dialer == [Established(frozenset({"dns_challenge", "inference"}), None)]


def test_the_handshake_carries_our_own_id() -> None:
    connection = Connection.dialer(node_id=DIALER_ID, capabilities=("a", "b"), now=0.0)
    assert connection.data_to_send() == frame(
        f'{{"type":"Handshake","node_id":"{DIALER_ID}","capabilities":["a","b"]}}'
    )


@pytest.mark.parametrize("node_id", ["", "AB" * 32, "ab" * 31, "xy" * 32])
def test_an_id_that_is_no_node_id_is_refused_at_once(node_id: str) -> None:
    with pytest.raises(LocalProtocolError, match="node_id"):
        Connection.dialer(node_id=node_id, capabilities=(), now=0.0)


def test_an_acceptor_that_does_not_admit_answers_and_closes_a_second_later() -> None:
    pair = Pair(admit=False)
    at_dialer, at_acceptor = pair.exchange()
    assert isinstance(at_acceptor[-1], Terminated)
    assert at_dialer == [Terminated(CloseCode.HANDSHAKE_FAILED, "the peer refused the handshake")]
    assert (pair.dialer.finished, pair.acceptor.finished) == (True, False)
    assert pair.acceptor.next_deadline() == 101.0
    pair.pass_time(1.0)
    assert pair.acceptor.finished
    assert pair.acceptor.close_code is CloseCode.HANDSHAKE_FAILED


def test_a_dialer_takes_an_answer_within_five_seconds_and_gives_up_then() -> None:
    connection = dialer()
    assert connection.handle_timeout(4.9) == []
    assert isinstance(connection.receive_data(CONSENT, 4.9)[0], Established)
    connection = dialer()
    assert connection.next_deadline() == 5.0
    assert connection.handle_timeout(5.0) == [Terminated(CloseCode.HANDSHAKE_FAILED, "no handshake in time")]
    assert connection.finished
    assert connection.next_deadline() is None


def test_an_acceptor_without_handshake_closes_after_ten_seconds() -> None:
    connection = Connection.acceptor(node_id=ACCEPTOR_ID, capabilities=(), now=0.0)
    assert connection.handle_timeout(9.9) == []
    connection.handle_timeout(10.0)
    assert connection.close_code is CloseCode.HANDSHAKE_FAILED


def test_a_waiting_dialer_answers_ping_and_handshake_refuses_requests_and_waits_on() -> None:
    connection = dialer()
    events = connection.receive_data(
        frame('{"type":"Ping","id":1}')
        + frame('{"type":"Nope"}')
        + frame('{"type":"Pong","id":1}')
        + frame('{"type":"StreamReady","request_id":"x","stream_accepted":true}')
        + frame('{"type":"RequestInferenceStream","request_id":"q"}')
        + HANDSHAKE,
        1.0,
    )
    assert [type(event) for event in events] == [
        PingReceived,
        MessageIgnored,
        MessageIgnored,
        MessageIgnored,
        RequestRefused,
    ]
    assert connection.data_to_send() == (
        frame('{"type":"Pong","id":1}')
        + frame(
            '{"type":"StreamReady","request_id":"q","stream_accepted":false,'
            '"error":"the handshake is not done","code":"not_ready"}'
        )
        + frame('{"type":"HandshakeResponse","accepted":true,"capabilities":["inference"]}')
    )
    assert connection.state is State.AWAITING_RESPONSE
    assert isinstance(connection.receive_data(CONSENT, 2.0)[0], Established)


@pytest.mark.parametrize("response", ["", ',"accepted":1,"capabilities":[]', ',"accepted":true'])
def test_a_malformed_response_is_no_consent(response: str) -> None:
    connection = dialer()
    (event,) = connection.receive_data(frame(f'{{"type":"HandshakeResponse"{response}}}'), 1.0)
    assert isinstance(event, Terminated)
    assert event.code is CloseCode.HANDSHAKE_FAILED


@pytest.mark.parametrize("accepted", ["true", "false", "1"])
def test_a_handshake_response_that_nobody_asked_for_is_ignored(accepted: str) -> None:
    response = frame(f'{{"type":"HandshakeResponse","accepted":{accepted},"capabilities":[]}}')
    fresh = Connection.acceptor(node_id=ACCEPTOR_ID, capabilities=(), now=0.0)
    for connection in (established_acceptor(), fresh):
        state = connection.state
        (event,) = connection.receive_data(response, 101.0)
        assert isinstance(event, MessageIgnored)
        assert connection.state is state


def test_a_malformed_handshake_is_not_answered() -> None:
    connection = Connection.acceptor(node_id=ACCEPTOR_ID, capabilities=(), now=0.0)
    (event,) = connection.receive_data(frame('{"type":"Handshake","node_id":"x","capabilities":null}'), 1.0)
    assert isinstance(event, MessageIgnored)
    assert connection.data_to_send() == b""
    assert not connection.established


def test_a_request_before_the_handshake_is_refused_even_when_malformed() -> None:
    connection = Connection.acceptor(node_id=ACCEPTOR_ID, capabilities=(), now=0.0)
    for text in (
        '{"type":"DnsChallengeCreate","request_id":"r"}',
        '{"type":"RequestSniStream","request_id":"r","domain":"*"}',
    ):
        (event,) = connection.receive_data(frame(text), 1.0)
        assert isinstance(event, RequestRefused)
        assert event.code == "not_ready"
    with pytest.raises(LocalProtocolError):
        connection.request_dns_challenge_create("a.b", TXT, 1.0)


def test_either_side_may_renew_and_the_connection_goes_on() -> None:
    for side, other in (("dialer", "acceptor"), ("acceptor", "dialer")):
        pair = Pair().established()
        renewing: Connection = getattr(pair, side)
        renewing.renew_handshake(pair.now, ["sni_proxy"])
        assert renewing.state.name == "RENEWING"
        with pytest.raises(LocalProtocolError):
            renewing.renew_handshake(pair.now)
        events = dict(zip(("dialer", "acceptor"), pair.exchange(), strict=True))
        assert events[other] == [CapabilitiesRenewed(frozenset({"sni_proxy"}))]
        assert [type(event) for event in events[side]] == [CapabilitiesRenewed]
        assert renewing.state.name == "ESTABLISHED"
        assert renewing.next_deadline() == pair.now + 15.0


def test_a_renewal_keeps_the_capabilities_unless_new_ones_are_given() -> None:
    pair = Pair().established()
    pair.acceptor.renew_handshake(pair.now)
    assert pair.exchange()[0] == [CapabilitiesRenewed(frozenset({"dns_challenge", "inference"}))]


@pytest.mark.parametrize(
    ("capabilities", "problem"),
    [
        ("inference", "collection"),
        ([1], "collection"),
        (["\ud800"], "not Unicode"),
        (["x" * MAX_FRAME], "at most"),
    ],
)
def test_capabilities_that_cannot_be_sent_are_refused_and_change_nothing(
    capabilities: Any, problem: str
) -> None:
    for make in (Connection.dialer, Connection.acceptor):
        with pytest.raises(LocalProtocolError, match=problem):
            make(node_id=DIALER_ID, capabilities=capabilities, now=0.0)
    pair = Pair().established()
    with pytest.raises(LocalProtocolError, match=problem):
        pair.dialer.renew_handshake(pair.now, capabilities)
    assert pair.dialer.state is State.ESTABLISHED
    pair.dialer.renew_handshake(pair.now)
    _, (renewed,) = pair.exchange()
    assert renewed == CapabilitiesRenewed(frozenset({"inference"}))


def test_a_refused_or_unanswered_renewal_ends_the_connection() -> None:
    refused = established_acceptor()
    refused.renew_handshake(101.0)
    refused.receive_data(frame('{"type":"HandshakeResponse","accepted":false,"capabilities":[]}'), 102.0)
    assert refused.close_code is CloseCode.HANDSHAKE_FAILED
    unanswered = established_acceptor()
    unanswered.renew_handshake(101.0)
    unanswered.handle_timeout(106.0)
    assert unanswered.close_code is CloseCode.HANDSHAKE_FAILED
