"""Handshake: renewals, and answers that nobody asked for, after the first exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._addresses import is_address
from gate_conformance.cases._handshakes import (
    CAPABILITIES,
    FOREIGN_IDS,
    MALFORMED_HANDSHAKES,
    ODD_CAPABILITIES,
    alive,
    answers_to_handshakes,
    consent,
    greet,
    greet_accepted,
    hello,
    ids_of_target,
    may_renew,
    wait_end,
    without_consent,
)
from gate_conformance.cases._names import is_domain, is_txt_value
from gate_conformance.cases._requests import (
    INFERENCE,
    KINDS,
    answer,
    finish_slow,
    request,
    start_slow,
    undisturbed,
)

if TYPE_CHECKING:
    from gate_conformance.trial import Trial


@case("handshake.renewed", requirement="HS-12")
async def renewed(t: Trial) -> None:
    """A second and a third Handshake are answered, and the connection goes on."""
    link = await t.established()
    for _ in range(2):
        response = await greet(t, link)
        if response.get("accepted") is not True:
            t.note("the target refuses a renewal")
            if await wait_end(link, 5.0) is None:
                t.fail(
                    "a renewal that is accepted, or the end of the connection",
                    "a refusal without consequence",
                )
            return
        await alive(t, link)
    await link.settle(0.5)
    await link.barrier()


@case("handshake.each-answered", requirement="HS-02")
async def each_answered(t: Trial) -> None:
    """Several Handshakes in one go get one HandshakeResponse each."""
    link = await t.established()
    before = len(answers_to_handshakes(link.received))
    for _ in range(3):
        await link.send(hello(t))
    for _ in range(3):
        response = await link.expect("HandshakeResponse", within=5.0)
        if response.get("accepted") is not True:
            t.note("the target refuses a renewal")
            return
    await link.barrier("HS-12")
    await link.settle(0.4)
    count = len(answers_to_handshakes(link.received)) - before
    if count != 3:
        t.fail("3 HandshakeResponses for 3 Handshakes", f"{count}")


@case("handshake.two-at-the-start", requirement="HS-02", roles=("acceptor",))
async def two_at_the_start(t: Trial) -> None:
    """Two Handshakes before the first response are both answered."""
    link = await t.connect()
    await link.send(hello(t))
    await link.send(hello(t))
    for _ in range(2):
        response = await link.expect("HandshakeResponse", within=5.0)
        if response.get("accepted") is not True:
            t.note("the target refuses a renewal")
            return
    await link.settle(0.4)
    await alive(t, link)
    if len(answers_to_handshakes(link.received)) != 2:
        t.fail("2 HandshakeResponses for 2 Handshakes", f"{len(answers_to_handshakes(link.received))}")


@case("handshake.renewed-capabilities", requirement="HS-12")
async def renewed_capabilities(t: Trial) -> None:
    """A renewal with fewer, more or odd capabilities is taken like any other."""
    link = await t.established()
    await may_renew(t, link)
    for capabilities in (["inference"], [], CAPABILITIES, *ODD_CAPABILITIES.values(), CAPABILITIES):
        await greet_accepted(t, link, "HS-06", capabilities=capabilities)
        await link.barrier("HS-06")
    await alive(t, link, "HS-06")


@case("handshake.renewed-node-id", requirement="HS-05")
async def renewed_node_id(t: Trial) -> None:
    """A renewal is not refused over its `node_id` either."""
    link = await t.established()
    await may_renew(t, link)
    for node_id in (*FOREIGN_IDS.values(), t.options.peer_id.upper(), *ids_of_target(link)):
        await greet_accepted(t, link, node_id=node_id)
    await alive(t, link)


@case(
    "handshake.renewed-with-anything",
    requirement="HS-12",
    given={
        "node_id": st.text(st.characters(exclude_categories=["Cs"]), max_size=100),
        "capabilities": st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=8),
        "extra": st.dictionaries(
            st.text("abcxyz_", min_size=1, max_size=8),
            st.none() | st.integers(-9, 9) | st.just({"a": []}),
            max_size=3,
        ),
    },
    examples=30,
    seconds=1.5,
)
async def renewed_with_anything(
    t: Trial, node_id: str, capabilities: list[str], extra: dict[str, object]
) -> None:
    """A renewal is answered whatever its texts and further members are (generated)."""
    link = await t.shared_link()
    await link.send({**extra, **hello(t, node_id=node_id, capabilities=capabilities)})
    response = await link.expect("HandshakeResponse", within=5.0, requirement="HS-02")
    if response.get("accepted") is not True:
        t.drop_shared()
        return
    await link.barrier()


@case("handshake.renewed-among-requests", requirement="HS-12")
async def renewed_among_requests(t: Trial) -> None:
    """Requests before and after a renewal, all sent in one go, are answered."""
    link = await t.established()
    await may_renew(t, link)
    messages = [request(t, link, INFERENCE) for _ in range(3)]
    await link.send(messages[0])
    await link.send(hello(t))
    await link.send(messages[1])
    await link.send(hello(t))
    await link.send(messages[2])
    for message in messages:
        response = await link.expect_response(message, requirement="HS-12")
        if response.get("code") == "not_ready":
            t.fail("requests are taken during a renewal", f"{response}")
    for _ in range(2):
        await link.expect("HandshakeResponse", requirement="HS-02")
    await link.barrier()


@case("handshake.renewed-while-pending", requirement="HS-12", seconds=7.0)
async def renewed_while_pending(t: Trial) -> None:
    """A renewal does not cost the requests that are pending."""
    link = await t.established()
    await may_renew(t, link)
    slow = await start_slow(t, link)
    await greet_accepted(t, link)
    await greet_accepted(t, link)
    await link.barrier()
    undisturbed(t, await finish_slow(t, link, slow), "HS-12")


@case("handshake.unasked-response", requirement="HS-13", seconds=2.0)
async def unasked_response(t: Trial) -> None:
    """A HandshakeResponse that nobody asked for is ignored, be it yes or no."""
    link = await t.established()
    before = len(answers_to_handshakes(link.received))
    for accepted in (True, False):
        await link.send(consent(accepted=accepted, capabilities=[]))
        await link.barrier()
        await link.settle(1.2)
        await alive(t, link)
    if len(answers_to_handshakes(link.received)) != before:
        t.fail("no answer to a HandshakeResponse", "HandshakeResponse")


@case("handshake.unasked-response-malformed", requirement="MS-04")
async def unasked_response_malformed(t: Trial) -> None:
    """A malformed HandshakeResponse after the handshake is ignored."""
    link = await t.established()
    for body in (
        '{"type":"HandshakeResponse"}',
        '{"type":"HandshakeResponse","accepted":false}',
        '{"type":"HandshakeResponse","accepted":"false","capabilities":[]}',
        '{"type":"HandshakeResponse","accepted":null,"capabilities":null}',
    ):
        await link.send_text(body)
        await link.barrier()
    await link.settle(0.3)
    await alive(t, link)


@case("handshake.malformed-renewal", requirement="HS-15")
async def malformed_renewal(t: Trial) -> None:
    """A malformed Handshake after the handshake gets no answer and changes nothing."""
    link = await t.established()
    for what, body in MALFORMED_HANDSHAKES.items():
        await without_consent(t, link, body, what)
        await alive(t, link)


@case("handshake.requests-after", requirement="HS-12")
async def requests_after(t: Trial) -> None:
    """Every type of request is still answered after a renewal without capabilities."""
    link = await t.established(capabilities=())
    await may_renew(t, link)
    await greet_accepted(t, link, "HS-06", capabilities=[])
    for kind in KINDS:
        await answer(t, link, request(t, link, kind), "RQ-01")
    await link.barrier()


@case("requests.only-what-is-advertised", requirement="DC-14")
async def only_what_is_advertised(t: Trial) -> None:
    """A peer that advertises nothing is not asked for DNS challenges."""
    link = await t.established(capabilities=())
    await link.settle(2.0)
    asked = [one for one in link.received if str(one.get("type")).startswith("DnsChallengeC")]
    if asked:
        t.fail("no DNS challenge for a peer without dns_challenge", f"{asked[0]}")
    if not any(one.get("type") in KINDS for one in link.received):
        t.note("the target asked for nothing at all")


@case("requests.only-what-is-still-advertised", requirement="DC-14", seconds=2.0)
async def only_what_is_still_advertised(t: Trial) -> None:
    """A peer that has taken `dns_challenge` back is not asked for DNS challenges any more."""
    link = await t.established()
    await link.settle(0.5)
    await may_renew(t, link)
    await link.settle(0.3)
    await greet_accepted(t, link, "HS-12", capabilities=["inference"])
    await link.settle(0.7)
    # what comes behind the last response was sent after the target had taken note
    place = max(at for at, one in enumerate(link.received) if one.get("type") == "HandshakeResponse")
    asked = [one for one in link.received[place:] if str(one.get("type")).startswith("DnsChallengeC")]
    if asked:
        t.fail("no DNS challenge for a peer that does them no more", f"{asked[0]}")


@case("requests.own-ids", requirement="RQ-11")
async def own_ids(t: Trial) -> None:
    """The ids of the requests that the target itself sends are legal and unique."""
    link = await t.established()
    await link.settle(2.0)
    own = [str(one.get("request_id")) for one in link.received if one.get("type") in KINDS]
    if not own:
        t.not_testable("the target sends no requests of its own")
    wrong = [one for one in own if not 1 <= len(one) <= 128 or not all("!" <= c <= "~" for c in one)]
    if wrong or len(own) != len(set(own)):
        t.fail("legal and unique request ids", f"{own}")


def _out_of_form(message: dict[str, Any]) -> list[str]:
    """Which texts in a request have another form than a requester keeps to; ill-typed ones are MS-12's."""
    domain, value, address = (message.get(name) for name in ("domain", "txt_value", "node_addr"))
    listed = address.get("direct_addresses") if isinstance(address, dict) else None
    return [
        *(f"domain {one!r}" for one in [domain] if isinstance(one, str) and not is_domain(one)),
        *(f"txt_value {one!r}" for one in [value] if isinstance(one, str) and not is_txt_value(one)),
        *(
            f"the address {one!r}"
            for one in (listed if isinstance(listed, list) else ())
            if isinstance(one, str) and not is_address(one)
        ),
    ]


@case("requests.own-forms", requirement="RQ-17")
async def own_forms(t: Trial) -> None:
    """What the target asks for is in form: names, TXT values and addresses."""
    link = await t.established()
    await link.settle(2.0)
    own = [one for one in link.received if one.get("type") in KINDS and one.get("type") != INFERENCE]
    if not own:
        t.not_testable("the target asks for nothing that has a form")
    for message in own:
        if wrong := _out_of_form(message):
            t.fail(f"a {message['type']} in form", ", ".join(wrong)[:300])
