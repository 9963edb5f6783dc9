"""The daemon's side of SNI-proxy streams: READY streams kept at a relay, ahead of need."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from gate_p2p.core import SNI_PROXY, CloseCode, GateError
from gate_p2p.session.backoff import Backoff
from gate_p2p.session.control import ControlConnections, refuse_streams
from gate_p2p.session.errors import PeerNotConnected
from gate_p2p.session.sni_stream import CHUNK, READY, SniStream
from gate_p2p.transport import ALPN_SNI_PROXY, PeerConnection, PeerStream, TransportError

_log = logging.getLogger("gate_p2p.session")

IDLE = 4  # streams kept ahead where nothing else is said (SP-23)
MAX_OPEN = 256  # streams at one relay, in use or idle: what a relay of this package takes of one peer
UNCONNECTED = 60.0  # seconds for which idle streams outlive the last control connection (SP-27)
RETRY_FIRST, RETRY_LONGEST = 1.0, 60.0  # seconds after a stream that was of no use (SP-25)

OnSniStream = Callable[[SniStream], Awaitable[None]]
"""Serves the bytes of one TCP connection; the stream is ended when it returns."""


class SniStreamSupply:
    """Keeps `idle` READY streams at one relay while it is connected; made by `P2PSession.supply_sni_streams`.

    `wake()` is called when a control connection to the relay came or went.
    """

    def __init__(
        self,
        relay_id: str,
        control: ControlConnections,
        dial: Callable[[str, str], Awaitable[PeerConnection]],
        on_stream: OnSniStream,
        idle: int,
    ) -> None:
        if not 0 <= idle <= MAX_OPEN:
            raise ValueError(f"idle is {idle}; expected 0 to {MAX_OPEN}, 1 to 8 as a rule (SP-23)")
        self._relay_id = relay_id
        self._control = control
        self._dial = dial
        self._on_stream = on_stream
        self._wanted = idle
        self._opening = 0  # those that are being opened ahead
        self._backoff = Backoff(RETRY_FIRST, RETRY_LONGEST, lambda _, longest: longest)
        self._retry_at = 0.0
        self._changed = asyncio.Event()
        self._idle: set[PeerConnection] = set()
        self._connections: set[PeerConnection] = set()
        self._streams: set[asyncio.Task[None]] = set()
        self._keeper = asyncio.get_running_loop().create_task(self._keep())
        self.closed = False

    @property
    def idle(self) -> int:
        """READY streams that the relay has not used yet."""
        return len(self._idle)

    @property
    def open(self) -> int:
        """All streams: idle, in use, and being opened."""
        return len(self._streams)

    @property
    def serving(self) -> bool:
        """Whether the relay may have streams: it is connected, and offers to pool them (SP-02)."""
        try:
            link = self._control.link(self._relay_id)
        except PeerNotConnected:
            return False
        return not self.closed and SNI_PROXY in link.connection.peer_capabilities

    def open_one(self) -> bool:
        """Begin to open one more stream, as the relay asked (ST-04); False when there are MAX_OPEN."""
        if not self.serving or self.open >= MAX_OPEN:
            return False
        self._spawn(self._one(ahead=False))
        return True

    def wake(self) -> None:
        """Something has changed: look again."""
        self._changed.set()

    async def aclose(self, code: CloseCode = CloseCode.DONE, reason: str = "") -> None:
        """Open no more, close every stream with `code`: those in use are cut."""
        self.closed = True
        self._keeper.cancel()
        for connection in tuple(self._connections):
            connection.close(code, reason)
        for task in self._streams:
            task.cancel()
        await asyncio.wait({self._keeper, *self._streams})

    # -- how many there are

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        gone_since: float | None = None
        while True:
            self._changed.clear()
            now = loop.time()
            wait: float | None = None
            if self.serving:
                gone_since = None
                if now >= self._retry_at:
                    self._open_ahead()
                else:
                    wait = self._retry_at - now
            else:
                gone_since = now if gone_since is None else gone_since
                wait = gone_since + UNCONNECTED - now
                if wait <= 0:
                    wait = None
                    for connection in tuple(self._idle):
                        connection.close(CloseCode.DONE, "no control connection for 60 s (SP-27)")
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass  # look again

    def _open_ahead(self) -> None:
        while self._opening + self.idle < self._wanted and self.open < MAX_OPEN:
            self._opening += 1
            self._spawn(self._one(ahead=True))

    def _used(self) -> None:
        self._backoff.reset()
        self._retry_at = 0.0

    def _unused(self) -> None:
        """A stream failed or ended before its use: wait, once for all that fail together (SP-25)."""
        now = asyncio.get_running_loop().time()
        if now >= self._retry_at:
            self._retry_at = now + self._backoff.next_delay()

    # -- one stream

    async def _one(self, *, ahead: bool) -> None:
        """One connection, from the dial to its end."""
        connection: PeerConnection | None = None
        others: asyncio.Task[None] | None = None
        try:
            try:
                connection = await self._dial(self._relay_id, ALPN_SNI_PROXY)
                self._connections.add(connection)
                others = asyncio.get_running_loop().create_task(refuse_streams(connection))
                stream = await connection.open_stream()
                await stream.write(READY)
            finally:
                self._opening -= ahead
            first = await self._first(connection, stream)
            await self._serve(SniStream(connection, stream, dialled=True, early=first))
        except GateError as error:  # also SessionClosed, of a session that closes
            _log.debug("%s: an SNI-proxy stream ended: %s", self._relay_id, error)
            self._unused()
        except Exception:  # noqa: BLE001  whatever it is, the next stream must not follow at once
            _log.exception("%s: an SNI-proxy stream failed in an unexpected way", self._relay_id)
            self._unused()
        finally:
            if others is not None:
                others.cancel()
            if connection is not None:
                connection.close(CloseCode.DONE)
                self._connections.discard(connection)
            self._changed.set()

    async def _first(self, connection: PeerConnection, stream: PeerStream) -> bytes:
        """The relay's first bytes; raises TransportError when the stream ends before."""
        self._idle.add(connection)
        self._changed.set()
        try:
            first = await stream.read(CHUNK)
        finally:
            self._idle.discard(connection)
        if not first:
            raise TransportError("the relay ended an idle stream")
        self._used()
        self._changed.set()  # the next is opened now, not when the use is over
        return first

    async def _serve(self, stream: SniStream) -> None:
        try:
            await self._on_stream(stream)
            await stream.aclose()
        except TransportError as error:
            _log.debug("%s: an SNI-proxy stream broke off: %s", self._relay_id, error)
        except Exception:  # noqa: BLE001  a bug of the application must not end the supply
            _log.exception("%s: serving an SNI-proxy stream failed", self._relay_id)
        finally:
            stream.abort()

    def _spawn(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(call)
        self._streams.add(task)
        task.add_done_callback(self._streams.discard)
