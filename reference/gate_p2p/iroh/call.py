"""Calls of iroh that nobody can cancel, without a task for each.

uniffi loses what a cancelled call had already got, so no caller awaits one directly. A task in between costs
turns of the event loop at the start and at the end; a call here starts at once, and says when it is over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from gate_p2p.transport import TransportError

_log = logging.getLogger("gate_p2p.iroh")

T = TypeVar("T")
Done = Callable[[T | None, TransportError | None], None]
"""Called when a call is over: with its result and None, or with None and its error."""

Calls = set["Call[Any]"]
"""Those under way, to be waited for before iroh's objects are let go."""


class Call(Generic[T]):
    """One call under way: in `under_way` until it is over, and `done` has been called."""

    def __init__(self, done: Done[T], under_way: Calls) -> None:
        self._done = done
        self._under_way = under_way
        self._over: asyncio.Future[None] | None = None
        under_way.add(self)

    def over(self) -> asyncio.Future[None]:
        """A future that is done when the call is."""
        if self._over is None:
            self._over = asyncio.get_running_loop().create_future()
        return self._over

    def _end(self, result: T | None, error: TransportError | None) -> None:
        self._under_way.discard(self)
        if self._over is not None and not self._over.done():
            self._over.set_result(None)
        self._done(result, error)


def unexpected(error: Exception) -> TransportError:
    """What becomes of an error that no call should end with; it is logged."""
    _log.error("a call of iroh failed in an unexpected way", exc_info=error)
    return TransportError(f"iroh failed in an unexpected way: {error!r}")


async def to_its_end(task: asyncio.Task[T]) -> T:
    """The result of a short call, which a caller that is cancelled waits for as well."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()


class CoroutineCall(Call[T]):
    """A coroutine of iroh's package, stepped on by the futures that it waits for; it awaits nothing else."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], done: Done[T], under_way: Calls) -> None:
        super().__init__(done, under_way)
        self._coroutine = coroutine
        self._step()

    def _step(self, _: object = None) -> None:
        try:
            future: asyncio.Future[Any] = self._coroutine.send(None)
        except StopIteration as end:
            self._end(end.value, None)
        except TransportError as error:
            self._end(None, error)
        except Exception as error:  # noqa: BLE001  whatever it is, somebody waits for the call
            self._end(None, unexpected(error))
        else:
            future.add_done_callback(self._step)
