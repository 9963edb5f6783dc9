"""What a session tells its subscribers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PeerConnected:
    """A control connection is established. `dialled`: by us. `capabilities`: what the peer advertised."""

    peer_id: str
    capabilities: frozenset[str]
    dialled: bool

    def __str__(self) -> str:
        who = "dialled by us" if self.dialled else "it dialled"
        return f"{self.peer_id} is connected, {who}; it offers {_listed(self.capabilities)}"


@dataclass(frozen=True)
class PeerCapabilities:
    """A connected peer renewed its handshake (HS-12): `capabilities` is what it offers from now on."""

    peer_id: str
    capabilities: frozenset[str]

    def __str__(self) -> str:
        return f"{self.peer_id} now offers {_listed(self.capabilities)}"


@dataclass(frozen=True)
class PeerLost:
    """An established control connection is over.

    `code`: the application code with which either side closed it; None when it was lost.
    """

    peer_id: str
    code: int | None
    reason: str

    def __str__(self) -> str:
        return f"{self.peer_id} is gone: {self.reason}"


@dataclass(frozen=True)
class DialFailed:
    """A peer could not be reached, or a connection to it ended; the next dial comes in `retry_in` seconds."""

    peer_id: str
    reason: str
    retry_in: float

    def __str__(self) -> str:
        return f"{self.peer_id} is not connected: {self.reason}; dialling again in {self.retry_in:.1f} s"


SessionEvent = PeerConnected | PeerCapabilities | PeerLost | DialFailed


def _listed(capabilities: frozenset[str]) -> str:
    return ", ".join(sorted(capabilities)) or "nothing"
