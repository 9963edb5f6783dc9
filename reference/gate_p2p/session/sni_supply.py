"""The daemon's side of SNI-proxy streams: READY streams kept at a relay, ahead of need."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from gate_p2p.core import CloseCode
from gate_p2p.session.backoff import Backoff
from gate_p2p.session.control import ControlConnections, refuse_streams
from gate_p2p.session.errors import PeerNotConnected
from gate_p2p.session.sni_stream import CHUNK, READY, SniStream
from gate_p2p.transport import ALPN_SNI_PROXY, PeerConnection, TransportError

_log = logging.getLogger("gate_p2p.session")

SNI_PROXY = "sni_proxy"
MAX_OPEN = 256  # streams at one relay, in use or idle: what a relay of this package takes of one peer
UNCONNECTED = 60.0  # seconds for which idle streams outlive the last control connection (SP-27)

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
        self._ahead = 0  # idle streams, and those that are being opened ahead
        self._backoff = Backoff(1.0, 60.0)
        self._retry_at = 0.0
        self._changed = asyncio.Event()
        self._idle: set[PeerConnection] = set()
        self._streams: set[asyncio.Task[None]] = set()
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    @property
    def idle(self) -> int:
        """READY streams that the relay has not used yet."""
        return len(self._idle)

    @property
    def open(self) -> int:
        """All streams: idle, in use, and being opened."""
        return len(self._streams)

    def open_one(self) -> bool:
        """Begin to open one more stream, as the relay asked (ST-04); False when there are MAX_OPEN."""
        if not self._relay_serves() or self.open >= MAX_OPEN:
            return False
        self._spawn(self._one(ahead=False))
        return True

    def wake(self) -> None:
        """Something has changed: look again."""
        self._changed.set()

    async def aclose(self) -> None:
        """Open no more, close the idle streams, cut those in use."""
        self._keeper.cancel()
        for task in self._streams:
            task.cancel()
        await asyncio.wait({self._keeper, *self._streams})

    def _relay_serves(self) -> bool:
        try:
            link = self._control.link(self._relay_id)
        except PeerNotConnected:
            return False
        return SNI_PROXY in link.connection.peer_capabilities

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        gone_since: float | None = None
        while True:
            self._changed.clear()
            now = loop.time()
            wait: float | None = None
            if self._relay_serves():
                gone_since = None
                if now >= self._retry_at:
                    while self._ahead < self._wanted and self.open < MAX_OPEN:
                        self._ahead += 1
                        self._spawn(self._one(ahead=True))
                else:
                    wait = self._retry_at - now
            elif self._idle:
                gone_since = now if gone_since is None else gone_since
                wait = gone_since + UNCONNECTED - now
                if wait <= 0:
                    for connection in tuple(self._idle):
                        connection.close(CloseCode.DONE, "no control connection")
                    wait = None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass  # look again

    async def _one(self, *, ahead: bool) -> None:
        """One connection, from the dial to its end."""
        used = False
        try:
            connection = await self._dial(self._relay_id, ALPN_SNI_PROXY)
            try:
                others = asyncio.get_running_loop().create_task(refuse_streams(connection))
                try:
                    stream = await connection.open_stream()
                    await stream.write(READY)
                    self._idle.add(connection)
                    try:
                        first = await stream.read(CHUNK)
                    finally:
                        self._idle.discard(connection)
                    if not first:
                        raise TransportError("the relay ended an idle stream")
                    used = True
                    if ahead:
                        self._used()
                    await self._serve(SniStream(connection, stream, dialled=True, early=first))
                finally:
                    others.cancel()
            finally:
                connection.close(CloseCode.DONE)
        except TransportError as error:
            _log.debug("%s: an SNI-proxy stream ended: %s", self._relay_id, error)
        finally:
            if not used:
                self._retry_at = asyncio.get_running_loop().time() + self._backoff.next_delay()
                if ahead:
                    self._ahead -= 1
            self._changed.set()

    def _used(self) -> None:
        self._ahead -= 1
        self._backoff.reset()
        self._retry_at = 0.0
        self._changed.set()

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
