"""Requests: what happens while a slow one is in flight, and past the limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gate_conformance.case import case
from gate_conformance.cases._requests import (
    CLEANUP,
    CREATE,
    INFERENCE,
    KINDS,
    REGISTRATION,
    SLOW_SECONDS,
    SNI,
    Message,
    answer,
    check_code,
    collect,
    describe,
    finish_slow,
    new_value,
    replies,
    request,
    start_slow,
    succeeded,
    undisturbed,
)
from gate_conformance.cases._support import serves_on

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

QUICK_FLOOD = 200
SLOW_FLOOD = 90
ALLOWED = 64
SHOWN_AFTER = 0.5  # what start_slow waits
HANDLER_AT_LEAST = 5.0  # a handler for --slow-domain takes 6 s; less than this and it was no answer of its


def not_answered_yet(t: Trial, link: Link, slow: Message, started: float, requirement: str) -> None:
    """Fail for a response that came before the slow handler, begun at ``started``, can have been done."""
    times = [
        at - started
        for one, at in zip(link.received, link.received_at, strict=True)
        if replies([one], slow["request_id"])
    ]
    if times and min(times) < HANDLER_AT_LEAST:
        t.fail("nothing for the id before the first request is answered", "a response", requirement)
    if times:
        t.inconclusive(f"the slow request was answered after {min(times):.1f} s, before the case was done")


async def one_answer(t: Trial, link: Link, slow: Message, started: float, requirement: str = "RQ-05") -> None:
    """The slow request is answered once in spite of what was sent under its id; then the id is free."""
    not_answered_yet(t, link, slow, started, requirement)
    response = await finish_slow(t, link, slow, requirement, clean=False)
    undisturbed(t, response, requirement)
    await link.settle(1.5)  # a second one in flight would take a second longer, as it was sent so much later
    found = replies(link.received, slow["request_id"])
    if len(found) != 1:
        t.fail("one response for the id in flight", f"{len(found)} responses", requirement)
    again = request(t, link, INFERENCE, request_id=slow["request_id"])
    await link.send(again)
    await link.expect_response(again, within=SLOW_SECONDS, requirement="RQ-05")
    if succeeded(response):
        await link.send(request(t, link, CLEANUP, domain=slow["domain"], txt_value=slow["txt_value"]))


@case("requests.duplicate", requirement="RQ-05", seconds=8.0)
async def duplicate(t: Trial) -> None:
    """The same request again while it is in flight is ignored; one response comes."""
    link = await t.established()
    slow, started = await start_slow(t, link), t.now() - SHOWN_AFTER
    await link.send(slow)
    await link.send({**slow, "txt_value": new_value()})
    await link.barrier()
    await link.settle(0.5)
    await one_answer(t, link, slow, started)


@case("requests.duplicate-of-another-type", requirement="RQ-05", seconds=8.0)
async def duplicate_of_another_type(t: Trial) -> None:
    """A request of another type with the id of one in flight is ignored."""
    link = await t.established()
    slow, started = await start_slow(t, link), t.now() - SHOWN_AFTER
    for kind in (INFERENCE, SNI, REGISTRATION, CLEANUP):
        await link.send(request(t, link, kind, request_id=slow["request_id"]))
    await link.barrier()
    await link.settle(0.5)
    await one_answer(t, link, slow, started)


@case("requests.duplicate-malformed", requirement="RQ-05", seconds=8.0)
async def duplicate_malformed(t: Trial) -> None:
    """A malformed or illegal request with the id of one in flight is ignored."""
    link = await t.established()
    slow, started = await start_slow(t, link), t.now() - SHOWN_AFTER
    request_id = slow["request_id"]
    for message in (
        {"type": CREATE, "request_id": request_id},
        {"type": CREATE, "request_id": request_id, "domain": 7, "txt_value": None},
        {"type": "RequestSniStream", "request_id": request_id},
        {"type": "DomainRegistrationRequest", "request_id": request_id, "node_addr": None},
        request(t, link, CREATE, request_id=request_id, domain="*.example."),
        request(t, link, CLEANUP, request_id=request_id, txt_value="short"),
        request(t, link, CREATE, request_id=request_id, domain="nobody.invalid"),
    ):
        await link.send(message)
    await link.barrier()
    await link.settle(0.5)
    await one_answer(t, link, slow, started)


@case("requests.ids-that-differ-in-case", requirement="RQ-05", seconds=8.0)
async def ids_that_differ_in_case(t: Trial) -> None:
    """An id in flight does not stand in the way of one that differs from it in case alone."""
    link = await t.established()
    number = link.fresh_id()
    slow = await start_slow(t, link, request_id=f"Case-{number}")
    for text in (f"case-{number}", f"CASE-{number}"):
        message = request(t, link, INFERENCE, request_id=text)
        await link.send(message)
        await link.expect_response(message, within=SLOW_SECONDS, requirement="RQ-05")
    undisturbed(t, await finish_slow(t, link, slow), "RQ-05")


@case("requests.response-in-flight", requirement="RQ-06", seconds=8.0)
async def response_in_flight(t: Trial) -> None:
    """A response of the suite with the id of its own request in flight changes nothing."""
    link = await t.established()
    slow = await start_slow(t, link)
    other = request(t, link, CREATE, domain=t.options.slow_domain)
    await link.send(other)
    await respond(link, slow)
    await link.barrier()
    await finish_slow(t, link, other, "RQ-01")  # one that nothing was done to is answered
    undisturbed(t, await finish_slow(t, link, slow, "RQ-06"), "RQ-06")


async def respond(link: Link, own: Message) -> None:
    """Send responses of two types to a request of the suite's own: nobody asked for them."""
    request_id = own["request_id"]
    await link.send(
        {"type": "DnsChallengeResponse", "request_id": request_id, "success": False, "error": "x"}
    )
    await link.send({"type": "StreamReady", "request_id": request_id, "stream_accepted": True})


