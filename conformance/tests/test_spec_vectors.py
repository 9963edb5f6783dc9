"""The vectors of ``spec/vectors`` against their schemas and an independent reading of the rules."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NoReturn

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from .vector_files import MANIFEST, VECTORS, body_of, load, paths

SPEC = Path(__file__).resolve().parents[2] / "spec"
READER = SPEC.parent / "docs" / "examples" / "read_vectors.py"
SCHEMAS = [json.loads(path.read_text("utf-8")) for path in (SPEC / "schemas").rglob("*.json")]
REGISTRY: Any = Registry().with_resources((one["$id"], Resource.from_contents(one)) for one in SCHEMAS)
REQUESTS = {
    "RequestSniStream": "StreamReady",
    "RequestInferenceStream": "StreamReady",
    "DnsChallengeCreate": "DnsChallengeResponse",
    "DnsChallengeCleanup": "DnsChallengeResponse",
    "DomainRegistrationRequest": "DomainRegistrationResponse",
}
MAX_BODY = 10_485_760


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"urn:gate-p2p:1.0:schema:{name}"}, registry=REGISTRY)


VALIDATORS = {
    one["properties"]["type"]["const"]: validator(one["title"])
    for one in SCHEMAS
    if "const" in one.get("properties", {}).get("type", {})
}
SENT = {type_: validator(f"sent-message#/$defs/{type_}") for type_ in VALIDATORS}


# -- The rules, read once more: strict JSON of the standard library, then the schemas ---------------


class FloatLiteral(float):
    """A number written with fraction or exponent."""


class MinusZero(int):
    """`-0`."""


class Object(dict[str, Any]):
    """An object that remembers whether a member came twice; the last value counts."""

    repeated = False


class Reading:
    """One strict reading of a body: `value`, `breaks_i_json` (FR-14). Raises ValueError: no JSON."""

    def __init__(self, body: bytes) -> None:
        text = body.decode("utf-8")
        if text.startswith("\ufeff"):
            raise ValueError("a byte order mark")
        self.breaks_i_json = bool(re.search(r"[\[{]", text)) and self._depth(text) > 64
        self.value = json.loads(
            text,
            parse_constant=self._constant,
            parse_float=self._float,
            parse_int=self._int,
            object_pairs_hook=self._object,
        )
        if self._has_surrogate(self.value):
            self.breaks_i_json = True

    @staticmethod
    def _depth(text: str) -> int:
        depth = deepest = 0
        for token in re.findall(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', text, re.DOTALL):
            if token in "[{":
                depth += 1
                deepest = max(deepest, depth)
            elif token in "]}":
                depth -= 1
        return deepest

    @staticmethod
    def _constant(name: str) -> NoReturn:
        raise ValueError(name)

    def _float(self, literal: str) -> float:
        number = FloatLiteral(literal)
        if math.isinf(number):
            self.breaks_i_json = True
        return number

    def _int(self, literal: str) -> int | float:
        if len(literal) > 308 and math.isinf(float(literal)):
            self.breaks_i_json = True
            return math.inf
        return MinusZero() if literal == "-0" else int(literal)

    @staticmethod
    def _object(pairs: list[tuple[str, Any]]) -> Object:
        found = Object(pairs)
        found.repeated = len(found) < len(pairs)
        return found

    def _has_surrogate(self, node: Any) -> bool:
        if isinstance(node, str):
            return re.search("[\ud800-\udfff]", node) is not None
        if isinstance(node, Object):
            return any(self._has_surrogate(one) for pair in node.items() for one in pair)
        return isinstance(node, list) and any(map(self._has_surrogate, node))


def verdicts(body: bytes) -> tuple[set[str], Any]:
    """Every verdict that the rules allow for a body, and the document if there is one."""
    try:
        reading = Reading(body)
    except ValueError:
        return {"framing_violation"}, None
    except RecursionError:
        # deeper than the standard library goes: only that a violation is allowed can be said
        return {"framing_violation"}, None
    value = reading.value
    type_ = value.get("type") if isinstance(value, Object) else None
    known = VALIDATORS.get(type_) if isinstance(type_, str) else None
    if known is None:
        allowed = {"ignore"}
        if isinstance(value, Object) and value.repeated:
            allowed.add("malformed")
    elif not known.is_valid(value):
        allowed = {"malformed"}
    else:
        allowed = {"accept"}
        address = value.get("node_addr")
        nested = type_ == "DomainRegistrationRequest" and isinstance(address, Object) and address.repeated
        odd_id = type_ in ("Ping", "Pong") and isinstance(value["id"], FloatLiteral | MinusZero)
        if value.repeated or nested or odd_id:
            allowed.add("malformed")
    if reading.breaks_i_json:
        allowed.add("framing_violation")
    return allowed, value


def known_members(value: dict[str, Any]) -> dict[str, Any]:
    """The members that the specification knows, without null ones."""
    schema = next(one for one in SCHEMAS if one["title"] == value["type"])
    found = {name: value[name] for name in schema["properties"] if value.get(name) is not None}
    if value["type"] == "DomainRegistrationRequest":
        found["node_addr"] = {name: value["node_addr"][name] for name in ("id", "direct_addresses")}
    return found


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
    type_ = value.get("type") if isinstance(value, Object) else None
    if not isinstance(type_, str):
        return problems
    if type_ in REQUESTS and "accept" in expected:
        form = "good" if SENT[type_].is_valid(value) else "bad"
        if vector.get("form") != form:
            problems.append(f"its form is {form}")
    if type_ in REQUESTS and expected == {"malformed"}:
        request_id = value.get("request_id")
        if vector.get("request_id") != (request_id if isinstance(request_id, str) else None):
            problems.append(f"its request_id is {request_id!r}")
    return problems


def frame_events(data: bytes, eof: bool) -> list[dict[str, Any]]:
    """What a receiver finds in the bytes, taken whole."""
    events: list[dict[str, Any]] = []
    position = 0
    while len(data) - position >= 4:
        length = int.from_bytes(data[position : position + 4], "big")
        if not 1 <= length <= MAX_BODY:
            return [*events, {"violation": "FR-03" if length else "FR-04"}]
        body = data[position + 4 : position + 4 + length]
        if len(body) < length:
            break
        position += 4 + length
        allowed, value = verdicts(body)
        (verdict,) = allowed
        if verdict == "framing_violation":
            try:
                is_utf_8 = not body.decode("utf-8").startswith("\ufeff")
            except UnicodeDecodeError:
                is_utf_8 = False
            return [*events, {"violation": "FR-06" if is_utf_8 else "FR-07"}]
        if verdict == "accept":
            events.append({"message": known_members(value)})
        else:
            events.append({"ignored": True} if verdict == "ignore" else {"malformed": True})
    if eof:
        events.append({"end": "clean"} if position == len(data) else {"violation": "FR-11"})
    return events


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
    assert names == set(VALIDATORS) | {"json-documents", "recorded"}
    for type_ in VALIDATORS:
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


@pytest.mark.parametrize("path", paths("transcripts"))
def test_transcripts_are_frames_of_their_messages(path: str) -> None:
    for transcript in load(path):
        for frame in transcript["frames"]:
            data = bytes.fromhex(frame["hex"])
            assert int.from_bytes(data[:4], "big") == len(data) - 4
            allowed, value = verdicts(data[4:])
            assert allowed == {"accept"}, transcript["id"]
            assert value == frame["message"], transcript["id"]


@pytest.mark.parametrize("path", paths("transcripts"))
def test_transcripts_answer_what_is_asked_and_nothing_else(path: str) -> None:
    answer_of = {"Ping": ("Pong", "id"), "Handshake": ("HandshakeResponse", "")} | {
        request: (response, "request_id") for request, response in REQUESTS.items()
    }
    tolerated = {"handshake.unasked-response", "ping.unasked-pong"}
    for transcript in load(path):
        asked: list[tuple[str, str, Any]] = []
        unasked = 0
        for frame in transcript["frames"]:
            message, sender = frame["message"], frame["from"]
            other = "acceptor" if sender == "dialer" else "dialer"
            if message["type"] in answer_of:
                answer, key = answer_of[message["type"]]
                asked.append((other, answer, message.get(key)))
                continue
            member = next((key for answer, key in answer_of.values() if answer == message["type"]), "")
            if (one := (sender, message["type"], message.get(member))) in asked:
                asked.remove(one)
            else:
                unasked += 1
        assert asked == [], transcript["id"]
        assert unasked == (transcript["id"] in tolerated), transcript["id"]


def run_example(vectors: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(READER), str(vectors)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_example_reader_agrees_with_every_vector() -> None:
    done = run_example(VECTORS)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(MANIFEST["files"])
    for entry, line in zip(MANIFEST["files"], lines, strict=True):
        assert line.split() == f"{entry['count']} of {entry['count']} agree {entry['path']}".split()


def test_example_reader_names_a_vector_that_it_disagrees_with(tmp_path: Path) -> None:
    shutil.copytree(VECTORS, tmp_path / "vectors")
    path = tmp_path / "vectors" / "messages" / "Ping.json"
    vectors = json.loads(path.read_text("utf-8"))
    vectors[0]["verdict"] = "malformed"
    path.write_text(json.dumps(vectors), "utf-8")
    done = run_example(tmp_path / "vectors")
    assert done.returncode == 1
    assert vectors[0]["id"] in done.stdout


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
