"""Handshake: how it is answered, and what happens before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._handshakes import (
    FOREIGN_IDS,
    MALFORMED_HANDSHAKES,
    ODD_CAPABILITIES,
    alive,
    answers_to_handshakes,
    complete,
    consent,
    done,
    greet,
    greet_accepted,
    hello,
    ids_of_target,
    no_more_responses,
    opened,
    refused_before_handshake,
    wait_end,
    without_consent,
)
from gate_conformance.cases._requests import (
    CREATE,
    INFERENCE,
    KINDS,
    RESPONSES,
    check_code,
    describe,
    refusal,
    request,
    succeeded,
)

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

ACCEPTOR = ("acceptor",)
# When an acceptor may give up on a silent dialer, and by when it has done so; seconds from the connection.
NOT_BEFORE = 9.0
AT_LATEST = 16.0


@case("handshake.answered", requirement="HS-02")
async def answered(t: Trial) -> None:
    """The opening Handshake is exchanged, and both sides are ready."""
    link = await t.connect()
    if t.role == "dialer":
        own = await link.expect("Handshake", within=10.0, requirement="HS-01")
        if link.received[0] is not own and link.received[0].get("type") != "Handshake":
            t.fail("Handshake as the first message", f"{link.received[0]}", "HS-01")
        await link.send(consent())
        await link.barrier("HS-08")
        return
    response = await greet(t, link)
    if response.get("accepted") is not True:
        t.fail("accepted true: a target has to admit the suite's identity (--key)", f"{response}")
    listed = response.get("capabilities")
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        t.fail("capabilities, a list of texts", f"{response}", "MS-12")
    await link.barrier()


@case("handshake.answered-once", requirement="HS-02", roles=ACCEPTOR)
async def answered_once(t: Trial) -> None:
    """One Handshake gets one HandshakeResponse, not two."""
    link = await t.connect()
    await greet(t, link)
    await link.settle(1.0)
    await link.barrier()
    await no_more_responses(t, link, 1)


@case("handshake.nothing-unasked", requirement="HS-03", roles=ACCEPTOR, seconds=2.0)
async def nothing_unasked(t: Trial) -> None:
    """Before its HandshakeResponse an acceptor sends nothing but answers."""
    link = await t.connect()
    link.auto_pong = False
    await link.barrier("LV-01")
    await link.settle(1.5)
    only_answers(t, link)
    early = request(t, link, INFERENCE)
    await link.send(early)
    await link.send(hello(t))
    await link.expect("HandshakeResponse", within=5.0, requirement="HS-02")
    only_answers(t, link)


@case("handshake.response-first", requirement="HS-03", roles=ACCEPTOR)
async def response_first(t: Trial) -> None:
    """The first message of an acceptor that was sent a Handshake alone is HandshakeResponse."""
    link = await t.connect()
    link.auto_pong = False
    await link.send(hello(t))
    await link.expect("HandshakeResponse", within=5.0, requirement="HS-02")
    if link.received[0].get("type") != "HandshakeResponse":
        t.fail("HandshakeResponse first", f"{link.received[0]}")


def only_answers(t: Trial, link: Link) -> None:
    """Fail when the target sent something unasked before its first HandshakeResponse."""
    for message in link.received:
        kind = message.get("type")
        if kind == "HandshakeResponse":
            return
        if kind != "Pong" and kind not in RESPONSES:
            t.fail("nothing unasked before HandshakeResponse", f"{message}", "HS-03")


@case("handshake.node-id-ignored", requirement="HS-05", roles=ACCEPTOR, seconds=2.0)
async def node_id_ignored(t: Trial) -> None:
    """No content of `node_id` makes an acceptor refuse a Handshake."""
    for what, node_id in FOREIGN_IDS.items():
        link = await t.connect()
        t.note(f"node_id {what}")
        await greet_accepted(t, link, "HS-05", node_id=node_id)
        await alive(t, link, "HS-05")
        await done(t, link)
    link = await t.connect()
    for node_id in ids_of_target(link):
        t.note("node_id of the target itself")
        await greet_accepted(t, link, "HS-05", node_id=node_id)
        await alive(t, link, "HS-05")


@case("handshake.capabilities-ignored", requirement="HS-06", roles=ACCEPTOR, seconds=2.0)
async def capabilities_ignored(t: Trial) -> None:
    """Unknown, repeated, reordered and missing capabilities are accepted."""
    for what, capabilities in ODD_CAPABILITIES.items():
        link = await t.connect()
        t.note(f"capabilities {what}")
        await greet_accepted(t, link, "HS-06", capabilities=capabilities)
        await alive(t, link, "HS-06")
        await done(t, link)


@case(
    "handshake.any-content",
    requirement="HS-06",
    roles=ACCEPTOR,
    given={
        "node_id": st.text(st.characters(exclude_categories=["Cs"]), max_size=100),
        "capabilities": st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=8),
        "extra": st.dictionaries(
            st.text("abcxyz_", min_size=1, max_size=8),
            st.none()
            | st.booleans()
            | st.integers(-(2**31), 2**31)
            | st.text('ab{}"\\', max_size=5)
            | st.just([1]),
            max_size=3,
        ),
    },
    examples=12,
    seconds=3.0,
)
async def any_content(t: Trial, node_id: str, capabilities: list[str], extra: dict[str, object]) -> None:
    """A Handshake is accepted whatever its texts and further members are (generated)."""
    link = await t.connect()
    await link.send({**extra, **hello(t, node_id=node_id, capabilities=capabilities)})
    response = await link.expect("HandshakeResponse", within=5.0, requirement="HS-02")
    if response.get("accepted") is not True:
        t.fail("accepted true", f"{response}")
    await link.barrier()
    await done(t, link)


@case("handshake.requests-refused-before", requirement="HS-07")
async def requests_refused_before(t: Trial) -> None:
    """Every type of request is answered with a failure before the handshake, which then still works."""
    link = await opened(t)
    await refused_before_handshake(t, link, "HS-07")
    await complete(t, link)
    await alive(t, link, "HS-07")


@case("handshake.requests-refused-first", requirement="HS-07", roles=ACCEPTOR, seconds=2.0)
async def requests_refused_first(t: Trial) -> None:
    """A request that is the very first message is answered with a failure, and the stream goes on."""
    for kind in KINDS:
        link = await t.connect()
        await refusal(t, link, request(t, link, kind), "not_ready", "HS-07")
        await link.barrier("HS-07")
        await greet_accepted(t, link, "HS-02")
        await done(t, link)


@case("handshake.request-in-front", requirement="HS-07")
async def request_in_front(t: Trial) -> None:
    """A request that stands right before the end of the handshake is refused all the same."""
    link = await opened(t)
    early = request(t, link, CREATE)
    await link.send(early)
    await link.send(hello(t) if t.role == "acceptor" else consent())
    check_code(t, await link.expect_failure(early, requirement="HS-07"), "not_ready")
    await alive(t, link, "HS-07")


@case("handshake.per-connection", requirement="HS-07", roles=ACCEPTOR)
async def per_connection(t: Trial) -> None:
    """A handshake counts for its own connection: on another of the same peer requests are still refused."""
    first = await t.established()
    await alive(t, first)
    second = await t.connect()
    await refused_before_handshake(t, second, "HS-07")
    await greet_accepted(t, second, "HS-02")
    await alive(t, second)
    await alive(t, first)


@case("handshake.order-of-checks", requirement="RQ-08")
async def order_of_checks(t: Trial) -> None:
    """Before the handshake a request is `not_ready`, whatever else is wrong with it."""
    link = await opened(t)
    for wrong in ({"domain": "*.invalid."}, {"txt_value": "short"}, {"request_id": "with space"}):
        await refusal(t, link, request(t, link, CREATE, **wrong), "not_ready", "HS-07")
    await link.barrier()


@case("handshake.id-free-after-refusal", requirement="RQ-05")
async def id_free_after_refusal(t: Trial) -> None:
    """The id of a request that was refused before the handshake is free for use after it."""
    link = await opened(t)
    message = request(t, link, INFERENCE)
    await refusal(t, link, message, "not_ready", "HS-07")
    await complete(t, link)
    await link.send(message)
    await link.expect_response(message)


@case("handshake.ping-before", requirement="LV-01")
async def ping_before(t: Trial) -> None:
    """Pings are answered before the handshake, and do not stand in its way."""
    link = await opened(t)
    for _ in range(3):
        await link.barrier()
    await complete(t, link)
    await link.barrier()


@case("handshake.unknown-before", requirement="MS-02")
async def unknown_before(t: Trial) -> None:
    """Unknown messages and JSON that is no object are ignored before the handshake too."""
    link = await opened(t)
    for body in (
        '{"type":"Teleport","id":1}',
        '{"type":"handshake"}',
        "{}",
        "[]",
        "null",
        '"Handshake"',
        "7",
    ):
        await link.send_text(body)
    await link.barrier()
    if answers_to_handshakes(link.received):
        t.fail("no answer to what is no Handshake", "HandshakeResponse")
    await complete(t, link)
    await alive(t, link)


@case("handshake.unasked-answers-before", requirement="RQ-06", roles=ACCEPTOR)
async def unasked_answers_before(t: Trial) -> None:
    """Pongs and responses that nobody asked for are ignored before the handshake too."""
    link = await t.connect()
    await link.send({"type": "Pong", "id": 5})
    await link.barrier("LV-04")
    await link.send({"type": "DnsChallengeResponse", "request_id": "x", "success": True})
    await link.send({"type": "StreamReady", "request_id": "x", "stream_accepted": True})
    await link.send(
        {"type": "DomainRegistrationResponse", "request_id": "x", "success": True, "domain": "a.example"}
    )
    await link.barrier()
    await greet_accepted(t, link, "HS-02")
    await alive(t, link)


@case("handshake.response-is-no-handshake", requirement="HS-13", roles=ACCEPTOR)
async def response_is_no_handshake(t: Trial) -> None:
    """A HandshakeResponse in the place of Handshake is ignored: it opens nothing and ends nothing."""
    for accepted in (True, False):
        link = await t.connect()
        await link.send(consent(accepted=accepted))
        await link.barrier()
        await refused_before_handshake(t, link, "HS-07")
        if answers_to_handshakes(link.received):
            t.fail("no answer to a HandshakeResponse", f"{answers_to_handshakes(link.received)[0]}")
        await greet_accepted(t, link, "HS-02")
        await alive(t, link)
        await done(t, link)


@case("handshake.malformed", requirement="HS-15", roles=ACCEPTOR, seconds=2.0)
async def malformed(t: Trial) -> None:
    """A malformed Handshake gets no answer and completes nothing; a good one after it does."""
    bodies = list(MALFORMED_HANDSHAKES.items())
    for start in range(0, len(bodies), 4):  # few on a connection: it waits no more than 10 s for a good one
        link = await t.connect()
        for what, body in bodies[start : start + 4]:
            await without_consent(t, link, body, what)
            message = request(t, link, INFERENCE)
            await link.send(message)
            response = await link.expect_response(message, requirement="HS-07")
            if succeeded(response) or response.get("code") not in {None, "not_ready"}:
                t.fail(f"no handshake after one with {what}", describe(response))
        await greet_accepted(t, link, "MS-04")
        await alive(t, link)
        await done(t, link)


@case("handshake.late", requirement="HS-14", roles=ACCEPTOR, seconds=8.5)
async def late(t: Trial) -> None:
    """An acceptor waits 10 s for Handshake: one that comes after 8 s is answered."""
    link = await t.connect()
    started = t.now()
    await link.barrier("LV-01")
    if await wait_end(link, 8.0 - (t.now() - started)) is not None:
        t.warn("an acceptor that waits 10 s for Handshake", f"the end after {t.now() - started:.1f} s")
        return
    await greet_accepted(t, link, "HS-02")
    await alive(t, link)


@case("handshake.never", requirement="HS-14", roles=ACCEPTOR, seconds=11.0)
async def never(t: Trial) -> None:
    """An acceptor that gets no Handshake closes after 10 s, with code 3, and asks for nothing till then."""
    started = t.now()
    link = await t.connect()
    link.auto_pong = False
    await link.barrier("LV-01")
    await gives_up(t, link, started)


@case("handshake.never-but-traffic", requirement="HS-14", roles=ACCEPTOR, seconds=11.0)
async def never_but_traffic(t: Trial) -> None:
    """Pings, refused requests and malformed Handshakes do not make an acceptor wait longer for Handshake."""
    started = t.now()
    link = await t.connect()
    await without_consent(t, link, MALFORMED_HANDSHAKES["no capabilities"], "no capabilities")
    while t.now() - started < AT_LATEST - 1.0:
        await link.send({"type": "Ping", "id": link.fresh_id()})
        await link.send(request(t, link, INFERENCE))
        if await wait_end(link, 1.5) is not None:
            break
    await gives_up(t, link, started)


async def gives_up(t: Trial, link: Link, started: float) -> None:
    """Wait for the end that HS-14 asks for, and look at its time and code."""
    end = await wait_end(link, max(AT_LATEST - (t.now() - started), 0.1))
    only_answers(t, link)
    if end is None or link.ended is None:
        t.warn(
            "the end of a connection without Handshake for 10 s",
            f"still open after {AT_LATEST:.0f} s",
            "HS-14",
        )
        return
    waited = link.ended.seconds - started
    if waited < NOT_BEFORE:
        t.warn("10 s of waiting for Handshake", f"the end after {waited:.1f} s", "HS-14")
    if end.code not in {None, 3}:
        t.warn("close code 3", f"code {end.code}", "HS-14")
    await t.still_serving()
