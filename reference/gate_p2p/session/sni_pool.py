"""The relay's side of SNI-proxy streams: idle streams by peer, and who waits for one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from gate_p2p.core import CloseCode, GateError
from gate_p2p.session.control import refuse_streams
from gate_p2p.session.errors import SniStreamUnavailable
from gate_p2p.session.sni_stream import CHUNK, READY, SniStream
from gate_p2p.transport import PeerConnection, PeerStream, StreamReset, TransportError

_log = logging.getLogger("gate_p2p.session")

READY_WITHIN = 2.0  # seconds from the accepted connection (SP-05)
MAX_IDLE = 32  # idle streams of one peer; a daemon keeps 1 to 8 (SP-24)
MAX_ASKED = 16  # RequestSniStream outstanding at one daemon (ST-09)
MAX_WAITING = 256  # visitors that wait for a stream of one peer; further ones are turned away at once
ANSWER_WITHIN = 10.0  # seconds for StreamReady (ST-11)
ARRIVE_WITHIN = 5.0  # seconds from StreamReady to the stream (SP-21)
UNCONNECTED = 60.0  # seconds for which idle streams outlive the last control connection (SP-27)


class AsksForStreams(Protocol):
    """A control link, as far as it is needed here."""

    async def request_sni_stream(self, domain: str, timeout: float | None = None) -> None:
        """Ask for one stream; returns with the StreamReady that accepts. Raises GateError."""
        ...


class Control(Protocol):
    """The control connections of the session, as far as they are needed here."""

    def is_connected(self, peer_id: str) -> bool:
        """Whether a control connection with this peer is established."""
        ...

    def link(self, peer_id: str) -> AsksForStreams:
        """The newest of them. Raises PeerNotConnected."""
        ...


class _Idle:
    """A stream on which READY has arrived, with the read that sees it speak, end or get lost."""

    def __init__(self, connection: PeerConnection, stream: PeerStream) -> None:
        loop = asyncio.get_running_loop()
        self.connection = connection
        self.stream = stream
        self.sign = loop.create_task(stream.read(CHUNK))
        self.sign.add_done_callback(_look_at)
        self.taken: asyncio.Future[SniStream] = loop.create_future()

    @property
    def alive(self) -> bool:
        """Nothing has been seen of its end (SP-19)."""
        return not self.sign.done()

    def take(self) -> SniStream:
        stream = SniStream(self.connection, self.stream, dialled=False, reading=self.sign)
        self.taken.set_result(stream)
        return stream


def _look_at(sign: asyncio.Task[bytes]) -> None:
    if not sign.cancelled():
        sign.exception()  # whoever took the stream reads it again


class _Visitor:
    """Somebody who waits for a stream."""

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.asked = False  # a RequestSniStream was sent for it
        self.given: asyncio.Future[_Idle] = asyncio.get_running_loop().create_future()

    def turn_away(self, error: GateError) -> None:
        if not self.given.done():
            self.given.set_exception(SniStreamUnavailable(str(error)))


class _Peer:
    """What there is of one daemon; kept for as long as there is anything."""

    def __init__(self) -> None:
        self.connections: set[PeerConnection] = set()
        self.idle: list[_Idle] = []  # the newest last
        self.waiting: list[_Visitor] = []  # the oldest first
        self.outstanding: list[asyncio.Task[None]] = []  # requests, the oldest first
        self.lonely: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        return bool(self.connections or self.waiting or self.outstanding)


class SniStreamPool:
    """Idle streams of every peer, last in, first out (SP-18)."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._peers: dict[str, _Peer] = {}
        self._takers: list[
            asyncio.Future[_Idle | None]
        ] = []  # those who take one of any peer, the oldest first
        self._closed = False
        self.handle = SniProxyHandle(self)

    def idle(self, peer_id: str) -> int:
        """How many streams of this peer wait for a visitor."""
        return len(self._peers[peer_id].idle) if peer_id in self._peers else 0

    @contextmanager
    def _peer(self, peer_id: str) -> Iterator[_Peer]:
        """What there is of the peer, kept while it is needed."""
        peer = self._peers.setdefault(peer_id, _Peer())
        try:
            yield peer
        finally:
            if not peer and self._peers.get(peer_id) is peer:
                if peer.lonely is not None:
                    peer.lonely.cancel()
                del self._peers[peer_id]

    def close(self, code: CloseCode, reason: str) -> None:
        """Close every stream, idle and in use; turn away who waits for one."""
        self._closed = True
        for given in self._takers:
            if not given.done():
                given.set_result(None)
        for peer in tuple(self._peers.values()):
            for connection in tuple(peer.connections):
                connection.close(code, reason)
            for visitor in tuple(peer.waiting):
                visitor.turn_away(SniStreamUnavailable(reason))
            for request in tuple(peer.outstanding):
                request.cancel()

    def wake(self, peer_id: str) -> None:
        """A control connection with the peer came or went: its idle streams stay for a while (SP-27)."""
        if (peer := self._peers.get(peer_id)) is None:
            return
        if self._control.is_connected(peer_id):
            if peer.lonely is not None:
                peer.lonely.cancel()
                peer.lonely = None
        elif peer.lonely is None:
            peer.lonely = asyncio.get_running_loop().call_later(UNCONNECTED, self._forsake, peer_id)

    def _forsake(self, peer_id: str) -> None:
        peer = self._peers[peer_id]
        peer.lonely = None
        if not self._control.is_connected(peer_id):
            for idle in tuple(peer.idle):
                idle.connection.close(CloseCode.DONE, "no control connection for 60 s (SP-27)")

    # -- streams that arrive

    async def accepted(self, connection: PeerConnection) -> None:
        """Serve one connection to its end. Raises TransportError."""
        peer_id = connection.remote_id
        if not self._control.is_connected(peer_id):
            connection.close(CloseCode.NOT_AUTHORISED, "no control connection is established (SP-29)")
            return
        with self._peer(peer_id) as peer:
            peer.connections.add(connection)
            others: list[asyncio.Task[None]] = []
            try:
                if (stream := await self._ready(connection, others)) is not None:
                    await self._serve(peer, connection, stream)
            finally:
                peer.connections.discard(connection)
                for task in others:
                    task.cancel()
                await asyncio.gather(*others, return_exceptions=True)

    async def _ready(self, connection: PeerConnection, others: list[asyncio.Task[None]]) -> PeerStream | None:
        """The stream once READY is there; `others` gets what refuses every other from the start."""
        received = b""
        try:
            async with asyncio.timeout(READY_WITHIN):
                stream = await connection.accept_stream()
                others.append(asyncio.get_running_loop().create_task(refuse_streams(connection)))
                while received != READY:
                    data = await stream.read(len(READY) - len(received))
                    received += data
                    if not data or not READY.startswith(received):
                        connection.close(CloseCode.PROTOCOL_VIOLATION, "expected READY (SP-03)")
                        return None
        except TimeoutError:
            connection.close(CloseCode.TIMEOUT, "no READY within 2 s (SP-05)")
            return None
        except StreamReset:
            connection.close(CloseCode.PROTOCOL_VIOLATION, "the stream was reset before READY (SP-05)")
            return None
        return stream

    async def _serve(self, peer: _Peer, connection: PeerConnection, stream: PeerStream) -> None:
        idle = _Idle(connection, stream)
        try:
            if self._settle(peer) or peer.waiting or len(peer.idle) < MAX_IDLE:
                self.wake(connection.remote_id)  # the control connection may be gone by now
                self._offer(peer, idle)
                self._ask(connection.remote_id, peer)  # a place has got free for who waits without one
                ends: set[asyncio.Future[Any]] = {idle.taken, idle.sign}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if idle.taken.done():
                    await self._in_use(connection, idle.taken.result())
                else:
                    code = CloseCode.PROTOCOL_VIOLATION if _spoke(idle.sign) else CloseCode.DONE
                    connection.close(code, "an idle stream spoke or ended (SP-08)")
            else:
                connection.close(CloseCode.NOT_AUTHORISED, f"{MAX_IDLE} streams are idle (SP-24)")
        finally:
            if idle in peer.idle:
                peer.idle.remove(idle)
            connection.close(CloseCode.DONE)
            await asyncio.wait({idle.sign})  # the read ends with the connection

    async def _in_use(self, connection: PeerConnection, stream: SniStream) -> None:
        """Until whoever has the stream has ended it, or the connection is over."""
        loop = asyncio.get_running_loop()
        ends = {loop.create_task(stream.closed.wait()), loop.create_task(connection.wait_closed())}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    def _settle(self, peer: _Peer) -> bool:
        """A stream has arrived, and settles the oldest outstanding request (ST-09)."""
        if not peer.outstanding:
            return False
        peer.outstanding.pop(0).cancel()
        return True

    def _offer(self, peer: _Peer, idle: _Idle) -> None:
        """Give the stream to the visitor who has waited longest, to who takes one of any peer, or keep it."""
        while peer.waiting:
            if not (visitor := peer.waiting.pop(0)).given.done():
                visitor.given.set_result(idle)
                return
        while self._takers:
            if not (given := self._takers.pop(0)).done():
                given.set_result(idle)
                return
        peer.idle.append(idle)

    # -- visitors

    async def take(self, peer_id: str, domain: str) -> SniStream:
        """A stream of this peer: the newest idle one, else the next that arrives (SP-21)."""
        with self._peer(peer_id) as peer:
            while peer.idle:
                if (idle := peer.idle.pop()).alive:
                    return idle.take()
            try:
                async with asyncio.timeout(ANSWER_WITHIN + ARRIVE_WITHIN):
                    while not (idle := await self._wait(peer_id, peer, domain)).alive:
                        pass  # it ended on its way to us
                    return idle.take()
            except TimeoutError:
                raise SniStreamUnavailable(f"no stream of {peer_id} arrived in time") from None

    async def take_any(self) -> SniStream | None:
        """A stream of any peer: an idle one, else the next that arrives; None once the pool is closed."""
        while not self._closed:
            for peer in self._peers.values():
                while peer.idle:
                    if (idle := peer.idle.pop()).alive:
                        return idle.take()
            given: asyncio.Future[_Idle | None] = asyncio.get_running_loop().create_future()
            self._takers.append(given)
            try:
                found = await given
            except asyncio.CancelledError:
                if given.done() and not given.cancelled() and (found := given.result()) is not None:
                    with self._peer(found.connection.remote_id) as peer:
                        self._offer(peer, found)  # somebody else's, now
                raise
            finally:
                if given in self._takers:
                    self._takers.remove(given)
            if found is not None and found.alive:
                return found.take()
        return None

    async def _wait(self, peer_id: str, peer: _Peer, domain: str) -> _Idle:
        if len(peer.waiting) >= MAX_WAITING:
            raise SniStreamUnavailable(f"{MAX_WAITING} visitors of {peer_id} wait already")
        visitor = _Visitor(domain)
        peer.waiting.append(visitor)
        self._ask(peer_id, peer)
        try:
            return await visitor.given
        except asyncio.CancelledError:
            if visitor.given.done() and not visitor.given.cancelled() and visitor.given.exception() is None:
                self._offer(peer, visitor.given.result())  # somebody else's, now
            raise
        finally:
            if visitor in peer.waiting:
                peer.waiting.remove(visitor)

    def _ask(self, peer_id: str, peer: _Peer) -> None:
        """Have a request outstanding for every visitor, as far as the bound allows (ST-09)."""
        waiting = [visitor for visitor in peer.waiting if not visitor.given.done()]
        for visitor in waiting:
            if len(peer.outstanding) >= min(len(waiting), MAX_ASKED):
                return
            if not visitor.asked:
                visitor.asked = True
                call = self._request(peer_id, peer, visitor)
                peer.outstanding.append(asyncio.get_running_loop().create_task(call))

    async def _request(self, peer_id: str, peer: _Peer, visitor: _Visitor) -> None:
        """Outstanding until a stream arrives, which cancels this, or none does."""
        with self._peer(peer_id):
            try:
                await self._control.link(peer_id).request_sni_stream(visitor.domain, ANSWER_WITHIN)
                await asyncio.sleep(ARRIVE_WITHIN)
                raise SniStreamUnavailable(f"{peer_id} accepted, but no stream arrived")
            except (GateError, TransportError) as error:
                _log.debug("%s opens no stream: %s", peer_id, error)
                visitor.turn_away(error)
            finally:
                if (this := asyncio.current_task()) in peer.outstanding:
                    peer.outstanding.remove(this)
                self._ask(peer_id, peer)


