"""An event loop whose clock jumps to the next timer when nothing is ready."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
# A turn of the loop takes this long, so that a task that never waits cannot stop the clock.
_TURN = 1e-5


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type, unused-ignore]
    """Looks for real events without waiting, then lets the clock make the wait."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer at all: only another thread can go on
            return super().select(1.0)
        events = super().select(0)
        if not events:
            self.clock += max(timeout, _TURN)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """``time()`` starts at 0 and passes only in jumps; threads and subprocesses do not belong here."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.clock


def shut_down(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left on the loop, and close it."""
    left = [task for task in asyncio.all_tasks(loop) if not task.done()]
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=5.0))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def run_virtual(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end on a loop of its own with virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        shut_down(loop)
