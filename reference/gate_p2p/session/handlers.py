"""What a node does with the requests that its core lets through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from gate_p2p.core import (
    DnsChallengeCleanup,
    DnsChallengeCreate,
    DomainRegistrationRequest,
    FailureCode,
    Request,
    RequestInferenceStream,
    RequestSniStream,
)
from gate_p2p.dns.handler import DnsChallengeError, DnsChallengeHandler, DomainRegistrar, WatchesPeers
from gate_p2p.session.events import PeerConnected, PeerLost, SessionEvent
from gate_p2p.session.link import Answer


class SniSupply(Protocol):
    """What opens SNI-proxy streams to one peer."""

    @property
    def serving(self) -> bool:
        """Whether this peer may have any."""
        ...

    def open_one(self) -> bool:
        """Begin to open one more stream; False when as many as it keeps are under way or open."""
        ...


class InferencePlaces(Protocol):
    """What keeps places for inference connections."""

    def reserve(self, peer_id: str) -> bool:
        """Keep a place for a peer; False when there is none (ST-05)."""
        ...

    def release(self, peer_id: str) -> None:
        """Keep none for it any more."""
        ...


@dataclass
class Handlers:
    """What this node can do for its peers; what is missing is refused as `unsupported`."""

    dns: DnsChallengeHandler | None = None
    registrar: DomainRegistrar | None = None
    inference_places: InferencePlaces | None = None
    sni_supplies: Mapping[str, SniSupply] = field(default_factory=dict)

    def watchers(self, is_connected: Callable[[str], bool]) -> list[Callable[[SessionEvent], None]]:
        """What lets those know which peers are here who need to.

        DNS handler and registrar, if they ask for it; the places of inference connections lapse with a peer.
        """
        found: list[object] = [self.dns, self.registrar]
        told: list[Callable[[SessionEvent], None]] = [
            partial(_tell_presence, watcher, is_connected)
            for watcher in found
            if isinstance(watcher, WatchesPeers)
        ]
        if self.inference_places is not None:
            told.append(partial(_release, self.inference_places, is_connected))
        return told

    async def carry_out(self, request: Request, peer_id: str) -> Answer:
        """Carry out a request of the peer `peer_id`, which has passed the core's checks."""
        match request:
            case DnsChallengeCreate() | DnsChallengeCleanup():
                return await self._challenge(request, peer_id)
            case RequestSniStream():
                return self._sni_stream(peer_id)
            case RequestInferenceStream():
                return self._inference_stream(peer_id)
            case DomainRegistrationRequest():
                return await self._registration(request, peer_id)

    async def _challenge(self, request: DnsChallengeCreate | DnsChallengeCleanup, peer_id: str) -> Answer:
        if self.dns is None:
            return Answer("this node has no DNS challenge handler", FailureCode.UNSUPPORTED)
        domain = request.domain.lower()  # upper case means the same (DC-04)
        try:
            if isinstance(request, DnsChallengeCreate):
                await self.dns.create(peer_id, domain, request.txt_value)
            else:
                await self.dns.cleanup(peer_id, domain, request.txt_value)
        except DnsChallengeError as error:
            return Answer(str(error) or "the DNS challenge failed", error.code)
        return Answer()

    def _inference_stream(self, peer_id: str) -> Answer:
        if self.inference_places is None:
            return Answer("this node serves no inference", FailureCode.UNSUPPORTED)
        if not self.inference_places.reserve(peer_id):
            return Answer(
                "as many inference streams as this node serves are open or granted",
                FailureCode.QUOTA,
            )
        return Answer()

    def _sni_stream(self, peer_id: str) -> Answer:
        supply = self.sni_supplies.get(peer_id)
        if supply is None or not supply.serving:
            return Answer("this node opens no SNI-proxy streams", FailureCode.UNSUPPORTED)
        if not supply.open_one():
            return Answer("as many SNI-proxy streams as this node opens are open already", FailureCode.QUOTA)
        return Answer()

    async def _registration(self, request: DomainRegistrationRequest, peer_id: str) -> Answer:
        if self.registrar is None:
            return Answer("this node registers no domains", FailureCode.UNSUPPORTED)
        try:
            domain = await self.registrar.register(peer_id, request.node_addr.direct_addresses)
        except DnsChallengeError as error:
            return Answer(str(error) or "the registration failed", error.code)
        return Answer(domain=domain)


def _release(places: InferencePlaces, is_connected: Callable[[str], bool], event: SessionEvent) -> None:
    if isinstance(event, PeerLost) and not is_connected(event.peer_id):
        places.release(event.peer_id)


def _tell_presence(watcher: WatchesPeers, is_connected: Callable[[str], bool], event: SessionEvent) -> None:
    if isinstance(event, PeerConnected):
        watcher.peer_connected(event.peer_id)
    elif isinstance(event, PeerLost) and not is_connected(event.peer_id):
        watcher.peer_gone(event.peer_id)
