"""The JSON Schemas of ``spec/schemas``: valid, complete, resolvable offline, and true to their examples."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

SPEC = Path(__file__).resolve().parents[2] / "spec"
FILES = sorted((SPEC / "schemas").rglob("*.json"))
SCHEMAS: dict[str, dict[str, Any]] = {
    path.relative_to(SPEC / "schemas").as_posix(): json.loads(path.read_text("utf-8")) for path in FILES
}
REGISTRY: Any = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)
REQUIREMENTS = {
    row["id"] for row in tomllib.loads((SPEC / "requirements.toml").read_text("utf-8"))["requirement"]
}
TYPES = {
    "Handshake": {"node_id", "capabilities"},
    "HandshakeResponse": {"accepted", "capabilities"},
    "Ping": {"id"},
    "Pong": {"id"},
    "RequestSniStream": {"request_id", "domain"},
    "RequestInferenceStream": {"request_id"},
    "StreamReady": {"request_id", "stream_accepted", "error", "code"},
    "DnsChallengeCreate": {"request_id", "domain", "txt_value"},
    "DnsChallengeCleanup": {"request_id", "domain", "txt_value"},
    "DnsChallengeResponse": {"request_id", "success", "error", "code"},
    "DomainRegistrationRequest": {"request_id", "node_addr"},
    "DomainRegistrationResponse": {"request_id", "success", "domain", "error", "code"},
}
OPTIONAL = {
    "StreamReady": {"error", "code"},
    "DnsChallengeCleanup": {"txt_value"},
    "DnsChallengeResponse": {"error", "code"},
    "DomainRegistrationResponse": {"domain", "error", "code"},
}


def validator(reference: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": reference}, registry=REGISTRY)


def common(name: str) -> Draft202012Validator:
    return validator(f"urn:gate-p2p:1.0:schema:common#/$defs/{name}")


def message(type_: str) -> Draft202012Validator:
    return validator(f"urn:gate-p2p:1.0:schema:{type_}")


def walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_valid(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    assert schema["title"]
    assert schema["description"]


def test_ids_are_stable_unique_and_named_after_their_files() -> None:
    for name, schema in SCHEMAS.items():
        assert schema["$id"] == "urn:gate-p2p:1.0:schema:" + name.removesuffix(".json").replace("/", ":")
    assert len(REGISTRY) == len(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_references_resolve_offline(name: str) -> None:
    resolver = REGISTRY.resolver(base_uri=SCHEMAS[name]["$id"])
    for node in walk(SCHEMAS[name]):
        if isinstance(node.get("$ref"), str):
            assert resolver.lookup(node["$ref"]).contents is not None


def test_comments_that_name_a_form_name_one_that_exists() -> None:
    forms = [node["$comment"] for node in walk(SCHEMAS["common.json"]) if "$comment" in node]
    assert forms
    resolver = REGISTRY.resolver(base_uri="urn:gate-p2p:1.0:schema:common")
    for form in forms:
        assert resolver.lookup(form.removeprefix("form: ")).contents


@pytest.mark.parametrize("name", SCHEMAS)
def test_requirements_named_in_descriptions_exist(name: str) -> None:
    named = set(re.findall(r"\b[A-Z]{2}-\d{2}\b", json.dumps(SCHEMAS[name])))
    assert named <= REQUIREMENTS


def test_every_message_has_a_schema() -> None:
    constants = {
        schema["properties"]["type"]["const"]: schema
        for name, schema in SCHEMAS.items()
        if "/" not in name and "type" in schema.get("properties", {})
    }
    assert set(constants) == set(TYPES)
    for type_, schema in constants.items():
        assert set(schema["properties"]) == TYPES[type_] | {"type"}
        assert set(schema["required"]) == TYPES[type_] - OPTIONAL.get(type_, set()) | {"type"}


@pytest.mark.parametrize("type_", TYPES)
def test_every_member_is_described(type_: str) -> None:
    for name, member in SCHEMAS[f"{type_}.json"]["properties"].items():
        assert member.get("description"), name


@pytest.mark.parametrize("type_", TYPES)
def test_examples_are_what_they_show(type_: str) -> None:
    examples = SCHEMAS[f"{type_}.json"]["examples"]
    assert examples
    for example in examples:
        for reference in ("control-message", "sent-message", f"sent-message#/$defs/{type_}", type_):
            validator(f"urn:gate-p2p:1.0:schema:{reference}").validate(example)
        others = [other for other in TYPES if other != type_ and message(other).is_valid(example)]
        assert others == []


def test_examples_of_definitions_are_what_they_show() -> None:
    seen = 0
    for name, definition in SCHEMAS["common.json"]["$defs"].items():
        for example in definition.get("examples", []):
            common(name).validate(example)
            seen += 1
    assert seen >= 10


@pytest.mark.parametrize("type_", TYPES)
def test_unknown_members_are_allowed_everywhere(type_: str) -> None:
    example = json.loads(json.dumps(SCHEMAS[f"{type_}.json"]["examples"][0]))
    example["x"] = [None]
    if "node_addr" in example:
        example["node_addr"]["x"] = {"y": 1}
    message(type_).validate(example)
    validator("urn:gate-p2p:1.0:schema:sent-message").validate(example)


@pytest.mark.parametrize("type_", OPTIONAL)
def test_null_is_absent(type_: str) -> None:
    required = {"request_id": "r", "domain": "a.b", "success": False, "stream_accepted": False}
    base = {name: value for name, value in required.items() if name in TYPES[type_] - OPTIONAL[type_]}
    for name in OPTIONAL[type_]:
        message(type_).validate({"type": type_, **base})
        message(type_).validate({"type": type_, **base, name: None})
        assert not message(type_).is_valid({"type": type_, **base, name: 5})


def test_form_rules_are_no_matter_of_wellformedness() -> None:
    out_of_form = {"type": "DnsChallengeCreate", "request_id": "", "domain": "*", "txt_value": "\n"}
    message("DnsChallengeCreate").validate(out_of_form)
    assert not validator("urn:gate-p2p:1.0:schema:sent-message").is_valid(out_of_form)


def test_success_of_a_registration_needs_a_domain() -> None:
    answer: dict[str, Any] = {"type": "DomainRegistrationResponse", "request_id": "r", "success": True}
    assert not message("DomainRegistrationResponse").is_valid(answer)
    assert not message("DomainRegistrationResponse").is_valid({**answer, "domain": None})
    message("DomainRegistrationResponse").validate({**answer, "domain": "a.b"})
    message("DomainRegistrationResponse").validate({**answer, "success": False})


def test_a_sent_failure_says_why() -> None:
    sent = validator("urn:gate-p2p:1.0:schema:sent-message")
    for type_, flag in (
        ("StreamReady", "stream_accepted"),
        ("DnsChallengeResponse", "success"),
        ("DomainRegistrationResponse", "success"),
    ):
        failure = {"type": type_, "request_id": "r", flag: False}
        message(type_).validate(failure)
        assert not sent.is_valid(failure)
        assert not sent.is_valid({**failure, "error": None})
        assert not sent.is_valid({**failure, "error": ""})
        sent.validate({**failure, "error": "no"})


@pytest.mark.parametrize(
    ("form", "good"),
    [
        ("request_id", "r1"),
        ("domain", "a.b"),
        ("txt_value", "x" * 43),
        ("node_id", "ab" * 32),
        ("socket_address", "127.0.0.1:1"),
        ("socket_address", "[::1]:65535"),
    ],
)
def test_no_form_lets_a_final_newline_pass(form: str, good: str) -> None:
    assert common(form).is_valid(good)
    for end in ("\n", "\r", "\r\n", "\u0085", "\u2028"):
        for bad in (good + end, end + good, good[:-1] + end):
            assert not common(form).is_valid(bad), repr(bad)


def test_no_pattern_relies_on_a_dollar_alone() -> None:
    """In some languages `$` also matches before a line end: then another keyword has to refuse that."""
    for name, schema in SCHEMAS.items():
        exceptions = [node["not"] for node in walk(schema) if isinstance(node.get("not"), dict)]
        excluding = [one for guard in exceptions for one in (guard, *guard.get("anyOf", []))]
        for node in walk(schema):
            if str(node.get("pattern", "")).endswith("$") and node not in excluding:
                guards = [one for one in walk(node.get("not", {})) if "pattern" in one]
                closed = any(re.match(r"\[\^.*\]$", one["pattern"]) for one in guards)
                assert closed or "maxLength" in node, f"{name}: {node['pattern']}"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:01",
        "256.0.0.1:1",
        "1.2.3:4",
        "::1:80",
        "[::1]",
        "a:1",
        "[192.0.2.7]:1",
        "[::::]:1",
        "[1.2]:1",
        "[::1%1]:1",
        "[1:2:3:4:5:6:7]:1",
        "[1:2:3:4:5:6:7:8:9]:1",
        "[1::2::3]:1",
        "[1:2:3:4:5:6:7:8::]:1",
        "[::12345]:1",
        "[::256.0.0.1]:1",
        "[::01.2.3.4]:1",
        "[1.2.3.4::]:1",
        "[1:2:3:4:5:6:7:1.2.3.4]:1",
    ],
)
def test_socket_address_refuses(bad: str) -> None:
    assert not common("socket_address").is_valid(bad)


@pytest.mark.parametrize("groups", range(9))
def test_socket_address_takes_each_shape_of_an_ipv6_address(groups: int) -> None:
    """RFC 3986 has nine: no `::`, and `::` in front of 7 groups or fewer."""
    for tail in ("abcd:1", "192.0.2.7"):
        whole = ":".join(["FFFF"] * 6 + [tail])
        short = ":".join(["1"] * max(0, groups - 2)) + "::" + tail
        assert common("socket_address").is_valid(f"[{whole}]:65535")
        assert common("socket_address").is_valid(f"[{short}]:1") == (groups < 8)
    alone = ":".join(["1"] * groups) + "::"
    assert common("socket_address").is_valid(f"[{alone}]:1") == (groups < 8)
    assert common("socket_address").is_valid(f"[::{':'.join(['1'] * groups)}]:1") == (groups < 8)


@pytest.mark.parametrize("bad", [-1, 2**64, 1.5, True, "1", None, [1]])
def test_message_id_refuses(bad: object) -> None:
    assert not common("message_id").is_valid(bad)


@pytest.mark.parametrize("good", [0, 1, 2**53 + 1, 2**63, 2**64 - 1])
def test_message_id_takes(good: int) -> None:
    assert common("message_id").is_valid(good)


def inference(name: str) -> Draft202012Validator:
    return validator(f"urn:gate-p2p:1.0:schema:inference:{name}")


@pytest.mark.parametrize("name", ["request", "response", "error"])
def test_examples_of_inference_are_what_they_show(name: str) -> None:
    schema = SCHEMAS[f"inference/{name}.json"]
    for example in schema["examples"]:
        inference(name).validate(example)
    for part, definition in schema.get("$defs", {}).items():
        for example in definition["examples"]:
            inference(f"{name}#/$defs/{part}").validate(example)


@pytest.mark.parametrize("stream", ["yes", 1, 0, [True], {}, None, True, False])
def test_a_receiver_looks_at_the_model_alone_and_a_sender_writes_the_form(stream: object) -> None:
    body = {"model": "tiny", "stream": stream}
    inference("request#/$defs/chat_completion").validate(body)
    inference("request").validate({**body, "messages": "Hi"})
    sent = inference("request#/$defs/sent_chat_completion")
    assert not sent.is_valid(body)
    assert sent.is_valid({**body, "messages": []}) == (stream is None or isinstance(stream, bool))
    assert not inference("request").is_valid({"messages": []})


def test_snippet_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SPEC.parent)
    (snippet,) = re.findall(r"```python\n(.*?)```", (SPEC / "README.md").read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)
    assert len(names["registry"]) == len(SCHEMAS)
