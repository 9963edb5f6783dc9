"""What 0.1.0 did, held against Gate 1.0: `verdicts`, `agrees` and `differs` are worked out here again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gate_conformance import codec
from gate_p2p.core import Ignored, Malformed, RemoteProtocolError, decode

from .vector_files import body_of, load
from .written_rules import RESPONSE_TO, SENT, SPEC, frames, known_members

EXCHANGES = load("recorded/hellas-gate-p2p-0.1.0.json")
COMPATIBILITY = SPEC / "compatibility.md"

FORM_OF = {"request_id": "RQ-03", "domain": "DC-03", "txt_value": "DC-06"}
"""What a request breaks whose member is out of form, and is answered with a failure for it."""
ANSWERED = {
    "Ping": ("LV-01", "Pong"),
    "Handshake": ("HS-02", "HandshakeResponse"),
    "RequestSniStream": ("ST-01", "StreamReady"),
    "RequestInferenceStream": ("ST-02", "StreamReady"),
    "DnsChallengeCreate": ("RQ-01", "DnsChallengeResponse"),
    "DnsChallengeCleanup": ("RQ-01", "DnsChallengeResponse"),
    "DomainRegistrationRequest": ("DR-01", "DomainRegistrationResponse"),
}


STREAM_READY = {"type": "StreamReady", "request_id": "r", "stream_accepted": True}


def succeeded(answer: dict[str, Any]) -> bool:
    return bool(answer.get("success", answer.get("stream_accepted", False)))


def bad_members(request: dict[str, Any]) -> list[str]:
    """The requirements on form that a well-formed request breaks, in the order of its members."""
    faults = SENT[request["type"]].iter_errors(request)
    broken = {str(fault.absolute_path[0]) for fault in faults}
    return [FORM_OF[name] for name in request if name in broken]


def differences(vector: dict[str, Any]) -> list[str]:
    """The requirements of Gate 1.0 that were not met. An answer is due for each message that asks for one."""
    answers = iter(vector["answers"])
    found: list[str] = []
    closed = vector.get("close")
    for allowed, value, requirement in frames(body_of(vector)):
        if "framing_violation" in allowed and (closed or len(allowed) == 1):
            found += [] if closed else ["FR-08"]
            if closed and closed["code"] != (2 if requirement == "FR-03" else 1):
                found.append("CL-01")
            break
        found += differences_of(allowed, value, answers, vector["handshake"])
    else:
        found += ["FR-08"] if closed else []
    assert next(answers, None) is None, "an answer to nothing"
    return found


def differences_of(
    allowed: set[str], value: Any, answers: Iterator[dict[str, Any]], handshake: bool
) -> list[str]:
    """The same for one frame that was no violation to it."""
    type_ = value.get("type") if isinstance(value, dict) else None
    if "accept" in allowed and type_ in ANSWERED:
        requirement, kind = ANSWERED[type_]
        answer = next(answers, None)
        if answer is None:
            return [] if "malformed" in allowed else [requirement]
        key = "id" if type_ == "Ping" else "request_id"
        assert (answer["type"], answer.get(key)) == (kind, value.get(key)) or type_ == "Handshake"
        if type_ not in RESPONSE_TO or not succeeded(answer):
            return []
        return bad_members(known_members(value)) if handshake else ["HS-07"]
    if allowed == {"malformed"} and type_ in RESPONSE_TO and isinstance(value.get("request_id"), str):
        answer = next(answers, None)
        return ["RQ-04"] if answer is None or succeeded(answer) else []
    return []


@pytest.mark.parametrize("vector", EXCHANGES, ids=[one["id"] for one in EXCHANGES])
def test_the_verdicts_and_what_differs_follow_from_the_rules(vector: dict[str, Any]) -> None:
    allowed = [sorted(allowed) for allowed, _, _ in frames(body_of(vector))]
    assert vector["verdicts"] == allowed
    assert vector.get("differs", []) == differences(vector)
    assert vector["agrees"] is ("differs" not in vector)


def bodies(vector: dict[str, Any]) -> list[bytes]:
    reader = codec.FrameReader()
    try:
        found = reader.feed(body_of(vector))
        reader.feed(b"")
    except codec.FrameError:
        return []
    return found


@pytest.mark.parametrize("vector", EXCHANGES, ids=[one["id"] for one in EXCHANGES])
def test_both_decoders_give_these_verdicts(vector: dict[str, Any]) -> None:
    found = bodies(vector)
    if not found:
        assert vector["verdicts"] == [["framing_violation"]]
        return
    assert len(found) == len(vector["verdicts"])
    for body, allowed in zip(found, vector["verdicts"], strict=True):
        judged = codec.judge(body).verdict
        assert judged == (allowed[0] if len(allowed) == 1 else "choice")
        assert verdict_of_the_reference(body) in allowed


def verdict_of_the_reference(body: bytes) -> str:
    try:
        message = decode(body)
    except RemoteProtocolError:
        return "framing_violation"
    if isinstance(message, Ignored):
        return "ignore"
    return "malformed" if isinstance(message, Malformed) else "accept"


def test_all_exchanges_are_there() -> None:
    assert len(EXCHANGES) == 71
    assert {len(one["verdicts"]) for one in EXCHANGES} == {1, 2}


def test_the_chapter_on_compatibility_names_every_difference() -> None:
    text = COMPATIBILITY.read_text("utf-8")
    named = set(re.findall(r"\b[A-Z]{2}-[0-9]{2}\b", text))
    assert {one for vector in EXCHANGES for one in vector.get("differs", [])} <= named


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("recorded.ping", lambda vector: vector.update(answers=[])),
        ("recorded.bom", lambda vector: vector.pop("close")),
        ("recorded.bom", lambda vector: vector.update(close={"by": "acceptor", "code": 1})),
        ("recorded.null", lambda vector: vector.update(close={"by": "acceptor", "code": 0})),
        ("recorded.dns-create", lambda vector: vector["answers"][0].update(success=False)),
        ("recorded.dns-cleanup", lambda vector: vector.update(handshake=False)),
        ("recorded.inference-request", lambda vector: vector["answers"].append(STREAM_READY)),
    ],
)
def test_another_course_makes_another_difference(name: str, spoil: Callable[[dict[str, Any]], None]) -> None:
    vector = next(one for one in load("recorded/hellas-gate-p2p-0.1.0.json") if one["id"] == name)
    assert differences(vector) == vector.get("differs", [])
    spoil(vector)
    assert differences(vector) != vector.get("differs", [])
