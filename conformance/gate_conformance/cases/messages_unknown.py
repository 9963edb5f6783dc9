"""Unknown members: ignored, whatever they are called and whatever they contain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._handshakes import consent, done, opened
from gate_conformance.cases._json import ANY_JSON
from gate_conformance.cases._requests import (
    CLEANUP,
    CREATE,
    INFERENCE,
    describe,
    first_create,
    must_succeed,
    new_value,
    remove,
    replies,
    request,
    succeeded,
)
from gate_conformance.cases._support import (
    answers_ping,
    expect_ignored,
    first_handshakes,
    members,
    ping_text,
)

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

JSON_VALUES = (
    "null",
    "true",
    "false",
    "0",
    "-0.0",
    "1e308",
    "-12.5E-3",
    '""',
    '"x"',
    "[]",
    "{}",
    '[1,[2,{"a":null}]]',
)


def refused_request(link: Link) -> dict[str, Any]:
    """A request that every node refuses at once, whatever it is able to do: the domain has one label."""
    return {"type": "RequestSniStream", "request_id": link.fresh_request_id(), "domain": "localhost"}


# -- unknown members -------------------------------------------------------------------------------


@case("messages.unknown-member-values", requirement="MS-01")
async def unknown_member_values(t: Trial) -> None:
    """Unknown members of every kind, before and after the known ones, are ignored."""
    link = await t.established()
    for value in JSON_VALUES:
        before, after = link.fresh_id(), link.fresh_id()
        await answers_ping(
            t, link, members(f'"x":{value}', '"type":"Ping"', f'"id":{before}').encode(), before
        )
        await answers_ping(t, link, ping_text(after, f'"x":{value}').encode(), after)


@case("messages.unknown-member-of-other-type", requirement="MS-01")
async def unknown_member_of_other_type(t: Trial) -> None:
    """A member that only another type has is an unknown member, whatever its value."""
    link = await t.established()
    for name in (
        "node_id",
        "capabilities",
        "accepted",
        "request_id",
        "domain",
        "txt_value",
        "success",
        "error",
        "code",
        "node_addr",
        "stream_accepted",
    ):
        for value in ("null", "7", "[]", '"x"'):
            ident = link.fresh_id()
            await answers_ping(t, link, ping_text(ident, f'"{name}":{value}').encode(), ident)


@case("messages.unknown-member-names", requirement="MS-01")
async def unknown_member_names(t: Trial) -> None:
    """Unknown members may have any name: empty, in other scripts, like names of a programming language."""
    link = await t.established()
    names = (
        "",
        " ",
        "caf\u00e9",
        "\u540d\u524d",
        "\U0001f512",
        "\\u0000",
        "\\n",
        "__proto__",
        "constructor",
        "self",
        "__class__",
        "$ref",
        "x" * 5000,
        "\ufeff",
    )
    for name in names:
        ident = link.fresh_id()
        await answers_ping(t, link, ping_text(ident, f'"{name}":"\u00fc\ufeff\U0001f4a1"').encode(), ident)


@case("messages.similar-member-names", requirement="MS-01")
async def similar_member_names(t: Trial) -> None:
    """Names that differ from a known one by case or space are unknown members."""
    link = await t.established()
    for name in ("Id", "ID", "id ", " id", "iD", "Type", "TYPE", "type ", "ids", "_id", "id\\u0000"):
        ident, other = link.fresh_id(), link.fresh_id()
        link.tolerate_pong(other)
        value = str(other) if name.strip().lower() != "type" else '"Pong"'
        await answers_ping(
            t, link, members(f'"{name}":{value}', '"type":"Ping"', f'"id":{ident}').encode(), ident
        )
        await answers_ping(t, link, ping_text(ident, f'"{name}":{value}').encode(), ident)


@case("messages.unknown-nested-type", requirement="MS-01")
async def unknown_nested_type(t: Trial) -> None:
    """A message inside an unknown member is content, and no message."""
    link = await t.established()
    for kind in ("Pong", "Ping", "Handshake", "Nothing"):
        ident, inner = link.fresh_id(), link.fresh_id()
        link.tolerate_pong(inner)
        nested = members(f'"type":"{kind}"', f'"id":{inner}')
        for text in (ping_text(ident, f'"x":{nested}'), ping_text(ident, f'"x":[{nested}]')):
            await answers_ping(t, link, text.encode(), ident)
        first = members(f'"x":{nested}', '"type":"Ping"', f'"id":{ident}')
        await answers_ping(t, link, first.encode(), ident)
        answered = [one for one in link.received if one.get("type") == "Pong" and one.get("id") == inner]
        t.check(not answered, "only the outer message acted on", f"a Pong with the inner id {inner}")


@case("messages.unknown-member-repeats-inside", requirement="MS-01")
async def unknown_member_repeats_inside(t: Trial) -> None:
    """The content of an unknown member is not inspected: repeated names inside it change nothing."""
    link = await t.established()
    ident = link.fresh_id()
    await answers_ping(t, link, ping_text(ident, '"x":{"a":1,"a":2,"id":3,"id":4}').encode(), ident)


@case("messages.big-unknown-members", requirement="MS-01", seconds=3.0)
async def big_unknown_members(t: Trial) -> None:
    """Unknown members of a megabyte, and thousands of them, are ignored."""
    link = await t.established()
    many = ",".join(f'"m{index}":{index}' for index in range(5000))
    for more in (
        f'"x":"{"y" * 1_048_576}"',
        f'"x":[{",".join(["0"] * 50_000)}]',
        many,
        f'"{"n" * 70_000}":1',
    ):
        ident = link.fresh_id()
        await answers_ping(t, link, ping_text(ident, more).encode(), ident)
        first = link.fresh_id()
        await answers_ping(t, link, members(more, f'"id":{first}', '"type":"Ping"').encode(), first)


@case("messages.unknown-members-in-handshake", requirement="MS-01")
async def unknown_members_in_handshake(t: Trial) -> None:
    """A Handshake with unknown members is answered, with consent where the suite dials."""
    known = {"type": "Handshake", "node_id": t.options.peer_id, "capabilities": ["dns_challenge"]}
    more = {"version": 2, "id": "x", "accepted": False, "request_id": None, "": {"type": "Ping", "id": 1}}
    await first_handshakes(t, [json.dumps(one).encode() for one in ({**more, **known}, {**known, **more})])


@case("messages.unknown-members-in-request", requirement="MS-01")
async def unknown_members_in_request(t: Trial) -> None:
    """A request with unknown members is answered."""
    link = await t.established()
    for more in (
        {"x": {"type": "Ping", "id": 1}},
        {"id": "no number", "success": True},
        {"": None, "priority": 1.5},
    ):
        request = {**more, **refused_request(link), "zone": [1]}
        await link.send(request)
        await link.expect_response(request, requirement="MS-01")


@case("messages.unknown-members-in-create", requirement="MS-01")
async def unknown_members_in_create(t: Trial) -> None:
    """A Create and a Cleanup with unknown members succeed like those without."""
    link = await t.established()
    await remove(t, link, await first_create(t, link, "DC-01"))
    for first, more in (
        (True, {"x": None}),
        (False, {"id": 7, "ttl": 60, "": []}),
        (True, {"success": False, "error": "no", "code": "quota"}),
        (False, {"zone": {"domain": "a.example", "txt_value": "short"}, "Domain": "*", "TXT_VALUE": 7}),
    ):
        message = request(t, link, CREATE)
        await must_succeed(t, link, {**more, **message} if first else {**message, **more})
        cleanup = request(t, link, CLEANUP, txt_value=message["txt_value"])
        await must_succeed(t, link, {**cleanup, **more} if first else {**more, **cleanup})


@case("messages.similar-member-names-in-request", requirement="MS-01")
async def similar_member_names_in_request(t: Trial) -> None:
    """Names in camel case, or spelled nearly like the known ones, are unknown members of a request."""
    link = await t.established()
    for name in ("requestId", "requestID", "RequestId", "request-id", "Request_Id", "requestid", "id"):
        for first in (True, False):
            message, other = request(t, link, INFERENCE), link.fresh_request_id()
            link.tolerate_response(other)
            await link.send({name: other, **message} if first else {**message, name: other})
            await link.expect_response(message, requirement="MS-01")
            if replies(link.received, other):
                t.fail(f"`{name}` ignored beside `request_id`", f"a response for {other}")


@case("messages.camel-case-members", requirement="MS-04")
async def camel_case_members(t: Trial) -> None:
    """A member in camel case does not stand for the known one that a request lacks."""
    link = await t.established()
    for name in ("requestId", "requestID", "RequestId", "request-id"):
        message = request(t, link, INFERENCE)
        message[name] = message.pop("request_id")
        link.tolerate_response(message[name])
        await expect_ignored(t, link, json.dumps(message).encode(), f"a request with `{name}` as its id")
    for known, name in (("txt_value", "txtValue"), ("txt_value", "TXT_VALUE"), ("domain", "Domain")):
        message = request(t, link, CREATE)
        message[name] = message.pop(known)
        link.tolerate_response(message["request_id"])
        await link.send(message)
        await link.barrier()
        await link.settle(0.5)
        if any(succeeded(one) for one in replies(link.received, message["request_id"])):
            await remove(t, link, {"domain": t.options.domain, "txt_value": new_value(), **message})
            t.fail(f"no success for a Create with `{name}` for `{known}`", "success")


@case("messages.unknown-numbers", requirement="MS-01")
async def unknown_numbers(t: Trial) -> None:
    """Numbers that a double can hold, however written, are read in unknown members."""
    link = await t.established()
    for value in (
        "1.7976931348623157e308",
        "5e-324",
        "123456789012345678901234567890",
        "-1E+5",
        f"{'9' * 300}",
        "0.1e1",
        f"0.{'3' * 400}",
    ):
        ident = link.fresh_id()
        await answers_ping(t, link, ping_text(ident, f'"x":{value}').encode(), ident)


@case(
    "messages.generated-unknown-members",
    requirement="MS-01",
    seconds=2.0,
    given={
        "more": st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=10), ANY_JSON, max_size=5
        ),
        "ascii_only": st.booleans(),
        "first": st.booleans(),
    },
    examples=40,
)
async def generated_unknown_members(t: Trial, more: dict[str, Any], ascii_only: bool, first: bool) -> None:
    """Whatever unknown members hold, the message is acted on."""
    link = await t.shared_link()
    ident = link.fresh_id()
    known = {"type": "Ping", "id": ident}
    unknown = {name: value for name, value in more.items() if name not in known}
    message = {**unknown, **known} if first else {**known, **unknown}
    text = json.dumps(message, ensure_ascii=ascii_only)
    await answers_ping(t, link, text.encode(), ident)


@case("messages.unknown-members-in-response", requirement="MS-01", roles=("dialer",), seconds=2.0)
async def unknown_members_in_response(t: Trial) -> None:
    """A response with members that nobody knows is consent like any other."""
    for extra in ({"x": None}, {"request_id": "", "session": {"accepted": False}, "error": "none"}):
        link = await opened(t)
        await link.send({**extra, **consent()})
        await link.barrier("MS-01")
        early = request(t, link, INFERENCE)
        await link.send(early)
        response = await link.expect_response(early, requirement="MS-01")
        if response.get("code") == "not_ready":
            t.fail("a response with unknown members is consent", describe(response))
        await link.settle(0.2)
        await done(t, link)
