"""The transcripts: frames of their messages, answers to what was asked, closes with a cause."""

from __future__ import annotations

from typing import Any

import pytest

from .data_streams import ready_events, request_verdicts, response_events
from .vector_files import load, paths
from .written_rules import RESPONSE_TO, frames, verdicts

ALL = [one for path in paths("transcripts") for one in load(path)]
CONTROL = [one for one in ALL if "connection" not in one]
INFERENCE = [one for one in ALL if one.get("connection") == "inference"]
SNI_PROXY = [one for one in ALL if one.get("connection") == "sni-proxy"]
OTHER = {"dialer": "acceptor", "acceptor": "dialer"}
ANSWER_OF = {"Ping": ("Pong", "id"), "Handshake": ("HandshakeResponse", "")} | {
    request: (response, "request_id") for request, response in RESPONSE_TO.items()
}
UNASKED = {"handshake.unasked-response", "ping.unasked-pong"}
UNANSWERED = {
    "handshake.timed-out": 1,
    "handshake.renewal-unanswered-by-acceptor": 1,
    "handshake.renewal-unanswered-by-dialer": 1,
    "requests.id-in-flight": 1,
    "closing.goodbye": 1,
    "closing.violation": 1,
    "closing.violation-in-handshake": 1,
    "closing.violation-answer-dropped": 1,
    "closing.silence": 2,
    "closing.silence-of-acceptor": 2,
}
"""How many messages have no answer where that is what the transcript is about."""


def sent_by(side: str, transcript: dict[str, Any]) -> bytes:
    return b"".join(bytes.fromhex(one.get("hex", "")) for one in transcript["frames"] if one["from"] == side)


def end_of(side: str, transcript: dict[str, Any]) -> str | None:
    return next((one["end"] for one in transcript["frames"] if one["from"] == side and "end" in one), None)


@pytest.mark.parametrize("transcript", [*CONTROL, *INFERENCE], ids=lambda one: str(one["id"]))
def test_frames_hold_their_messages(transcript: dict[str, Any]) -> None:
    for frame in transcript["frames"]:
        if "message" in frame:
            data = bytes.fromhex(frame["hex"])
            assert int.from_bytes(data[:4], "big") == len(data) - 4
            allowed, value = verdicts(data[4:])
            assert value == frame["message"]
            assert allowed == {"ignore" if "connection" in transcript else "accept"}


@pytest.mark.parametrize("transcript", CONTROL, ids=lambda one: str(one["id"]))
def test_what_has_no_message_is_no_good_message(transcript: dict[str, Any]) -> None:
    """Bytes without `message` break a rule: they are no frame, no JSON, malformed, or out of form."""
    for frame in transcript["frames"]:
        if "hex" in frame and "message" not in frame:
            found = list(frames(bytes.fromhex(frame["hex"])))
            good = [value for allowed, value, _ in found if allowed == {"accept"}]
            assert all(value["type"] in RESPONSE_TO for value in good)
            if good:
                answers = [
                    one.get("message", {}) for one in transcript["frames"] if one["from"] != frame["from"]
                ]
                assert "malformed" in [one.get("code") for one in answers]


@pytest.mark.parametrize("transcript", CONTROL, ids=lambda one: str(one["id"]))
def test_control_transcripts_answer_what_is_asked_and_nothing_else(transcript: dict[str, Any]) -> None:
    asked: list[tuple[str, str, Any]] = []
    unasked = 0
    for frame in transcript["frames"]:
        read = list(frames(bytes.fromhex(frame.get("hex", ""))))
        messages = [value for _, value, _ in read if isinstance(value, dict) and "type" in value]
        for message in messages:
            if message["type"] in ANSWER_OF:
                answer, key = ANSWER_OF[message["type"]]
                if message.get(key) is None or isinstance(message[key], str | int):
                    asked.append((OTHER[frame["from"]], answer, message.get(key)))
                continue
            member = next(key for answer, key in ANSWER_OF.values() if answer == message["type"])
            if (one := (frame["from"], message["type"], message.get(member))) in asked:
                asked.remove(one)
            else:
                unasked += 1
    if transcript["id"] in ("requests.malformed-no-id", "requests.id-in-flight-malformed"):
        del asked[-1]  # no id that could be read, and one that is taken
    assert len(asked) == UNANSWERED.get(transcript["id"], 0)
    assert unasked == (transcript["id"] in UNASKED)


