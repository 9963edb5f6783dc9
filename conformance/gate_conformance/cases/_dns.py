"""Looking up what a target published, for runs with ``--dns`` (needs dnspython)."""

from __future__ import annotations

import asyncio
import importlib
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


def _query(server: str, name: str) -> list[str]:
    message: Any = importlib.import_module("dns.message")
    query: Any = importlib.import_module("dns.query")
    kinds: Any = importlib.import_module("dns.rdatatype")
    host, _, port = server.rpartition(":")
    question = message.make_query(name, "TXT")
    reply, _ = query.udp_with_fallback(question, host.strip("[]") or "127.0.0.1", timeout=3.0, port=int(port))
    found: list[str] = []
    for answer in reply.answer:
        if answer.rdtype == kinds.TXT:
            found.extend(b"".join(item.strings).decode("ascii", "replace") for item in answer)
    return found


async def values(t: Trial, domain: str) -> list[str]:
    """The TXT values at ``_acme-challenge.<domain>``, repeats included."""
    server = t.options.dns or ""
    dns_error: type[Exception] = importlib.import_module("dns.exception").DNSException
    try:
        return await asyncio.to_thread(_query, server, f"_acme-challenge.{domain.lower()}.")
    except (OSError, dns_error) as error:
        t.inconclusive(f"the name server {server} gives no answer: {type(error).__name__}: {error}")


async def gone(t: Trial, domain: str, value: str) -> bool:
    """Whether the value disappears: secondary servers and caches get some seconds."""
    until = t.now() + PATIENCE
    while value in await values(t, domain):
        if t.now() >= until:
            return False
        await asyncio.sleep(0.5)
    return True
