"""Domain registration: how requests for a name are answered."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._addresses import (
    ILLEGAL_ADDRESSES,
    LEGAL_ADDRESSES,
    illegal_addresses,
    legal_addresses,
    near_labels,
    z_base_32,
)
from gate_conformance.cases._handshakes import ids_of_target
from gate_conformance.cases._names import is_domain
from gate_conformance.cases._requests import (
    CREATE,
    REGISTRATION,
    answer,
    check_code,
    describe,
    needs_handler,
    node_addr,
    refusal,
    replies,
    request,
    succeeded,
)
from gate_conformance.cases.requests import malformed
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.cases._requests import Message
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial


async def registered(t: Trial, link: Link, **members: Any) -> Message:
    """Ask for a name and return the response: any will do that is whole."""
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
    return response


async def own_name(t: Trial, link: Link) -> str:
    """The domain that the target registers for the suite, in lower case; ends the case where it has none."""
    response = await registered(t, link)
    if not succeeded(response):
        t.unsupported(f"the target registers no name for the suite: {describe(response)}")
    return str(response["domain"]).lower()


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


@case("domain-registration.addresses", requirement="DR-05")
async def addresses(t: Trial) -> None:
    """Addresses in form, of both families, several of them or none, are not called malformed."""
    link = await t.established()
    own = node_addr(t.options.peer_id)
    for what, listed in LEGAL_ADDRESSES.items():
        response = await registered(t, link, node_addr={**own, "direct_addresses": listed})
        if response.get("code") == "malformed" and not succeeded(response):
            t.fail(f"{listed} in form ({what})", f"{describe(response)}, error {response.get('error')!r}")
    await registered(t, link, node_addr={**own, "relay_url": None, "more": {"id": 1}})
    await link.barrier()


@case("domain-registration.many-addresses", requirement="DR-12")
async def many_addresses(t: Trial) -> None:
    """A registration is not refused over the number of its addresses, up to 1,024 of them."""
    link = await t.established()
    own = node_addr(t.options.peer_id)
    with_one = await registered(t, link)
    for number in (2, 100, 1024):
        listed = [f"192.0.2.{1 + at % 250}:{31145 + at}" for at in range(number)]
        response = await registered(t, link, node_addr={**own, "direct_addresses": listed})
        code = response.get("code")
        if not succeeded(response) and (code == "malformed" or (code is None and succeeded(with_one))):
            t.fail(f"{number} addresses taken", f"{describe(response)}, error {response.get('error')!r}")
    await link.barrier()


async def _refused_address(t: Trial, link: Link, listed: list[str]) -> None:
    address = {**node_addr(t.options.peer_id), "direct_addresses": listed}
    message = request(t, link, REGISTRATION, node_addr=address)
    check_code(t, await refusal(t, link, message, requirement="DR-05"), "malformed", "unsupported")


def _illegal(rule: str) -> None:
    async def illegal(t: Trial) -> None:
        link = await t.established()
        for text in ILLEGAL_ADDRESSES[rule]:
            await _refused_address(t, link, [text])
        await _refused_address(t, link, ["192.0.2.7:31145", ILLEGAL_ADDRESSES[rule][0], "[2001:db8::7]:1"])
        t.note(describe(await registered(t, link)))
        await link.barrier()

    illegal.__doc__ = f"An entry of `direct_addresses` out of form ({rule}) is refused."
    case(f"domain-registration.address-{rule}", requirement="DR-05")(illegal)


for _rule in ILLEGAL_ADDRESSES:
    _illegal(_rule)


@case(
    "domain-registration.any-illegal-address",
    requirement="DR-05",
    given={"listed": st.lists(legal_addresses, max_size=2), "wrong": illegal_addresses},
    examples=25,
)
async def any_illegal_address(t: Trial, listed: list[str], wrong: str) -> None:
    """Whatever else an entry of `direct_addresses` is, it is refused, after good ones too (generated)."""
    await _refused_address(t, await t.shared_link(), [*listed, wrong])


@case("domain-registration.foreign-id", requirement="DR-04")
async def foreign_id(t: Trial) -> None:
    """A registration with an `id` in `node_addr` that is not the peer's is refused."""
    link = await t.established()
    t.note(describe(await registered(t, link)))
    own = bytes.fromhex(t.options.peer_id)
    others = [bytes(32), b"\xff" * 32, own[:31] + bytes([own[31] ^ 1]), bytes([own[0] ^ 128]) + own[1:]]
    others += [own[::-1], hashlib.sha256(own).digest()]
    others += [bytes.fromhex(one) for one in ids_of_target(link) if len(one) == 64]
    for octets in others:
        if octets == own:
            continue
        message = request(t, link, REGISTRATION, node_addr=node_addr(octets.hex()))
        check_code(t, await refusal(t, link, message), "not_authorised", "unsupported")
    await registered(t, link)
    await link.barrier()


