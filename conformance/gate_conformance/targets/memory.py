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

from gate_conformance.channel import Channel, ChannelLost, CloseReport
from gate_conformance.identity import Identity
from gate_conformance.targets.base import Target
from gate_conformance.verdicts import UsageError

HIGH_WATER = 1 << 20
_PATIENCE = 5.0
Factory = Callable[..., Awaitable[None]]


class PeerClosed(ConnectionError):
    """The suite closed the connection. ``code`` is its application code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the peer closed the connection with code {code}")
        self.code = code


class PeerReset(ConnectionResetError):
    """The suite reset its direction of the stream, or stopped the node's, with this ``code``."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(f"the peer {what} the stream with code {code}")
        self.code = code


class _Pipe:
    """One direction: bounded, with a clean end or a sudden one."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._changed = asyncio.Condition()

    async def write(self, data: bytes) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._data) < HIGH_WATER or self._error is not None)
            if self._error is not None:
                raise self._error
            if self._ended:
                raise ValueError("this direction of the stream is finished")
            self._data += data
            self._changed.notify_all()

    async def read(self, max_bytes: int) -> bytes:
        async with self._changed:
            await self._changed.wait_for(lambda: self._data or self._ended or self._error is not None)
            if self._data:
                data = bytes(self._data[:max_bytes])
                del self._data[:max_bytes]
                self._changed.notify_all()
                return data
            if self._ended:
                return b""
            assert self._error is not None
            raise self._error

    async def finish(self) -> None:
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def delivered(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._data or self._error is not None)

    def fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
            task = asyncio.get_running_loop().create_task(self._notify())
            task.add_done_callback(lambda done: done.cancelled())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class MemoryStream:
    """What a factory gets: ``remote_id``, read, write, finish, wait_delivered, close.

    ``read`` and ``write`` raise PeerClosed, a ConnectionError, once the suite has closed the connection.
    """

    def __init__(self, remote_id: str, incoming: _Pipe, outgoing: _Pipe) -> None:
        self.remote_id = remote_id
        self._incoming, self._outgoing = incoming, outgoing
        self.close_code: int | None = None
        self.closed = asyncio.Event()

    async def read(self, max_bytes: int = 65536) -> bytes:
        """The next bytes; b"" at the clean end."""
        return await self._incoming.read(max_bytes)

    async def write(self, data: bytes) -> None:
        try:
            await self._outgoing.write(bytes(data))
        except ChannelLost as error:
            raise PeerClosed(error.code or 0) from None

    async def finish(self) -> None:
        """End the own direction."""
        await self._outgoing.finish()

    async def wait_delivered(self, timeout: float = 1.0) -> bool:
        """Whether the suite has read everything within ``timeout`` seconds."""
        try:
            await asyncio.wait_for(self._outgoing.delivered(), timeout)
        except TimeoutError:
            return False
        return True

    def close(self, code: int = 0, reason: str = "") -> None:
        """Close the connection with an application code; again does nothing."""
        if self.close_code is None:
            self.close_code = int(code)
            self._incoming.fail(ConnectionError("the connection is closed"))
            self._outgoing.fail(ChannelLost(self.close_code, True, reason))
            self.closed.set()


class MemoryChannel:
    """The suite's end."""

    grace = 0.0
    slack = 0.0
    kind = "stream"

    def __init__(self, factory: Factory, role: str, peer_id: str) -> None:
        self.remote_id = ""
        self._to_node, self._from_node = _Pipe(), _Pipe()
        self._stream = MemoryStream(peer_id, self._to_node, self._from_node)
        self._closed = False
        self._crash: str | None = None
        self._diagnostics = ""
        self._task = asyncio.get_running_loop().create_task(self._run(factory, role, peer_id))

    async def _run(self, factory: Factory, role: str, peer_id: str) -> None:
        try:
            await factory(self._stream, role=role, peer_id=peer_id)
        except PeerClosed:
            if not self._closed:
                self._note_crash()
        except (Exception, SystemExit):  # noqa: BLE001 - whatever the node raises is its crash
            self._note_crash()
        await self._from_node.finish()
        self._stream.closed.set()

    def _note_crash(self) -> None:
        self._diagnostics = traceback.format_exc(limit=-5)
        self._crash = "the factory raised " + self._diagnostics.strip().rsplit("\n", 1)[-1]

    async def read(self) -> bytes:
        try:
            return await self._from_node.read(65536)
        except PeerReset as error:  # the suite itself has stopped the stream
            raise ChannelLost(None, False, str(error)) from None

    async def write(self, data: bytes) -> None:
        if self._stream.close_code is not None:
            raise ChannelLost(self._stream.close_code, True)
        try:
            await self._to_node.write(data)
        except ConnectionError:
            raise ChannelLost(self._stream.close_code, True) from None

    async def finish(self) -> None:
        await self._to_node.finish()

    def close(self, code: int = 0, reason: str = "") -> None:
        if not self._closed:
            self._closed = True
            self._to_node.fail(PeerClosed(code))
            self._from_node.fail(ChannelLost(code, False, "the suite closed the connection"))

    async def wait_closed(self, within: float) -> CloseReport:
        try:
            await asyncio.wait_for(self._stream.closed.wait(), within)
        except TimeoutError:
            return CloseReport()
        return CloseReport(code=self._stream.close_code)

    async def release(self) -> CloseReport:
        self.close()
        await asyncio.wait({self._task}, timeout=_PATIENCE)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_PATIENCE)
        return CloseReport(self._stream.close_code, None, self._crash, self._diagnostics)

    async def open_second(self) -> Channel | None:
        return None

    async def accept_second(self, within: float) -> bool | None:
        return None

    def reset(self, code: int) -> bool:
        self._to_node.fail(PeerReset("reset", code))
        return True

    def stop(self, code: int) -> bool | None:
        self._from_node.fail(PeerReset("stopped", code))
        return False

    def end_target(self) -> bool:
        return False

    async def send_beside(self, way: str, data: bytes) -> bool | None:
        return None


class MemoryTarget(Target):
    """Calls the factory once per control stream."""

    virtual = True
    persistent = True

    def __init__(self, text: str, factory: Factory, role: str, peer_id: str) -> None:
        super().__init__(text, role)
        self._peer_id = peer_id
        self._factory = factory

    async def open(self) -> Channel:
        return MemoryChannel(self._factory, self.role, self._peer_id)

    async def open_as(self, identity: Identity) -> Channel | None:
        return MemoryChannel(self._factory, self.role, identity.peer_id)


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
