"""Requests: responses, and what is answered to a bad request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._handshakes import hello
from gate_conformance.cases._requests import (
    CLEANUP,
    CREATE,
    INFERENCE,
    KINDS,
    REGISTRATION,
    SNI,
    Message,
    answer,
    check_code,
    collect,
    describe,
    once,
    refusal,
    replies,
    request,
    succeeded,
)
from gate_conformance.cases._support import expect_ignored

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial


@case("requests.each-answered-once", requirement="RQ-01")
async def each_answered_once(t: Trial) -> None:
    """Every type of request gets one response, of its own type, with its id."""
    link = await t.established()
    sent = [request(t, link, kind) for kind in KINDS]
    for message in sent:
        await link.send(message)
    await collect(t, link, sent)
    await link.barrier()
    await once(t, link, sent)


@case("requests.each-alone", requirement="RQ-01")
async def each_alone(t: Trial) -> None:
    """Every type of request is answered also when nothing follows it on the stream."""
    link = await t.established()
    sent = []
    for kind in (*KINDS, *reversed(KINDS)):
        sent.append(request(t, link, kind))
        await answer(t, link, sent[-1])
    await once(t, link, sent)


BAD_MEMBERS: dict[str, dict[str, list[Any]]] = {
    CREATE: {"domain": [7, None, True, ["a.example"], {}], "txt_value": [7, None, False, [], {}]},
    CLEANUP: {"domain": [7, None, True, ["a.example"], {}], "txt_value": [7, False, ["x"], {}]},
    SNI: {"domain": [7, None, True, ["a.example"], {}]},
    REGISTRATION: {"node_addr": [7, None, "id@192.0.2.1:1", [], {}]},
}


async def malformed(t: Trial, link: Link, message: Message, what: str) -> None:
    """Send a malformed request: never a success (MS-04), and a failure is what it should get (RQ-04)."""
    await link.send(message)
    waited = t.now() + 3.0
    while (
        not (found := replies(link.received, message["request_id"])) and t.now() < waited and not link.ended
    ):
        await link.settle(0.02 if t.now() + 2.9 < waited else 0.2)
    link.inbox[:] = [one for one in link.inbox if one not in found]
    if any(succeeded(one) for one in found):
        t.fail(f"no success for {what}", describe(found[0]), "MS-04")
    await link.barrier("MS-04")
    if not found:
        t.warn(f"a failure for {what}", "no answer", "RQ-04")
        return
    if not isinstance(found[0].get("error"), str) or not found[0]["error"]:
        t.fail("a failure with an `error` text", f"{found[0]}", "RQ-07")
    check_code(t, found[0], "malformed")


@case("requests.missing-member", requirement="RQ-04", seconds=2.0)
async def missing_member(t: Trial) -> None:
    """A request that lacks a member is answered with a failure, and not acted on."""
    link = await t.established()
    for kind, members in BAD_MEMBERS.items():
        for name in members:
            if (kind, name) == (CLEANUP, "txt_value"):
                continue
            message = request(t, link, kind)
            del message[name]
            await malformed(t, link, message, f"{kind} without {name}")


@case("requests.ill-typed-member", requirement="RQ-04", seconds=3.0)
async def ill_typed_member(t: Trial) -> None:
    """A request with a member of a wrong type is answered with a failure, and not acted on."""
    link = await t.established()
    for kind, members in BAD_MEMBERS.items():
        for name, values in members.items():
            for value in values:
                message = request(t, link, kind, **{name: value})
                await malformed(t, link, message, f"{kind} with {name} {json.dumps(value)}")


@case("requests.malformed-is-not-acted-on", requirement="MS-04")
async def malformed_is_not_acted_on(t: Trial) -> None:
    """Malformed requests are never answered with success, whatever is wrong."""
    link = await t.established()
    for kind, members in BAD_MEMBERS.items():
        for name, values in members.items():
            sent = [request(t, link, kind, **{name: value}) for value in values]
            for message in sent:
                await link.send(message)
            await link.barrier()
            for message in sent:
                if any(succeeded(one) for one in replies(link.received, message["request_id"])):
                    t.fail("no success for a malformed request", json.dumps(message))
    await link.settle(0.3)
    if any(succeeded(one) for one in link.inbox):
        t.fail("no success for a malformed request", f"{link.inbox}")


UNASKED = (
    {"type": "DnsChallengeResponse", "request_id": "ID", "success": True},
    {"type": "DnsChallengeResponse", "request_id": "ID", "success": False, "error": "no", "code": "failed"},
    {"type": "DnsChallengeResponse", "request_id": "", "success": True},
    {"type": "StreamReady", "request_id": "ID", "stream_accepted": True},
    {
        "type": "StreamReady",
        "request_id": "ID",
        "stream_accepted": False,
        "error": None,
        "code": "no such code",
    },
    {"type": "DomainRegistrationResponse", "request_id": "ID", "success": True, "domain": "a.example"},
    {
        "type": "DomainRegistrationResponse",
        "request_id": "ID",
        "success": False,
        "error": "no",
        "domain": None,
    },
)
UNASKED_MALFORMED = (
    {"type": "DnsChallengeResponse", "request_id": "ID"},
    {"type": "DnsChallengeResponse", "request_id": 7, "success": True},
    {"type": "DnsChallengeResponse", "success": True},
    {"type": "DnsChallengeResponse", "request_id": "ID", "success": "true"},
    {"type": "StreamReady", "request_id": "ID", "stream_accepted": 1},
    {"type": "StreamReady", "request_id": "ID", "stream_accepted": True, "error": 7},
    {"type": "DomainRegistrationResponse", "request_id": "ID", "success": True},
    {"type": "DomainRegistrationResponse", "request_id": "ID", "success": True, "domain": None},
    {"type": "DomainRegistrationResponse", "request_id": "ID", "success": True, "domain": 7},
)


async def ignored(t: Trial, link: Link, messages: tuple[Message, ...], requirement: str) -> None:
    """Send responses that nobody asked for: each is ignored."""
    for message in messages:
        request_id = message.get("request_id")
        sent = {**message, "request_id": link.fresh_request_id()} if request_id == "ID" else message
        body = json.dumps(sent).encode()
        await expect_ignored(t, link, body, f"an unasked {message['type']}", requirement=requirement)
    await link.settle(0.5)
    await link.barrier(requirement)


@case("requests.unasked-response", requirement="RQ-06")
async def unasked_response(t: Trial) -> None:
    """A response to no request is ignored, of whatever type and whatever it says."""
    link = await t.established()
    await ignored(t, link, UNASKED, "RQ-06")
    await answer(t, link, request(t, link, INFERENCE))


@case("requests.unasked-response-malformed", requirement="MS-04")
async def unasked_response_malformed(t: Trial) -> None:
    """A malformed response is ignored, a registration without its domain included."""
    link = await t.established()
    await ignored(t, link, UNASKED_MALFORMED, "MS-04")
    await answer(t, link, request(t, link, INFERENCE))


@case("requests.response-with-own-id", requirement="RQ-06")
async def response_with_own_id(t: Trial) -> None:
    """A response with the id of the suite's own request is none to a request of the target."""
    link = await t.established()
    message = request(t, link, INFERENCE)
    await link.send({"type": "StreamReady", "request_id": message["request_id"], "stream_accepted": True})
    await link.send(message)
    await link.send(
        {"type": "StreamReady", "request_id": message["request_id"], "stream_accepted": False, "error": "x"}
    )
    await collect(t, link, [message])
    await once(t, link, [message])
    await link.barrier()


