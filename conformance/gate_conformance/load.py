"""How busy the machine is, seen from the suite's own event loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque

_EVERY = 0.05
# The loop runs so late when the machine cannot keep up: time-outs of 5 s would begin to judge the machine.
BUSY = 0.15
STARVED = 0.3


class LoadMonitor:
    """Measures how late the loop wakes up."""

    def __init__(self) -> None:
        self._late: deque[tuple[float, float]] = deque(maxlen=4000)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _watch(self) -> None:
        while True:
            start = time.monotonic()
            await asyncio.sleep(_EVERY)
            now = time.monotonic()
            self._late.append((now, now - start - _EVERY))

    def worst_since(self, moment: float) -> float:
        """The greatest lateness, in seconds, measured since that moment of time.monotonic()."""
        return max((late for when, late in self._late if when >= moment), default=0.0)

    async def calm(self, patience: float) -> None:
        """Wait while the machine is busy, but no longer than ``patience`` seconds."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if self.worst_since(time.monotonic() - 0.5) <= BUSY:
                return
            await asyncio.sleep(_EVERY)
