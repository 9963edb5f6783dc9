"""Documents that are no message: ignored, and the stream serves on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._json import ANY_JSON
from gate_conformance.cases._requests import (
    CLEANUP,
    CREATE,
    INFERENCE,
    answer,
    describe,
    request,
    succeeded,
)
from gate_conformance.cases._support import expect_ignored, members, ping_text
from gate_conformance.codec import known_types

if TYPE_CHECKING:
    from gate_conformance.trial import Trial


# -- ignored documents -----------------------------------------------------------------------------


@case("messages.unknown-type", requirement="MS-02")
async def unknown_type(t: Trial) -> None:
    """An object with an unknown type is ignored, whatever else it has."""
    link = await t.established()
    ident = link.fresh_id()
    for kind in ("Nothing", "Error", "Pingg", "", "Ping2", "Hello", "\u0420ing", "Ping\\u0000", "x" * 10_000):
        text = members(
            f'"type":"{kind}"',
            f'"id":{ident}',
            f'"request_id":"{link.fresh_request_id()}"',
            '"node_id":"x"',
            '"capabilities":[]',
        )
        await expect_ignored(t, link, text.encode(), f"an object of type {kind[:40]!r}", pongs=[ident])


@case("messages.type-case", requirement="MS-02")
async def type_case(t: Trial) -> None:
    """A type in another case, or with white space, is unknown."""
    link = await t.established()
    ident = link.fresh_id()
    for kind in ("ping", "PING", "pING", " Ping", "Ping ", "Ping\\n", "p-ing"):
        text = members(f'"type":"{kind}"', f'"id":{ident}')
        await expect_ignored(t, link, text.encode(), f"an object of type {kind!r}", pongs=[ident])
    for kind in ("handshake", "HANDSHAKE", "hand_shake"):
        text = members(f'"type":"{kind}"', '"node_id":"x"', '"capabilities":[]')
        await expect_ignored(t, link, text.encode(), f"an object of type {kind!r}")
    for kind in (
        "requestSniStream",
        "request_inference_stream",
        "REQUESTSNISTREAM",
        "requestInferenceStream",
    ):
        request_id = link.fresh_request_id()
        link.tolerate_response(request_id)
        text = members(f'"type":"{kind}"', f'"request_id":"{request_id}"', '"domain":"localhost"')
        await expect_ignored(t, link, text.encode(), f"an object of type {kind!r}")


@case("messages.type-missing", requirement="MS-02")
async def type_missing(t: Trial) -> None:
    """An object without `type` is ignored, whatever it looks like."""
    link = await t.established()
    ident = link.fresh_id()
    for text in (
        "{}",
        members(f'"id":{ident}'),
        members('"Type":"Ping"', f'"id":{ident}'),
        members('"TYPE":"Ping"', f'"id":{ident}'),
        members('"kind":"Ping"', f'"id":{ident}'),
        members(f'"Ping":{{"id":{ident}}}'),
        members('"node_id":"x"', '"capabilities":[]'),
        members('"accepted":true', '"capabilities":[]'),
        members('"x":{"type":"Ping"}', f'"id":{ident}'),
    ):
        await expect_ignored(t, link, text.encode(), f"{text} without `type`", pongs=[ident])


@case("messages.type-no-string", requirement="MS-02")
async def type_no_string(t: Trial) -> None:
    """An object whose `type` is no string is ignored."""
    link = await t.established()
    ident = link.fresh_id()
    for value in (
        "null",
        "0",
        "1",
        "2",
        "true",
        "false",
        "-1.5",
        "[]",
        '["Ping"]',
        "{}",
        '{"Ping":1}',
        '{"type":"Ping"}',
        "1e300",
    ):
        text = members(f'"type":{value}', f'"id":{ident}')
        await expect_ignored(t, link, text.encode(), f"an object with type {value}", pongs=[ident])


@case("messages.no-object", requirement="MS-03")
async def no_object(t: Trial) -> None:
    """JSON that is no object is ignored."""
    link = await t.established()
    for text in (
        "[]",
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1.5e3",
        '""',
        '"Ping"',
        "[null]",
        "[[[]]]",
        "[{}]",
        " [1, 2] ",
        '"\\u0000"',
        '"\u00fc"',
    ):
        await expect_ignored(t, link, text.encode(), f"the document {text}")


@case("messages.no-object-but-message", requirement="MS-03")
async def no_object_but_message(t: Trial) -> None:
    """An array or a string that holds a message is no message."""
    link = await t.established()
    ident = link.fresh_id()
    ping = ping_text(ident)
    for text in (
        f"[{ping}]",
        f"[{ping},{ping}]",
        json.dumps(ping),
        f'["Ping",{ident}]',
        f'["Ping",{{"id":{ident}}}]',
        f'[["type","Ping"],["id",{ident}]]',
        str(ident),
        f"[{ident}]",
    ):
        await expect_ignored(t, link, text.encode(), f"the document {text}", pongs=[ident])


async def _usable_after(t: Trial, bodies: tuple[str, ...]) -> None:
    """Requests fare after each of these bodies as they did before it."""
    link = await t.established()
    control = {kind: await answer(t, link, request(t, link, kind)) for kind in (INFERENCE, CLEANUP, CREATE)}
    for body in bodies:
        await link.send_text(body)
        for kind, before in control.items():
            response = await answer(t, link, request(t, link, kind))
            if response.get("code") == "not_ready" and not succeeded(response):
                t.fail(f"{kind} taken after {body}", describe(response))
            if succeeded(before) and not succeeded(response) and response.get("code") != "quota":
                t.fail(f"success of {kind} after {body}, as before it", describe(response))


@case("messages.usable-after-unknown-type", requirement="MS-02")
async def usable_after_unknown_type(t: Trial) -> None:
    """An object with an unknown, missing or ill-typed `type` changes nothing for the requests after it."""
    await _usable_after(t, ('{"type":"Nothing"}', "{}", '{"type":7,"id":1}', '{"type":"handshake"}'))


@case("messages.usable-after-no-object", requirement="MS-03")
async def usable_after_no_object(t: Trial) -> None:
    """JSON that is no object changes nothing for the requests after it."""
    await _usable_after(t, ("[]", "null", '"Handshake"', "7"))


def _is_known(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") in known_types()


@case(
    "messages.generated-ignored", requirement="MS-03", seconds=2.0, given={"document": ANY_JSON}, examples=40
)
async def generated_ignored(t: Trial, document: Any) -> None:
    """Any JSON that is no message is ignored."""
    if _is_known(document):
        return
    link = await t.shared_link()
    requirement = "MS-02" if isinstance(document, dict) else "MS-03"
    text = json.dumps(document, ensure_ascii=False)
    await expect_ignored(t, link, text.encode(), f"the document {text[:100]}", requirement=requirement)


@case(
    "messages.generated-types",
    requirement="MS-02",
    seconds=2.0,
    given={
        "kind": st.one_of(
            ANY_JSON,
            st.sampled_from(sorted(known_types())).flatmap(
                lambda name: st.sampled_from(
                    [name.lower(), name.upper(), name + "s", name[1:], name.swapcase()]
                )
            ),
        )
    },
    examples=30,
)
async def generated_types(t: Trial, kind: Any) -> None:
    """Whatever `type` is, if it is no known type the object is ignored."""
    if isinstance(kind, str) and kind in known_types():
        return
    link = await t.shared_link()
    ident = link.fresh_id()
    message = {
        "type": kind,
        "id": ident,
        "request_id": link.fresh_request_id(),
        "domain": "a.test",
        "node_id": "x",
        "capabilities": [],
    }
    text = json.dumps(message, ensure_ascii=False)
    await expect_ignored(t, link, text.encode(), f"type {kind!r:.100}", pongs=[ident])
