"""Authorisation: for which names a peer may ask, and where its authority comes from."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from gate_conformance.case import case
from gate_conformance.cases._addresses import z_base_32
from gate_conformance.cases._handshakes import FOREIGN_IDS, done, greet, ids_of_target
from gate_conformance.cases._names import legal_values
from gate_conformance.cases._requests import (
    CLEANUP,
    CREATE,
    INFERENCE,
    Message,
    answer,
    beyond_quota,
    describe,
    first_create,
    must_succeed,
    needs_handler,
    refusal,
    remove,
    request,
    succeeded,
)
from gate_conformance.cases.domain_registration import own_name

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial


def refused_name(t: Trial) -> str:
    """The domain that the target's policy refuses."""
    if not t.options.refused_domain:
        t.not_testable("it takes a domain that the target refuses (--refused-domain)")
    return t.options.refused_domain


@case("authorisation.refused-create", requirement="AU-01")
async def refused_create(t: Trial) -> None:
    """Create for a name that the peer may not act for is answered with a failure."""
    domain = refused_name(t)
    link = await t.established()
    needs_handler(t, link)
    for _ in range(3):
        await refusal(t, link, request(t, link, CREATE, domain=domain), "not_authorised")
    await link.barrier()


@case("authorisation.refused-cleanup", requirement="AU-01")
async def refused_cleanup(t: Trial) -> None:
    """Cleanup of a name that the peer may not act for fails, with and without a value."""
    domain = refused_name(t)
    link = await t.established()
    needs_handler(t, link)
    message = request(t, link, CLEANUP, domain=domain)
    await refusal(t, link, message, "not_authorised")
    await refusal(t, link, {**message, "txt_value": None}, "not_authorised")
    del message["txt_value"]
    await refusal(t, link, message, "not_authorised")
    await link.barrier()


@case("authorisation.refused-and-allowed", requirement="AU-01")
async def refused_and_allowed(t: Trial) -> None:
    """A refusal is a response: the connection goes on, and what is allowed stays allowed."""
    domain = refused_name(t)
    link = await t.established()
    await remove(t, link, await first_create(t, link, "DC-01"))
    await refusal(t, link, request(t, link, CREATE, domain=domain), "not_authorised")
    made = request(t, link, CREATE)
    await must_succeed(t, link, made, "DC-01")
    await refusal(
        t, link, request(t, link, CREATE, domain=domain, txt_value=made["txt_value"]), "not_authorised"
    )
    await refusal(
        t, link, request(t, link, CLEANUP, domain=domain, txt_value=made["txt_value"]), "not_authorised"
    )
    await remove(t, link, made)
    await link.barrier()


@case("authorisation.refused-in-any-case", requirement="AU-02")
async def refused_in_any_case(t: Trial) -> None:
    """A refused name stays refused in upper and mixed case."""
    domain = refused_name(t)
    link = await t.established()
    needs_handler(t, link)
    for form in (domain.upper(), domain.title(), domain.swapcase()):
        for kind in (CREATE, CLEANUP):
            await refusal(t, link, request(t, link, kind, domain=form), "not_authorised")


@case("authorisation.allowed-in-any-case", requirement="AU-02")
async def allowed_in_any_case(t: Trial) -> None:
    """An allowed name stays allowed in upper and mixed case."""
    link = await t.established()
    await remove(t, link, await first_create(t, link, "DC-01"))
    for form in (t.options.domain.upper(), t.options.domain.title()):
        made = request(t, link, CREATE, domain=form)
        await must_succeed(t, link, made)
        await remove(t, link, made)


async def refuses_strangers(t: Trial, link: Link) -> None:
    """Show that the policy does refuse a name beside ``--domain``: else nothing can be told from refusals."""
    needs_handler(t, link)
    rest = t.options.domain.partition(".")[2]
    for name in (f"q{secrets.token_hex(6)}.{rest}", f"q{secrets.token_hex(6)}.example"):
        if succeeded(await answer(t, link, request(t, link, CREATE, domain=name))):
            t.inconclusive(f"the target's policy allows {name} too")


