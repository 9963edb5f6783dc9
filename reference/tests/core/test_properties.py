"""What holds for every stream of bytes and every order of commands."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gate_p2p.core import (
    Connection,
    Event,
    LocalProtocolError,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    Terminated,
    encode_frame,
)

from .pair import ACCEPTOR_ID, CONSENT, DIALER_ID, HANDSHAKE, TXT, Pair

IDS = st.sampled_from(["r1", "r2", "", "a b"])
MESSAGES = st.one_of(
    st.builds(lambda n: {"type": "Ping", "id": n}, st.integers(-1, 2**64) | st.none() | st.floats()),
    st.builds(lambda n: {"type": "Pong", "id": n}, st.integers(0, 3)),
    st.builds(
        lambda r, d: {"type": "DnsChallengeCreate", "request_id": r, "domain": d, "txt_value": TXT},
        IDS,
        st.sampled_from(["a.example", "-", 7]),
    ),
    st.builds(lambda r: {"type": "RequestInferenceStream", "request_id": r}, IDS),
    st.builds(lambda a: {"type": "HandshakeResponse", "accepted": a, "capabilities": []}, st.booleans()),
    st.just({"type": "Handshake", "node_id": DIALER_ID, "capabilities": ["x"]}),
    st.builds(lambda r: {"type": "DnsChallengeResponse", "request_id": r, "success": True}, IDS),
    st.sampled_from([{}, [], None, {"type": "Nope"}]),
)
PIECES = st.one_of(
    MESSAGES.map(lambda message: encode_frame(json.dumps(message).encode())),
    st.binary(max_size=12),
    st.binary(min_size=1, max_size=12).map(encode_frame),
    st.sampled_from([HANDSHAKE, CONSENT]),
)
STREAMS = st.lists(PIECES, max_size=8).map(b"".join)


def fresh(role: str) -> Connection:
    make = Connection.dialer if role == "dialer" else Connection.acceptor
    return make(node_id=ACCEPTOR_ID, capabilities=("dns_challenge",), now=0.0)


def outcome(connection: Connection) -> tuple[Any, ...]:
    return (
        connection.data_to_send(),
        connection.state,
        connection.close_code,
        connection.close_reason,
        connection.in_flight,
        connection.peer_capabilities,
    )


@given(st.sampled_from(["dialer", "acceptor"]), STREAMS, st.data())
@settings(max_examples=300)
def test_any_chunking_of_any_byte_stream_gives_the_same_events(
    role: str, stream: bytes, data: st.DataObject
) -> None:
    def run(cuts: list[int]) -> tuple[Any, ...]:
        connection = fresh(role)
        events: list[Event] = []
        for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            events += connection.receive_data(stream[start:stop], 1.0)
        return events + connection.receive_eof(2.0), *outcome(connection)

    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    assert run([]) == run(cuts) == run(list(range(len(stream))))


@given(st.sampled_from(["dialer", "acceptor"]), st.booleans(), st.lists(st.binary(max_size=64), max_size=6))
def test_garbage_never_raises_and_ends_in_at_most_one_terminal_event(
    role: str, established: bool, chunks: list[bytes]
) -> None:
    connection = fresh(role)
    if established:
        connection.receive_data(HANDSHAKE if role == "acceptor" else CONSENT, 0.0)
    events = [event for chunk in chunks for event in connection.receive_data(chunk, 1.0)]
    events += connection.receive_eof(2.0) + connection.handle_timeout(1e9)
    terminal = [index for index, event in enumerate(events) if isinstance(event, Terminated)]
    assert terminal == [len(events) - 1]
    assert connection.finished


@given(st.binary(min_size=1, max_size=200))
def test_a_garbage_body_never_raises(body: bytes) -> None:
    connection = fresh("acceptor")
    connection.receive_data(HANDSHAKE, 0.0)
    connection.receive_data(encode_frame(body), 0.0)


class TwoEnds(RuleBasedStateMachine):
    """Commands, deliveries and time in any order: every request comes to exactly one end, at both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair().established()
        self.asked: list[str] = []
        self.ended: list[str] = []
        self.to_answer: list[str] = []
        self.wire: dict[str, bytes] = {"dialer": b"", "acceptor": b""}

    def note(self, at_dialer: list[Event], at_acceptor: list[Event]) -> None:
        self.ended += [e.request_id for e in at_dialer if isinstance(e, ResponseReceived | RequestFailed)]
        self.to_answer += [e.request.request_id for e in at_acceptor if isinstance(e, RequestReceived)]

    @rule(timeout=st.sampled_from([2.0, 20.0, 330.0]))
    def ask(self, timeout: float) -> None:
        try:
            self.asked.append(self.pair.dialer.request_inference_stream(self.pair.now, timeout))
        except LocalProtocolError:
            assert not self.pair.dialer.established

    @rule(index=st.integers(0, 5), success=st.booleans())
    def answer(self, index: int, success: bool) -> None:
        if index < len(self.to_answer):
            request_id = self.to_answer.pop(index)
            if success:
                self.pair.acceptor.answer_success(request_id, self.pair.now)
            else:
                self.pair.acceptor.answer_failure(request_id, self.pair.now, error="no")

    @rule(size=st.integers(1, 60))
    def deliver_some(self, size: int) -> None:
        at_acceptor = self.pair.acceptor.receive_data(self.pair.dialer.data_to_send(size), self.pair.now)
        at_dialer = self.pair.dialer.receive_data(self.pair.acceptor.data_to_send(size), self.pair.now)
        self.note(at_dialer, at_acceptor)

    @rule(seconds=st.sampled_from([0.5, 3.0, 16.0]))
    def pass_time(self, seconds: float) -> None:
        self.note(*self.pair.pass_time(seconds))

    @rule(side=st.sampled_from(["dialer", "acceptor"]), command=st.sampled_from(["ping", "renew_handshake"]))
    def talk(self, side: str, command: str) -> None:
        try:
            getattr(getattr(self.pair, side), command)(self.pair.now)
        except LocalProtocolError:
            assert getattr(self.pair, side).state.name in {"RENEWING", "CLOSED"}

    @rule()
    def lose_the_connection(self) -> None:
        at_dialer = self.pair.dialer.connection_lost(self.pair.now)
        self.note(at_dialer, self.pair.acceptor.connection_lost(self.pair.now))
        self.to_answer.clear()

    @invariant()
    def every_request_is_pending_or_ended_once(self) -> None:
        assert len(self.ended) == len(set(self.ended))
        assert self.pair.dialer.pending == len(self.asked) - len(self.ended)
        assert set(self.ended) <= set(self.asked)

    def teardown(self) -> None:
        self.note(*self.pair.pass_time(400.0))
        assert sorted(self.ended) == sorted(self.asked)


TestTwoEnds = TwoEnds.TestCase
TestTwoEnds.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
