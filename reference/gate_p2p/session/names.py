"""Which peer a name belongs to: for what a peer may ask (AU-04), and for where a visitor is led (SP-10)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gate_p2p.dns.errors import TooManyNames
from gate_p2p.dns.handler import DomainRegistrar, WatchesPeers
from gate_p2p.node_names import id_from_label

MAX_SHORT_LABELS = 16_384  # some 4 MB; the oldest is forgotten first
MAX_REGISTERED = 16_384  # names that a registrar has given, beside the nodes' own


class ShortLabels:
    """Who has which label of 32 hexadecimal characters: the node that used it first (DR-09)."""

    def __init__(self, most: int = MAX_SHORT_LABELS) -> None:
        self._most = most
        self._owners: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def owner(self, label: str) -> str | None:
        """The node that the label, in lower case, belongs to."""
        return self._owners.get(label)

    def claim(self, label: str, node_id: str) -> bool:
        """The node `node_id`, whose id begins with the label, uses it: False when it is another's."""
        owner = self._owners.setdefault(label, node_id)
        if len(self._owners) > self._most:
            del self._owners[next(iter(self._owners))]
        return owner == node_id

    def find(self, label: str, nodes: Iterable[str]) -> str | None:
        """Whose the label is: its owner's, else that of the one node among `nodes` whose id begins so."""
        if (owner := self._owners.get(label)) is not None:
            return owner
        found = {node for node in nodes if node.startswith(label)}
        return found.pop() if len(found) == 1 else None


class RecordingRegistrar:
    """A registrar that notes whose the names are that it has given (AU-04), `most` of them."""

    def __init__(
        self, registrar: DomainRegistrar, registered: dict[str, str], most: int = MAX_REGISTERED
    ) -> None:
        self._registrar = registrar
        self._registered = registered
        self._most = most

    async def register(self, peer_id: str, addresses: Sequence[str]) -> str:
        """As the registrar does it; raises DnsChallengeError too where there is no room for the note."""
        if len(self._registered) >= self._most and peer_id not in self._registered.values():
            raise TooManyNames  # before the registrar publishes what could not be used
        domain = await self._registrar.register(peer_id, addresses)
        if id_from_label(domain.partition(".")[0]) != peer_id:  # its own label needs no note
            if domain.lower() not in self._registered and len(self._registered) >= self._most:
                raise TooManyNames
            self._registered[domain.lower()] = peer_id
        return domain

    def peer_connected(self, peer_id: str) -> None:
        """For the registrar, if it asks for that."""
        if isinstance(self._registrar, WatchesPeers):
            self._registrar.peer_connected(peer_id)

    def peer_gone(self, peer_id: str) -> None:
        """For the registrar, if it asks for that."""
        if isinstance(self._registrar, WatchesPeers):
            self._registrar.peer_gone(peer_id)
