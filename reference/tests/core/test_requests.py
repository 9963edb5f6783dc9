from __future__ import annotations

import pytest

from gate_p2p.core import (
    Connection,
    DnsChallengeCreate,
    FailureCode,
    Limits,
    LocalProtocolError,
    MessageIgnored,
    MissingCapabilityError,
    NodeAddr,
    Refusal,
    Request,
    RequestFailed,
    RequestReceived,
    RequestRefused,
    ResponseReceived,
    decode,
)
from gate_p2p.core.limits import MAX_FRAME

from .pair import TXT, Pair, established_acceptor, frame

ADDRESS = NodeAddr(id=(7,) * 32, direct_addresses=("127.0.0.1:1",))


def create(request_id: str, domain: str = "a.example") -> bytes:
    return frame(
        f'{{"type":"DnsChallengeCreate","request_id":"{request_id}","domain":"{domain}","txt_value":"{TXT}"}}'
    )


def answers(connection: Connection) -> list[object]:
    found: list[object] = []
    data = connection.data_to_send()
    while data:
        length = int.from_bytes(data[:4])
        found.append(decode(data[4 : 4 + length]))
        data = data[4 + length :]
    return found


def ask(pair: Pair, kind: str) -> str:
    dialer, now = pair.dialer, pair.now
    match kind:
        case "create":
            return dialer.request_dns_challenge_create("a.example", TXT, now)
        case "cleanup":
            return dialer.request_dns_challenge_cleanup("a.example", now, TXT)
        case "sni":
            return dialer.request_sni_stream("a.example", now)
        case "inference":
            return dialer.request_inference_stream(now)
        case _:
            return dialer.request_domain_registration(ADDRESS, now)


KINDS = ["create", "cleanup", "sni", "inference", "registration"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("success", [True, False])
def test_a_request_is_delivered_and_its_answer_comes_back(kind: str, success: bool) -> None:
    pair = Pair().established()
    request_id = ask(pair, kind)
    ((received,),) = (pair.exchange()[1],)
    assert isinstance(received, RequestReceived)
    assert received.request.request_id == request_id
    assert pair.dialer.pending == pair.acceptor.in_flight == 1
    if success:
        domain = "n.example" if kind == "registration" else None
        pair.acceptor.answer_success(request_id, pair.now, domain=domain)
    else:
        pair.acceptor.answer_failure(request_id, pair.now, error="no", code=FailureCode.UNSUPPORTED)
    ((answered,),) = (pair.exchange()[0],)
    assert isinstance(answered, ResponseReceived)
    assert answered.request == received.request
    outcome = getattr(answered.response, "success", getattr(answered.response, "stream_accepted", None))
    assert outcome is success
    assert (answered.response.code, answered.response.error) == (
        (None, None) if success else ("unsupported", "no")
    )
    assert pair.dialer.pending == pair.acceptor.in_flight == 0


def test_answers_in_any_order_find_their_requests() -> None:
    pair = Pair().established()
    ids = [ask(pair, "create") for _ in range(3)]
    pair.exchange()
    for request_id in reversed(ids):
        pair.acceptor.answer_success(request_id, pair.now)
    assert [event.request_id for event in pair.exchange()[0] if isinstance(event, ResponseReceived)] == ids[
        ::-1
    ]


def test_a_second_request_with_an_id_in_flight_is_ignored_until_the_first_is_answered() -> None:
    connection = established_acceptor()
    connection.receive_data(create("r"), 100.0)
    malformed = frame('{"type":"RequestSniStream","request_id":"r"}')
    for again in (create("r"), malformed, frame('{"type":"RequestInferenceStream","request_id":"r"}')):
        (event,) = connection.receive_data(again, 100.0)
        assert isinstance(event, MessageIgnored)
    connection.answer_success("r", 100.0)
    assert len(answers(connection)) == 1
    assert isinstance(connection.receive_data(create("r"), 100.0)[0], RequestReceived)


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"DnsChallengeResponse","request_id":"none","success":true}',
        '{"type":"StreamReady","request_id":"r1","stream_accepted":true}',
        '{"type":"DnsChallengeResponse","request_id":"r1"}',
    ],
)
def test_a_response_that_fits_no_request_is_ignored(text: str) -> None:
    pair = Pair().established()
    assert ask(pair, "create") == "r1"
    pair.exchange()
    (event,) = pair.dialer.receive_data(frame(text), pair.now)
    assert isinstance(event, MessageIgnored)
    assert pair.dialer.pending == 1