@case("requests.duplicate-after-own-response", requirement="RQ-06", seconds=8.0)
async def duplicate_after_own_response(t: Trial) -> None:
    """A response of the suite with the id of its own request in flight does not free that id."""
    link = await t.established()
    slow, started = await start_slow(t, link), t.now() - SHOWN_AFTER
    await link.send(request(t, link, INFERENCE, request_id=slow["request_id"]))
    await link.barrier()
    not_answered_yet(t, link, slow, started, "RQ-05")
    await respond(link, slow)
    await link.send(request(t, link, INFERENCE, request_id=slow["request_id"]))
    await link.send({**slow, "txt_value": new_value()})
    await link.barrier()
    await link.settle(0.5)
    await one_answer(t, link, slow, started, "RQ-06")


@case("requests.id-per-connection", requirement="RQ-01", roles=("acceptor",), seconds=8.0)
async def id_per_connection(t: Trial) -> None:
    """An id in flight on one connection is free on another, and each gets its own response."""
    link = await t.established()
    other = await t.established()
    slow = await start_slow(t, link)
    await answer(t, other, request(t, other, INFERENCE, request_id=slow["request_id"]))
    await answer(t, other, request(t, other, CLEANUP, request_id=slow["request_id"]), "RQ-05")
    if replies(link.received, slow["request_id"]):
        t.fail("responses on the connection of their request", "a response on another connection")
    await finish_slow(t, link, slow)


@case("requests.beside-a-slow-one", requirement="RQ-09", seconds=8.0)
async def beside_a_slow_one(t: Trial) -> None:
    """Pings and quick requests are answered while a slow request is in flight."""
    link = await t.established()
    slow = await start_slow(t, link)
    await link.barrier("LV-02")
    quick = [request(t, link, kind) for kind in KINDS]
    for message in quick:
        await link.send(message)
    for response in await collect(t, link, quick):
        if response.get("code") == "quota":
            t.note("a small limit: quota")
    if replies(link.received, slow["request_id"]):
        t.warn("quick requests answered before a slow one", "the slow one was answered first")
        return
    await finish_slow(t, link, slow)
    await link.barrier()


@case("requests.slow-ones-together", requirement="RQ-09", seconds=8.0)
async def slow_ones_together(t: Trial) -> None:
    """Two slow requests take the time of one, not of two."""
    await t.slow_domain()
    link = await t.established()
    started = t.now()
    first = await start_slow(t, link)
    second = request(t, link, CREATE, domain=t.options.slow_domain)
    await link.send(second)
    await finish_slow(t, link, first)
    alone = t.now() - started
    await finish_slow(t, link, second)
    both = t.now() - started
    if both > 1.7 * alone:
        t.warn(f"both answered after about {alone:.1f} s", f"the second after {both:.1f} s")


@case("requests.closed-while-pending", requirement="TR-05", seconds=9.0)
async def closed_while_pending(t: Trial) -> None:
    """A connection that goes while a request is pending does not harm the node."""
    link = await t.established()
    await start_slow(t, link, txt_value="B" * 43)  # stays behind: the same wherever a case leaves early
    link.close()
    await asyncio.sleep(7.5)
    await t.still_serving()


@case("requests.slow-and-short-answers", requirement="RQ-01", seconds=8.0)
async def slow_and_short_answers(t: Trial) -> None:
    """Slow requests on one stream are each answered with their own id and once."""
    link = await t.established()
    sent = [await start_slow(t, link)]
    sent += [request(t, link, CREATE, domain=await t.slow_domain())]
    for message in sent[1:]:
        await link.send(message)
    for message in reversed(sent):
        await finish_slow(t, link, message)
    await link.settle(0.5)
    for message in sent:
        count = len(replies(link.received, message["request_id"]))
        if count != 1:
            t.fail("one response each", f"{count} responses for {message['request_id']}")


