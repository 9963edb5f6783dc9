"""Looking up what a target published, for runs with ``--dns`` (needs dnspython)."""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gate_conformance.trial import Trial

PATIENCE = 5.0


def needs_dns(t: Trial) -> None:
    """Only for runs that may look records up."""
    if not t.options.dns:
        t.not_testable("the records have to be looked up (--dns SERVER:PORT)")
    try:
        importlib.import_module("dns.query")
    except ImportError:
        t.not_testable("looking records up takes dnspython: pip install 'gate-p2p[conformance]'")


@dataclass(frozen=True)
class Record:
    """One record of an answer: the name it stands at, its class and type, its TTL in seconds, its data.

    ``strings``: the character-strings of a TXT record, the text of any other.
    """

    name: str
    rdclass: str
    rdtype: str
    ttl: int
    strings: tuple[str, ...]


def _query(server: str, name: str, kind: str) -> list[Record]:
    message: Any = importlib.import_module("dns.message")
    query: Any = importlib.import_module("dns.query")
    classes: Any = importlib.import_module("dns.rdataclass")
    kinds: Any = importlib.import_module("dns.rdatatype")
    host, _, port = server.rpartition(":")
    question = message.make_query(name, kind)
    reply, _ = query.udp_with_fallback(question, host.strip("[]") or "127.0.0.1", timeout=3.0, port=int(port))
    found: list[Record] = []
    for rrset in reply.answer:
        for item in rrset:
            strings = (item.to_text(),)
            if rrset.rdtype == kinds.TXT:
                strings = tuple(part.decode("ascii", "replace") for part in item.strings)
            owner = rrset.name.to_text(omit_final_dot=True).lower()
            names = (classes.to_text(rrset.rdclass), kinds.to_text(rrset.rdtype))
            found.append(Record(owner, *names, rrset.ttl, strings))
    return found


async def records(t: Trial, name: str, kind: str) -> list[Record]:
    """What the name server answers for this name and type, aliases on the way included."""
    server = t.options.dns or ""
    dns_error: type[Exception] = importlib.import_module("dns.exception").DNSException
    try:
        return await asyncio.to_thread(_query, server, f"{name.lower()}.", kind)
    except (OSError, dns_error) as error:
        t.inconclusive(f"the name server {server} gives no answer: {type(error).__name__}: {error}")


async def values(t: Trial, domain: str) -> list[str]:
    """The TXT values at ``_acme-challenge.<domain>``, repeats included."""
    found = await records(t, f"_acme-challenge.{domain}", "TXT")
    return ["".join(one.strings) for one in found if one.rdtype == "TXT"]


async def gone(t: Trial, domain: str, value: str) -> bool:
    """Whether the value disappears: secondary servers and caches get some seconds."""
    until = t.now() + PATIENCE
    while value in await values(t, domain):
        if t.now() >= until:
            return False
        await asyncio.sleep(0.5)
    return True
