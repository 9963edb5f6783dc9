"""How long to wait before the next dial."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

FIRST = 0.5  # seconds: a relay that restarts is back in about this time
LONGEST = 60.0  # seconds: a daemon is found again within a minute of its relay's return


class Backoff:
    """Exponential, with jitter so that the peers of a restarted relay do not come back in one wave.

    `uniform(low, high)` gives the jitter. No span is longer than `longest`, the first included.
    Raises ValueError for a `longest` that is no positive number of seconds.
    """

    def __init__(
        self,
        first: float = FIRST,
        longest: float = LONGEST,
        uniform: Callable[[float, float], float] | None = None,
    ) -> None:
        if not 0 < longest < math.inf:
            raise ValueError(f"the longest pause is {longest:g}; expected a positive number of seconds")
        self._first = min(first, longest)
        self._longest = longest
        self._uniform = uniform or random.SystemRandom().uniform
        self._next = self._first

    def next_delay(self) -> float:
        """Seconds to wait now: between half and all of a span that doubles up to the longest."""
        span = self._next
        self._next = min(self._longest, span * 2)
        return self._uniform(span / 2, span)

    def reset(self) -> None:
        """After an established connection: begin again with the shortest wait."""
        self._next = self._first
