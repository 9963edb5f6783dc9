"""What several cases do alike: bodies of Pings, and the three reactions a body can have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gate_conformance.codec import RESPONSE_OF, frame, known_types
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

ANSWERS = frozenset({"Pong", "HandshakeResponse", *RESPONSE_OF.values()})
PONG_WITHIN = 5.0
# What is sent malformed right after a malformed message is the reaction to it.
SENDING, MALFORMED = frozenset({"MS-09", "MS-12"}), frozenset({"MS-04", "MS-07"})


def members(*parts: str) -> str:
    """A JSON object of these members, each written as it is to stand there."""
    return "{" + ",".join(parts) + "}"


def ping_text(ident: object, *more: str) -> str:
    """The body of a Ping: ``id`` as written by str(), then any further members as they stand."""
    return members('"type":"Ping"', f'"id":{ident}', *more)


def ping_frame(ident: object, *more: str) -> bytes:
    """The same as a frame."""
    return frame(ping_text(ident, *more).encode())


def padded_ping(ident: int, size: int) -> bytes:
    """A Ping whose body has ``size`` bytes."""
    head, tail = f'{{"id":{ident},"pad":"'.encode(), b'","type":"Ping"}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


def pong_ids(messages: Iterable[Mapping[str, Any]]) -> list[Any]:
    """The ids of the Pongs among these messages, in their order."""
    return [message.get("id") for message in messages if message.get("type") == "Pong"]


def reactions(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages that answer something; a node may send others of its own accord, of any type."""
    return [dict(message) for message in messages if message.get("type") in ANSWERS]


async def expect_ignored(
    t: Trial,
    link: Link,
    body: bytes,
    what: str,
    *,
    pongs: Iterable[int] = (),
    allowed: Sequence[str] = (),
    requirement: str | None = None,
) -> None:
    """Send a body that must have no effect: no answer comes, and the stream serves on.

    ``pongs`` are the ids that a node acting on it would answer with; ``allowed`` the types of answers
    that the body may have after all.
    """
    for ident in pongs:
        link.tolerate_pong(ident)
    await link.send_body(body)
    before = await serves_on(t, link, what, requirement)
    found = [one for one in reactions(before) if one.get("type") not in allowed]
    if found:
        t.fail(f"no reaction to {what}", f"{found[0]}", requirement)
    if strange(before):
        await own_accord(t, link, body, what, requirement)


def strange(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages of types that nobody knows."""
    return [dict(message) for message in messages if message.get("type") not in known_types()]


async def own_accord(t: Trial, link: Link, body: bytes, what: str, requirement: str | None) -> None:
    """Messages of unknown types are no reaction when they come without the body too, or not each time."""
    for _ in range(3):
        if strange(await serves_on(t, link, what, requirement)):
            return
        await link.send_body(body)
        again = strange(await serves_on(t, link, what, requirement))
        if not again:
            return
    t.fail(f"no reaction to {what}", f"{again[0]}, each time", requirement)


async def serves_on(t: Trial, link: Link, what: str, requirement: str | None = None) -> list[dict[str, Any]]:
    """Show that the stream serves on after ``what``; returns the messages that came before the Pong.

    A stream that hangs breaks the case's requirement, unless the target answers no Ping at all.
    """
    try:
        before = await link.barrier(requirement)
    except CaseFailed as failed:
        if failed.requirement == "LV-01" and "LV-01" not in t.health.failed:
            t.fail(f"a stream that serves on after {what}", failed.actual, requirement)
        if failed.requirement not in SENDING or (requirement or t.case.requirement) not in MALFORMED:
            raise
        t.fail(f"no reaction to {what}", failed.actual, requirement)
    broken = link.broken
    if broken and broken.requirement in SENDING and (requirement or t.case.requirement) in MALFORMED:
        t.fail(f"no reaction to {what}", broken.actual, requirement)
    return before


async def expect_pong(
    t: Trial, link: Link, ident: int, *, within: float = PONG_WITHIN, requirement: str | None = None
) -> None:
    """Wait for the Pong of a Ping; a target that answers no Ping at all fails LV-01 and nothing else."""
    blamed = "LV-01" if "LV-01" in t.health.failed else requirement
    await link.expect("Pong", within=within, requirement=blamed, id=ident)


async def answers_ping(
    t: Trial, link: Link, body: bytes, ident: int, *, requirement: str | None = None
) -> None:
    """Send a body that is a Ping, and wait for its Pong."""
    await link.send_body(body)
    await expect_pong(t, link, ident, requirement=requirement)


async def expect_violation(
    t: Trial,
    link: Link,
    raw: bytes,
    *,
    pongs: Iterable[int] = (),
    requirement: str | None = None,
) -> None:
    """Show that the stream serves, send ``raw``, and expect the end, with none of ``pongs`` before it."""
    unwanted = list(pongs)
    for ident in unwanted:
        link.tolerate_pong(ident)
    await link.barrier()
    await link.send_raw(raw)
    await t.expect_violation(link)
    acted = [ident for ident in pong_ids(link.received) if ident in unwanted]
    if acted:
        t.fail(
            "no answer to what stands in or after a framing violation",
            f"a Pong with id {acted[0]}",
            requirement,
        )


async def quick_requests(t: Trial, link: Link) -> list[dict[str, Any]]:
    """Requests that this target answers at once: each was tried before, and took less than half a second."""
    quick = []
    for members_ in (
        {"type": "RequestSniStream", "domain": "localhost"},
        {"type": "DnsChallengeCreate", "domain": t.options.domain, "txt_value": "D" * 43},
        {"type": "DnsChallengeCleanup", "domain": t.options.domain, "txt_value": "D" * 43},
    ):
        request = {**members_, "request_id": link.fresh_request_id()}
        start = t.now()
        await link.send(request)
        await link.expect_response(request, within=30.0)
        if t.now() - start < 0.5:
            quick.append({**members_, "request_id": link.fresh_request_id()})
    return quick


def unanswered(link: Link, requests: Iterable[Mapping[str, Any]]) -> list[str]:
    """The types of those requests to which no response has come."""
    came = {one.get("request_id") for one in link.received}
    return [str(request["type"]) for request in requests if request["request_id"] not in came]


async def first_handshakes(t: Trial, bodies: Sequence[bytes]) -> None:
    """Each of these Handshakes is answered where it may not be refused as a renewal: at the beginning.

    To an acceptor each goes on a connection of its own, to a dialer all before the suite's own response.
    """
    waiting: Link | None = None
    for body in bodies:
        if waiting is None:
            link = await t.connect()
        if t.role == "dialer" and waiting is None:
            await link.expect("Handshake", within=5.0, requirement="HS-01")
            waiting = link
        await link.send_body(body)
        response = await link.expect("HandshakeResponse", within=5.0)
        if response["accepted"] is not True:
            if t.role == "acceptor":
                t.fail("HandshakeResponse with accepted true", f"{response}")
            t.note("the dialer refuses the suite's Handshake")
            return
        if t.role == "acceptor":
            await link.barrier()
            await t.forget(link)
