"""Stream requests: how requests for SNI-proxy and inference streams are answered."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from gate_conformance.case import case
from gate_conformance.cases._names import LEGAL_DOMAINS, illegal_domains
from gate_conformance.cases._requests import (
    INFERENCE,
    SNI,
    answer,
    check_code,
    describe,
    refusal,
    replies,
    request,
    succeeded,
)

if TYPE_CHECKING:
    from gate_conformance.trial import Trial


@case("stream-requests.sni-answered", requirement="ST-01")
async def sni_answered(t: Trial) -> None:
    """RequestSniStream is answered with one StreamReady."""
    link = await t.established()
    message = request(t, link, SNI)
    response = await answer(t, link, message, "ST-01")
    t.note("accepted" if succeeded(response) else f"refused with code {response.get('code')!r}")
    await link.settle(0.5)
    await link.barrier()
    if len(replies(link.received, message["request_id"])) != 1:
        t.fail("one StreamReady", "more than one", "RQ-01")


@case("stream-requests.sni-refusal-says-why", requirement="RQ-07")
async def sni_refusal(t: Trial) -> None:
    """A node that opens no SNI stream says so with `stream_accepted: false` and a text."""
    link = await t.established()
    response = await answer(t, link, request(t, link, SNI, domain="nobody.example"), "ST-01")
    if succeeded(response):
        t.note("an SNI stream is promised")
        return
    if not isinstance(response.get("error"), str) or not response["error"]:
        t.fail("a failure with an `error` text", f"{response}")
    check_code(t, response, "unsupported", "failed", "quota", "timed_out")


@case("stream-requests.inference-answered", requirement="ST-02")
async def inference_answered(t: Trial) -> None:
    """RequestInferenceStream is answered with one StreamReady, each time."""
    link = await t.established()
    sent = [request(t, link, INFERENCE) for _ in range(3)]
    for message in sent:
        response = await answer(t, link, message, "ST-02")
        if not succeeded(response) and (not isinstance(response.get("error"), str) or not response["error"]):
            t.fail("a failure with an `error` text", f"{response}", "RQ-07")
        check_code(t, response, "unsupported", "failed", "quota", "timed_out")
    await link.settle(0.4)
    await link.barrier()
    for message in sent:
        if len(replies(link.received, message["request_id"])) != 1:
            t.fail("one StreamReady each", "more than one", "RQ-01")


@case("stream-requests.answered-in-time", requirement="ST-10")
async def answered_in_time(t: Trial) -> None:
    """Stream requests are answered within 5 s."""
    link = await t.established()
    for kind, requirement in ((SNI, "ST-01"), (INFERENCE, "ST-02")):
        started = t.now()
        await answer(t, link, request(t, link, kind), requirement)
        waited = t.now() - started
        t.check(waited <= 5.0 + link.channel.slack, f"{kind} answered within 5 s", f"after {waited:.1f} s")
    await link.barrier()


@case("stream-requests.any-name", requirement="ST-06")
async def any_name(t: Trial) -> None:
    """RequestSniStream is not refused because the peer may not act for the name."""
    link = await t.established()
    names = [f"q{secrets.token_hex(6)}.example", t.options.domain]
    names += [t.options.refused_domain] if t.options.refused_domain else []
    for name in names:
        response = await answer(t, link, request(t, link, SNI, domain=name), "ST-01")
        if not succeeded(response) and response.get("code") == "not_authorised":
            t.fail(f"no question of who may act for {name}", describe(response))
        t.note(describe(response))
    await link.barrier()


@case("stream-requests.together", requirement="ST-02")
async def together(t: Trial) -> None:
    """Requests for both kinds of streams at once are answered each with its own id."""
    link = await t.established()
    sent = [request(t, link, kind) for kind in (SNI, INFERENCE, INFERENCE)]
    for message in sent:
        await link.send(message)
    for message in reversed(sent):
        await link.expect_response(message, requirement="ST-01" if message["type"] == SNI else "ST-02")
    await link.barrier()


@case("stream-requests.sni-upper-case", requirement="DC-04")
async def sni_upper_case(t: Trial) -> None:
    """Upper case in an SNI name is in form."""
    link = await t.established()
    for domain in (t.options.domain.upper(), "EXAMPLE.ORG"):
        response = await answer(t, link, request(t, link, SNI, domain=domain), "ST-01")
        if response.get("code") == "malformed":
            t.fail(f"{domain!r} in form", describe(response))


@case("stream-requests.sni-legal-domain", requirement="DC-05")
async def sni_legal_domain(t: Trial) -> None:
    """SNI names in form are not called malformed, up to 237 characters and labels of 63."""
    link = await t.established()
    control = await answer(t, link, request(t, link, SNI, domain="nobody.example"), "ST-01")
    if control.get("code") == "malformed":
        t.inconclusive("the target calls nobody.example malformed")
    for domains in LEGAL_DOMAINS.values():
        for domain in domains[:2]:
            response = await answer(t, link, request(t, link, SNI, domain=domain), "ST-01")
            if response.get("code") == "malformed":
                t.fail(f"{domain!r} in form", f"{describe(response)}, error {response.get('error')!r}")


def _illegal(rule: str) -> None:
    async def illegal(t: Trial) -> None:
        link = await t.established()
        for domain in illegal_domains(t.options.domain)[rule]:
            await refusal(t, link, request(t, link, SNI, domain=domain), "malformed")
        await link.barrier()

    illegal.__doc__ = f"RequestSniStream with a `domain` out of form ({rule}) is refused."
    case(f"stream-requests.sni-{rule}", requirement="ST-03")(illegal)


for _rule in illegal_domains("conformance.test"):
    _illegal(_rule)
