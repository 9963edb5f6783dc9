"""Data connections: shared by the cases of several chapters."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.data import DataStream
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

READY = b"\0\0\0\x05READY"
ANSWER_WITHIN = 10.0  # seconds for what a node answers out of itself
END_WITHIN = 5.0


def needs_data(t: Trial) -> None:
    """Not testable where only control streams can be had."""
    if not t.has_data:
        t.not_testable("this kind of target has no data connections")


async def served(t: Trial, capability: str) -> Link:
    """A control connection with a node that accepts; unsupported unless it advertises this."""
    needs_data(t)
    link = await t.established()
    if capability not in link.peer_capabilities:
        t.unsupported(f"the target does not advertise `{capability}`")
    return link


async def alive(t: Trial, link: Link, what: str, requirement: str | None = None) -> None:
    """The control connection serves on after ``what``."""
    try:
        await link.barrier()
    except CaseFailed as failed:
        t.fail(f"a control connection that serves on after {what}", failed.actual, requirement or "CL-11")


async def second(t: Trial, stream: DataStream, data: bytes, seconds: float) -> bytes:
    """Open another stream on the connection, write this, and return what is answered in so many seconds."""
    opening = asyncio.ensure_future(stream.channel.open_second())
    await asyncio.wait({opening}, timeout=2.0)
    if not opening.done() or opening.exception() is not None or (channel := opening.result()) is None:
        # never cancelled: an outcome that comes later is of no interest
        opening.add_done_callback(lambda done: done.cancelled() or done.exception())
        t.note("the target lets no second stream be opened")
        return b""
    writing = asyncio.ensure_future(channel.write(data))
    reading = asyncio.ensure_future(channel.read())
    for task in (writing, reading):
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({reading}, timeout=seconds)
    if not reading.done() or reading.exception() is not None:
        return b""
    return reading.result()


async def beside(t: Trial, stream: DataStream, way: str, data: bytes) -> None:
    """Send something that is no bidirectional stream on the connection, where that can be done."""
    taken = await stream.channel.send_beside(way, data)
    if taken is not None:
        t.note(f"a {way} was sent" if taken else f"the target takes no {way}")
