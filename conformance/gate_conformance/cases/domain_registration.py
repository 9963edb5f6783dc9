"""Domain registration: how requests for a name are answered."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._names import is_domain
from gate_conformance.cases._requests import (
    REGISTRATION,
    answer,
    describe,
    node_addr,
    replies,
    request,
    succeeded,
)
from gate_conformance.cases.requests import malformed
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial


Z_BASE_32 = "ybndrfg8ejkmcpqxot1uwisza345h769"


async def registered(t: Trial, link: Link, **members: Any) -> None:
    """Ask for a name: any answer will do that is whole."""
    message = request(t, link, REGISTRATION, **members)
    try:
        response = await answer(t, link, message, "DR-01")
    except CaseFailed as failed:
        if failed.requirement == "MS-12" and t.case.id == "domain-registration.answered":
            t.fail("a whole DomainRegistrationResponse, success with a `domain`", failed.actual, "DR-01")
        raise
    domain = response.get("domain")
    if succeeded(response):
        if not isinstance(domain, str) or not domain:
            t.fail("success with a `domain`", f"{response}", "DR-01")
        if not is_domain(domain):
            t.fail("success with a `domain` in the form of DC-03", f"the name {domain!r}", "DR-01")
    elif not isinstance(response.get("error"), str) or not response["error"]:
        t.fail("a failure with an `error` text", f"{response}", "RQ-07")
    t.note(describe(response))


@case("domain-registration.answered", requirement="DR-01")
async def answered(t: Trial) -> None:
    """DomainRegistrationRequest is answered with one DomainRegistrationResponse, each time."""
    link = await t.established()
    for _ in range(3):
        await registered(t, link)
    await link.settle(0.4)
    await link.barrier()
    for message in link.received:
        if (
            message.get("type") == "DomainRegistrationResponse"
            and len(replies(link.received, message["request_id"])) > 1
        ):
            t.fail("one response each", "more than one", "RQ-01")


@case("domain-registration.addresses", requirement="DR-01")
async def addresses(t: Trial) -> None:
    """Addresses of both families, several of them or none, are answered."""
    link = await t.established()
    own = node_addr(t.options.peer_id)
    for listed in ([], ["192.0.2.7:1", "192.0.2.8:65535"], ["[2001:db8::7]:31145"], ["192.0.2.7:31145"] * 20):
        await registered(t, link, node_addr={**own, "direct_addresses": listed})
    await registered(t, link, node_addr={**own, "relay_url": None, "more": {"id": 1}})
    await link.barrier()


@case("domain-registration.foreign-id", requirement="DR-01")
async def foreign_id(t: Trial) -> None:
    """An `id` in `node_addr` that is not the peer's is answered like others: with success or failure."""
    link = await t.established()
    own = node_addr(t.options.peer_id)
    for number in (0, 7, 255):
        await registered(t, link, node_addr={**own, "id": [number] * 32})
    await link.barrier()


@case("domain-registration.no-name-for-others", requirement="AU-03")
async def no_name_for_others(t: Trial) -> None:
    """Whatever `node_addr` says, nobody gets the name of another node."""
    link = await t.established()
    octets = hashlib.sha256(t.options.peer_id.encode()).digest()
    message = request(t, link, REGISTRATION, node_addr=node_addr(octets.hex()))
    response = await answer(t, link, message, "DR-01")
    labels = str(response.get("domain") or "").lower().split(".")
    if succeeded(response) and {octets.hex(), octets.hex()[:32], z_base_32(octets)} & set(labels):
        t.fail("an own name of the peer, or a failure", f"the name {response['domain']!r} of {octets.hex()}")
    t.note(describe(response))


def z_base_32(octets: bytes) -> str:
    """The spelling of node ids in names: 52 characters for 32 bytes."""
    bits = "".join(f"{octet:08b}" for octet in octets).ljust(260, "0")
    return "".join(Z_BASE_32[int(bits[at : at + 5], 2)] for at in range(0, 260, 5))


def _wrong_addresses(good: dict[str, Any]) -> dict[str, Any]:
    octets = good["id"]
    return {
        "no id": {"direct_addresses": []},
        "no addresses": {"id": octets},
        "31 octets": {**good, "id": octets[:31]},
        "33 octets": {**good, "id": [*octets, 0]},
        "no octets": {**good, "id": []},
        "an octet of 256": {**good, "id": [*octets[:31], 256]},
        "an octet of -1": {**good, "id": [*octets[:31], -1]},
        "an octet of 1.5": {**good, "id": [*octets[:31], 1.5]},
        "an octet as text": {**good, "id": [*octets[:31], "0"]},
        "an octet of true": {**good, "id": [*octets[:31], True]},
        "an octet of null": {**good, "id": [*octets[:31], None]},
        "the id as text": {**good, "id": bytes(octets).hex()},
        "the id null": {**good, "id": None},
        "addresses null": {**good, "direct_addresses": None},
        "addresses as text": {**good, "direct_addresses": "192.0.2.7:31145"},
        "a number as address": {**good, "direct_addresses": [31145]},
        "a null as address": {**good, "direct_addresses": [None]},
        "an object as address": {**good, "direct_addresses": [{"ip": "192.0.2.7"}]},
    }


@case("domain-registration.malformed", requirement="RQ-04", seconds=3.0)
async def malformed_address(t: Trial) -> None:
    """A malformed `node_addr` is answered with a failure, and not acted on."""
    link = await t.established()
    for what, wrong in _wrong_addresses(node_addr(t.options.peer_id)).items():
        await malformed(t, link, request(t, link, REGISTRATION, node_addr=wrong), f"a node_addr with {what}")


@case(
    "domain-registration.any-address",
    requirement="DR-01",
    given={
        "octets": st.lists(st.integers(0, 255), min_size=32, max_size=32),
        "ports": st.lists(st.integers(1, 65535), max_size=5),
    },
    examples=20,
)
async def any_address(t: Trial, octets: list[int], ports: list[int]) -> None:
    """Any well-formed `node_addr` is answered (generated)."""
    link = await t.shared_link()
    listed = [f"192.0.2.{port % 250}:{port}" for port in ports]
    await registered(t, link, node_addr={"id": octets, "direct_addresses": listed})
