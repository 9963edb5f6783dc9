"""One bound on the memory of frames of all connections of a session (LM-03): those that are not complete, and
inference requests to their end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

FRAMES = 256 * 1024 * 1024  # bytes: 25 of the longest frames, or 256 KiB for 1,024 peers

OVER_BUDGET = "too many bytes of frames under way: finish one before the next, or try later"


class FrameBudget:
    """Counts bytes that frames take; past `total` those of the greediest peer are cut.

    The greediest peer is the one whose connections hold most together; of those the fullest goes first.
    """

    def __init__(self, total: int = FRAMES) -> None:
        self.total = total
        self._held = 0
        self._shares: set[Share] = set()

    @property
    def held(self) -> int:
        """Bytes at this moment."""
        return self._held

    def share(self, peer_id: str, cut: Callable[[], None]) -> Share:
        """The share of one connection, empty at first. `cut` closes that connection with code 5."""
        return Share(self, peer_id, cut)

    def resize(self, share: Share, size: int) -> None:
        """Note that `share` is now of `size` bytes, and cut connections until all fit again."""
        self._held += size - share.size
        share.size = size
        if size:
            self._shares.add(share)
        else:
            self._shares.discard(share)
        while self._held > self.total:
            of_peer: Counter[str] = Counter()
            for share in self._shares:
                of_peer[share.peer_id] += share.size
            greediest = max(self._shares, key=lambda share: (of_peer[share.peer_id], share.size))
            self._held -= greediest.size
            greediest.size = 0
            self._shares.discard(greediest)
            greediest.cut()


class Share:
    """What one connection holds of a budget: `hold` after each read, and 0 at its end."""

    def __init__(self, budget: FrameBudget, peer_id: str, cut: Callable[[], None]) -> None:
        self.peer_id = peer_id
        self.size = 0
        self.cut = cut
        self._budget = budget

    def hold(self, size: int) -> None:
        """The connection now holds `size` bytes; this may cut connections, itself among them."""
        if size != self.size:
            self._budget.resize(self, size)
