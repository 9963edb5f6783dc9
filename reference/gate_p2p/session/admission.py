"""How many connections peers may open: past a bound they are closed with 5 (LM-02)."""

from __future__ import annotations

from collections import Counter
from types import TracebackType

from gate_p2p.core import CloseCode
from gate_p2p.transport import PeerConnection

REFUSAL = "too many connections: close some, or try later"


class Admission:
    """Counts the open connections of one kind: `total` over all peers, `of_peer` of each."""

    def __init__(self, total: int, of_peer: int) -> None:
        self.total = total
        self.of_peer = of_peer
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._open.total()

    def enter(self, connection: PeerConnection) -> Place | None:
        """A place for the connection, left with the `with` block; None when there is none: it is closed."""
        peer_id = connection.remote_id
        if self._open[peer_id] >= self.of_peer or len(self) >= self.total:
            if not self._open[peer_id]:
                del self._open[peer_id]  # asking costs us no memory
            connection.close(CloseCode.NOT_AUTHORISED, REFUSAL)
            return None
        self._open[peer_id] += 1
        return Place(self._open, peer_id)


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