def test_the_checks_come_in_their_order() -> None:
    def policy(request: Request) -> Refusal | None:
        domain = getattr(request, "domain", "")
        return Refusal(FailureCode.NOT_AUTHORISED, "not yours") if domain == "b.example" else None

    connection = established_acceptor(policy=policy, limits=Limits(max_in_flight=1))
    connection.receive_data(create("r1"), 100.0)
    stream = create("r2", "-") + create("r3", "b.example") + create("r4", "c.example")
    codes = [
        event.code for event in connection.receive_data(stream, 100.0) if isinstance(event, RequestRefused)
    ]
    assert codes == ["malformed", "not_authorised", "quota"]
    assert connection.in_flight == 1


def test_a_malformed_request_is_answered_when_its_id_can_be_read() -> None:
    connection = established_acceptor()
    readable = '{"type":"DnsChallengeCreate","request_id":"r","domain":1,"txt_value":"x"}'
    (event,) = connection.receive_data(frame(readable), 100.0)
    assert isinstance(event, RequestRefused)
    assert event.code == "malformed"
    (event,) = connection.receive_data(frame('{"type":"DnsChallengeCreate","domain":"a.b"}'), 100.0)
    assert isinstance(event, MessageIgnored)
    assert len(answers(connection)) == 1


@pytest.mark.parametrize("request_id", ["", "x" * 129, "a b", "é"])
def test_an_illegal_id_comes_back_as_it_was(request_id: str) -> None:
    connection = established_acceptor()
    connection.receive_data(create(request_id), 100.0)
    (answer,) = answers(connection)
    assert getattr(answer, "request_id", None) == request_id
    assert getattr(answer, "code", None) == "malformed"


def test_an_id_too_long_to_be_sent_back_is_not_answered() -> None:
    connection = established_acceptor()
    (event,) = connection.receive_data(create("x" * (MAX_FRAME - 150)), 100.0)
    assert isinstance(event, MessageIgnored)
    assert connection.data_to_send() == b""


def test_a_smaller_limit_on_what_is_received_does_not_keep_answers_back() -> None:
    connection = established_acceptor(limits=Limits(max_frame=300))
    (event,) = connection.receive_data(create("x" * 175), 100.0)
    assert isinstance(event, RequestRefused)
    assert len(connection.data_to_send()) > 300


def test_misuse_raises_and_changes_nothing() -> None:
    pair = Pair(capabilities=("inference",)).established()
    with pytest.raises(MissingCapabilityError):
        ask(pair, "create")
    with pytest.raises(LocalProtocolError, match="single label"):
        pair.dialer.request_sni_stream("localhost", pair.now)
    with pytest.raises(LocalProtocolError, match="in flight"):
        pair.acceptor.answer_success("nothing", pair.now)
    request_id = ask(pair, "inference")
    pair.exchange()
    with pytest.raises(LocalProtocolError, match="domain"):
        pair.acceptor.answer_success(request_id, pair.now, domain="a.b")
    registration = ask(pair, "registration")
    pair.exchange()
    with pytest.raises(LocalProtocolError, match="domain"):
        pair.acceptor.answer_success(registration, pair.now)
    with pytest.raises(LocalProtocolError, match="single label"):
        pair.acceptor.answer_success(registration, pair.now, domain="localhost")
    with pytest.raises(LocalProtocolError, match="not Unicode"):
        pair.acceptor.answer_failure(registration, pair.now, error="no", code="\ud800")
    with pytest.raises(LocalProtocolError, match="32 integers"):
        pair.dialer.request_domain_registration(NodeAddr(id=(256,) * 32, direct_addresses=()), pair.now)
    with pytest.raises(LocalProtocolError, match="32 integers"):
        pair.dialer.request_domain_registration(NodeAddr(id=(1,) * 31, direct_addresses=()), pair.now)
    for listed, words in ((("relay.example:1",), "IPv4:port"), (("192.0.2.7:1",) * 1025, "1025 entries")):
        with pytest.raises(LocalProtocolError, match=words):
            pair.dialer.request_domain_registration(NodeAddr(id=(1,) * 32, direct_addresses=listed), pair.now)
    assert pair.acceptor.in_flight == pair.dialer.pending == 2
    assert pair.acceptor.data_to_send() == pair.dialer.data_to_send() == b""


