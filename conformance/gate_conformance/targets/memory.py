"""``py:module:factory``: a node in memory, on virtual time."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from gate_conformance.channel import Channel, CloseReport
from gate_conformance.identity import Identity
from gate_conformance.targets.arrivals import Arrival, Arrivals
from gate_conformance.targets.base import Target
from gate_conformance.targets.memory_streams import MemoryEnd, MemoryStream, PeerClosed
from gate_conformance.verdicts import UsageError

_PATIENCE = 5.0
Factory = Callable[..., Awaitable[None]]


class MemoryChannel(MemoryEnd):
    """The suite's end of a connection on which a node of its own runs: until it is over, or has crashed."""

    def __init__(self, stream: MemoryStream, running: Awaitable[None]) -> None:
        super().__init__(stream)
        self._crash: str | None = None
        self._diagnostics = ""
        self._task = asyncio.get_running_loop().create_task(self._run(running))

    async def _run(self, running: Awaitable[None]) -> None:
        try:
            await running
        except PeerClosed:
            if not self._closed:
                self._note_crash()
        except (Exception, SystemExit):  # noqa: BLE001 - whatever the node raises is its crash
            self._note_crash()
        await self._stream.finish()
        self._stream.closed.set()

    def _note_crash(self) -> None:
        self._diagnostics = traceback.format_exc(limit=-5)
        self._crash = "the factory raised " + self._diagnostics.strip().rsplit("\n", 1)[-1]

    async def release(self) -> CloseReport:
        self.close()
        await asyncio.wait({self._task}, timeout=_PATIENCE)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_PATIENCE)
        return CloseReport(self._stream.close_code, None, self._crash, self._diagnostics)


class MemoryTarget(Target):
    """Calls the factory per control stream, and its attribute ``data`` per data connection."""

    virtual = True
    persistent = True

    def __init__(self, text: str, factory: Factory, role: str, peer_id: str) -> None:
        super().__init__(text, role)
        self._peer_id = peer_id
        self._factory = factory
        self._data: Factory | None = getattr(factory, "data", None)
        self.has_data = role == "dialer" or self._data is not None
        self._arrivals = Arrivals()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> Channel:
        stream = MemoryStream(self._peer_id, "", self._here().arrive)
        return MemoryChannel(stream, self._factory(stream, role=self.role, peer_id=self._peer_id))

    async def open_as(self, identity: Identity) -> Channel | None:
        stream = MemoryStream(identity.peer_id, "", self._here().arrive)
        return MemoryChannel(stream, self._factory(stream, role=self.role, peer_id=identity.peer_id))

    async def dial(self, alpn: str) -> Channel | None:
        if self._data is None:
            return None
        stream = MemoryStream(self._peer_id, alpn, self._here().arrive)
        return MemoryChannel(stream, self._data(stream, alpn=alpn, peer_id=self._peer_id))

    async def dialled(self, control: Channel, since: float, within: float) -> Arrival | None:
        return await self._here().next(control.remote_id, since, within)

    def _here(self) -> Arrivals:
        """What has arrived on this loop: in virtual time each case has one of its own."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._arrivals = loop, Arrivals()
        return self._arrivals


def load_factory(text: str) -> Factory:
    """The factory that ``module:factory`` names; the current directory is importable."""
    name, colon, attribute = text.partition(":")
    if not colon or not name or not attribute:
        raise UsageError(f"py:{text} is no target: expected py:module:factory")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - importing runs code of the user's
        raise UsageError(f"py:{text}: cannot import {name}: {type(error).__name__}: {error}") from None
    found: Any = module
    for step in attribute.split("."):
        found = getattr(found, step, None)
    if not callable(found):
        raise UsageError(f"py:{text}: {name} has no function {attribute}")
    called = getattr(type(found), "__call__", None)  # noqa: B004 - an object with an async __call__ will do
    if not inspect.iscoroutinefunction(found) and not inspect.iscoroutinefunction(called):
        raise UsageError(f"py:{text}: {attribute} is no coroutine function (async def)")
    factory: Factory = found
    return factory
