"""Requests: which ids are taken, and how they come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._handshakes import done
from gate_conformance.cases._names import illegal_ids, legal_ids
from gate_conformance.cases._requests import (
    CLEANUP,
    CREATE,
    INFERENCE,
    KINDS,
    REGISTRATION,
    RESPONSES,
    SNI,
    Message,
    answer,
    collect,
    describe,
    once,
    refusal,
    remove,
    request,
    succeeded,
)

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))
ILLEGAL_IDS: dict[str, tuple[str, list[str]]] = {
    "empty": ("no characters", [""]),
    "space": ("a space", ["a b", " a", "a ", " "]),
    "control": ("a control character", ["a\tb", "a\n", "\nid", "a\rb", "\x00", "a\x1f", "a\x1b[0m"]),
    "delete": ("U+007F", ["\x7f", "a\x7f", "\x7fa"]),
    "non-ascii": (
        "a character beyond ASCII",
        ["é", "a\u0080", "\u00a0", "id-\u4e2d", "\U0001f600", "\u212a", "a\u2028"],
    ),
    "too-long": ("129 characters and more", ["a" * 129, "~" * 130, "x" * 256, "b" * 5000, "c" * 100_000]),
}


def _shortest_and_longest(link: Link) -> list[str]:
    number = link.fresh_id()
    return [
        "a", "0", "~", "!", '"', "\\", "{", "%00", "null", "0123",
        PRINTABLE, f"{number}-".ljust(128, "x"), f"{number}-".ljust(127, "y"), '"' * 128,
        "A" * 64, "5F1C9A0E-6A0E-4B43-9A53-0F6B1D2C7E11", "../../etc/passwd", "<script>", "id;drop",
    ]  # fmt: skip


@case("requests.legal-ids", requirement="RQ-03")
async def legal_ids_taken(t: Trial) -> None:
    """Ids of 1 to 128 printable characters are taken, and come back as they were."""
    for kind in (INFERENCE, CLEANUP):
        link = await t.established()  # one for each type, so that no id comes twice
        control = await answer(t, link, request(t, link, kind))
        for request_id in _shortest_and_longest(link):
            await legal_id(t, link, request(t, link, kind, request_id=request_id), control)
        await link.barrier()
        await done(t, link)


async def legal_id(t: Trial, link: Link, message: Message, control: Message) -> None:
    """Send a request with a legal id: it fares like ``control``, the same request with an ordinary id.

    An inference request has nothing but its id that could be malformed, so there no control excuses it.
    """
    response = await answer(t, link, message, "RQ-01")
    differs = message["type"] == CLEANUP and succeeded(response) != succeeded(control)
    if differs and response.get("code") in {"malformed", None}:
        what = f"{message['type']} with id {message['request_id']!r}"
        t.fail(f"{what} fares like any other: {describe(control)}", describe(response), "RQ-03")
    if succeeded(response) or response.get("code") != "malformed":
        return
    if message["type"] == INFERENCE or control.get("code") != "malformed":
        t.fail(f"the id {message['request_id']!r} is legal", describe(response), "RQ-03")


@case("requests.any-legal-id", requirement="RQ-03", given={"request_id": legal_ids}, examples=40)
async def any_legal_id(t: Trial, request_id: str) -> None:
    """Any legal id is taken, and comes back as it was (generated)."""
    link = await t.shared_link()
    for kind, text in ((CLEANUP, request_id), (INFERENCE, request_id[::-1])):
        control = await answer(t, link, request(t, link, kind))
        await legal_id(t, link, request(t, link, kind, request_id=text), control)


@case(
    "requests.any-illegal-id",
    requirement="RQ-03",
    given={"request_id": illegal_ids, "kind": st.sampled_from(KINDS)},
)
async def any_illegal_id(t: Trial, request_id: str, kind: str) -> None:
    """A request with any illegal id is answered with a failure that repeats it (generated)."""
    link = await t.shared_link()
    await refusal(t, link, request(t, link, kind, request_id=request_id), "malformed", "RQ-03")


def _illegal_id(name: str, what: str, ids: list[str]) -> None:
    async def illegal_id(t: Trial) -> None:
        link = await t.established()
        for request_id in ids:
            for kind in KINDS if len(request_id) < 10_000 else (INFERENCE,):
                await refusal(t, link, request(t, link, kind, request_id=request_id), "malformed", "RQ-03")
        await link.barrier()

    illegal_id.__doc__ = f"A `request_id` with {what} is answered with a failure that repeats it."
    case(f"requests.id-{name}", requirement="RQ-03")(illegal_id)


for _name, (_what, _ids) in ILLEGAL_IDS.items():
    _illegal_id(_name, _what, _ids)


@case("requests.id-as-it-was", requirement="RQ-02")
async def id_as_it_was(t: Trial) -> None:
    """Ids that differ in case only are two ids, and a response carries the one that was sent."""
    link = await t.established()
    number = link.fresh_id()
    texts = [
        f"Abc-{number}",
        f"abc-{number}",
        f"ABC-{number}",
        f"0{number}",
        f"{number}",
        f"+{number}",
        f"{number}.0",
    ]
    sent = [request(t, link, INFERENCE, request_id=text) for text in texts]
    for message in sent:
        await link.send(message)
    await collect(t, link, sent, "RQ-02")
    await once(t, link, sent)


@case("requests.illegal-id-as-it-was", requirement="RQ-02")
async def illegal_id_as_it_was(t: Trial) -> None:
    """An illegal id is repeated whole and unchanged: not trimmed, cut, folded or normalised."""
    texts = (
        " a ",
        "\ta\n",
        "z" * 5000,
        "É",
        "e\u0301",
        "\u00e9",
        "\u212b",
        "\ufb01",
        "a\x00b",
        "\x7f",
        "\u200b",
        "\ufeff",
    )
    for kind in (CLEANUP, INFERENCE, REGISTRATION):
        link = await t.established()  # one for each type, so that no id comes twice
        for text in texts:
            await refusal(t, link, request(t, link, kind, request_id=text), "malformed")
        await link.barrier()
        await done(t, link)


@case("requests.id-no-text", requirement="MS-04")
async def id_no_text(t: Trial) -> None:
    """A request whose `request_id` is missing or no text gets no answer, and the stream stays open."""
    link = await t.established()
    for kind in KINDS:
        good = request(t, link, kind)
        for wrong in (7, None, True, 1.5, ["a"], {"id": "a"}):
            await link.send({**good, "request_id": wrong})
        del good["request_id"]
        await link.send(good)
        found = [one for one in await link.barrier() if one.get("type") in RESPONSES]
        if found:
            t.fail(f"no response to {kind} without a readable id", f"{found[0]}")
    await link.settle(0.3)
    await link.barrier()


@case("requests.id-used-again", requirement="RQ-05")
async def id_used_again(t: Trial) -> None:
    """An id is free again once its request is answered, for a request of any type."""
    link = await t.established()
    request_id = link.fresh_request_id()
    await answer(t, link, request(t, link, INFERENCE, request_id=request_id), "RQ-01")
    for kind in (INFERENCE, CLEANUP, CLEANUP, REGISTRATION, SNI, CREATE, INFERENCE):
        await answer(t, link, request(t, link, kind), "RQ-01")  # under a fresh id it is answered
        await link.send(message := request(t, link, kind, request_id=request_id))
        response = await link.expect_response(message, within=10.0, requirement="RQ-05")
        if kind == CREATE and succeeded(response):
            await remove(t, link, message)
    await link.barrier()


@case("requests.id-used-again-after-failure", requirement="RQ-05")
async def id_used_again_after_failure(t: Trial) -> None:
    """An id is free again once its request was refused for its form."""
    link = await t.established()
    request_id = link.fresh_request_id()
    wrong = ((CLEANUP, "*.example", "DC-03"), (SNI, ".", "ST-03"))
    for kind, domain, requirement in wrong:
        await refusal(t, link, request(t, link, kind, domain=domain), "malformed", requirement)
    for kind, domain, _ in (*wrong, *wrong):
        message = request(t, link, kind, request_id=request_id, domain=domain)
        await refusal(t, link, message, "malformed", "RQ-05")
    message = request(t, link, CLEANUP, request_id=request_id)
    response = await answer(t, link, message, "RQ-05")
    if response.get("code") == "malformed":
        t.fail("the good request under the same id is handled", describe(response))
