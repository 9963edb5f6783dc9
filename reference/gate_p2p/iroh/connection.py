"""One connection to one peer: streams are opened and accepted on it, and it ends with a code."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from gate_p2p.iroh.call import Call, CoroutineCall
from gate_p2p.iroh.generation import RawConnection, RawStream
from gate_p2p.iroh.gone import GoneConnection
from gate_p2p.iroh.stream import IrohStream
from gate_p2p.iroh.words import CLOSED_HERE
from gate_p2p.transport import CloseInfo, ConnectionLost, TransportError

_log = logging.getLogger("gate_p2p.iroh")

MAX_REASON = 256  # bytes of a close reason: it has to fit into one QUIC packet
NOT_SERVED = 1  # code for a stream that Gate does not use: "protocol violation"


class IrohConnection:
    """Made by `Endpoint.dial` and `Endpoint.accept`; alive until either side closes it."""

    def __init__(self, raw: RawConnection, *, unidirectional: bool = False) -> None:
        """`unidirectional`: whether streams of this kind wait to be received; they are refused otherwise."""
        self._raw = raw
        self.remote_id = raw.remote_id
        self.alpn = raw.alpn
        self._tasks: set[asyncio.Task[Any]] = set()
        self._calls: set[Call[Any]] = set()
        self._streams: list[IrohStream] = []
        self._own_close: CloseInfo | None = None
        self._info: CloseInfo | None = None
        self._accepting: asyncio.Task[RawStream] | None = None
        self._closed = asyncio.Event()
        self._watch = asyncio.get_running_loop().create_task(self._await_close())
        if not unidirectional:
            CoroutineCall(raw.refuse_unidirectional(NOT_SERVED), self._refused_all, self._calls)

    def _spawn(self, call: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _await_close(self) -> None:
        info = await self._raw.closed()
        # our close may have come after a loss, which then is what ended the connection
        self._info = self._own_close if self._own_close is not None and info == CLOSED_HERE else info
        for stream in self._streams:
            stream.connection_closed()
        self._closed.set()

    def _refused_all(self, _: None, error: TransportError | None) -> None:
        _log.debug("%s: no more unidirectional streams: %s", self.remote_id, error)

    # -- streams

    def _stream(self, raw: RawStream) -> IrohStream:
        stream = IrohStream(raw, self._spawn, self._calls)
        # Kept: a collected half looks to the peer like a clean end.
        self._streams = [kept for kept in self._streams if not kept.over]
        self._streams.append(stream)
        if self._closed.is_set():
            stream.connection_closed()
        return stream

    async def open_stream(self) -> IrohStream:
        """A new bidirectional stream; the peer sees it with the first byte. Raises ConnectionLost.

        Waits while the peer's limit of concurrent streams (iroh: 100) is reached.
        """
        opening = asyncio.get_running_loop().create_task(self._raw.open_stream())
        self._keep(opening)
        try:
            return self._stream(await asyncio.shield(opening))
        except asyncio.CancelledError:
            opening.add_done_callback(self._abandon)
            raise
        finally:
            del opening  # an error would hold this frame, and this frame the error, and with it the port

    def _abandon(self, opening: asyncio.Task[RawStream]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            self._stream(opening.result()).reset(0)

    async def accept_stream(self) -> IrohStream:
        """The next stream the peer opened. Raises ConnectionLost. Cancelling loses no stream."""
        accepting = self._accepting
        if accepting is None:
            accepting = self._accepting = asyncio.get_running_loop().create_task(self._raw.accept_stream())
            self._keep(accepting)
        # wait, not await: the task stays for the next call when this one is cancelled
        await asyncio.wait({accepting})
        if self._accepting is not accepting:
            raise RuntimeError("accept_stream() was called twice at the same time")
        self._accepting = None
        try:
            return self._stream(accepting.result())
        finally:
            del accepting  # as in open_stream

    def _keep(self, task: asyncio.Task[RawStream]) -> None:
        self._tasks.add(task)

        def done(task: asyncio.Task[RawStream]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:  # retrieved, whoever waits
                _log.debug("stream not opened: %s", error)

        task.add_done_callback(done)

    # -- the end

    def close(self, code: int, reason: str = "") -> None:
        """Close at once, unsent and undelivered bytes are lost; again does nothing. Does not wait."""
        if self._own_close is None and self._info is None:
            self._own_close = CloseInfo(code, False, reason)
            # cut by bytes, so that a character may be halved: readers replace what is no UTF-8
            self._raw.close(code, reason.encode("utf-8", "replace")[:MAX_REASON])

    @property
    def closed(self) -> bool:
        return self._own_close is not None or self._info is not None

    async def wait_closed(self) -> CloseInfo:
        """How the connection ended; waits for it. Cancelling is safe."""
        await self._closed.wait()
        assert self._info is not None
        return self._info

    def lost(self) -> ConnectionLost:
        """The end as an error, for those who wait for something else on a closed connection."""
        info = self._info or self._own_close or CloseInfo(None, False, "")
        return ConnectionLost(info.code, info.by_peer, info.reason)

    @property
    def raw(self) -> RawConnection:
        """The connection of the generation underneath, for `beside` alone."""
        return self._raw

    def release(self) -> None:
        """Let go of iroh's objects, which hold the endpoint's port: the endpoint is closed."""
        self._raw = GoneConnection(self._raw.remote_id, self._raw.alpn, self.lost())
        for stream in self._streams:
            stream.release(self.lost())
        self._streams.clear()
        self._accepting = None

    def pending(self) -> set[asyncio.Future[Any]]:
        """What to wait for until no iroh call of this connection is under way."""
        calls = {call.over() for call in self._calls}
        return calls.union(self._tasks, () if self._watch.done() else (self._watch,))

    def on_idle(self, forget: Callable[[IrohConnection], None]) -> None:
        """Call `forget(self)` once the connection is closed and its last iroh call is over."""

        self._watch.add_done_callback(partial(self._check_idle, forget))

    def _check_idle(self, forget: Callable[[IrohConnection], None], _: asyncio.Future[Any]) -> None:
        if pending := self.pending():
            next(iter(pending)).add_done_callback(partial(self._check_idle, forget))
        else:
            forget(self)


def close_late(connecting: asyncio.Task[RawConnection]) -> None:
    """Done-callback for a connect that nobody waits for any more: a late connection is closed, not leaked."""
    if connecting.cancelled():
        return
    error = connecting.exception()
    if error is None:
        connecting.result().close(0, b"")
    elif not isinstance(error, TransportError):
        _log.error("an abandoned dial failed in an unexpected way", exc_info=error)
