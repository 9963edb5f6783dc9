"""P2PSession: a node with its peers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gate_p2p.address import NodeAddress, check_socket_address
from gate_p2p.core import CloseCode, Limits, LocalProtocolError
from gate_p2p.dns.handler import DnsChallengeHandler, DomainRegistrar
from gate_p2p.session.admission import (
    CONTROL_CONNECTIONS,
    INFERENCE_CONNECTIONS,
    SNI_PROXY_CONNECTIONS,
    Admission,
    ReservingAdmission,
    Service,
)
from gate_p2p.session.backoff import LONGEST, Backoff
from gate_p2p.session.budget import FrameBudget
from gate_p2p.session.builder import SessionBuilder
from gate_p2p.session.control import ControlConnections
from gate_p2p.session.endpoint import Bind, bind_iroh
from gate_p2p.session.errors import SessionClosed
from gate_p2p.session.events import DialFailed, SessionEvent
from gate_p2p.session.handlers import Handlers
from gate_p2p.session.inference import InferenceCall, InferenceClient
from gate_p2p.session.inference_server import InferenceHandle, InferenceServer
from gate_p2p.session.link import PONG_WITHIN, ControlLink
from gate_p2p.session.peer import Peer
from gate_p2p.session.policy import NamePolicy
from gate_p2p.session.services import Services
from gate_p2p.session.sni_pool import SniProxyHandle, SniStreamPool
from gate_p2p.session.sni_supply import IDLE, OnSniStream, SniStreamSupply
from gate_p2p.text import one_line
from gate_p2p.transport import (
    ALPN_CONTROL,
    ALPN_INFERENCE,
    ALPN_SNI_PROXY,
    Endpoint,
    PeerConnection,
    TransportError,
)

_log = logging.getLogger("gate_p2p.session")

# Seconds for a dial: one begun with a process that then died gets nowhere, although the peer may be back.
DIAL_WITHIN = 10.0
DEFAULT_SUFFIX = "private.example"


class P2PSession:
    """A node: `async with P2PSession(...) as session`, or `start()` and `aclose()`, or `builder()`.

    `listen`: `ip:port`, port 0 takes a free one. `advertise`: the `ip:port` others dial, if it is another.
    `secret_key`: 32 bytes, new when None. `inference`, `sni_proxy`, `dns_challenge`: what to serve and to
    advertise; a `dns_challenge_handler` implies the last. `registrar`: gives names to peers that ask for one
    (DR-01). `suffix`, `allowed`: see `NamePolicy`. `limits`: the bounds of each control stream.
    `longest_pause`: seconds between two dials, at most; ValueError unless positive. `bind`: makes the
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
        registrar: DomainRegistrar | None = None,
        suffix: str = DEFAULT_SUFFIX,
        allowed: Mapping[str, Iterable[str]] | None = None,
        limits: Limits | None = None,
        longest_pause: float = LONGEST,
        bind: Bind = bind_iroh,
    ) -> None:
        Backoff(longest=longest_pause)  # it is checked there
        self._bind, self._listen, self._longest_pause = bind, listen, longest_pause
        self._advertise = None if advertise is None else check_socket_address(advertise)
        self._secret_key = secret_key
        offered = {
            "inference": inference,
            "sni_proxy": sni_proxy,
            "dns_challenge": dns_challenge or dns_challenge_handler is not None,
        }
        self._budget = FrameBudget()
        self._supplies: dict[str, SniStreamSupply] = {}
        self._names = NamePolicy(suffix, allowed)
        registrar = None if registrar is None else self._names.recording(registrar)
        self._handlers = Handlers(dns=dns_challenge_handler, registrar=registrar, sni_supplies=self._supplies)
        self._control = ControlConnections(
            tuple(name for name, here in offered.items() if here),
            # nobody acts for a name where nothing is done for names
            None if dns_challenge_handler is None and registrar is None else self._names,
            self._handlers.carry_out,
            self._tell,
            self._budget,
            limits,
        )
        self._inference_client = InferenceClient(self._control, self._dial)
        self._services = Services()
        self._services[ALPN_CONTROL] = Service(Admission(*CONTROL_CONNECTIONS), self._accepted_control)
        self._inference_handle: InferenceHandle | None = None
        self._sni_proxy_handle: SniProxyHandle | None = None
        self._sni_pool: SniStreamPool | None = None
        self._inference_server: InferenceServer | None = None
        if inference:
            self._inference_server = server = InferenceServer(self._control.is_connected, self._budget)
            self._inference_handle = server.handle
            admission = ReservingAdmission(*INFERENCE_CONNECTIONS)
            self._handlers.inference_places = admission
            self._services[ALPN_INFERENCE] = Service(admission, server.accepted)
        if sni_proxy:
            self._sni_pool = pool = SniStreamPool(self._control)
            self._sni_proxy_handle = pool.handle
            self._services[ALPN_SNI_PROXY] = Service(Admission(*SNI_PROXY_CONNECTIONS), pool.accepted)
        self._endpoint: Endpoint | None = None
        self._starting: asyncio.Event | None = None  # set when a start under way is over, whatever came of it
        self._closing: asyncio.Task[None] | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._peers: dict[str, Peer] = {}
        self._subscribers = self._handlers.watchers(self._control.is_connected)

    @classmethod
    def builder(cls) -> SessionBuilder:
        """The names of the Rust crate: `await P2PSession.builder().with_port(31145).build()`."""
        return SessionBuilder(cls)

    # -- life

    async def start(self) -> None:
        """Bind and accept. Raises BindError, and SessionClosed when it was closed in the meantime."""
        if any(state is not None for state in (self._starting, self._endpoint, self._closing)):
            raise RuntimeError("the session has been started already")
        self._starting = starting = asyncio.Event()
        try:
            self._endpoint = await self._bind(self._secret_key, self._listen, tuple(self._services))
            self._accepting = asyncio.get_running_loop().create_task(self._services.accept(self._endpoint))
        finally:
            starting.set()
            self._starting = None
        if self._closing is not None:
            await asyncio.shield(self._closing)
            raise SessionClosed("the session was closed while it started")

    async def aclose(self, code: CloseCode = CloseCode.SHUTTING_DOWN, reason: str = "shutting down") -> None:
        """Say goodbye to every peer, close with `code`, leave nothing running.

        Takes as long as the slowest farewell: at rest milliseconds, 1 s while a peer does not read, about 3 s
        while a dial is under way, which Iroh gives up in its own time, and never more than some 10 s.
        Again waits for the same end; when the caller is cancelled, closing goes on without it. A start under
        way is waited for first.
        """
        if self._closing is None:
            endpoint, self._endpoint = self._endpoint, None
            if endpoint is None and self._starting is None:
                return
            self._closing = asyncio.get_running_loop().create_task(self._close(endpoint, code, reason))
        await asyncio.shield(self._closing)

    async def _close(self, endpoint: Endpoint | None, code: CloseCode, reason: str) -> None:
        if endpoint is None:  # a start was under way
            if self._starting is not None:
                await self._starting.wait()
            endpoint, self._endpoint = self._endpoint, None
            if endpoint is None:
                return  # which failed
        assert self._accepting is not None
        self._accepting.cancel()
        for peer in self._peers.values():
            peer.dial_no_more()
        if self._sni_pool is not None:
            self._sni_pool.close(code, reason)
        await asyncio.gather(*(supply.aclose(code, reason) for supply in self._supplies.values()))
        self._inference_client.close(code, reason)
        if self._inference_server is not None:
            self._inference_server.close(code, reason)
        await self._control.close(code, reason)
        await asyncio.gather(*(peer.aclose() for peer in self._peers.values()))
        await endpoint.aclose()
        await asyncio.wait({self._accepting, *self._services.tasks})
        await self._control.wait_settled()

    async def __aenter__(self) -> P2PSession:
        """Start, unless the builder has done so."""
        if self._endpoint is None:
            await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def subscribe(self, callback: Callable[[SessionEvent], None]) -> Callable[[], None]:
        """Have `callback` told of every event, from the loop; it must not block. Returns what ends it."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

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
        A peer that is dialled already keeps its handle; `address` is where the next dial goes, which comes at
        once if it is a new one, and `keep_trying` holds from then on.
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
                Backoff(longest=self._longest_pause),
                keep_trying=keep_trying,
            )
        peer.address = address
        if keep_trying:
            peer.keep_trying()
        return peer

    async def remove_peer(self, peer_id: str) -> None:
        """Dial this peer no more, and close the control connections with it; an unknown one is no error.

        SNI-proxy streams that we supply it with end too. Other streams in use go on (CL-11), and if it dials
        us it is served as before.
        """
        self._running()
        peer = self._peers.pop(peer_id, None)
        if supply := self._supplies.pop(peer_id, None):
            await supply.aclose()
        if peer is not None:
            peer.dial_no_more()
        await self._control.close(CloseCode.DONE, "the peer was removed", peer_id)
        if peer is not None:
            await peer.aclose()

    def list_peers(self) -> list[str]:
        """The ids of the peers with an established control connection, whoever dialled."""
        return self._control.peers()

    # -- requests

    async def ping(self, peer_id: str, timeout: float = PONG_WITHIN) -> float:
        """Ask a peer for a Pong; the seconds until it came. Raises RequestError, PeerNotConnected."""
        return await self._link(peer_id).ping(timeout)

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

    async def request_domain_registration(self, peer_id: str, timeout: float | None = None) -> str:
        """Ask a relay for a name that leads to us; returns the domain, whose A/AAAA records stand (DR-03).

        `timeout` in seconds, 330 by default. Raises RequestError, PeerNotConnected.
        """
        address = self.node_addr()
        return await self._link(peer_id).request_domain_registration(address, timeout)

    async def request_sni_stream(self, peer_id: str, domain: str, timeout: float | None = None) -> None:
        """Ask a daemon for one more SNI-proxy stream (ST-01), which joins those of `take_sni_proxy_handle`.

        That handle asks by itself when it has none. Raises LocalProtocolError without `sni_proxy` (ST-07).
        """
        if self._sni_pool is None:
            raise LocalProtocolError("this session takes no SNI-proxy streams: give it sni_proxy=True")
        await self._link(peer_id).request_sni_stream(domain, timeout)

    async def request_inference_stream(self, peer_id: str, timeout: float | None = None) -> None:
        """Ask a peer whether it would serve an inference stream now (ST-02). Raises RequestError if not."""
        await self._link(peer_id).request_inference_stream(timeout)

    def _link(self, peer_id: str) -> ControlLink:
        self._running()
        return self._control.link(peer_id)

    # -- inference and SNI-proxy streams

    def infer(self, peer_id: str, request: Mapping[str, Any], timeout: float | None = None) -> InferenceCall:
        """Ask a peer for an inference: await it for one result, or iterate over the frames of a stream.

        `timeout` in seconds for all of it; None: 330 for each frame. Raises as InferenceCall says.
        """
        self._running()
        return self._inference_client.call(peer_id, request, timeout)

    def take_inference_handle(self) -> InferenceHandle | None:
        """The requests that peers send; given out once, None after that and without `inference`."""
        handle, self._inference_handle = self._inference_handle, None
        return handle

    def take_sni_proxy_handle(self) -> SniProxyHandle | None:
        """The SNI-proxy streams of our daemons; given out once, None after that and without `sni_proxy`."""
        handle, self._sni_proxy_handle = self._sni_proxy_handle, None
        return handle

    def peer_of(self, server_name: str) -> str | None:
        """The peer that visitors of this name are led to (SP-10): by `suffix`, `allowed` and registrations.

        `server_name`: in any case, without a trailing dot. The peer need not be connected.
        """
        return self._names.peer_of(server_name, self._control.peers())

    def supply_sni_streams(
        self, peer_id: str, on_stream: OnSniStream, *, idle: int = IDLE
    ) -> SniStreamSupply:
        """Keep `idle` READY streams at a relay, and more when it asks; `on_stream` serves what comes on one.

        Ends with the session, with `remove_peer`, or with `SniStreamSupply.aclose()`. Raises RuntimeError
        when this relay is supplied already.
        """
        self._running()
        if peer_id in self._supplies and not self._supplies[peer_id].closed:
            raise RuntimeError(f"{peer_id} is supplied with SNI-proxy streams already")
        supply = self._supplies[peer_id] = SniStreamSupply(
            peer_id, self._control, self._dial, on_stream, idle
        )
        return supply

    # -- connections

    async def _dial(self, peer_id: str, alpn: str) -> PeerConnection:
        peer = self._peers.get(peer_id)
        # one that dialled us is known to the endpoint by its id alone
        address = NodeAddress(peer_id, ()) if peer is None else peer.address
        return await self._running().dial(address, alpn)

    async def _connect(self, address: NodeAddress, connected: Callable[[bool], None]) -> str:
        if (endpoint := self._endpoint) is None:
            raise TransportError("the session is closed")
        connection = await endpoint.dial(address, ALPN_CONTROL, DIAL_WITHIN)
        terminated = await self._control.dialled(connection, endpoint.node_id, connected)
        return terminated.reason

    async def _accepted_control(self, connection: PeerConnection) -> None:
        await self._control.accepted(connection, self._running().node_id)

    def _tell(self, event: SessionEvent) -> None:
        if self._endpoint is None and isinstance(event, DialFailed):
            return  # closing: there is no next dial
        if supply := self._supplies.get(event.peer_id):
            supply.wake()
        if self._sni_pool is not None:
            self._sni_pool.wake(event.peer_id)
        _log.info("%s", one_line(str(event)))  # a peer chose some of the words
        for callback in tuple(self._subscribers):
            try:
                callback(event)
            except Exception:  # noqa: BLE001  a bug in an application must not end the connection it hears of
                _log.exception("a subscriber failed over: %s", one_line(str(event)))
