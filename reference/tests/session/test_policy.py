"""Who may act for which name (AU-01 to AU-03), and the quota of a peer."""

from __future__ import annotations

import pytest

from gate_p2p.core import (
    DnsChallengeCleanup,
    DnsChallengeCreate,
    DomainRegistrationRequest,
    NodeAddr,
    RequestSniStream,
)
from gate_p2p.node_names import node_labels
from gate_p2p.session.policy import NamePolicy, request_policy

PEER = "00" * 31 + "1f"
OTHER = "ff" * 32
VALUE = "v" * 43


@pytest.mark.parametrize("label", [0, 1])
def test_a_peer_may_act_for_its_own_name_in_any_case(label: int) -> None:
    policy = NamePolicy("Private.Example")
    name = f"{node_labels(PEER)[label]}.private.example"
    assert policy.may_act_for(PEER, name)
    assert policy.may_act_for(PEER, name.upper())
    assert not policy.may_act_for(OTHER, name)


def test_a_letter_outside_ascii_is_not_taken_for_its_lower_case() -> None:
    policy = NamePolicy("kelvin.example")
    label = node_labels(PEER).z_base_32
    assert policy.may_act_for(PEER, f"{label}.KELVIN.example")
    assert not policy.may_act_for(PEER, f"{label}.\u212aelvin.example")


@pytest.mark.parametrize(
    "name",
    [
        "private.example",
        "other.private.example",
        "a.{label}.private.example",
        "{label}.example",
        "{label}.notprivate.example",
        "{label}.private.example.com",
        "x{label}.private.example",
        "{full}.private.example",
        "{label}",
    ],
)
def test_a_name_that_merely_looks_alike_is_another_name(name: str) -> None:
    policy = NamePolicy("private.example")
    label = node_labels(PEER)[1]
    assert not policy.may_act_for(PEER, name.format(label=label, full=PEER))


def test_allowed_names_are_exact_and_belong_to_their_peer() -> None:
    policy = NamePolicy("private.example", {PEER: ["Mine.example"], "*": ["all.example"]})
    assert policy.may_act_for(PEER, "mine.EXAMPLE")
    assert not policy.may_act_for(PEER, "sub.mine.example")
    assert not policy.may_act_for(PEER, "notmine.example")
    assert not policy.may_act_for(OTHER, "mine.example")
    assert policy.may_act_for(OTHER, "all.example")


@pytest.mark.parametrize("kind", [DnsChallengeCreate, DnsChallengeCleanup])
def test_a_challenge_for_a_strange_name_is_refused_before_the_quota_is_asked(
    kind: type[DnsChallengeCreate | DnsChallengeCleanup],
) -> None:
    policy = request_policy(PEER, NamePolicy("private.example", {PEER: ["mine.example"]}), lambda: 64)
    refusal = policy(kind(request_id="r", domain="other.example", txt_value=VALUE))
    assert refusal is not None
    assert refusal.code == "not_authorised"
    assert "other.example" in refusal.error
    refusal = policy(kind(request_id="r", domain="mine.example", txt_value=VALUE))
    assert refusal is not None
    assert refusal.code == "quota"


def test_the_quota_holds_for_every_request_and_ends_below_it() -> None:
    in_flight = 64
    policy = request_policy(PEER, NamePolicy("private.example"), lambda: in_flight)
    request = RequestSniStream(request_id="r", domain="a.example")
    refusal = policy(request)
    assert refusal is not None
    assert refusal.code == "quota"
    in_flight = 63
    assert policy(request) is None


def test_without_a_handler_there_is_nothing_to_authorise() -> None:
    policy = request_policy(PEER, None, lambda: 0)
    assert policy(DnsChallengeCreate(request_id="r", domain="other.example", txt_value=VALUE)) is None


@pytest.mark.parametrize("names", [None, NamePolicy("private.example")])
def test_a_node_registers_itself_and_nobody_else(names: NamePolicy | None) -> None:
    policy = request_policy(PEER, names, lambda: 0)

    def refusal(octets: bytes) -> str | None:
        address = NodeAddr(id=tuple(octets), direct_addresses=())
        found = policy(DomainRegistrationRequest(request_id="r", node_addr=address))
        return None if found is None else found.code

    own = bytes.fromhex(PEER)
    assert refusal(own) is None
    assert refusal(own[:31] + b"\0") == "not_authorised"
    assert refusal(bytes(32)) == "not_authorised"


@pytest.mark.parametrize(
    ("suffix", "allowed", "words"),
    [
        ("x", {}, "single label"),
        ("nodes.test", {PEER: ["a..test"]}, "empty label"),
        ("nodes.test", {"x": ["a.test"]}, "no node id"),
    ],
)
def test_names_and_ids_of_bad_form_are_refused_at_once(
    suffix: str, allowed: dict[str, list[str]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        NamePolicy(suffix, allowed)
