"""How many connections peers may open: past a bound they are closed with 5 (LM-02)."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import NamedTuple, Protocol

from gate_p2p.core import CloseCode
from gate_p2p.transport import PeerConnection

REFUSAL = "too many connections: close some, or try later"
# Places that are kept for one peer, and for all together: asking costs nothing, and takes them from others.
RESERVED_OF_PEER = 2
RESERVED_SHARE = 0.5  # of all places
RESERVED_FOR = 35.0  # seconds: 30 from our StreamReady (ST-05), which leaves some time after the reservation


class Admission:
    """Counts the open connections of one kind: `total` over all peers, `of_peer` of each."""

    def __init__(self, total: int, of_peer: int) -> None:
        self.total = total
        self.of_peer = of_peer
        self._open: Counter[str] = Counter()
        self._reserved: dict[str, deque[float]] = {}  # when each place lapses, the earliest first

    def __len__(self) -> int:
        """How many connections are open; reserved places are not among them."""
        return self._open.total()

    def reserve(self, peer_id: str) -> bool:
        """Keep a place for the next connection of this peer; False when there is none (ST-05)."""
        self._lapse()
        if not self._has_room(peer_id):
            return False
        if len(self._reserved.get(peer_id, ())) >= RESERVED_OF_PEER:
            return False
        if self._places_reserved() >= self.total * RESERVED_SHARE:
            return False
        lapses = asyncio.get_running_loop().time() + RESERVED_FOR
        self._reserved.setdefault(peer_id, deque()).append(lapses)
        return True

    def release(self, peer_id: str) -> None:
        """Keep no more places for this peer: they lapse with its control connection."""
        self._reserved.pop(peer_id, None)

    def enter(self, connection: PeerConnection) -> Place | None:
        """A place for the connection, left with the `with` block; None when there is none: it is closed."""
        peer_id = connection.remote_id
        self._lapse()
        if places := self._reserved.get(peer_id):
            places.popleft()
            if not places:
                del self._reserved[peer_id]
        elif not self._has_room(peer_id):
            connection.close(CloseCode.NOT_AUTHORISED, REFUSAL)
            return None
        self._open[peer_id] += 1
        return Place(self._open, peer_id)

    def _has_room(self, peer_id: str) -> bool:
        # get: asking costs us no memory
        of_peer = self._open.get(peer_id, 0) + len(self._reserved.get(peer_id, ()))
        return of_peer < self.of_peer and len(self) + self._places_reserved() < self.total

    def _places_reserved(self) -> int:
        return sum(map(len, self._reserved.values()))

    def _lapse(self) -> None:
        now = asyncio.get_running_loop().time()
        for peer_id, places in tuple(self._reserved.items()):
            while places and places[0] <= now:
                places.popleft()
            if not places:
                del self._reserved[peer_id]


class Admits(Protocol):
    """What counts connections: `Admission` or `FairAdmission`."""

    def __len__(self) -> int:
        """How many are open."""
        ...

    def enter(self, connection: PeerConnection) -> AbstractContextManager[None] | None:
        """A place for the connection, left with the `with` block; None when there is none: it is closed."""
        ...


class Service(NamedTuple):
    """What is done with the connections of one ALPN."""

    admission: Admits
    serve: Callable[[PeerConnection], Awaitable[None]]


class Place:
    """One counted connection."""

    def __init__(self, open_: Counter[str], peer_id: str) -> None:
        self._open = open_
        self._peer_id = peer_id

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open[self._peer_id] -= 1
        if not self._open[self._peer_id]:
            del self._open[self._peer_id]  # ids cost a stranger nothing