@case("authorisation.names-of-other-ids", requirement="AU-01")
async def names_of_other_ids(t: Trial) -> None:
    """A label that spells the id of another node gives nobody a name under a refused domain."""
    domain = refused_name(t)
    link = await t.established()
    needs_handler(t, link)
    for kind in (CREATE, CLEANUP):
        name = f"q{secrets.token_hex(6)}.{domain}"
        if succeeded(await answer(t, link, request(t, link, kind, domain=name))):
            t.inconclusive(f"the target's policy allows {kind} for {name}")
    for octets in (hashlib.sha256(t.options.peer_id.encode()).digest(), secrets.token_bytes(32)):
        for label in (octets.hex()[:32], z_base_32(octets)):
            for kind in (CREATE, CLEANUP):
                await refusal(t, link, request(t, link, kind, domain=f"{label}.{domain}"), "not_authorised")


@case("authorisation.suffix", requirement="AU-02")
async def suffix(t: Trial) -> None:
    """A name that merely ends, or begins, like an allowed one is another name."""
    link = await t.established()
    await refuses_strangers(t, link)
    domain = t.options.domain
    label, _, rest = domain.partition(".")
    for name in (
        f"x{domain}",
        f"x-{domain}",
        f"not{domain.upper()}",
        f"{domain}.example",
        f"{domain}x",
        f"{label}x.{rest}",
    ):
        for kind in (CREATE, CLEANUP):
            await refusal(t, link, request(t, link, kind, domain=name), "not_authorised")


@case("authorisation.parent", requirement="AU-02")
async def parent(t: Trial) -> None:
    """The names above and beside an allowed one are not allowed with it."""
    link = await t.established()
    await refuses_strangers(t, link)
    label, _, rest = t.options.domain.partition(".")
    names = [
        f"{label}.example",
        f"{label}.{label}.example",
        f"{t.options.domain}.{secrets.token_hex(4)}.example",
    ]
    names += [rest] if "." in rest else []
    for name in names:
        for kind in (CREATE, CLEANUP):
            response = await answer(t, link, request(t, link, kind, domain=name))
            if name == rest and succeeded(response):
                t.note(f"{kind} for {name} succeeds: the policy may hold that name too")
            elif succeeded(response):
                t.fail(f"a failure for {name}", describe(response))


@case("authorisation.below", requirement="AU-05")
async def below(t: Trial) -> None:
    """The names below an allowed one are not allowed with it."""
    link = await t.established()
    await remove(t, link, await first_create(t, link, "DC-01"))
    await refuses_strangers(t, link)
    stranger = f"q{secrets.token_hex(6)}"
    for name in (f"{stranger}.{t.options.domain}", f"a.{stranger}.{t.options.domain.upper()}"):
        for kind in (CREATE, CLEANUP):
            await refusal(t, link, request(t, link, kind, domain=name), "not_authorised")
    made = request(t, link, CREATE)
    await must_succeed(t, link, made, "DC-01")
    await remove(t, link, made)


@case("authorisation.own-names", requirement="AU-04")
async def own_names(t: Trial) -> None:
    """A peer may act for the name registered to it and for its own node names, and for no other node's."""
    link = await t.established()
    needs_handler(t, link)
    name = await own_name(t, link)
    label, _, below = name.partition(".")
    own, foreign = bytes.fromhex(t.options.peer_id), secrets.token_bytes(32)
    names = {name: True}
    if label in node_labels(own):
        names |= {f"{one}.{below}": True for one in node_labels(own)}
        names |= {f"{one}.{below}": False for one in node_labels(foreign)}
    else:
        t.note(f"a name of the target's own choice, which shows no suffix: {name}")
    names[f"q{secrets.token_hex(6)}.{below}"] = False
    for domain, allowed in names.items():
        response = await beyond_quota(link, created := request(t, link, CREATE, domain=domain))
        if succeeded(response):
            await remove(t, link, created)
        elif response.get("code") not in {None, "not_authorised"}:
            t.inconclusive(f"the target fails for {domain} for another reason: {describe(response)}")
        what = "success" if allowed else "a failure"
        t.check(succeeded(response) == allowed, f"{what} of {CREATE} for {domain}", describe(response))
    await link.barrier()


