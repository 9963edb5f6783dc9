"""DNS challenges: which domains are in form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._names import (
    LEGAL_DOMAINS,
    illegal_domains,
    illegal_domains_drawn,
    legal_domains,
)
from gate_conformance.cases._requests import (
    CLEANUP,
    CREATE,
    SNI,
    answer,
    describe,
    plain_value,
    refusal,
    request,
    succeeded,
)

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial


def _illegal(rule: str) -> None:
    async def illegal(t: Trial) -> None:
        link = await t.established()
        for domain in illegal_domains(t.options.domain)[rule]:
            for kind in (CREATE, CLEANUP):
                await refusal(t, link, request(t, link, kind, domain=domain), "malformed")
        await link.barrier()

    illegal.__doc__ = f"A `domain` out of form ({rule}) is answered with a failure."
    case(f"dns-challenges.domain-{rule}", requirement="DC-03")(illegal)


for _rule in illegal_domains("conformance.test"):
    _illegal(_rule)


async def in_form(t: Trial, link: Link, kind: str, domain: str) -> None:
    """The target does not call a legal domain malformed."""
    control = await answer(t, link, request(t, link, kind, domain="nobody.example", txt_value=plain_value()))
    if control.get("code") == "malformed":
        t.inconclusive(f"the target calls nobody.example malformed: {describe(control)}")
    response = await answer(t, link, request(t, link, kind, domain=domain, txt_value=plain_value()))
    if response.get("code") == "malformed":
        t.fail(f"{domain!r} in form", f"{describe(response)}, error {response.get('error')!r}", "DC-05")
    if succeeded(control) and not succeeded(response):
        t.note(f"{kind} for {domain!r}: {describe(response)}")


def _legal(rule: str, domains: list[str]) -> None:
    async def legal(t: Trial) -> None:
        link = await t.established()
        for domain in domains:
            for kind in (CREATE, CLEANUP):
                await in_form(t, link, kind, domain)
        await link.barrier()

    legal.__doc__ = f"A `domain` in form ({rule}) is not called malformed."
    case(f"dns-challenges.legal-{rule}", requirement="DC-05")(legal)


for _rule, _domains in LEGAL_DOMAINS.items():
    _legal(_rule, _domains)


@case(
    "dns-challenges.any-legal-domain",
    requirement="DC-05",
    given={"domain": legal_domains, "kind": st.sampled_from((CREATE, CLEANUP))},
    seconds=2.0,
)
async def any_legal_domain(t: Trial, domain: str, kind: str) -> None:
    """Any domain in form is not called malformed (generated)."""
    await in_form(t, await t.shared_link(), kind, domain)


@case(
    "dns-challenges.any-illegal-domain",
    requirement="DC-03",
    given={"domain": illegal_domains_drawn, "kind": st.sampled_from((CREATE, CLEANUP, CREATE, CLEANUP, SNI))},
    examples=60,
    seconds=2.0,
)
async def any_illegal_domain(t: Trial, domain: str, kind: str) -> None:
    """Any domain out of form is answered with a failure (generated)."""
    link = await t.shared_link()
    await refusal(
        t, link, request(t, link, kind, domain=domain), "malformed", "ST-03" if kind == SNI else None
    )
