"""Which peer a name belongs to: for what a peer may ask (AU-04), and for where a visitor is led (SP-10)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gate_p2p.dns.handler import DomainRegistrar
from gate_p2p.node_names import id_from_label

MAX_SHORT_LABELS = 16_384  # some 4 MB; the oldest is forgotten first


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
    """A registrar that notes whose the names are that it has given (AU-04)."""

    def __init__(self, registrar: DomainRegistrar, registered: dict[str, str]) -> None:
        self._registrar = registrar
        self._registered = registered

    async def register(self, peer_id: str, addresses: Sequence[str]) -> str:
        """As the registrar does it."""
        domain = await self._registrar.register(peer_id, addresses)
        if id_from_label(domain.partition(".")[0]) != peer_id:  # its own label needs no note
            self._registered[domain.lower()] = peer_id
        return domain