def node_labels(octets: bytes) -> tuple[str, str]:
    """The labels of a node with this id (DR-02)."""
    return octets.hex()[:32], z_base_32(octets)


@case("authorisation.node-id-gives-nothing", requirement="AU-03")
async def node_id_gives_nothing(t: Trial) -> None:
    """A foreign `node_id` in the Handshake allows nothing that is refused."""
    domain = refused_name(t)
    link = await t.established(node_id="0" * 64)
    needs_handler(t, link)
    owners = [*ids_of_target(link), "0" * 64, *FOREIGN_IDS.values()]
    for node_id in owners:
        await refusal(t, link, request(t, link, CREATE, domain=domain), "not_authorised")
        await refusal(t, link, request(t, link, CREATE, domain=domain, node_id=node_id), "not_authorised")
        response = await greet(t, link, "HS-02", node_id=node_id)
        if response.get("accepted") is not True:
            t.note("the target refuses a renewal")
            return
    await refusal(t, link, request(t, link, CREATE, domain=domain), "not_authorised")


@case("authorisation.node-id-takes-nothing", requirement="AU-03", seconds=2.0)
async def node_id_takes_nothing(t: Trial) -> None:
    """A foreign `node_id` in the Handshake does not cost what the peer is allowed."""
    link = await t.established()
    await remove(t, link, await first_create(t, link, "DC-01"))
    if t.role == "acceptor":
        for node_id in FOREIGN_IDS.values():
            other = await t.established(node_id=node_id)
            made = request(t, other, CREATE)
            await must_succeed(t, other, made)
            await remove(t, other, made)
            await done(t, other)
    for node_id in FOREIGN_IDS.values():
        response = await greet(t, link, "HS-02", node_id=node_id)
        if response.get("accepted") is not True:
            t.note("the target refuses a renewal")
            return
        made = request(t, link, CREATE)
        await must_succeed(t, link, made)
        await remove(t, link, made)


@case("authorisation.capabilities-take-nothing", requirement="AU-03")
async def capabilities_take_nothing(t: Trial) -> None:
    """What a peer may ask for does not hang on the capabilities that it lists."""
    link = await t.established(capabilities=())
    await remove(t, link, await first_create(t, link))
    await answer(t, link, request(t, link, INFERENCE))


@case("authorisation.form-first", requirement="RQ-08")
async def form_first(t: Trial) -> None:
    """What is out of form is `malformed`, also for a name that the peer may not act for."""
    domain = refused_name(t)
    link = await t.established()
    for kind in (CREATE, CLEANUP):
        wrong: list[tuple[str, Message]] = [
            ("DC-06", {"txt_value": "short"}),
            ("RQ-03", {"request_id": f"a b {kind}"}),
            ("DC-03", {"domain": f"*.{domain}"}),
            ("DC-03", {"domain": f"{domain}."}),
        ]
        for requirement, members in wrong:
            await refusal(
                t, link, request(t, link, kind, **{"domain": domain, **members}), "malformed", requirement
            )


@case("authorisation.before-the-handler", requirement="RQ-08")
async def before_the_handler(t: Trial) -> None:
    """A refused name is `not_authorised`, whether there is a handler or not."""
    domain = refused_name(t)
    link = await t.established()
    for kind in (CREATE, CLEANUP):
        await refusal(t, link, request(t, link, kind, domain=domain), "not_authorised", "AU-01")


@case(
    "authorisation.refused-with-anything",
    requirement="AU-01",
    given={
        "value": legal_values,
        "upper": st.lists(st.booleans(), min_size=1, max_size=20),
        "kind": st.sampled_from((CREATE, CLEANUP)),
    },
    examples=25,
)
async def refused_with_anything(t: Trial, value: str, upper: list[bool], kind: str) -> None:
    """A refused name is refused with any value and in any case (generated)."""
    domain = refused_name(t)
    link = await t.shared_link()
    needs_handler(t, link)
    form = "".join(c.upper() if upper[index % len(upper)] else c for index, c in enumerate(domain))
    await refusal(t, link, request(t, link, kind, domain=form, txt_value=value), "not_authorised")
