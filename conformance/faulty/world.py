"""What all connections of one node share: its records, its quota, its policy."""

from __future__ import annotations

from collections import Counter
from typing import Any

DOMAIN = "conformance.test"
SLOW_DOMAIN = "slow.conformance.test"
SLOW_SECONDS = 6.5
STRANGER = "1398f62c6d1a457c51ba6a4b5f3dbd2f69fca93216218dc8997e416bd17d93ca"  # nobody admits it
PEER_NAME = "suite.nodes.test"  # leads to the suite, where a relay takes visitors
MODEL, SLOW_MODEL = MODELS = ("tiny", "slow")


class World:
    """One node: TXT records in memory, the requests in flight of each peer, the open connections."""

    def __init__(self, node_id: str = "5a" * 32) -> None:
        self.node_id = node_id
        # (name, value) -> the peers that created it
        self.records: dict[tuple[str, str], set[str]] = {}
        self.in_flight: Counter[str] = Counter()
        self.connections: list[Any] = []
        self.banned: set[str] = set()
        self.responders: list[Any] = []  # of the inference connections that are open
        self.idle: list[Any] = []  # the ends of idle SNI-proxy streams
        self.refused: set[str] = set()  # our own requests that were refused, by request_id
        self.front: Any = None  # of a relay that takes visitors
        self.tls_target: tuple[str, int] | None = None  # where a daemon's streams lead
        self.splice: Any = None
        self.tasks: set[Any] = set()  # what outlives a control connection
        self.dead = False
        # what the name server shows beside the TXT records: addresses by name, and how the zone is written
        self.hosts: dict[str, str] = {}
        self.wildcard: str | None = None
        self.ttl = 60
        self.pieces = 1

    def create(self, name: str, value: str, peer_id: str) -> None:
        """DC-08, DC-09: values stand side by side; the same one again adds nothing."""
        self.records.setdefault((name.lower(), value), set()).add(peer_id)

    def cleanup(self, name: str, value: str | None, peer_id: str) -> None:
        """DC-10, DC-11: removes the value, or all of this peer's; what is not there is no error."""
        for key in [key for key in self.records if key[0] == name.lower() and value in (None, key[1])]:
            creators = self.records[key]
            creators.discard(peer_id)
            if not creators:
                del self.records[key]

    def address(self, name: str) -> str | None:
        """The address of a name; a wildcard's only where nothing stands at or below the name (RFC 4592)."""
        exists = name in self.hosts or any(f".{owner}".endswith(f".{name}") for owner, _ in self.records)
        return self.hosts.get(name) if exists else self.wildcard

    def strings(self, value: str) -> list[str]:
        """A value as character-strings."""
        step = -(-len(value) // self.pieces)
        return [value[at : at + step] for at in range(0, len(value), step)]

    def values(self, name: str) -> list[str]:
        """The TXT values that stand under `name`."""
        return [value for owner, value in self.records if owner == name.lower()]
