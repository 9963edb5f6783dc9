"""Connections that peers hold for long: at the bound in all, the peer with most gives one up (LM-02)."""

from __future__ import annotations

from types import TracebackType

from gate_p2p.core import CloseCode
from gate_p2p.session.admission import REFUSAL
from gate_p2p.transport import PeerConnection

GIVEN_UP = "too many connections: another peer had fewer"

# Connections that peers opened: in all, and of one peer. A peer needs one control connection; a suite with 64
# cases side by side stays below the second number, which may be high: see `FairAdmission`.
CONTROL_CONNECTIONS = (1024, 256)
# Idle or with one browser's TCP connection each; nothing is kept of them but Iroh's windows.
SNI_PROXY_CONNECTIONS = (4096, 256)


class FairAdmission:
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
        """How many connections are open."""
        return self._count

    def enter(self, connection: PeerConnection) -> FairPlace | None:
        """A place for the connection, left with the `with` block; None when there is none: it is closed."""
        peer_id = connection.remote_id
        own = len(self._open.get(peer_id, ()))
        if own >= self.of_peer or (self._count >= self.total and not self._make_room(own + 1)):
            connection.close(CloseCode.NOT_AUTHORISED, REFUSAL)
            return None
        self._open.setdefault(peer_id, []).append(connection)
        self._count += 1
        return FairPlace(self, connection)

    def _make_room(self, for_peer: int) -> bool:
        """Close one connection of the peer that has most, if that is more than `for_peer`."""
        fullest = max(self._open.values(), key=len, default=[])
        if len(fullest) <= for_peer:
            return False
        newest = fullest[-1]
        self.leave(newest)
        newest.close(CloseCode.NOT_AUTHORISED, GIVEN_UP)
        return True

    def leave(self, connection: PeerConnection) -> None:
        """The place is free again; one that has been given up is free already."""
        connections = self._open.get(connection.remote_id, [])
        for index, known in enumerate(connections):
            if known is connection:
                del connections[index]
                self._count -= 1
                break
        if not connections:
            self._open.pop(connection.remote_id, None)  # ids cost a stranger nothing


class FairPlace:
    """The place of one connection."""

    def __init__(self, admission: FairAdmission, connection: PeerConnection) -> None:
        self._admission = admission
        self._connection = connection

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission.leave(self._connection)
