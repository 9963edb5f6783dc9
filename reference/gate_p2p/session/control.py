"""The control connections of a session: driven to their end, and found by peer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from gate_p2p.core import (
    CapabilitiesRenewed,
    CloseCode,
    Connection,
    Established,
    Event,
    Limits,
    Policy,
    Request,
    Terminated,
)
from gate_p2p.session.budget import OVER_BUDGET, FrameBudget
from gate_p2p.session.errors import PeerNotConnected
from gate_p2p.session.events import PeerCapabilities, PeerConnected, PeerLost, SessionEvent
from gate_p2p.session.link import Answer, ControlLink
from gate_p2p.session.policy import NamePolicy, request_policy
from gate_p2p.session.transport import ConnectionTransport
from gate_p2p.transport import PeerConnection, PeerStream, TransportError

_log = logging.getLogger("gate_p2p.session")

STREAM_WITHIN = 10.0  # seconds for the dialer to open its stream, the same as for its Handshake (HS-14)


class ControlConnections:
    """Every control connection of one session, whoever dialled.

    `handle(request, peer_id)` carries out what a peer asks for; `tell` hears of peers that come and go;
    `budget` bounds their unfinished frames; `limits` are those of each control stream.
    """

    def __init__(
        self,
        capabilities: Sequence[str],
        names: NamePolicy | None,
        handle: Callable[[Request, str], Awaitable[Answer]],
        tell: Callable[[SessionEvent], None],
        budget: FrameBudget,
        limits: Limits | None = None,
    ) -> None:
        self._budget = budget
        self._limits = limits
        self._capabilities = capabilities
        self._names = names
        self._handle = handle
        self._tell = tell
        self._links: dict[str, list[ControlLink]] = {}
        self._without_stream: set[PeerConnection] = set()  # those whose peer has not opened its stream yet
        self._tasks: set[asyncio.Task[None]] = set()

    # -- who is there

    def peers(self) -> list[str]:
        """The ids of the peers with an established control connection."""
        return [peer for peer in self._links if self.is_connected(peer)]

    def is_connected(self, peer_id: str) -> bool:
        """Whether a control connection with this peer is established."""
        return any(link.connection.established for link in self._links.get(peer_id, ()))

    def link(self, peer_id: str) -> ControlLink:
        """The newest established link to this peer. Raises PeerNotConnected."""
        for link in reversed(self._links.get(peer_id, [])):
            if link.connection.established:
                return link
        raise PeerNotConnected(f"there is no control connection to {peer_id}")

    async def close(self, code: CloseCode, reason: str, peer_id: str | None = None) -> None:
        """Say goodbye on every connection, or on those with one peer, and wait until they are over."""
        chosen = self._links.values() if peer_id is None else (self._links.get(peer_id, []),)
        links = [link for links in chosen for link in links]
        for connection in self._without_stream:
            if peer_id in {None, connection.remote_id}:
                connection.close(code, reason)
        for link in links:
            link.close(code, reason)
        await asyncio.gather(*(link.wait_ended() for link in links))

    async def wait_settled(self) -> None:
        """Once the endpoint is closed: wait until nothing of these connections is under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    # -- one connection

    async def dialled(
        self, connection: PeerConnection, node_id: str, connected: Callable[[bool], None]
    ) -> Terminated:
        """Speak on a connection that we dialled until it is over. Raises TransportError.

        `connected(True)` is called after the handshake, `connected(False)` when the conversation is over.
        """
        try:
            stream = await connection.open_stream()
            core = Connection.dialer(
                node_id=node_id,
                capabilities=self._capabilities,
                now=asyncio.get_running_loop().time(),
                limits=self._limits,
                policy=self._policy(connection.remote_id),
            )
            return await self._drive(core, connection, stream, connected)
        finally:
            connection.close(CloseCode.DONE)

    async def accepted(self, connection: PeerConnection, node_id: str) -> None:
        """Speak on a connection that the peer dialled until it is over. Raises TransportError."""
        opened = asyncio.get_running_loop().time()  # the time for the Handshake begins here (HS-14)
        try:
            self._without_stream.add(connection)
            try:
                async with asyncio.timeout(STREAM_WITHIN):
                    stream = await connection.accept_stream()
            except TimeoutError:
                connection.close(CloseCode.HANDSHAKE_FAILED, "no control stream in time")
                return
            finally:
                self._without_stream.discard(connection)
            core = Connection.acceptor(
                node_id=node_id,
                capabilities=self._capabilities,
                now=opened,
                limits=self._limits,
                policy=self._policy(connection.remote_id),
            )
            await self._drive(core, connection, stream, None)
        finally:
            connection.close(CloseCode.DONE)

    def _policy(self, peer_id: str) -> Policy:
        def in_flight() -> int:
            return sum(link.connection.in_flight for link in self._links.get(peer_id, ()))

        return request_policy(peer_id, self._names, in_flight)

    async def _drive(
        self,
        core: Connection,
        connection: PeerConnection,
        stream: PeerStream,
        connected: Callable[[bool], None] | None,
    ) -> Terminated:
        peer_id = connection.remote_id
        was_established = False

        def on_event(event: Event) -> None:
            nonlocal was_established
            if isinstance(event, Established):
                was_established = True
                if connected is not None:
                    connected(True)
                self._tell(PeerConnected(peer_id, event.capabilities, connected is not None))
            elif isinstance(event, CapabilitiesRenewed):
                self._tell(PeerCapabilities(peer_id, event.capabilities))
            elif isinstance(event, Terminated):
                if connected is not None:
                    connected(False)
                _log.debug("%s: control stream over: %s (code %d)", peer_id, event.reason, event.code)

        transport = ConnectionTransport(connection, stream)
        link = ControlLink(
            core,
            transport,
            handle=lambda request: self._handle(request, peer_id),
            on_event=on_event,
            on_read=lambda: share.hold(core.unfinished),
        )
        share = self._budget.share(peer_id, lambda: link.close(CloseCode.NOT_AUTHORISED, OVER_BUDGET))
        links = self._links.setdefault(peer_id, [])
        links.append(link)
        ends = {self._spawn(refuse_streams(connection))}
        watching = self._spawn(transport.watch())
        try:
            terminated = await link.run()
        finally:
            watching.cancel()
            share.hold(0)
            links.remove(link)
            if not links:
                self._links.pop(peer_id, None)
            if was_established:  # told of even when this task is cancelled
                ends.add(self._spawn(self._tell_lost(connection, core.close_reason)))
        await asyncio.wait(ends)
        return terminated

    def _spawn(self, call: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _tell_lost(self, connection: PeerConnection, reason: str) -> None:
        end = await connection.wait_closed()
        said = f": {end.reason}" if end.by_peer and end.reason not in reason else ""
        self._tell(PeerLost(connection.remote_id, end.code, reason + said))


async def refuse_streams(connection: PeerConnection) -> None:
    """Refuse every stream beside the first, until the connection is over (TR-02)."""
    try:
        while True:
            stream = await connection.accept_stream()
            stream.reset(CloseCode.PROTOCOL_VIOLATION)
            stream.stop(CloseCode.PROTOCOL_VIOLATION)
    except TransportError as error:
        _log.debug("%s: %s", connection.remote_id, error)