@pytest.mark.parametrize("transcript", CONTROL, ids=lambda one: str(one["id"]))
def test_nobody_asks_for_what_its_peer_does_not_advertise(transcript: dict[str, Any]) -> None:
    """DC-14 and ST-08; `handshake.request-first` is about a dialer that asks too early."""
    needs = {
        "RequestInferenceStream": "inference",
        "DnsChallengeCreate": "dns_challenge",
        "DnsChallengeCleanup": "dns_challenge",
    }
    served: dict[str, list[str]] = {"dialer": [], "acceptor": []}
    for frame in transcript["frames"]:
        message = frame.get("message", {})
        served[frame["from"]] = message.get("capabilities", served[frame["from"]])
        if (need := needs.get(message.get("type"))) and transcript["id"] != "handshake.request-first":
            assert need in served[OTHER[frame["from"]]]


@pytest.mark.parametrize("transcript", [*CONTROL, *INFERENCE], ids=lambda one: str(one["id"]))
def test_a_violation_is_closed_by_the_other_side_with_its_code(transcript: dict[str, Any]) -> None:
    close = transcript.get("close", {})
    codes = {"dialer": 0, "acceptor": 0}
    for side, other in OTHER.items():
        data = sent_by(side, transcript)
        for allowed, _, requirement in frames(data):
            if allowed == {"framing_violation"}:
                codes[other] = 2 if requirement == "FR-03" else 1
                break
            data = data[4 + int.from_bytes(data[:4], "big") :]
        else:
            if data and end_of(side, transcript) == "clean":
                codes[other] = 1
    for side, code in codes.items():
        if code:
            assert (close["by"], close["code"]) == (side, code)
    if not any(codes.values()) and transcript["id"] != "inference.no-request":
        assert close.get("code") not in (1, 2)


@pytest.mark.parametrize("transcript", ALL, ids=lambda one: str(one["id"]))
def test_nobody_sends_after_its_end_and_a_clean_one_is_closed_with_a_code_that_fits(
    transcript: dict[str, Any],
) -> None:
    ended = set()
    for frame in transcript["frames"]:
        assert frame["from"] not in ended
        if "end" in frame:
            ended.add(frame["from"])
    assert "close" in transcript or not ended


@pytest.mark.parametrize("transcript", INFERENCE, ids=lambda one: str(one["id"]))
def test_inference_transcripts_follow_from_the_rules(transcript: dict[str, Any]) -> None:
    data, answer = sent_by("dialer", transcript), sent_by("acceptor", transcript)
    close = transcript["close"]
    if not data:
        assert (close, answer) == ({"by": "acceptor", "code": 1}, b"")
        return
    length = int.from_bytes(data[:4], "big")
    if length > 10_485_760 or len(data) < 4 + length:
        assert close["code"] == (2 if length > 10_485_760 else 4)
        return
    allowed, request = request_verdicts(data[4:])
    streamed = isinstance(request, dict) and request.get("stream") is True
    events = response_events(answer, streamed, end_of("acceptor", transcript))
    if allowed == {"framing_violation"}:
        assert (close, events) == ({"by": "acceptor", "code": 1}, [])
        return
    last = next(iter(events[-1]))
    if allowed == {"request_error"}:
        assert events == [{"failure": "request_error"}]
    elif allowed == {"list_models"}:
        assert "models" in events[0]["frame"]
    assert (last == "violation") == (close["code"] == 1)
    if last == "frame":  # not whole: the requester gave it up
        assert (transcript["id"], close) == ("inference.cancelled", {"by": "dialer", "code": 0})


@pytest.mark.parametrize("transcript", SNI_PROXY, ids=lambda one: str(one["id"]))
def test_sni_proxy_transcripts_follow_from_the_rules(transcript: dict[str, Any]) -> None:
    steps = transcript["frames"]
    used = next((n for n, one in enumerate(steps) if one["from"] == "acceptor" and "hex" in one), None)
    before = {"frames": steps[:used]}
    events = ready_events(sent_by("dialer", before), end_of("dialer", before))
    assert (events == [{"idle": True}]) == (used is not None or transcript["id"] == "sni-proxy.idle-for-long")
    if events != [{"idle": True}]:
        close = transcript["close"]
        assert (close["by"], {"close": close["code"]}) == ("acceptor", events[-1])


@pytest.mark.parametrize("transcript", ALL, ids=lambda one: str(one["id"]))
def test_every_second_that_passes_is_less_than_what_ends_a_connection(transcript: dict[str, Any]) -> None:
    """No transcript shows a connection that outlives the count of silence (LV-06)."""
    if "connection" not in transcript and transcript["id"] != "dns-challenges.timed-out":
        waits = [one.get("after", 0) for one in transcript["frames"]]
        assert max([*waits, transcript.get("close", {}).get("after", 0)]) <= 15
