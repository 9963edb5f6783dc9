"""Stopping the target's direction of the control stream (STOP_SENDING)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

CLOSED_WITHIN = 5.0


async def closed_after_stop(
    t: Trial, link: Link, code: int, *, silent: bool = False, requirement: str | None = None
) -> None:
    """Stop the target's direction, and fail unless it closes the connection within 5 s.

    Unless ``silent``, Pings go on, so that a target which learns of it by its writes does.
    """
    await link.barrier()
    told = link.stop(code)
    if told is None:
        t.not_testable("this kind of target has a stream that cannot be stopped")
    if silent and not told:
        t.not_testable("this kind of target learns of a stop by its next write alone")
    # an answer ends the suite's read that is under way, and only then the stop goes out
    await ping(link)
    if not await link.until(lambda: link.ended is not None, 5.0 + link.channel.slack):
        t.inconclusive("the target sends nothing, and so its direction was not stopped")
    limit = t.now() + CLOSED_WITHIN + link.channel.slack
    while (left := limit - t.now()) > 0:
        report = await link.channel.wait_closed(left if silent else min(left, 0.5))
        if report.code is not None:
            return
        if not silent:
            await ping(link)
        await asyncio.sleep(0)
    wanted = "the connection closed within 5 s of the stop of the control stream"
    t.fail(wanted, "still open after 5 s", requirement)


async def ping(link: Link) -> None:
    """A Ping whose Pong may come or not."""
    ident = link.fresh_id()
    link.tolerate_pong(ident)
    await link.send({"type": "Ping", "id": ident})