@case("requests.quick-flood", requirement="RQ-01", exclusive=True, seconds=2.0)
async def quick_flood(t: Trial) -> None:
    """Many requests at once are each answered once, and leave no trace in the limit."""
    link = await t.established()
    sent = [request(t, link, (INFERENCE, CLEANUP)[index % 2]) for index in range(QUICK_FLOOD)]
    for message in sent:
        await link.send(message)
    for message in sent:
        await link.expect_response(message, within=10.0)
    await link.barrier()
    for _ in range(3):
        response = await answer(t, link, request(t, link, CLEANUP))
        if response.get("code") == "quota":
            t.fail("a request that is alone is within the limit", describe(response), "RQ-10")


@case("requests.slow-flood", requirement="RQ-10", exclusive=True, seconds=15.0)
async def slow_flood(t: Trial) -> None:
    """Of many slow requests each is answered once: those past the limit with a failure."""
    link = await t.established()
    sent = [await start_slow(t, link)]
    await serves_on(t, link, "a slow request", "LV-02")
    sent += [request(t, link, CREATE, domain=t.options.slow_domain) for _ in range(SLOW_FLOOD - 1)]
    for message in sent[1:]:
        await link.send(message)
    illegal = request(t, link, CREATE, domain="*.example")
    await link.send(illegal)
    await serves_on(t, link, f"{SLOW_FLOOD} slow requests", "RQ-10")
    asked = {message["request_id"] for message in sent}
    started = last = t.now()
    answers: list[Message] = []
    while len(answers) < len(sent) and t.now() - last < 15.0 and not link.ended:
        await link.settle(0.5)
        fresh = [one for one in link.received if one.get("request_id") in asked]
        last = t.now() if len(fresh) > len(answers) else last
        answers = fresh
        if t.now() - started > 2 * SLOW_SECONDS:
            t.inconclusive(
                f"after {2 * SLOW_SECONDS:.0f} s {len(sent) - len(answers)} requests wait: one at a time?"
            )
    answered = {one["request_id"] for one in answers}
    if len(answered) < len(sent):
        t.fail("a response to each request", f"{len(sent) - len(answered)} of {len(sent)} without one")
    await clean(t, link)
    count = sum(one.get("request_id") in asked for one in link.received)
    if count != len(sent):
        t.fail(f"{len(sent)} responses to {len(sent)} requests", f"{count}", "RQ-01")
    handled = 0
    for response, at in zip(link.received, link.received_at, strict=True):
        if response.get("request_id") not in asked:
            continue
        # the handler takes 6 s: what is refused before that has not seen it
        seen = succeeded(response) or at - started >= 3.0
        handled += seen
        if succeeded(response):
            continue
        check_code(t, response, "quota", *(("unsupported", "failed", "timed_out") if seen else ()))
        if not response.get("error"):
            t.fail("a failure with an `error` text", f"{response}", "RQ-07")
    for response in replies(link.received, illegal["request_id"]):
        check_code(t, response, "malformed")
    t.note(f"{handled} handled at a time, {len(sent) - handled} refused at once")
    if handled == 1:
        refused = len(sent) - handled
        t.warn("slow requests handled side by side", f"one handled, {refused} refused meanwhile", "RQ-09")
    response = await answer(t, link, request(t, link, CLEANUP))
    if response.get("code") == "quota":
        t.fail("room for a request after all were answered", describe(response))


@case("requests.sixty-four", requirement="RQ-15", exclusive=True, seconds=9.0)
async def sixty_four(t: Trial) -> None:
    """64 requests of one peer are in flight at a time, over two connections where the suite dials."""
    links = [await t.established()]
    if t.role == "acceptor":
        links.append(await t.established())
    first = await start_slow(t, links[0])
    sent: list[tuple[Link, Message]] = [(links[0], first)]
    started = t.now()
    for number in range(1, ALLOWED):
        link = links[number % len(links)]
        # the same value each time, because a node may also limit how many stand under one name
        sent.append((link, {**first, "request_id": link.fresh_request_id()}))
        await link.send(sent[-1][1])
    for link in links:
        await serves_on(t, link, f"{ALLOWED} slow requests", "RQ-10")
    await links[0].settle(max(0.0, 3.0 - (t.now() - started)))  # the handler takes 6 s
    early = [one for link, message in sent for one in replies(link.received, message["request_id"])]
    refused = [one for one in early if not succeeded(one)]
    if any(one.get("code") == "unsupported" for one in refused):
        t.unsupported("the target says that it has no handler")
    for link, message in sent:
        await finish_slow(t, link, message, "RQ-09", clean=False)  # late, when they wait for each other
    await clean(t, links[0])
    t.note(f"{ALLOWED - len(refused)} of {ALLOWED} in flight at a time")
    t.check(
        not refused,
        f"{ALLOWED} requests of a peer in flight at a time",
        f"{len(refused)} refused at once, {describe(refused[0]) if refused else ''}",
    )
    for link in links:
        await link.barrier()


async def clean(t: Trial, link: Link) -> None:
    """Remove all records of the slow domain with one request, and wait for it."""
    message = request(t, link, CLEANUP, domain=t.options.slow_domain)
    del message["txt_value"]
    await link.send(message)
    await link.expect_response(message, within=SLOW_SECONDS)
