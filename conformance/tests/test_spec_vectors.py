"""The vectors of ``spec/vectors`` against their schemas and an independent reading of the rules."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from .vector_files import MANIFEST, VECTORS, body_of, load, paths
from .written_rules import (
    MEMBERS,
    RESPONSE_TO,
    SPEC,
    Reading,
    frame_events,
    is_good_form,
    known_members,
    validator,
    verdicts,
)


def message_problems(vector: dict[str, Any]) -> list[str]:
    body = body_of(vector)
    allowed, value = verdicts(body)
    expected = set(vector.get("allowed", [vector["verdict"]]))
    problems = []
    if allowed != expected and not (value is None and allowed <= expected and len(body) >= 100_000):
        problems.append(f"the rules allow {sorted(allowed)}, the vector {sorted(expected)}")
    if value is None:
        return problems
    if "message" in vector and known_members(value) != vector["message"]:
        problems.append(f"means {known_members(value)}")
    type_ = value.get("type") if isinstance(value, dict) else None
    if not isinstance(type_, str):
        return problems
    if type_ in RESPONSE_TO and "accept" in expected:
        form = "good" if is_good_form(value) else "bad"
        if vector.get("form") != form:
            problems.append(f"its form is {form}")
    if type_ in RESPONSE_TO and expected == {"malformed"}:
        request_id = value.get("request_id")
        if vector.get("request_id") != (request_id if isinstance(request_id, str) else None):
            problems.append(f"its request_id is {request_id!r}")
    return problems


# -- Tests ------------------------------------------------------------------------------------------


def test_manifest_lists_every_file_with_its_count() -> None:
    validator("vectors:manifest").validate(MANIFEST)
    listed = [entry["path"] for entry in MANIFEST["files"]]
    there = {path.relative_to(VECTORS).as_posix() for path in VECTORS.glob("*/*.json")}
    assert len(listed) == len(set(listed))
    assert set(listed) == there
    for entry in MANIFEST["files"]:
        assert entry["count"] == len(load(entry["path"])), entry["path"]
        assert entry["path"].startswith(entry["kind"] + "/")
        assert entry["schema"] == f"urn:gate-p2p:1.0:schema:vectors:{entry['kind']}"
    assert MANIFEST["total"] == sum(entry["count"] for entry in MANIFEST["files"])


@pytest.mark.parametrize("path", [entry["path"] for entry in MANIFEST["files"]])
def test_file_follows_its_schema(path: str) -> None:
    kind = path.partition("/")[0]
    faults = [
        f"{error.json_path}: {error.message[:200]}"
        for error in validator(f"vectors:{kind}").iter_errors(load(path))
    ]
    assert faults == []


def test_files_are_ascii_and_follow_i_json() -> None:
    for entry in MANIFEST["files"]:
        reading = Reading((VECTORS / entry["path"]).read_bytes())
        assert (VECTORS / entry["path"]).read_bytes().isascii()
        assert not reading.breaks_i_json, entry["path"]


def test_ids_are_unique_and_requirements_exist() -> None:
    rows = tomllib.loads((SPEC / "requirements.toml").read_text("utf-8"))["requirement"]
    requirements = {row["id"] for row in rows}
    seen: set[str] = set()
    for entry in MANIFEST["files"]:
        for vector in load(entry["path"]):
            assert vector["id"] not in seen
            seen.add(vector["id"])
            assert vector["requirement"] in requirements, vector["id"]


@pytest.mark.parametrize("path", paths("messages"))
def test_verdicts_follow_from_the_rules(path: str) -> None:
    problems = {vector["id"]: found for vector in load(path) if (found := message_problems(vector))}
    assert problems == {}


def test_every_message_type_has_its_file_and_every_verdict_occurs() -> None:
    names = {Path(path).stem for path in paths("messages")}
    assert names == set(MEMBERS) | {"json-documents"}
    for type_ in MEMBERS:
        vectors = load(f"messages/{type_}.json")
        assert {"accept", "ignore", "malformed", "choice"} <= {vector["verdict"] for vector in vectors}
        assert all(vector["message"]["type"] == type_ for vector in vectors if "message" in vector)
    assert sum(entry["count"] for entry in MANIFEST["files"] if entry["kind"] == "messages") >= 200


@pytest.mark.parametrize("path", paths("framing"))
def test_events_follow_from_the_rules(path: str) -> None:
    problems = {
        vector["id"]: found
        for vector in load(path)
        if (found := frame_events(body_of(vector), vector["eof"])) != vector["events"]
    }
    assert problems == {}


def test_there_are_enough_framing_vectors() -> None:
    vectors = [vector for path in paths("framing") for vector in load(path)]
    assert len(vectors) >= 25
    found = {event.get("violation") for vector in vectors for event in vector["events"]}
    assert found >= {"FR-03", "FR-04", "FR-06", "FR-07", "FR-11"}


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "malformed"},
        {"verdict": "choice", "allowed": ["accept", "malformed"]},
        {"message": {"type": "Ping", "id": 8}},
        {"text": '{"type":"Ping","id":01}'},
    ],
)
def test_a_wrong_vector_is_found(change: dict[str, Any]) -> None:
    vector = load("messages/Ping.json")[0]
    assert message_problems(vector) == []
    assert message_problems({**vector, **change})


def test_a_wrong_form_is_found() -> None:
    vector = next(one for one in load("messages/DnsChallengeCreate.json") if one.get("form") == "bad")
    assert message_problems(vector) == []
    assert message_problems({**vector, "form": "good"})
