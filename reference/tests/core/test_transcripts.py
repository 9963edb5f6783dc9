"""The transcripts of control connections, each side played by the core while the other says its lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gate_p2p.core import (
    CloseCode,
    Connection,
    Event,
    FrameDecoder,
    Limits,
    MessageIgnored,
    RequestReceived,
    Terminated,
    decode,
    encode_frame,
    messages,
)

from .test_vectors import load, members, paths

CONTROL = [one for path in paths("transcripts") for one in load(path) if "connection" not in one]
RESPONSES = ("StreamReady", "DnsChallengeResponse", "DomainRegistrationResponse")
CANNOT = {
    # what the side that is at fault does is shown too; the core does no such thing
    ("handshake.unasked-response", "dialer"): "sends an unasked HandshakeResponse",
    ("ping.unasked-pong", "dialer"): "sends an unasked Pong",
    ("closing.violation-before-handshake", "dialer"): "sends no Handshake",
    ("closing.violation-in-handshake", "acceptor"): "does not answer a Handshake",
    ("ping.keep-alive", "dialer"): "sends no Ping of its own after 15 s of silence",
    ("handshake.ping-first", "dialer"): "sends before its Handshake",
    ("handshake.request-first", "dialer"): "sends before its Handshake",
    ("handshake.no-handshake", "dialer"): "sends no Handshake",
    ("handshake.timed-out", "acceptor"): "does not answer a Handshake",
    ("handshake.renewal-unanswered-by-acceptor", "acceptor"): "does not answer a Handshake",
    ("handshake.renewal-unanswered-by-dialer", "dialer"): "does not answer a Handshake",
    ("handshake.refused-patient-dialer", "dialer"): "does not close after a refusal",
    ("handshake.renewal-refused-by-acceptor-patient-dialer", "dialer"): "does not close after a refusal",
    ("handshake.renewal-refused-by-dialer-patient-acceptor", "acceptor"): "does not close after a refusal",
    # whom to admit is decided when the connection is made, and a dialer admits whomever it dialled
    ("handshake.renewal-refused-by-acceptor", "acceptor"): "admits once",
    ("handshake.renewal-refused-by-acceptor-patient-dialer", "acceptor"): "admits once",
    ("handshake.renewal-refused-by-dialer", "dialer"): "admits",
    ("handshake.renewal-refused-by-dialer-patient-acceptor", "dialer"): "admits",
    ("requests.id-in-flight", "dialer"): "uses an id twice",
    ("dns-challenges.id-used-again", "dialer"): "uses an id twice",
    ("closing.goodbye-before-handshake", "dialer"): "sends no Handshake",
    ("closing.silence", "dialer"): "does not answer a Ping",
    ("closing.silence-of-acceptor", "acceptor"): "does not answer a Ping",
    ("dns-challenges.timed-out", "acceptor"): "is silent for 300 s",
    ("dns-challenges.timed-out", "dialer"): "is silent for 300 s",
}


CROSSING = {"handshake.renewals-crossing": 2, "ping.crossing": 2}
"""Where a message of the dialer stands, and behind it one of the acceptor that was sent before it came."""


class Side:
    """One side as the core plays it: it says what the transcript has it say, by itself or when told."""

    def __init__(self, transcript: dict[str, Any], name: str) -> None:
        self.now = 0.0
        self.events: list[Event] = []
        self.said: list[dict[str, Any]] = []
        self.decoder = FrameDecoder(Limits().max_frame)
        close = transcript.get("close", {})
        self.closes_with = CloseCode(close["code"] if close.get("by") == name else 0)
        self.ids: dict[Any, Any] = {}  # of the transcript's requests and Pings, those that the core chose
        own = [one["message"] for one in transcript["frames"] if one["from"] == name and "message" in one]
        first: dict[str, Any] = next((one for one in own if one["type"].startswith("Handshake")), {})
        capabilities = first.get("capabilities", ())
        node_id = next((one["node_id"] for one in own if one["type"] == "Handshake"), "ac" * 32)
        if name == "dialer":
            self.core = Connection.dialer(node_id=node_id, capabilities=capabilities, now=0.0)
        else:
            self.core = Connection.acceptor(
                node_id=node_id, capabilities=capabilities, now=0.0, admit=first.get("accepted", True)
            )
        self.listen()

    def listen(self) -> None:
        for body in self.decoder.feed(self.core.data_to_send()):
            self.said.append(json.loads(body))

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.core.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.events += self.core.handle_timeout(self.now)
            self.listen()
        self.now = until

    def hears(self, step: dict[str, Any]) -> None:
        if step.get("end") == "clean":
            self.events += self.core.receive_eof(self.now)
        elif "message" in step:
            message = dict(step["message"])
            for name in ("request_id", "id"):
                if message["type"] in (*RESPONSES, "Pong") and name in message:
                    message[name] = self.ids.get(message[name], message[name])
            body = (
                bytes.fromhex(step["hex"])[4:] if message == step["message"] else json.dumps(message).encode()
            )
            self.events += self.core.receive_data(encode_frame(body), self.now)
        else:
            self.events += self.core.receive_data(bytes.fromhex(step["hex"]), self.now)
        self.listen()

    def says(self, step: dict[str, Any]) -> None:
        if "end" in step:
            if self.core.close_code is None:  # the core's own goodbye
                self.events += self.core.close(self.now, self.closes_with)
            assert self.core.finished
            return
        if "message" not in step:  # what no sender may write: the core goes on without it
            return
        message = step["message"]
        if not self.said:
            self.command(message)
            self.listen()
        expected = {name: one for name, one in message.items() if one is not None and name != "error"}
        if False in (message.get("success"), message.get("stream_accepted")):
            expected.setdefault("code", "failed")  # no code means this one (RQ-12)
        if message["type"] not in RESPONSES:
            for name in ("request_id", "id"):
                if name in message and message["type"] != "Pong":
                    expected[name] = self.ids[message[name]] = self.said[0][name]
        found = {name: one for name, one in self.said.pop(0).items() if one is not None}
        assert bool(message.get("error")) == bool(found.pop("error", None))
        assert found == expected

    def command(self, message: dict[str, Any]) -> None:
        """Make the core say what it does not say by itself."""
        match message["type"]:
            case "Handshake":
                self.core.renew_handshake(self.now, message["capabilities"])
            case "HandshakeResponse":
                raise AssertionError("the core answers by itself")
            case "Ping":
                self.core.ping(self.now)
            case "RequestSniStream":
                self.core.request_sni_stream(message["domain"], self.now)
            case "RequestInferenceStream":
                self.core.request_inference_stream(self.now)
            case "DnsChallengeCreate":
                self.core.request_dns_challenge_create(message["domain"], message["txt_value"], self.now)
            case "DnsChallengeCleanup":
                value = message.get("txt_value")
                self.core.request_dns_challenge_cleanup(message["domain"], self.now, value)
            case "DomainRegistrationRequest":
                address = messages.NodeAddr(**message["node_addr"])
                self.core.request_domain_registration(address, self.now)
            case _ if message.get("success", message.get("stream_accepted")):
                self.core.answer_success(message["request_id"], self.now, domain=message.get("domain"))
            case _:
                code = message.get("code", "failed")
                self.core.answer_failure(message["request_id"], self.now, error="no", code=code)


def play(transcript: dict[str, Any], name: str) -> Side:
    side = Side(transcript, name)
    steps = list(transcript["frames"])
    if name == "acceptor" and (place := CROSSING.get(transcript["id"])):
        steps[place : place + 2] = reversed(steps[place : place + 2])
    for step in steps:
        side.wait(step.get("after", 0))
        if step["from"] == name:
            side.says(step)
        else:
            side.hears(step)
    side.wait(transcript.get("close", {}).get("after", 0))
    return side


def check(transcript: dict[str, Any], name: str) -> None:
    side = play(transcript, name)
    assert side.said == []
    close = transcript.get("close")
    if close is None:
        assert side.core.established
    elif close["by"] == name:
        goodbye = any("end" in one for one in transcript["frames"] if one["from"] != name)
        if close["code"] in (0, 6) and not goodbye:  # for no reason that the core could know
            side.events += side.core.close(side.now, side.closes_with)
        assert side.core.finished
        assert side.core.close_code == close["code"]
        assert isinstance(side.events[-1], Terminated)
    else:
        side.events += side.core.connection_lost(side.now)
        assert side.core.finished


@pytest.mark.parametrize("name", ["dialer", "acceptor"])
@pytest.mark.parametrize("transcript", CONTROL, ids=lambda one: str(one["id"]))
def test_the_core_plays_either_side(transcript: dict[str, Any], name: str) -> None:
    if (transcript["id"], name) not in CANNOT:
        check(transcript, name)


@pytest.mark.parametrize(
    ("identity", "name", "changed"),
    [
        ("closing.violation", "acceptor", {"close": {"by": "acceptor", "code": 2}}),
        ("closing.silence", "acceptor", {"close": {"by": "acceptor", "code": 4, "after": 14}}),
        ("closing.silence", "acceptor", {"close": {"by": "acceptor", "code": 3, "after": 15}}),
        ("handshake.timed-out", "dialer", {"close": {"by": "dialer", "code": 4, "after": 5}}),
        ("requests.malformed-id", "acceptor", {"frames": -1}),
        ("ping.dialer", "acceptor", {"frames": -1}),
    ],
)
def test_a_wrong_transcript_is_found(identity: str, name: str, changed: dict[str, Any]) -> None:
    transcript = next(one for one in CONTROL if one["id"] == identity)
    check(transcript, name)
    if "frames" in changed:  # the last word is missing
        changed = {"frames": transcript["frames"][: changed["frames"]]}
    with pytest.raises(AssertionError):
        check({**transcript, **changed}, name)


def test_what_the_core_cannot_play_is_there() -> None:
    assert {transcript for transcript, _ in CANNOT} <= {one["id"] for one in CONTROL}


def test_a_second_request_with_an_id_in_flight_is_ignored() -> None:
    for identity in ("requests.id-in-flight", "requests.id-in-flight-malformed"):
        transcript = next(one for one in CONTROL if one["id"] == identity)
        events = play(transcript, "acceptor").events
        received = sum(isinstance(event, RequestReceived) for event in events)
        assert received == (2 if identity == "requests.id-in-flight" else 1)
        assert sum(isinstance(event, MessageIgnored) for event in events) == 1


def test_transcripts_decode_to_their_messages() -> None:
    for transcript in CONTROL:
        for frame in transcript["frames"]:
            if "message" in frame:
                (body,) = FrameDecoder(Limits().max_frame).feed(bytes.fromhex(frame["hex"]))
                expected = {name: value for name, value in frame["message"].items() if value is not None}
                assert members(decode(body)) == expected, transcript["id"]