def test_after_the_end_a_request_says_why_it_cannot_be_sent() -> None:
    pair = Pair().established()
    pair.dialer.close(pair.now, reason="lunch")
    with pytest.raises(LocalProtocolError, match=r"is over \(lunch\)"):
        ask(pair, "sni")


def test_the_table_of_our_requests_is_bounded() -> None:
    pair = Pair(limits=Limits(max_pending=2)).established()
    ask(pair, "sni")
    ask(pair, "sni")
    with pytest.raises(LocalProtocolError, match="pending"):
        ask(pair, "sni")


def test_a_cancelled_request_makes_room_and_its_answer_is_ignored() -> None:
    pair = Pair(limits=Limits(max_pending=1)).established()
    request_id = ask(pair, "create")
    pair.exchange()
    pair.dialer.cancel_request(request_id)
    pair.dialer.cancel_request(request_id)
    assert pair.dialer.pending == 0
    pair.acceptor.answer_success(request_id, pair.now)
    assert [type(event) for event in pair.exchange()[0]] == [MessageIgnored]
    assert ask(pair, "create") != request_id


@pytest.mark.parametrize("kind", ["create", "cleanup", "inference"])
def test_what_the_peer_does_not_advertise_is_not_asked_for(kind: str) -> None:
    pair = Pair(capabilities=("sni_proxy",)).established()
    with pytest.raises(MissingCapabilityError, match="does not advertise"):
        ask(pair, kind)
    assert (pair.dialer.pending, pair.dialer.data_to_send()) == (0, b"")


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_a_timeout_that_is_none_is_refused(timeout: float) -> None:
    pair = Pair().established()
    with pytest.raises(LocalProtocolError, match="timeout"):
        pair.dialer.request_sni_stream("a.example", pair.now, timeout)
    assert (pair.dialer.pending, pair.dialer.data_to_send()) == (0, b"")


def test_a_request_expires_and_its_late_answer_is_swallowed() -> None:
    pair = Pair().established()
    request_id = pair.dialer.request_inference_stream(pair.now, timeout=3.0)
    pair.exchange()
    at_dialer, _ = pair.pass_time(3.0)
    (failed,) = (event for event in at_dialer if isinstance(event, RequestFailed))
    assert (failed.request_id, failed.code) == (request_id, FailureCode.TIMED_OUT)
    pair.acceptor.answer_success(request_id, pair.now)
    assert [type(event) for event in pair.exchange()[0]] == [MessageIgnored]


def test_the_texts_of_a_failure_are_bounded_and_always_utf8() -> None:
    connection = established_acceptor()
    connection.receive_data(create("r"), 100.0)
    connection.answer_failure("r", 100.0, error="\ud800" + "x" * 10_000)
    (answer,) = answers(connection)
    assert getattr(answer, "error", "") == "?" + "x" * 511


def test_the_delivered_request_is_the_message_as_it_was() -> None:
    connection = established_acceptor()
    (event,) = connection.receive_data(create("r", "A.Example"), 100.0)
    assert event == RequestReceived(DnsChallengeCreate(request_id="r", domain="A.Example", txt_value=TXT))
