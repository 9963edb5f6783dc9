"""What the target asks for by itself: nothing makes it ask, so these cases watch, and say what came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate_conformance.case import case
from gate_conformance.cases._handshakes import alive, complete, consent, opened
from gate_conformance.cases._requests import INFERENCE, KINDS, SNI, Message

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

WATCHED = 2.0


async def asked(t: Trial, link: Link) -> list[Message]:
    """The requests that the target has sent, some seconds after the last thing that happened."""
    await link.settle(WATCHED)
    found = [one for one in link.received if one.get("type") in KINDS]
    if not found:
        t.note("the target asked for nothing at all")
    return found


@case("handshake.no-request-while-waiting", requirement="HS-20", roles=("dialer",), seconds=2.5)
async def no_request_while_waiting(t: Trial) -> None:
    """A dialer sends no request before it has its HandshakeResponse."""
    link = await opened(t)
    early = await asked(t, link)
    t.check(not early, "no request before HandshakeResponse", f"{early[:1]}")
    await link.send(consent())
    await alive(t, link)


@case("handshake.one-renewal-at-a-time", requirement="HS-18", seconds=3.5)
async def one_renewal_at_a_time(t: Trial) -> None:
    """A target that renews sends no further Handshake before the answer to the last one."""
    link = await opened(t)
    link.auto_consent = False
    await complete(t, link)
    first = link.peer_handshake if t.role == "dialer" else None  # it is answered
    await link.settle(3.0)  # the target has to wait 5 s for the answer
    renewals = [one for one in link.received if one.get("type") == "Handshake" and one is not first]
    if not renewals:
        t.not_testable("the target sends no Handshake of its own accord")
    if len(renewals) > 1:
        t.fail("one Handshake at a time", f"{len(renewals)} without an answer to the first")
    await link.send(consent())
    await link.barrier()


@case("requests.own-domains", requirement="DC-21", seconds=2.5)
async def own_domains(t: Trial) -> None:
    """The names for which the target asks are in lower case."""
    link = await t.established()
    names = [one["domain"] for one in await asked(t, link) if isinstance(one.get("domain"), str)]
    if not names:
        t.not_testable("the target sends no request with a `domain`")
    wrong = [name for name in names if name != name.lower()]
    t.check(not wrong, "`domain` in lower case", f"{wrong[:3]}")
    await link.barrier()


@case("requests.sni-only-with-capability", requirement="ST-07", seconds=2.5)
async def sni_only_with_capability(t: Trial) -> None:
    """A node that has not advertised `sni_proxy` asks for no SNI-proxy stream."""
    link = await t.established()
    found = [one for one in await asked(t, link) if one.get("type") == SNI]
    if any("sni_proxy" in one.get("capabilities", ()) for one in link.received):
        t.not_testable("the target advertises sni_proxy, and so it may ask")
    if found:
        t.fail(f"no {SNI} of a node without sni_proxy", f"{found[0]}")
    await link.barrier()


@case("requests.inference-only-if-advertised", requirement="ST-08", seconds=2.5)
async def inference_only_if_advertised(t: Trial) -> None:
    """A peer that does not advertise `inference` is not asked to expect an inference stream."""
    link = await t.established(capabilities=("sni_proxy", "dns_challenge"))
    found = [one for one in await asked(t, link) if one.get("type") == INFERENCE]
    if found:
        t.fail(f"no {INFERENCE} for a peer without inference", f"{found[0]}")
    await link.barrier()