@case("requests.failures-say-why", requirement="RQ-07")
async def failures_say_why(t: Trial) -> None:
    """Every failure carries an `error` text, of whatever type the response is."""
    link = await t.established()
    for kind in KINDS:
        await refusal(t, link, request(t, link, kind, request_id=f"with space {kind}"), "malformed", "RQ-03")
        response = await answer(t, link, request(t, link, kind))
        if not succeeded(response) and (not isinstance(response.get("error"), str) or not response["error"]):
            t.fail("a failure with an `error` text", f"{response}")


@case("requests.failure-codes", requirement="RQ-08")
async def failure_codes(t: Trial) -> None:
    """Failures carry a code: `malformed` for what is wrong in form, and one of the list for all else."""
    link = await t.established()
    for kind in (CREATE, CLEANUP, SNI):
        await refusal(t, link, request(t, link, kind, domain="not a domain"), "malformed")
    for kind in (CREATE, CLEANUP):
        await refusal(t, link, request(t, link, kind, txt_value="short"), "malformed")
        await refusal(
            t, link, request(t, link, kind, domain="nobody.invalid", txt_value="short"), "malformed"
        )
    for kind in KINDS:
        await refusal(t, link, request(t, link, kind, request_id=f"a b {kind}"), "malformed")
        response = await answer(t, link, request(t, link, kind))
        wrong = {"not_ready", "malformed"} & {response.get("code")}
        if wrong:
            t.warn(f"another code for {kind} in good form", f"{wrong.pop()!r}")


_ACTIONS = st.sampled_from(("ping", "handshake", "unknown", "response", "array", *KINDS))


@case(
    "requests.interleaved",
    requirement="RQ-01",
    given={"actions": st.lists(_ACTIONS, min_size=2, max_size=10), "together": st.booleans()},
    examples=30,
    seconds=3.0,
)
async def interleaved(t: Trial, actions: list[str], together: bool) -> None:
    """Requests, Pings, Handshakes and noise in any order: each is answered once (generated)."""
    link = await t.shared_link()
    bodies: list[str] = []
    sent: list[Message] = []
    pings: list[int] = []
    for action in actions:
        if action in KINDS and len(sent) < 5:
            sent.append(request(t, link, action))
            bodies.append(json.dumps(sent[-1]))
        elif action == "ping":
            pings.append(link.fresh_id())
            bodies.append(json.dumps({"type": "Ping", "id": pings[-1]}))
        elif action == "handshake":
            bodies.append(json.dumps(hello(t)))
        elif action == "response":
            bodies.append(json.dumps({**UNASKED[0], "request_id": link.fresh_request_id()}))
        else:
            bodies.append('{"type":"Teleport","request_id":"x"}' if action == "unknown" else "[1]")
    frames = [len(text.encode()).to_bytes(4, "big") + text.encode() for text in bodies]
    await link.send_chunks([b"".join(frames)] if together else frames)
    for _ in range(actions.count("handshake")):
        response = await link.expect("HandshakeResponse", within=5.0, requirement="HS-12")
        if response.get("accepted") is not True:
            t.drop_shared()
            return
    for number in pings:
        await link.expect("Pong", within=5.0, id=number, requirement="LV-01")
    await collect(t, link, sent)
    await link.barrier()