@case("domain-registration.same-name-again", requirement="DR-07", seconds=2.0)
async def same_name_again(t: Trial) -> None:
    """A node that registers again gets the same domain, with other addresses and on a new connection too."""
    link = await t.established()
    first = await own_name(t, link)
    address = {**node_addr(t.options.peer_id), "direct_addresses": ["[2001:db8::7]:4433"]}
    again = [await own_name(t, link), str((await registered(t, link, node_addr=address)).get("domain"))]
    await t.forget(link)
    again.append(await own_name(t, await t.established()))
    for name in again:
        t.check(name.lower() == first, f"the domain {first} again", f"{name}")


@case("domain-registration.name-of-label", requirement="DR-08")
async def name_of_label(t: Trial) -> None:
    """The domain of a node begins with its z-base-32 label."""
    link = await t.established()
    name, label = await own_name(t, link), z_base_32(bytes.fromhex(t.options.peer_id))
    t.check(name.partition(".")[0] == label, f"a domain {label}.<suffix>", name)


@case("domain-registration.near-labels", requirement="DR-02", seconds=2.0)
async def near_to_labels(t: Trial) -> None:
    """A label that is nearly the node's own is no node's, and gives no authority."""
    link = await t.established()
    name = await own_name(t, link)
    needs_handler(t, link)
    label, _, suffix = name.partition(".")
    own = bytes.fromhex(t.options.peer_id)
    if label not in (z_base_32(own), own.hex()[:32]):
        t.unsupported(f"the target gives names of its own choice: {name}")
    if succeeded(await answer(t, link, request(t, link, CREATE, domain=f"q{own.hex()[:20]}.{suffix}"))):
        t.inconclusive(f"the target's policy allows every name under {suffix}")
    for what, near in near_labels(own).items():
        message = request(t, link, CREATE, domain=f"{near}.{suffix}")
        response = await answer(t, link, message)
        if succeeded(response):
            t.fail(f"a failure for {near}.{suffix} ({what})", describe(response))
    t.note(describe(await answer(t, link, request(t, link, CREATE, domain=name.upper()))))


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
    requirement="DR-05",
    given={"listed": st.lists(legal_addresses, max_size=5)},
    examples=20,
)
async def any_address(t: Trial, listed: list[str]) -> None:
    """Any addresses in form are answered, and not called malformed (generated)."""
    link = await t.shared_link()
    own = node_addr(t.options.peer_id)
    response = await registered(t, link, node_addr={**own, "direct_addresses": listed})
    if response.get("code") == "malformed" and not succeeded(response):
        t.fail(f"{listed} in form", f"{describe(response)}, error {response.get('error')!r}")


@case(
    "domain-registration.any-id",
    requirement="DR-04",
    given={"octets": st.lists(st.integers(0, 255), min_size=32, max_size=32)},
    examples=15,
)
async def any_id(t: Trial, octets: list[int]) -> None:
    """Any other id than the peer's is refused (generated)."""
    if bytes(octets).hex() == t.options.peer_id:
        return
    link = await t.shared_link()
    address = {"id": octets, "direct_addresses": []}
    await refusal(t, link, request(t, link, REGISTRATION, node_addr=address))
