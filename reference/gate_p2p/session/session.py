"""P2PSession: a node with its peers."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gate_p2p.address import NodeAddress, check_socket_address
from gate_p2p.core import CloseCode, Connection, Established, Event, Policy, Terminated
from gate_p2p.dns.handler import DnsChallengeHandler
from gate_p2p.session.endpoint import Bind, bind_iroh
from gate_p2p.session.errors import PeerNotConnected, SessionClosed
from gate_p2p.session.handlers import carry_out
from gate_p2p.session.link import ControlLink
from gate_p2p.session.peer import Peer
from gate_p2p.session.policy import NamePolicy, request_policy
from gate_p2p.session.transport import ConnectionTransport
from gate_p2p.text import one_line
from gate_p2p.transport import ALPN_CONTROL, Endpoint, PeerConnection, PeerStream, TransportError

_log = logging.getLogger("gate_p2p.session")

STREAM_WITHIN = 10.0  # seconds for the dialer to open its stream, the same as for its Handshake (HS-14)
DEFAULT_SUFFIX = "private.example"
# Connections that peers opened. Each may hold a frame of 10 MiB that never gets complete, so there is an end.
MAX_CONNECTIONS = 1024
# Of one peer: it needs one, and a suite with 64 cases side by side stays below this.
MAX_CONNECTIONS_OF_PEER = 256


@dataclass(frozen=True)
class PeerConnected:
    """A control connection is established. `dialled`: by us. `capabilities`: what the peer advertised."""

    peer_id: str
    capabilities: frozenset[str]
    dialled: bool

    def __str__(self) -> str:
        offers = ", ".join(sorted(self.capabilities)) or "nothing"
        who = "dialled by us" if self.dialled else "it dialled"
        return f"{self.peer_id} is connected, {who}; it offers {offers}"


@dataclass(frozen=True)
class PeerLost:
    """An established control connection is over.

    `code`: the application code with which either side closed it; None when it was lost.
    """

    peer_id: str
    code: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.peer_id} is gone: {self.reason}"


@dataclass(frozen=True)
class DialFailed:
    """A peer could not be reached, or a connection to it ended; the next dial comes in `retry_in` seconds."""

    peer_id: str
    reason: str
    retry_in: float

    def __str__(self) -> str:
        return f"{self.peer_id} is not connected: {self.reason}; dialling again in {self.retry_in:.1f} s"


SessionEvent = PeerConnected | PeerLost | DialFailed


class P2PSession:
    """A node: `async with P2PSession(...) as session`, or `start()` and `aclose()`.

    `listen`: `ip:port`, port 0 takes a free one. `advertise`: the `ip:port` others dial, if it is another.
    `secret_key`: 32 bytes, new when None. `inference`, `sni_proxy`, `dns_challenge`: what to advertise; a
    `dns_challenge_handler` implies the last. `suffix`, `allowed`: see `NamePolicy`. `bind`: what makes the
    endpoint, on Iroh by default.
    """

    def __init__(
        self,
        *,
        listen: str = "127.0.0.1:0",
        advertise: str | None = None,
        secret_key: bytes | None = None,
        inference: bool = False,
        sni_proxy: bool = False,
        dns_challenge: bool = False,
        dns_challenge_handler: DnsChallengeHandler | None = None,
        suffix: str = DEFAULT_SUFFIX,
        allowed: Mapping[str, Iterable[str]] | None = None,
        bind: Bind = bind_iroh,
    ) -> None:
        self._bind = bind
        self._listen = listen
        self._advertise = None if advertise is None else check_socket_address(advertise)
        self._secret_key = secret_key
        self._dns = dns_challenge_handler
        offered = {
            "inference": inference,
            "sni_proxy": sni_proxy,
            "dns_challenge": dns_challenge or dns_challenge_handler is not None,
        }
        self._capabilities = tuple(name for name, here in offered.items() if here)
        self._names = None if dns_challenge_handler is None else NamePolicy(suffix, allowed)
        self._endpoint: Endpoint | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._peers: dict[str, Peer] = {}
        self._links: dict[str, list[ControlLink]] = {}
        self._served: Counter[str] = Counter()  # connections that peers opened, by peer
        self._subscribers: list[Callable[[SessionEvent], None]] = []

    # -- life

    async def start(self) -> None:
        """Bind and accept. Raises BindError."""
        if self._endpoint is not None:
            raise RuntimeError("the session has been started already")
        self._endpoint = await self._bind(self._secret_key, self._listen)
        self._accepting = asyncio.get_running_loop().create_task(self._accept(self._endpoint))

    async def aclose(self, code: CloseCode = CloseCode.SHUTTING_DOWN, reason: str = "shutting down") -> None:
        """Say goodbye to every peer, close with `code`, leave nothing running.

        Takes as long as the slowest farewell: at rest milliseconds, 1 s while a peer does not read, about 3 s
        while a dial is under way, which Iroh gives up in its own time, and never more than some 10 s.
        """
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is None or self._accepting is None:
            return
        links = [link for links in self._links.values() for link in links]
        for link in links:
            link.close(code, reason)
        self._accepting.cancel()
        await asyncio.gather(*(link.wait_ended() for link in links))
        await asyncio.gather(*(peer.aclose() for peer in self._peers.values()))
        await endpoint.aclose()
        if pending := {self._accepting, *self._tasks}:
            await asyncio.wait(pending)

    async def __aenter__(self) -> P2PSession:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def subscribe(self, callback: Callable[[SessionEvent], None]) -> None:
        """Have `callback` told of every event, from the loop; it must not block."""
        self._subscribers.append(callback)

    # -- who we are

    @property
    def node_id(self) -> str:
        """Our id, 64 lowercase hex. Raises SessionClosed before `start` and after `aclose`."""
        return self._running().node_id

    def node_addr(self) -> NodeAddress:
        """Where we can be dialled."""
        endpoint = self._running()
        if self._advertise is not None:
            return NodeAddress(endpoint.node_id, (self._advertise,))
        return endpoint.address

    def _running(self) -> Endpoint:
        if self._endpoint is None:
            raise SessionClosed("the session is not running")
        return self._endpoint

    # -- peers

    async def add_peer(self, address: NodeAddress | str, *, keep_trying: bool = True) -> Peer:
        """Dial a peer, and again whenever the connection is lost; returns at once, see `Peer.wait_connected`.

        Without `keep_trying`, a first dial that fails is the last; `Peer.first_attempt` tells.
        A peer that is dialled already keeps its handle; `address` is where the next dial goes.
        Raises ValueError for a bad address text.
        """
        self._running()
        address = NodeAddress.parse(address) if isinstance(address, str) else address
        peer = self._peers.get(address.node_id)
        if peer is None or peer.given_up:
            peer = self._peers[address.node_id] = Peer(
                address,
                self._connect,
                lambda reason, delay: self._tell(DialFailed(address.node_id, reason, delay)),
                keep_trying=keep_trying,
            )
        peer.address = address
        return peer

    def list_peers(self) -> list[str]:
        """The ids of the peers with an established control connection, whoever dialled."""
        return [
            peer for peer, links in self._links.items() if any(one.connection.established for one in links)
        ]

    async def request_dns_challenge_create(
        self, peer_id: str, domain: str, txt_value: str, timeout: float | None = None
    ) -> None:
        """Have a peer set `_acme-challenge.<domain>`; returns when the record is visible (DC-13).

        `timeout` in seconds, 330 by default. Raises RequestError, PeerNotConnected, LocalProtocolError.
        """
        await self._link(peer_id).request_dns_challenge_create(domain, txt_value, timeout)

    async def request_dns_challenge_cleanup(
        self, peer_id: str, domain: str, txt_value: str | None = None, timeout: float | None = None
    ) -> None:
        """Have a peer remove one value, or all that we created under the name. Raises as the create does."""
        await self._link(peer_id).request_dns_challenge_cleanup(domain, txt_value, timeout)

    def _link(self, peer_id: str) -> ControlLink:
        self._running()
        for link in reversed(self._links.get(peer_id, [])):
            if link.connection.established:
                return link
        raise PeerNotConnected(f"there is no control connection to {peer_id}")

    # -- connections

    async def _connect(self, address: NodeAddress, established: Callable[[], None]) -> str:
        connection = await self._running().dial(address, ALPN_CONTROL)
        try:
            stream = await connection.open_stream()
            core = Connection.dialer(
                node_id=self._running().node_id,
                capabilities=self._capabilities,
                now=asyncio.get_running_loop().time(),
                policy=self._policy(connection.remote_id),
            )
            terminated = await self._drive(core, connection, stream, established)
        except SessionClosed as error:
            return str(error)
        finally:
            connection.close(CloseCode.DONE)
        return terminated.reason

    async def _accept(self, endpoint: Endpoint) -> None:
        while (connection := await endpoint.accept()) is not None:
            peer_id = connection.remote_id
            if self._served[peer_id] >= MAX_CONNECTIONS_OF_PEER or self._served.total() >= MAX_CONNECTIONS:
                _log.debug("%s: one connection too many", peer_id)
                connection.close(CloseCode.NOT_AUTHORISED, "too many connections: close some, or try later")
                continue
            self._served[peer_id] += 1
            self._spawn(self._serve(connection))

    async def _serve(self, connection: PeerConnection) -> None:
        try:
            async with asyncio.timeout(STREAM_WITHIN):
                stream = await connection.accept_stream()
            core = Connection.acceptor(
                node_id=self._running().node_id,
                capabilities=self._capabilities,
                now=asyncio.get_running_loop().time(),
                policy=self._policy(connection.remote_id),
            )
            await self._drive(core, connection, stream, None)
        except TimeoutError:
            connection.close(CloseCode.HANDSHAKE_FAILED, "no control stream in time")
        except (TransportError, SessionClosed) as error:
            _log.debug("%s: no control stream: %s", connection.remote_id, error)
        finally:
            connection.close(CloseCode.DONE)
            self._served[connection.remote_id] -= 1
            if not self._served[connection.remote_id]:
                del self._served[connection.remote_id]  # ids cost a stranger nothing

    def _policy(self, peer_id: str) -> Policy:
        def in_flight() -> int:
            return sum(link.connection.in_flight for link in self._links.get(peer_id, ()))

        return request_policy(peer_id, self._names, in_flight)

    async def _drive(
        self,
        core: Connection,
        connection: PeerConnection,
        stream: PeerStream,
        established: Callable[[], None] | None,
    ) -> Terminated:
        peer_id = connection.remote_id
        was_established = False

        def on_event(event: Event) -> None:
            nonlocal was_established
            if isinstance(event, Established):
                was_established = True
                if established is not None:
                    established()
                self._tell(PeerConnected(peer_id, event.capabilities, established is not None))
            elif isinstance(event, Terminated):
                _log.debug("%s: control stream over: %s (code %d)", peer_id, event.reason, event.code)

        link = ControlLink(
            core,
            ConnectionTransport(connection, stream),
            handle=lambda request: carry_out(request, peer_id, self._dns),
            on_event=on_event,
        )
        links = self._links.setdefault(peer_id, [])
        links.append(link)
        ends = {self._spawn(refuse_streams(connection))}
        try:
            terminated = await link.run()
        finally:
            links.remove(link)
            if not links:
                self._links.pop(peer_id, None)
        if was_established:
            ends.add(self._spawn(self._tell_lost(connection, terminated)))
        await asyncio.wait(ends)
        return terminated

    async def _tell_lost(self, connection: PeerConnection, terminated: Terminated) -> None:
        end = await connection.wait_closed()
        said = f": {end.reason}" if end.by_peer and end.reason not in terminated.reason else ""
        self._tell(PeerLost(connection.remote_id, end.code, terminated.reason + said))

    def _spawn(self, call: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _tell(self, event: SessionEvent) -> None:
        if self._endpoint is None and isinstance(event, DialFailed):
            return  # closing: there is no next dial
        _log.info("%s", one_line(str(event)))  # a peer chose some of the words
        for callback in self._subscribers:
            try:
                callback(event)
            except Exception:  # noqa: BLE001  a bug in an application must not end the connection it hears of
                _log.exception("a subscriber failed over: %s", one_line(str(event)))


async def refuse_streams(connection: PeerConnection) -> None:
    """Refuse every stream beside the first, until the connection is over (TR-02)."""
    try:
        while True:
            stream = await connection.accept_stream()
            stream.reset(CloseCode.PROTOCOL_VIOLATION)
            stream.stop(CloseCode.PROTOCOL_VIOLATION)
    except TransportError as error:
        _log.debug("%s: %s", connection.remote_id, error)
