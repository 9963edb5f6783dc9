"""How many connections peers may open: past a bound they are closed with 5 (LM-02)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import NamedTuple

from gate_p2p.core import CloseCode
from gate_p2p.transport import PeerConnection

REFUSAL = "too many connections: close some, or try later"
GIVEN_UP = "too many connections: another peer had fewer"

# Connections that peers opened: in all, and of one peer. A peer needs one control connection; a suite with 64
# cases side by side stays below the second number, which may be high: see `Admission`.
CONTROL_CONNECTIONS = (1024, 256)
# Idle or with one browser's TCP connection each; nothing is kept of them but Iroh's windows.
SNI_PROXY_CONNECTIONS = (4096, 256)
# 16 at once, and some whose end we have not noticed: 200 MiB of longest requests fit into the frame budget.
INFERENCE_CONNECTIONS = (256, 20)

# Places that are kept for one peer, and for all together: asking costs nothing, and takes them from others.
RESERVED_OF_PEER = 2
RESERVED_SHARE = 0.5  # of all places
RESERVED_FOR = 35.0  # seconds: 30 from our StreamReady (ST-05), which leaves some time after the reservation


class Admission:
    """Counts the open connections of one kind: `total` over all peers, `of_peer` of each.

    Ids cost nothing, so a bound of each peer alone lets a few of them take every place. When all are taken, a
    peer with fewer connections gets one all the same: the newest of the peer that has most is closed for it.
    """

    def __init__(self, total: int, of_peer: int) -> None:
        self.total = total
        self.of_peer = of_peer
        self._open: dict[str, list[PeerConnection]] = {}  # the newest last
        self._count = 0

    def __len__(self) -> int:
        """How many connections are open; reserved places are not among them."""
        return self._count

    def enter(self, connection: PeerConnection) -> Place | None:
        """A place for the connection, left with the `with` block; None when there is none: it is closed."""
        own = self._taken_by(connection.remote_id)
        if own >= self.of_peer or (self._taken() >= self.total and not self._make_room(own + 1)):
            connection.close(CloseCode.NOT_AUTHORISED, REFUSAL)
            return None
        return self._admit(connection)

    def _admit(self, connection: PeerConnection) -> Place:
        self._open.setdefault(connection.remote_id, []).append(connection)
        self._count += 1
        return Place(lambda: self._leave(connection))

    def _taken(self) -> int:
        """Places that a newcomer cannot have."""
        return self._count

    def _taken_by(self, peer_id: str) -> int:
        return len(self._open.get(peer_id, ()))  # get: asking costs us no memory

    def _make_room(self, for_peer: int) -> bool:
        """Close one connection of the peer that has most, if that is more than `for_peer`."""
        fullest = max(self._open.values(), key=len, default=[])
        if len(fullest) <= for_peer:
            return False
        newest = fullest[-1]
        self._leave(newest)
        newest.close(CloseCode.NOT_AUTHORISED, GIVEN_UP)
        return True

    def _leave(self, connection: PeerConnection) -> None:
        """The place is free again; one that has been given up is free already."""
        connections = self._open.get(connection.remote_id, [])
        for index, known in enumerate(connections):
            if known is connection:
                del connections[index]
                self._count -= 1
                break
        if not connections:
            self._open.pop(connection.remote_id, None)  # ids cost a stranger nothing


class ReservingAdmission(Admission):
    """One that keeps places for peers which have asked for them; nobody makes room for a place kept."""

    def __init__(self, total: int, of_peer: int) -> None:
        super().__init__(total, of_peer)
        self._reserved: dict[str, deque[float]] = {}  # when each place lapses, the earliest first

    def reserve(self, peer_id: str) -> bool:
        """Keep a place for the next connection of this peer; False when there is none (ST-05)."""
        self._lapse()
        if self._taken_by(peer_id) >= self.of_peer or self._taken() >= self.total:
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
        self._lapse()
        peer_id = connection.remote_id
        if not (places := self._reserved.get(peer_id)):
            return super().enter(connection)
        places.popleft()
        if not places:
            del self._reserved[peer_id]
        return self._admit(connection)

    def _taken(self) -> int:
        return super()._taken() + self._places_reserved()

    def _taken_by(self, peer_id: str) -> int:
        return super()._taken_by(peer_id) + len(self._reserved.get(peer_id, ()))

    def _places_reserved(self) -> int:
        return sum(map(len, self._reserved.values()))

    def _lapse(self) -> None:
        now = asyncio.get_running_loop().time()
        for peer_id, places in tuple(self._reserved.items()):
            while places and places[0] <= now:
                places.popleft()
            if not places:
                del self._reserved[peer_id]


class Service(NamedTuple):
    """What is done with the connections of one ALPN."""

    admission: Admission
    serve: Callable[[PeerConnection], Awaitable[None]]


class Place:
    """One counted connection: `leave` is called at the end of the `with` block."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
