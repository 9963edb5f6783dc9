"""Requests, and what is asked of their responses: shared by the cases of several chapters."""

from __future__ import annotations

import asyncio
import base64
import secrets
from typing import TYPE_CHECKING, Any

from gate_conformance.codec import RESPONSE_OF

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

Message = dict[str, Any]

CREATE = "DnsChallengeCreate"
CLEANUP = "DnsChallengeCleanup"
SNI = "RequestSniStream"
INFERENCE = "RequestInferenceStream"
REGISTRATION = "DomainRegistrationRequest"
KINDS = (CREATE, CLEANUP, SNI, INFERENCE, REGISTRATION)
RESPONSES = ("DnsChallengeResponse", "StreamReady", "DomainRegistrationResponse")
CODES = ("not_ready", "malformed", "not_authorised", "unsupported", "quota", "failed", "timed_out")
# Requirements that ask for a failure response: no answer at all breaks them, and not RQ-01 alone.
REFUSALS = frozenset(
    {"AU-01", "AU-02", "AU-05", "DC-03", "DC-06", "DR-04", "DR-05", "HS-07", "RQ-03", "ST-03"}
)
HANDLER_SECONDS = 10.0
SLOW_SECONDS = 30.0


def new_value() -> str:
    """A TXT value that nobody used before: 43 characters of base64url."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()


def plain_value() -> str:
    """A value of letters and digits alone, which the narrowest alphabet has."""
    return secrets.token_hex(22)[:43]


def node_addr(peer_id: str) -> Message:
    """A well-formed ``node_addr`` of the node with this id."""
    return {"id": list(bytes.fromhex(peer_id)), "direct_addresses": ["192.0.2.7:31145"]}


def request(t: Trial, link: Link, kind: str, **members: Any) -> Message:
    """A request of this type in good form, with a fresh id; ``members`` replace its own."""
    message: Message = {"type": kind, "request_id": link.fresh_request_id()}
    if kind in {CREATE, CLEANUP, SNI}:
        message["domain"] = t.options.domain
    if kind in {CREATE, CLEANUP}:
        message["txt_value"] = new_value()
    if kind == REGISTRATION:
        message["node_addr"] = node_addr(t.options.peer_id)
    return {**message, **members}


def succeeded(response: Message) -> bool:
    """Whether this response of whatever type says yes."""
    return response.get("success") is True or response.get("stream_accepted") is True


def describe(response: Message) -> str:
    """What a response said, in a few words."""
    verdict = "success" if succeeded(response) else "failure"
    code = response.get("code")
    return f"{response.get('type')} with {verdict}" + (f", code {code!r}" if code is not None else "")


def check_code(t: Trial, response: Message, *allowed: str) -> None:
    """Warn (RQ-08) when a failure's code is none of ``allowed`` (by default: of the list, or private).

    That codes are there at all is asked once, in the cases of RQ-08: not in every case anew.
    """
    wanted, code = allowed or CODES, response.get("code")
    if code is None and t.case.requirement != "RQ-08":
        return
    private = not allowed and isinstance(code, str) and "." in code.partition("/")[0] and "/" in code
    if not succeeded(response) and code not in wanted and not private:
        listed = "of the list" if wanted is CODES else " or ".join(wanted)
        t.warn(f"a failure with code {listed}", f"code {code!r}", "RQ-08")


async def answer(t: Trial, link: Link, message: Message, requirement: str | None = None) -> Message:
    """Send a request and return its response, success or failure; what a Create made is removed again."""
    await link.send(message)
    response = await link.expect_response(message, within=HANDLER_SECONDS, requirement=requirement)
    check_code(t, response)
    if message["type"] == CREATE and succeeded(response):
        await remove(t, link, message)
    return response


async def refusal(
    t: Trial, link: Link, message: Message, code: str | None = None, requirement: str | None = None
) -> Message:
    """Send a request that has to fail and return the failure; a record made in spite of it is removed."""
    await link.send(message)
    if requirement is None and t.case.requirement in REFUSALS:
        requirement = t.case.requirement
    response = await link.expect_failure(message, requirement=requirement)
    check_code(t, response, *([code] if code else []))
    return response


async def remove(t: Trial, link: Link, created: Message) -> Message:
    """Clean up one created value; returns the response, whatever it says."""
    message = request(t, link, CLEANUP, domain=created["domain"], txt_value=created["txt_value"])
    await link.send(message)
    return await link.expect_response(message, within=HANDLER_SECONDS, requirement="RQ-01")


def needs_handler(t: Trial, link: Link) -> None:
    """Only for targets that advertise ``dns_challenge``."""
    if "dns_challenge" not in link.peer_capabilities:
        t.unsupported("the target does not advertise dns_challenge")


async def beyond_quota(link: Link, message: Message, requirement: str | None = None) -> Message:
    """Send a request and return its response; after a refusal for quota, wait and try again."""
    for pause in (0.5, 1.0, 2.0, 4.0, 8.0, 0.0):
        await link.send(message)
        response = await link.expect_response(message, within=HANDLER_SECONDS, requirement=requirement)
        if response.get("code") != "quota" or succeeded(response):
            break
        await asyncio.sleep(pause)
    return response


async def must_succeed(t: Trial, link: Link, message: Message, requirement: str | None = None) -> Message:
    """Send a request that has to succeed."""
    response = await beyond_quota(link, message, requirement)
    if not succeeded(response):
        what = f"{message['type']} for {message.get('domain')!r}"
        error = f"{describe(response)}, error {response.get('error')!r}"
        t.fail(f"success of {what}", error + _advice(t, message, response), requirement)
    return response


def _advice(t: Trial, message: Message, response: Message) -> str:
    """What to do about a policy that does not know the suite: the likeliest reason by far."""
    if response.get("code") != "not_authorised" or message.get("domain") != t.options.domain:
        return ""
    return (
        f"; if its policy does not know the suite yet: let {t.options.peer_id} act for {t.options.domain} "
        "(--key keeps that identity), or choose another --domain"
    )


async def first_create(t: Trial, link: Link, requirement: str | None = None, **members: Any) -> Message:
    """Create a record under ``--domain`` and return the request; ends the case where there is no handler."""
    needs_handler(t, link)
    message = request(t, link, CREATE, **members)
    response = await beyond_quota(link, message, requirement)
    error = f"{describe(response)}, error {response.get('error')!r}"
    if not succeeded(response) and response.get("code") == "unsupported":
        t.unsupported(f"the target says that it has no handler: {error}")
    unsure = t.role == "dialer" and not t.options.domain_given
    if not succeeded(response) and unsure and response.get("code") == "not_authorised":
        t.inconclusive(
            f"the target's policy does not allow --domain {t.options.domain} to the suite: {error}"
        )
    if not succeeded(response):
        advice = _advice(t, message, response)
        t.fail(f"success of {CREATE} for --domain {t.options.domain!r}", error + advice, requirement)
    return message


async def start_slow(t: Trial, link: Link, **members: Any) -> Message:
    """Put a slow request in flight and return it, after it has shown that it is not answered at once."""
    needs_handler(t, link)
    message = request(t, link, CREATE, domain=await t.slow_domain(), **members)
    await link.send(message)
    await link.settle(0.5)
    for early in replies(link.received, message["request_id"]):
        if early.get("code") == "unsupported":
            t.unsupported("the target says that it has no handler")
        t.inconclusive(f"--slow-domain was answered within 0.5 s: {describe(early)}")
    return message


async def finish_slow(
    t: Trial, link: Link, message: Message, requirement: str | None = None, clean: bool = True
) -> Message:
    """Wait for the answer to a slow request, success or failure; ``clean`` its record without waiting."""
    response = _came(link, message)
    if response is None:
        response = await link.expect_response(message, within=SLOW_SECONDS, requirement=requirement)
    if clean and message["type"] == CREATE and succeeded(response):
        await link.send(request(t, link, CLEANUP, domain=message["domain"], txt_value=message["txt_value"]))
    return response


def _came(link: Link, message: Message) -> Message | None:
    """The response to this request if it has come already, whatever the case was waiting for then."""
    kind = RESPONSE_OF[message["type"]]
    found = [one for one in replies(link.received, message["request_id"]) if one["type"] == kind]
    if not found:
        return None
    link.inbox[:] = [one for one in link.inbox if one is not found[0]]
    return found[0]


def undisturbed(t: Trial, response: Message, requirement: str) -> None:
    """The answer to a slow request is its handler's own, success or failure."""
    if response.get("code") == "unsupported" and not succeeded(response):
        t.unsupported("the target says that it has no handler")
    if not succeeded(response) and response.get("code") == "quota":
        t.inconclusive(f"the slow request met a limit of the target: {describe(response)}")
    if not succeeded(response) and response.get("code") not in {None, "failed", "timed_out"}:
        t.fail("the answer that the slow request would have had", describe(response), requirement)


def replies(messages: list[Message], request_id: str) -> list[Message]:
    """Those of ``messages`` that are responses with this id."""
    return [one for one in messages if one.get("type") in RESPONSES and one.get("request_id") == request_id]


async def collect(t: Trial, link: Link, sent: list[Message], requirement: str | None = None) -> list[Message]:
    """The responses to these requests, one each; records that were created are removed again."""
    found = []
    for message in sent:
        response = await link.expect_response(message, within=10.0, requirement=requirement)
        check_code(t, response)
        found.append(response)
        if message["type"] == CREATE and succeeded(response):
            await remove(t, link, message)
    return found


async def once(t: Trial, link: Link, sent: list[Message]) -> None:
    """Fail when one of these requests got more than one response."""
    await link.settle(0.3)
    for message in sent:
        count = len(replies(link.received, message["request_id"]))
        if count != 1:
            t.fail(f"one response to {message['type']}", f"{count} responses", "RQ-01")
