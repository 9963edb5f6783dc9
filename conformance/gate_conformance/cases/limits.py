"""Limits: what a node has to bear at the least."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gate_conformance.case import case
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.trial import Trial

CONNECTIONS = 16


@case("limits.sixteen-connections", requirement="LM-02", roles=("acceptor",), exclusive=True, seconds=2.0)
async def sixteen_connections(t: Trial) -> None:
    """Sixteen control connections of one peer are served side by side."""
    for number in range(1, CONNECTIONS + 1):
        others = sum(link.ended is None and link not in t.links for link in t.health.links)
        try:
            link = await t.established()
            await link.barrier()
        except CaseFailed as failed:
            if others + number > CONNECTIONS:
                t.inconclusive(f"no fewer than {CONNECTIONS} are open, with {others} of other cases")
            t.warn(f"{CONNECTIONS} connections of one peer", f"connection {number}: {failed.actual}")
            return
        if link.channel.kind == "exit":
            t.not_testable("each stream has a process of its own")
    for link in t.links:
        try:
            await link.barrier()
        except CaseFailed as failed:
            t.warn(f"each of {CONNECTIONS} connections is served", failed.actual)
            return
