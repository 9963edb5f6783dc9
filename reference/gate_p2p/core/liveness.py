"""Silence and Pings: when to ask whether the peer is there, and when to stop asking."""

from __future__ import annotations

from typing import Final

MAX_UNANSWERED_PINGS: Final = 1024
"""Enough to pipeline Pings; a peer that answers none must not grow the table."""


class Liveness:
    """Counts the peer's silence in received bytes (LV-05, LV-06), and keeps the ids of unanswered Pings."""

    def __init__(self, now: float, keepalive_interval: float, dead_after: float) -> None:
        self._interval = keepalive_interval
        self._dead_after = dead_after
        self.last_received = now
        self._last_asked = now
        self._reprieve = now
        self._last_id = 0
        self._unanswered: dict[int, None] = {}

    def restart(self, now: float) -> None:
        """Count from `now`, the finished handshake."""
        self.last_received = self._last_asked = now

    def dead_at(self) -> float:
        """When the connection is given up for dead."""
        return max(self.last_received + self._dead_after, self._reprieve)

    def reprieve(self, until: float) -> None:
        """Do not give up the connection before `until` (LV-09)."""
        self._reprieve = until

    def keepalive_at(self) -> float:
        """When the next Ping is due: an interval after the last byte, and after the last Ping."""
        return max(self.last_received, self._last_asked) + self._interval

    def next_ping(self, now: float) -> int:
        """The id of a new Ping, sent at `now`; past the bound the oldest unanswered one is forgotten."""
        if len(self._unanswered) >= MAX_UNANSWERED_PINGS:
            del self._unanswered[next(iter(self._unanswered))]
        self._last_asked = now
        self._last_id += 1
        self._unanswered[self._last_id] = None
        return self._last_id

    def is_answered_by(self, pong_id: int) -> bool:
        """Whether a Pong answers a Ping of ours; each does so once."""
        if pong_id not in self._unanswered:
            return False
        del self._unanswered[pong_id]
        return True
