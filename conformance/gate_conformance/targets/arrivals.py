"""Data connections that the target has dialled: kept until a case asks for them."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass

from gate_conformance.channel import Channel

KEPT = 64  # of one peer, and nobody has asked for them: the oldest go, as a relay may bound them (SP-24)


@dataclass(frozen=True)
class Arrival:
    """One stream on a connection of its own. ``at``: when the connection came, on the loop's clock.

    ``channel`` is None when the peer opened no stream on it in time.
    """

    channel: Channel | None
    alpn: str
    at: float


class Arrivals:
    """The connections of each peer, in order. Like a relay, it leaves alone what nobody needs yet."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, deque[Arrival]] = defaultdict(deque)
        self._changed = asyncio.Event()

    def arrive(self, channel: Channel) -> None:
        """A connection is there, with its stream."""
        alpn = getattr(channel, "alpn", "")
        self.add(channel.remote_id, Arrival(channel, alpn, asyncio.get_running_loop().time()))

    def add(self, remote_id: str, arrival: Arrival) -> None:
        """Keep a connection."""
        kept = self._waiting[remote_id]
        kept.append(arrival)
        if len(kept) > KEPT and (oldest := kept.popleft().channel) is not None:
            oldest.close(5)
        self._changed.set()
        self._changed = asyncio.Event()

    async def next(self, remote_id: str, since: float, within: float) -> Arrival | None:
        """The first that came at or after ``since``; waits for it so many seconds. Cancelling loses none."""
        limit = asyncio.get_running_loop().time() + within
        while True:
            kept = self._waiting[remote_id]
            for arrival in kept:
                if arrival.at >= since:
                    kept.remove(arrival)
                    return arrival
            left = limit - asyncio.get_running_loop().time()
            if left <= 0:
                return None
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait({changed}, timeout=left)
            changed.cancel()
