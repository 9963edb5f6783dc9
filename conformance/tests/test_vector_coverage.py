"""Every member of every message has vectors that are valid, at the bounds and invalid."""

from __future__ import annotations

from typing import Any

import pytest

from .vector_files import body_of, load
from .written_rules import MEMBERS, RESPONSE_TO, SCHEMAS, VALIDATORS, is_good_form, verdicts

BY_ID = {one["$id"]: one for one in SCHEMAS}
COMMON = BY_ID["urn:gate-p2p:1.0:schema:common"]["$defs"]
READ = [
    (verdicts(body), vector)
    for type_ in MEMBERS
    for vector in load(f"messages/{type_}.json")
    if len(body := body_of(vector)) < 10_000
]
"""Every message vector as `((allowed, document), vector)`."""


def schema_of(type_: str, name: str) -> dict[str, Any]:
    part: dict[str, Any] = BY_ID[f"urn:gate-p2p:1.0:schema:{type_}"]["properties"][name]
    return COMMON[part["$ref"].rpartition("/")[2]] if "$ref" in part else part


def documents(type_: str, verdict: str) -> list[dict[str, Any]]:
    return [
        value
        for (allowed, value), _ in READ
        if allowed == {verdict} and isinstance(value, dict) and value.get("type") == type_
    ]


def only_fault_is(type_: str, document: dict[str, Any], name: str) -> bool:
    """Whether a malformed document is well formed but for that member."""
    faults = list(VALIDATORS[type_].iter_errors(document))
    return all(fault.validator == "required" or fault.absolute_path[0] == name for fault in faults) and all(
        fault.absolute_path or name not in document for fault in faults
    )


@pytest.mark.parametrize("type_", MEMBERS)
def test_every_member_is_seen_present_absent_null_and_ill_typed(type_: str) -> None:
    required = BY_ID[f"urn:gate-p2p:1.0:schema:{type_}"]["required"]
    good, bad = documents(type_, "accept"), documents(type_, "malformed")
    for name in MEMBERS[type_][1:]:
        wrong = [one for one in bad if only_fault_is(type_, one, name)]
        assert any(name in one and one[name] is not None for one in good), f"{name} present"
        ill_typed = [type(one[name]) for one in wrong if one.get(name) is not None]
        assert len(set(ill_typed)) >= 3, f"{name} of another type"
        if name in required:
            assert any(name not in one for one in wrong), f"{name} absent"
            assert any(name in one and one[name] is None for one in wrong), f"{name} null"
        else:
            assert any(name not in one for one in good), f"{name} absent"
            assert any(name in one and one[name] is None for one in good), f"{name} null"


@pytest.mark.parametrize("type_", ["Ping", "Pong"])
def test_an_id_is_seen_at_and_past_its_bounds(type_: str) -> None:
    low, high = COMMON["message_id"]["minimum"], COMMON["message_id"]["maximum"]
    assert {low, low + 1, high - 1, high} <= {one["id"] for one in documents(type_, "accept")}
    refused = [one.get("id") for one in documents(type_, "malformed")]
    assert {low - 1, high + 1} <= {one for one in refused if is_integer(one)}


def is_integer(value: Any) -> bool:
    return type(value) is int


@pytest.mark.parametrize("type_", RESPONSE_TO)
def test_every_form_is_seen_at_and_past_its_lengths(type_: str) -> None:
    requests = documents(type_, "accept")
    for name in MEMBERS[type_][1:]:
        form = COMMON.get(schema_of(type_, name).get("$comment", "").rpartition("/")[2], {})
        texts = [one[name] for one in requests if isinstance(one.get(name), str)]
        good = {len(one[name]) for one in requests if isinstance(one.get(name), str) and is_good_form(one)}
        for bound in (form.get("minLength"), form.get("maxLength")):
            if bound is not None:
                assert bound in good, f"{name} of {bound} characters"
        lengths = {len(text) for text in texts}
        if "maxLength" in form:
            assert form["maxLength"] + 1 in lengths - good, f"{name}, one character too long"
        if "minLength" in form:
            assert form["minLength"] - 1 in lengths - good, f"{name}, one character too short"


def test_node_addr_is_seen_at_and_past_its_bounds() -> None:
    part = COMMON["node_addr"]["properties"]["id"]
    low, high = part["items"]["minimum"], part["items"]["maximum"]

    def ids(verdict: str) -> list[list[Any]]:
        found = [one.get("node_addr") for one in documents("DomainRegistrationRequest", verdict)]
        return [one["id"] for one in found if isinstance(one, dict) and isinstance(one.get("id"), list)]

    accepted = {item for one in ids("accept") for item in one}
    assert {low, high} <= accepted
    assert {len(one) for one in ids("accept")} == {part["minItems"]}
    strange = [one for one in ids("malformed") if len(one) == part["minItems"]]
    assert {low - 1, high + 1} <= {item for one in strange for item in one if is_integer(item)}
    assert {part["minItems"] - 1, part["maxItems"] + 1} <= {len(one) for one in ids("malformed")}


def test_an_integer_written_in_another_way_is_seen_in_every_place_that_has_one() -> None:
    for type_, prefix in (
        ("Ping", "ping.id."),
        ("Pong", "pong.id."),
        ("DomainRegistrationRequest", "domain-registration-request.node-addr.id."),
    ):
        found = {one["id"]: one for one in load(f"messages/{type_}.json")}
        for name in ("1-point-0", "1e0", "minus-0", "1e-400"):
            assert found[prefix + name]["allowed"] == ["accept", "malformed"], prefix + name
