"""The vectors of data connections and of authorisation, against an independent reading of the chapters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gate_conformance import codec
from gate_conformance.jsonscan import Members, NotJson, scan

from .data_streams import READY, led_to, may_act, ready_events, request_verdicts, response_events
from .vector_files import body_of, load

READINESS = load("ready/ready.json")
REQUESTS = load("inference/requests.json")
RESPONSES = load("inference/responses.json")
ACTING = load("authorisation/acting.json")
ROUTING = load("authorisation/routing.json")


def verdicts_in(vector: dict[str, Any]) -> set[str]:
    return set(vector.get("allowed", [vector["verdict"]]))


def request_problem(vector: dict[str, Any]) -> str | None:
    allowed, value = request_verdicts(body_of(vector))
    if allowed != verdicts_in(vector):
        return f"the rules allow {sorted(allowed)}"
    if "stream" in vector and vector["stream"] != (value.get("stream") is True):
        return "`stream` says otherwise"
    if "passes_on" in vector:
        passed_on = {name: one for name, one in value.items() if name != "action"}
        if passed_on != vector["passes_on"] or value.get("action") is not None:
            return f"passes on {passed_on}"
    return None


def test_ready_vectors_follow_from_the_rules() -> None:
    for vector in READINESS:
        assert ready_events(body_of(vector), vector.get("end")) == vector["events"], vector["id"]


def test_every_byte_of_ready_is_seen_to_be_right_wrong_and_missing() -> None:
    seen = {(body_of(one), one.get("end")) for one in READINESS}
    assert {(READY[:n], end) for n in range(9) for end in (None, "clean")} <= seen
    for n in range(9):
        wrong = [
            data
            for data, _ in seen
            if len(data) == 9 and data[:n] + data[n + 1 :] == READY[:n] + READY[n + 1 :]
        ]
        assert any(data[n] != READY[n] for data in wrong), n


def test_request_vectors_follow_from_the_rules() -> None:
    assert {one["id"]: found for one in REQUESTS if (found := request_problem(one))} == {}


def test_every_verdict_on_a_request_occurs_and_the_longest_body_is_there() -> None:
    kinds = {"completion", "list_models", "request_error", "framing_violation", "choice"}
    assert {one["verdict"] for one in REQUESTS} == kinds
    assert 10_485_760 in {len(body_of(one)) for one in REQUESTS}


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "request_error"},
        {"verdict": "choice", "allowed": ["completion", "request_error"]},
        {"stream": True},
        {"passes_on": {}},
        {"text": "[]"},
    ],
)
def test_a_wrong_request_vector_is_found(change: dict[str, Any]) -> None:
    assert request_problem(REQUESTS[0]) is None
    assert request_problem({**REQUESTS[0], **change})


def test_response_vectors_follow_from_the_rules() -> None:
    for vector in RESPONSES:
        found = response_events(body_of(vector), vector["stream"], vector.get("end"))
        assert found == vector["events"], vector["id"]


def test_every_event_of_a_response_occurs() -> None:
    found = {
        (name, str(value)) for one in RESPONSES for event in one["events"] for name, value in event.items()
    }
    failures = {("failure", kind) for kind in ("request_error", "upstream_error", "server_error")}
    violations = {("violation", one) for one in ("FR-03", "FR-04", "FR-06", "FR-07", "FR-11")}
    assert found >= failures | violations | {("complete", "True"), ("lost", "True")}
    assert {one.get("end") for one in RESPONSES} == {None, "clean", "reset"}


def test_acting_vectors_follow_from_the_rules() -> None:
    for vector in ACTING:
        assert may_act(vector, vector["peer"], vector["domain"]) == vector["may_act"], vector["id"]


def test_routing_vectors_follow_from_the_rules() -> None:
    for vector in ROUTING:
        found = next((one for one in led_to(vector) if one), {None})
        assert found == {vector["leads_to"]}, vector["id"]


def test_both_answers_are_seen_for_every_kind_of_name() -> None:
    for kind in ("registered", "granted", "short_labels"):
        assert {one["may_act"] for one in ACTING if kind in one} == {True, False}
        assert any(one["leads_to"] for one in ROUTING if kind in one)
    assert sum(one["leads_to"] is None for one in ROUTING) >= 10


# -- the suite's own codec


def test_the_codec_agrees_about_what_is_json() -> None:
    for vector in REQUESTS:
        allowed = verdicts_in(vector)
        try:
            found = scan(body_of(vector))
        except NotJson:
            assert allowed == {"framing_violation"}, vector["id"]
            continue
        assert bool(found.framing_choice) == ("framing_violation" in allowed), vector["id"]
        if not found.framing_choice:
            repeated = isinstance(found.value, Members) and bool(found.value.repeated)
            assert repeated or vector["verdict"] != "choice", vector["id"]
            if "passes_on" in vector:
                assert {n: one for n, one in found.value.items() if n != "action"} == vector["passes_on"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 65536])
def test_the_frame_reader_agrees_about_responses(size: int) -> None:
    for vector in RESPONSES:
        data, reader = body_of(vector), codec.FrameReader()
        bodies: list[bytes] = []
        violation = None
        try:
            for start in range(0, len(data), size):
                bodies += reader.feed(data[start : start + size])
            reader.feed(b"")
        except codec.FrameError as error:
            violation = "FR-03" if error.length else "FR-04"
        expected = [event["frame"] for event in vector["events"] if "frame" in event]
        assert [json.loads(body) for body in bodies[: len(expected)]] == expected, vector["id"]
        if vector["events"] and vector["events"][-1].get("violation") in ("FR-03", "FR-04"):
            assert violation == vector["events"][-1]["violation"], vector["id"]
