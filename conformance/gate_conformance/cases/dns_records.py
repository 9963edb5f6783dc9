"""DNS challenges: what the zone shows, looked up with ``--dns``; alone, so that no other case disturbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate_conformance.case import case
from gate_conformance.cases._dns import gone, needs_dns, records, values
from gate_conformance.cases._handshakes import opened, other_identity
from gate_conformance.cases._requests import (
    CLEANUP,
    CREATE,
    Message,
    beyond_quota,
    describe,
    first_create,
    must_succeed,
    needs_handler,
    refusal,
    remove,
    request,
    succeeded,
)
from gate_conformance.cases.domain_registration import own_name

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial


async def created_values(t: Trial, link: Link, count: int) -> list[Message]:
    """Create so many values under ``--domain``, and see them in the zone."""
    made = [await first_create(t, link, "DC-01")]
    await shown(t, made[0], "DC-13")
    for _ in range(count - 1):
        made.append(request(t, link, CREATE))
        await must_succeed(t, link, made[-1], "DC-08")
    return made


async def shown(t: Trial, message: Message, requirement: str | None = None) -> None:
    """Fail unless the zone has this value exactly once."""
    found = await values(t, t.options.domain)
    count = found.count(message["txt_value"])
    if count != 1:
        t.fail(f"one TXT record {message['txt_value']}", f"{count} of them among {found}", requirement)


async def removed(t: Trial, message: Message, requirement: str | None = None) -> None:
    """Fail when the zone keeps this value."""
    if not await gone(t, t.options.domain, message["txt_value"]):
        t.fail(f"no TXT record {message['txt_value']}", "it is still there", requirement)


@case("dns-challenges.record-published", requirement="DC-13", exclusive=True)
async def record_published(t: Trial) -> None:
    """After a successful Create the zone answers with the value, and after Cleanup it does not."""
    needs_dns(t)
    link = await t.established()
    (made,) = await created_values(t, link, 1)
    await shown(t, made)
    await remove(t, link, made)
    await removed(t, made, "DC-02")


@case("dns-challenges.records-side-by-side", requirement="DC-08", exclusive=True)
async def records_side_by_side(t: Trial) -> None:
    """Two values stand in the zone together."""
    needs_dns(t)
    link = await t.established()
    made = await created_values(t, link, 2)
    for message in made:
        await shown(t, message)
    for message in made:
        await remove(t, link, message)


@case("dns-challenges.record-not-doubled", requirement="DC-09", exclusive=True)
async def record_not_doubled(t: Trial) -> None:
    """Create repeated makes no second record, and one Cleanup removes it."""
    needs_dns(t)
    link = await t.established()
    (made,) = await created_values(t, link, 1)
    for domain in (t.options.domain, t.options.domain.upper()):
        await must_succeed(t, link, request(t, link, CREATE, domain=domain, txt_value=made["txt_value"]))
        await shown(t, made)
    await remove(t, link, made)
    await removed(t, made)


@case("dns-challenges.one-record-removed", requirement="DC-11", exclusive=True)
async def one_record_removed(t: Trial) -> None:
    """Cleanup with `txt_value` removes that value and no other; a value that is not there removes nothing."""
    needs_dns(t)
    link = await t.established()
    first, second = await created_values(t, link, 2)
    await must_succeed(t, link, request(t, link, CLEANUP), "DC-10")
    await shown(t, first)
    await remove(t, link, first)
    await removed(t, first)
    await shown(t, second)
    await remove(t, link, second)
    await removed(t, second)


@case("dns-challenges.all-records-removed", requirement="DC-11", exclusive=True)
async def all_records_removed(t: Trial) -> None:
    """Cleanup without `txt_value`, in whatever case, removes all values; null is the same."""
    needs_dns(t)
    link = await t.established()
    for members in ({}, {"txt_value": None}, {"domain": t.options.domain.upper()}):
        made = await created_values(t, link, 3)
        message = request(t, link, CLEANUP)
        del message["txt_value"]
        await must_succeed(t, link, {**message, **members})
        for one in made:
            await removed(t, one)


@case("dns-challenges.value-of-another-peer", requirement="DC-22", roles=("acceptor",), exclusive=True)
async def value_of_another_peer(t: Trial) -> None:
    """Cleanup by another peer, with the value or without, succeeds and leaves the value in the zone."""
    needs_dns(t)
    identity = other_identity(t)
    link = await t.established()
    if link.channel.kind == "exit":
        t.not_testable("each stream has a process of its own, which need not know of the other's records")
    other = await t.established(identity=identity)
    (made,) = await created_values(t, link, 1)
    theirs = request(t, other, CREATE)
    response = await beyond_quota(other, theirs, "DC-01")
    if response.get("code") == "not_authorised" and not succeeded(response):
        t.inconclusive(f"the target's policy does not allow --domain to --other-key: {describe(response)}")
    await shown(t, theirs, "DC-08")
    value, name = request(t, other, CLEANUP, txt_value=made["txt_value"]), request(t, other, CLEANUP)
    del name["txt_value"]
    for message in (value, name):
        await must_succeed(t, other, message)
        await shown(t, made)
    await removed(t, theirs, "DC-11")
    await must_succeed(t, other, request(t, other, CREATE, txt_value=made["txt_value"]), "DC-09")
    await must_succeed(t, other, {**value, "request_id": other.fresh_request_id()})
    await shown(t, made)
    await remove(t, link, made)
    await removed(t, made)


@case("dns-challenges.record-form", requirement="DC-19", exclusive=True)
async def record_form(t: Trial) -> None:
    """The record stands at `_acme-challenge.<domain>`, of class IN and type TXT, its value in one string."""
    needs_dns(t)
    link = await t.established()
    (made,) = await created_values(t, link, 1)
    name, value = f"_acme-challenge.{t.options.domain.lower()}", made["txt_value"]
    found = [one for one in await records(t, name, "TXT") if "".join(one.strings) == value]
    for one in found:
        if (one.name, one.rdclass, one.rdtype) != (name, "IN", "TXT"):
            t.fail(f"{name} IN TXT", f"{one.name} {one.rdclass} {one.rdtype}")
        if one.strings != (value,):
            t.fail("the value as the only character-string", f"{len(one.strings)}: {list(one.strings)}")
    await remove(t, link, made)
    t.check(len(found) == 1, f"one record {value}", f"{len(found)}", "DC-13")


@case("dns-challenges.record-ttl", requirement="DC-20", exclusive=True)
async def record_ttl(t: Trial) -> None:
    """The record has a TTL of 60 s."""
    needs_dns(t)
    link = await t.established()
    (made,) = await created_values(t, link, 1)
    found = await records(t, f"_acme-challenge.{t.options.domain}", "TXT")
    await remove(t, link, made)
    for one in found:
        if one.strings == (made["txt_value"],):
            t.check(one.ttl == 60, "a TTL of 60 s", f"{one.ttl} s")


async def _addresses(t: Trial, name: str) -> list[str]:
    """The A and AAAA records that the name server answers with for this name."""
    found = [one for kind in ("A", "AAAA") for one in await records(t, name, kind)]
    return [one.strings[0] for one in found if one.rdtype in ("A", "AAAA")]


@case("domain-registration.records", requirement="DR-03", exclusive=True)
async def records_of_domain(t: Trial) -> None:
    """A registered domain has addresses of its own, which a challenge under it does not take away."""
    needs_dns(t)
    link = await t.established()
    name = await own_name(t, link)
    if not await _addresses(t, name):
        t.fail(f"A or AAAA records at {name} with the answer", "there is none")
    needs_handler(t, link)
    made = request(t, link, CREATE, domain=name)
    await link.send(made)
    response = await link.expect_response(made, within=30.0)
    # while the name below exists, a wildcard above does not reach this one (RFC 4592)
    left = await _addresses(t, name)
    if succeeded(response):
        await remove(t, link, made)
    if not left:
        t.fail(f"A or AAAA records at {name} beside a challenge", "none: they come of a wildcard")
    if not succeeded(response):
        t.note(f"without a challenge: {describe(response)}")


async def unchanged(t: Trial, domain: str, before: list[str], requirement: str) -> None:
    """Fail when the values under the name are others than before."""
    found = await values(t, domain)
    if sorted(found) != sorted(before):
        t.fail(f"the records of {domain} unchanged: {before}", f"{found}", requirement)


@case("dns-challenges.nothing-from-a-refused-create", requirement="DC-06", exclusive=True)
async def nothing_from_refused(t: Trial) -> None:
    """A Create or Cleanup that is refused or malformed changes nothing in the zone."""
    needs_dns(t)
    link = await t.established()
    (made,) = await created_values(t, link, 1)
    before = await values(t, t.options.domain)
    for wrong in (f"{made['txt_value']}=", made["txt_value"][:42]):
        for kind in (CREATE, CLEANUP):
            await refusal(t, link, request(t, link, kind, txt_value=wrong))
            await unchanged(t, t.options.domain, before, "DC-06")
    for message in (request(t, link, CLEANUP, txt_value=7), request(t, link, CREATE, txt_value=None)):
        await link.send(message)
        await link.settle(0.5)
        await unchanged(t, t.options.domain, before, "MS-04")
    await remove(t, link, made)


@case("dns-challenges.nothing-for-a-refused-name", requirement="AU-01", exclusive=True)
async def nothing_for_refused_name(t: Trial) -> None:
    """A Create for a name that the peer may not act for publishes nothing."""
    needs_dns(t)
    domain = t.options.refused_domain
    if not domain:
        t.not_testable("it takes a domain that the target refuses (--refused-domain)")
    link = await t.established()
    before = await values(t, domain)
    await refusal(t, link, request(t, link, CREATE, domain=domain), "not_authorised")
    await link.settle(0.5)
    await unchanged(t, domain, before, "AU-01")


@case("dns-challenges.nothing-before-the-handshake", requirement="HS-07", exclusive=True)
async def nothing_before_handshake(t: Trial) -> None:
    """A Create before the handshake publishes nothing."""
    needs_dns(t)
    link = await opened(t)
    await link.barrier()
    before = await values(t, t.options.domain)
    await refusal(t, link, request(t, link, CREATE), "not_ready", "HS-07")
    await link.settle(0.5)
    await unchanged(t, t.options.domain, before, "HS-07")


@case("dns-challenges.upper-case-record", requirement="DC-04", exclusive=True)
async def upper_case_record(t: Trial) -> None:
    """A value created in upper case is published, and cleaned up in lower case."""
    needs_dns(t)
    link = await t.established()
    (lower,) = await created_values(t, link, 1)
    await remove(t, link, lower)
    made = await first_create(t, link, "DC-01", domain=t.options.domain.upper())
    await shown(t, made)
    await remove(t, link, {**made, "domain": t.options.domain})
    await removed(t, made)
