"""DNS challenges: creating and cleaning up, by their responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._names import BASE64URL, illegal_values, illegal_values_drawn, legal_values
from gate_conformance.cases._requests import (
    CLEANUP,
    CREATE,
    INFERENCE,
    Message,
    answer,
    check_code,
    describe,
    first_create,
    must_succeed,
    needs_handler,
    new_value,
    plain_value,
    refusal,
    remove,
    request,
    succeeded,
)

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial


async def cleaned(t: Trial, link: Link, created: Message, requirement: str | None = None) -> None:
    """Clean up one created value, which has to succeed."""
    message = request(t, link, CLEANUP, domain=created["domain"], txt_value=created["txt_value"])
    await must_succeed(t, link, message, requirement)


@case("dns-challenges.create", requirement="DC-01")
async def create(t: Trial) -> None:
    """Create for an allowed domain succeeds."""
    link = await t.established()
    created = await first_create(t, link)
    await link.barrier()
    await cleaned(t, link, created, "DC-02")


@case("dns-challenges.cleanup", requirement="DC-02")
async def cleanup(t: Trial) -> None:
    """Cleanup of a created value succeeds, and the value can be created again."""
    link = await t.established()
    created = await first_create(t, link, "DC-01")
    for _ in range(2):
        await cleaned(t, link, created)
        await must_succeed(t, link, request(t, link, CREATE, txt_value=created["txt_value"]), "DC-01")
    await cleaned(t, link, created)


@case("dns-challenges.cleanup-by-name", requirement="DC-02", exclusive=True)
async def cleanup_by_name(t: Trial) -> None:
    """Cleanup without `txt_value` succeeds; null means the same as none."""
    link = await t.established()
    await first_create(t, link, "DC-01")
    without = request(t, link, CLEANUP)
    del without["txt_value"]
    await must_succeed(t, link, without)
    await must_succeed(t, link, request(t, link, CREATE), "DC-01")
    await must_succeed(t, link, request(t, link, CLEANUP, txt_value=None), "MS-10")


@case("dns-challenges.cleanup-on-another-stream", requirement="DC-02", roles=("acceptor",))
async def cleanup_on_another_stream(t: Trial) -> None:
    """What was created on one connection is cleaned up on another."""
    link = await t.established()
    created = await first_create(t, link, "DC-01")
    link.close()
    other = await t.established()
    await cleaned(t, other, created)


@case("dns-challenges.two-values", requirement="DC-08")
async def two_values(t: Trial) -> None:
    """A second value under the same name succeeds, and each is cleaned up by itself."""
    link = await t.established()
    first = await first_create(t, link, "DC-01")
    second = request(t, link, CREATE)
    await must_succeed(t, link, second)
    await cleaned(t, link, first, "DC-02")
    await cleaned(t, link, second, "DC-02")


@case("dns-challenges.two-values-at-once", requirement="DC-08")
async def two_values_at_once(t: Trial) -> None:
    """Two Creates under one name at the same time both succeed."""
    link = await t.established()
    await cleaned(t, link, await first_create(t, link, "DC-01"), "DC-02")
    both = [request(t, link, CREATE) for _ in range(2)]
    for message in both:
        await link.send(message)
    for message in both:
        response = await link.expect_response(message, within=10.0)
        if not succeeded(response):
            t.fail("success of both", f"{describe(response)}, error {response.get('error')!r}")
    for message in both:
        await cleaned(t, link, message, "DC-02")


@case("dns-challenges.create-repeated", requirement="DC-09")
async def create_repeated(t: Trial) -> None:
    """Create repeated with the same value succeeds, and so does its cleanup."""
    link = await t.established()
    created = await first_create(t, link, "DC-01")
    for domain in (created["domain"], created["domain"], created["domain"].upper()):
        await must_succeed(t, link, request(t, link, CREATE, domain=domain, txt_value=created["txt_value"]))
    await cleaned(t, link, created, "DC-02")


@case("dns-challenges.cleanup-of-nothing", requirement="DC-10")
async def cleanup_of_nothing(t: Trial) -> None:
    """Cleanup of a value that was never created, or is gone already, succeeds."""
    link = await t.established()
    created = await first_create(t, link, "DC-01")
    await must_succeed(t, link, request(t, link, CLEANUP))
    await cleaned(t, link, created, "DC-02")
    await cleaned(t, link, created)
    await must_succeed(t, link, request(t, link, CLEANUP))


@case("dns-challenges.cleanup-of-empty-name", requirement="DC-10", exclusive=True)
async def cleanup_of_empty_name(t: Trial) -> None:
    """Cleanup of a name under which nothing stands succeeds."""
    link = await t.established()
    await first_create(t, link, "DC-01")
    for _ in range(3):
        message = request(t, link, CLEANUP)
        del message["txt_value"]
        await must_succeed(t, link, message)


@case("dns-challenges.upper-case", requirement="DC-04")
async def upper_case(t: Trial) -> None:
    """An allowed domain in upper or mixed case is the same domain."""
    link = await t.established()
    created = await first_create(t, link, "DC-01")
    name = created["domain"]
    for form in (name.upper(), name.title(), "".join(c.upper() if i % 2 else c for i, c in enumerate(name))):
        other = request(t, link, CREATE, domain=form)
        await must_succeed(t, link, other)
        await cleaned(t, link, {**other, "domain": name})
        await must_succeed(t, link, request(t, link, CLEANUP, domain=form))
    await cleaned(t, link, {**created, "domain": name.upper()})


@case("dns-challenges.no-handler", requirement="DC-12")
async def no_handler(t: Trial) -> None:
    """A node without a handler answers DNS challenges with a failure."""
    link = await t.established()
    if "dns_challenge" in link.peer_capabilities:
        t.not_testable("the target advertises dns_challenge")
    for kind in (CREATE, CLEANUP):
        response = await answer(t, link, request(t, link, kind), "DC-12")
        if succeeded(response):
            t.note(f"{kind} succeeds, although dns_challenge is not advertised")
        check_code(t, response, "unsupported", "not_authorised")
    await link.barrier()


def _illegal_value(name: str, values: list[str]) -> None:
    async def illegal_value(t: Trial) -> None:
        link = await t.established()
        for value in values:
            for kind in (CREATE, CLEANUP):
                await refusal(t, link, request(t, link, kind, txt_value=value), "malformed")
        await link.barrier()

    illegal_value.__doc__ = f"A `txt_value` out of form ({name}) is answered with a failure."
    case(f"dns-challenges.value-{name}", requirement="DC-06")(illegal_value)


for _name, _values in illegal_values().items():
    _illegal_value(_name, _values)


@case(
    "dns-challenges.any-illegal-value",
    requirement="DC-06",
    given={"value": illegal_values_drawn, "kind": st.sampled_from((CREATE, CLEANUP))},
)
async def any_illegal_value(t: Trial, value: str, kind: str) -> None:
    """Any text that is not 43 characters of base64url is answered with a failure (generated)."""
    link = await t.shared_link()
    await refusal(t, link, request(t, link, kind, txt_value=value), "malformed")


async def value_in_form(t: Trial, link: Link, kind: str, value: str, requirement: str) -> None:
    """A legal value fares as any other: success where there is a handler, else at least not `malformed`."""
    control = await answer(t, link, request(t, link, kind, txt_value=plain_value()))
    response = await answer(t, link, request(t, link, kind, txt_value=value))
    if not succeeded(response) and response.get("code") == "malformed" != control.get("code"):
        requirement = requirement if requirement == "DC-07" else "DC-06"
    if succeeded(control) and not succeeded(response):
        t.fail(f"success of {kind} with {value!r}, as with other values", describe(response), requirement)
    if response.get("code") == "malformed" and control.get("code") != "malformed":
        t.fail(f"{value!r} in form", describe(response), requirement)


@case("dns-challenges.spare-bits", requirement="DC-07", seconds=2.0)
async def spare_bits(t: Trial) -> None:
    """Every last character is in form: the two spare bits are not checked."""
    link = await t.established()
    start = plain_value()[:42]
    for last in "ABCDfg9":
        await value_in_form(t, link, CREATE, start + last, "DC-07")
    control = await answer(t, link, request(t, link, CLEANUP, txt_value=plain_value()))
    for four in range(0, 64, 4):
        sent = [request(t, link, CLEANUP, txt_value=start + last) for last in BASE64URL[four : four + 4]]
        for message in sent:
            await link.send(message)
        for message in sent:
            response = await link.expect_response(message, within=10.0)
            broken = "DC-06" if message["txt_value"][-1] in "-_" else "DC-07"
            if response.get("code") != "quota" and succeeded(response) != succeeded(control):
                t.fail(f"{message['txt_value']!r} in form", describe(response), broken)
            if response.get("code") == "malformed" != control.get("code"):
                t.fail(f"{message['txt_value']!r} in form", describe(response), broken)


@case("dns-challenges.legal-values", requirement="DC-06")
async def legal_values_taken(t: Trial) -> None:
    """Values of one repeated character, and of the signs that base64url has in place of + and /."""
    link = await t.established()
    for value in (
        "A" * 43,
        "-" * 43,
        "_" * 43,
        "0" * 43,
        "z" * 43,
        "-_" * 21 + "A",
        BASE64URL[:43],
        BASE64URL[-43:],
    ):
        for kind in (CREATE, CLEANUP):
            await value_in_form(t, link, kind, value, "DC-06")


@case(
    "dns-challenges.any-legal-value",
    requirement="DC-01",
    given={"value": legal_values},
    examples=20,
    seconds=2.0,
)
async def any_legal_value(t: Trial, value: str) -> None:
    """Any 43 characters of base64url can be created and cleaned up (generated)."""
    link = await t.shared_link()
    needs_handler(t, link)
    await value_in_form(t, link, CREATE, value, "DC-01")
    await value_in_form(t, link, CLEANUP, value, "DC-02")


@case("dns-challenges.case-of-values", requirement="DC-08")
async def case_of_values(t: Trial) -> None:
    """Values that differ in case only are two values."""
    link = await t.established()
    first = await first_create(t, link, "DC-01")
    second = request(t, link, CREATE, txt_value=first["txt_value"].swapcase())
    await must_succeed(t, link, second)
    await cleaned(t, link, first, "DC-02")
    await cleaned(t, link, second, "DC-02")


@case("dns-challenges.after-failures", requirement="DC-01")
async def after_failures(t: Trial) -> None:
    """Failures before it do not spoil a good request."""
    link = await t.established()
    for requirement, wrong in (
        ("DC-03", {"domain": "*.example"}),
        ("DC-06", {"txt_value": "="}),
        ("RQ-03", {"request_id": ""}),
        ("DC-03", {"domain": "a"}),
    ):
        await refusal(t, link, request(t, link, CREATE, **wrong), "malformed", requirement)
    await cleaned(t, link, await first_create(t, link), "DC-02")
    await answer(t, link, request(t, link, INFERENCE))


@case("dns-challenges.failed-creates-leave-nothing", requirement="DC-03")
async def failed_creates(t: Trial) -> None:
    """A Create that is wrong in domain and value at once is refused like one that is wrong in one."""
    link = await t.established()
    message = request(t, link, CREATE, domain="*.example.", txt_value="")
    await refusal(t, link, message, "malformed")
    await refusal(t, link, request(t, link, CLEANUP, domain="", txt_value=""), "malformed")
    await remove(t, link, {"domain": t.options.domain, "txt_value": new_value()})