def _spoke(sign: asyncio.Task[bytes]) -> bool:
    return sign.exception() is None and bool(sign.result())


class SniProxyHandle:
    """What a relay's application uses: `P2PSession.take_sni_proxy_handle()`.

    `await handle.open(peer_id, domain)` takes a stream of one daemon, and asks it for one when there is none.
    An application that keeps the streams by itself gets each as it becomes ready, with `async for stream in
    handle`; its `peer_id` says whose it is. Both end with the session.
    """

    def __init__(self, pool: SniStreamPool) -> None:
        self._pool = pool

    async def open(self, peer_id: str, domain: str) -> SniStream:
        """A stream to this peer for one TCP connection to `domain`; asks for one when none is idle.

        End it with `aclose()` or `abort()`, or give it to `splice`. Raises SniStreamUnavailable.
        """
        return await self._pool.take(peer_id, domain)

    def __aiter__(self) -> SniProxyHandle:
        return self

    async def __anext__(self) -> SniStream:
        """The next stream of any peer, which `open` then does not find any more. Cancelling loses none."""
        if (stream := await self._pool.take_any()) is None:
            raise StopAsyncIteration
        return stream

    def idle(self, peer_id: str) -> int:
        """How many streams of this peer wait for a visitor."""
        return self._pool.idle(peer_id)
