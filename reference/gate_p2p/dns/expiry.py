"""Removing what has expired when it is due, and again later what could not be removed."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final

_log = logging.getLogger("gate_p2p.dns")

RETRY: Final = 60.0
"""Seconds until what could not be removed is tried again, then twice as long each time."""
LONGEST_RETRY: Final = 3600.0


class Expiry:
    """Calls `remove` when the first of a table's leases runs out.

    `next_expiry`: when that is on `clock`, None without any. `remove`: removes all that have run out; those
    that it leaves are tried again.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        next_expiry: Callable[[], float | None],
        remove: Callable[[], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._next_expiry = next_expiry
        self._remove = remove
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._retry = RETRY
        self._not_before = -math.inf
        self._closed = False

    def arm(self) -> None:
        """The table has changed. Outside of a running loop nothing is done: call it again in the loop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        first = self._next_expiry()
        if first is None or self._closed or self._task is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        delay = max(0.0, max(first, self._not_before) - self._clock())
        self._timer = loop.call_later(delay, self._begin, loop)

    async def aclose(self) -> None:
        """Remove nothing any more."""
        self._closed = True
        self.arm()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._task = loop.create_task(self._expire())

    async def _expire(self) -> None:
        began = self._clock()
        try:
            await self._remove()
        except Exception:  # noqa: BLE001  a bug met by one record must not keep the others for ever
            _log.exception("what has expired was not removed")
        finally:
            self._task = None
        first = self._next_expiry()
        if first is not None and first <= began:
            self._not_before = self._clock() + self._retry
            self._retry = min(2 * self._retry, LONGEST_RETRY)
        else:
            self._retry = RETRY
        self.arm()
