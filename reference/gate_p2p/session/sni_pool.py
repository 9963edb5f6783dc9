"""The relay's side of SNI-proxy streams: idle streams by peer, and who waits for one."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import Any

from gate_p2p.core import CloseCode, LocalProtocolError
from gate_p2p.session.control import ControlConnections, refuse_streams
from gate_p2p.session.errors import PeerNotConnected, RequestError, SniStreamUnavailable
from gate_p2p.session.sni_stream import READY, SniStream
from gate_p2p.transport import PeerConnection, PeerStream

_log = logging.getLogger("gate_p2p.session")

READY_WITHIN = 2.0  # seconds from the accepted connection (SP-05)
MAX_IDLE = 32  # idle streams of one peer; a daemon keeps 1 to 8 (SP-24)
MAX_ASKED = 16  # RequestSniStream outstanding at one daemon (ST-09)
MAX_WAITING = 256  # visitors that wait for a stream of one peer; further ones are turned away at once
ANSWER_WITHIN = 10.0  # seconds for StreamReady (ST-11)
ARRIVE_WITHIN = 5.0  # seconds from StreamReady to the stream (SP-21)
UNCONNECTED = 60.0  # seconds for which idle streams outlive the last control connection (SP-27)


class _Idle:
    """A stream on which READY has arrived. `taken` by a visitor, or over."""

    def __init__(self, connection: PeerConnection, stream: PeerStream) -> None:
        self.connection = connection
        self.stream = stream
        self.taken: asyncio.Future[SniStream] = asyncio.get_running_loop().create_future()


class SniStreamPool:
    """Idle streams of every peer, last in, first out (SP-18)."""

    def __init__(self, control: ControlConnections) -> None:
        self._control = control
        self._idle: dict[str, list[_Idle]] = {}
        self._waiting: dict[str, deque[asyncio.Future[SniStream]]] = {}
        self._asked: dict[str, int] = {}
        self.handle = SniProxyHandle(self)

    def idle(self, peer_id: str) -> int:
        """How many streams of this peer wait for a visitor."""
        return len(self._idle.get(peer_id, ()))

    # -- streams that arrive

    async def accepted(self, connection: PeerConnection) -> None:
        """Serve one connection to its end. Raises TransportError."""
        peer_id = connection.remote_id
        if not self._control.is_connected(peer_id):
            connection.close(CloseCode.NOT_AUTHORISED, "no control connection is established (SP-29)")
            return
        if (stream := await self._ready(connection)) is None:
            return
        others = asyncio.get_running_loop().create_task(refuse_streams(connection))
        try:
            if (used := self._hand_over(connection, stream)) is None:
                used = await self._pooled(_Idle(connection, stream))
            if used is not None:
                await used.closed.wait()
        finally:
            others.cancel()

    async def _ready(self, connection: PeerConnection) -> PeerStream | None:
        received = b""
        try:
            async with asyncio.timeout(READY_WITHIN):
                stream = await connection.accept_stream()
                while received != READY:
                    data = await stream.read(len(READY) - len(received))
                    received += data
                    if not data or not READY.startswith(received):
                        connection.close(CloseCode.PROTOCOL_VIOLATION, "expected READY (SP-03)")
                        return None
        except TimeoutError:
            connection.close(CloseCode.TIMEOUT, "no READY within 2 s (SP-05)")
            return None
        return stream

    def _hand_over(self, connection: PeerConnection, stream: PeerStream) -> SniStream | None:
        """Give a stream that arrives to the visitor who has waited longest."""
        waiting = self._waiting.get(connection.remote_id)
        while waiting:
            if not (visitor := waiting.popleft()).done():
                used = SniStream(connection, stream, dialled=False)
                visitor.set_result(used)
                return used
        return None

    async def _pooled(self, idle: _Idle) -> SniStream | None:
        """Keep a stream until somebody takes it; None when it ends before."""
        peer_id = idle.connection.remote_id
        pool = self._idle.setdefault(peer_id, [])
        if len(pool) >= MAX_IDLE:
            idle.connection.close(CloseCode.NOT_AUTHORISED, f"{MAX_IDLE} streams are idle already (SP-24)")
            return None
        pool.append(idle)
        loop = asyncio.get_running_loop()
        sign = loop.create_task(idle.stream.read(1))  # cancelling it loses nothing
        lonely = loop.create_task(self._wait_lonely(peer_id))
        try:
            signs: set[asyncio.Future[Any]] = {sign, idle.taken, lonely}
            await asyncio.wait(signs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if idle in pool:
                pool.remove(idle)
            if not self._idle.get(peer_id):
                self._idle.pop(peer_id, None)
            sign.cancel()
            lonely.cancel()
        if idle.taken.done():
            return idle.taken.result()
        spoke = sign.done() and sign.exception() is None and sign.result()
        code = CloseCode.PROTOCOL_VIOLATION if spoke else CloseCode.DONE
        idle.connection.close(code, "an idle stream spoke, ended or got old (SP-08, SP-27)")
        return None

    async def _wait_lonely(self, peer_id: str) -> None:
        """Until no control connection with the peer has been established for UNCONNECTED seconds."""
        missing = 0
        while missing < 2:
            await asyncio.sleep(UNCONNECTED / 2)
            missing = 0 if self._control.is_connected(peer_id) else missing + 1

    # -- visitors

    async def take(self, peer_id: str, domain: str) -> SniStream:
        """A stream of this peer: the newest idle one, else one that it is asked for (SP-21)."""
        while pool := self._idle.get(peer_id):
            idle = pool.pop()
            if not idle.taken.done():
                stream = SniStream(idle.connection, idle.stream, dialled=False)
                idle.taken.set_result(stream)
                return stream
        return await self._ask(peer_id, domain)

    async def _ask(self, peer_id: str, domain: str) -> SniStream:
        try:
            link = self._control.link(peer_id)
        except PeerNotConnected as error:
            raise SniStreamUnavailable(str(error)) from None
        waiting = self._waiting.setdefault(peer_id, deque())
        if len(waiting) >= MAX_WAITING:
            raise SniStreamUnavailable(f"{MAX_WAITING} visitors of {peer_id} wait already")
        visitor: asyncio.Future[SniStream] = asyncio.get_running_loop().create_future()
        waiting.append(visitor)
        delivered = False
        try:
            if self._asked.get(peer_id, 0) < MAX_ASKED:
                self._asked[peer_id] = self._asked.get(peer_id, 0) + 1
                try:
                    await link.request_sni_stream(domain, ANSWER_WITHIN)
                finally:
                    self._asked[peer_id] -= 1
                    if not self._asked[peer_id]:
                        del self._asked[peer_id]
            async with asyncio.timeout(ARRIVE_WITHIN):
                stream = await visitor
                delivered = True
                return stream
        except TimeoutError:
            raise SniStreamUnavailable(f"no stream of {peer_id} arrived in time") from None
        except (RequestError, LocalProtocolError) as error:
            if visitor.done() and not visitor.cancelled():
                delivered = True
                return visitor.result()  # one arrived meanwhile for another reason
            raise SniStreamUnavailable(f"{peer_id} opens no stream: {error}") from None
        finally:
            self._forget(peer_id, visitor)
            if not delivered and visitor.done() and not visitor.cancelled():
                visitor.result().abort()  # it came for a visitor who has just been cancelled

    def _forget(self, peer_id: str, visitor: asyncio.Future[SniStream]) -> None:
        waiting = self._waiting.get(peer_id)
        if waiting is not None:
            with suppress(ValueError):
                waiting.remove(visitor)
            if not waiting:
                self._waiting.pop(peer_id, None)
        visitor.cancel()


class SniProxyHandle:
    """What a relay's application uses: `P2PSession.take_sni_proxy_handle()`."""

    def __init__(self, pool: SniStreamPool) -> None:
        self._pool = pool

    async def open(self, peer_id: str, domain: str) -> SniStream:
        """A stream to this peer for one TCP connection to `domain`; asks for one when none is idle.

        End it with `aclose()` or `abort()`, or give it to `splice`. Raises SniStreamUnavailable.
        """
        return await self._pool.take(peer_id, domain)

    def idle(self, peer_id: str) -> int:
        """How many streams of this peer wait for a visitor."""
        return self._pool.idle(peer_id)
