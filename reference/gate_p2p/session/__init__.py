"""What an application holds: a session with its peers, or a link over a stream of its own."""

from __future__ import annotations

from gate_p2p.session.errors import PeerNotConnected, RequestError, SessionClosed
from gate_p2p.session.link import Answer, ControlLink
from gate_p2p.session.policy import NamePolicy, request_policy
from gate_p2p.session.session import DialFailed, P2PSession, PeerConnected, PeerLost
from gate_p2p.transport import ControlTransport

__all__ = [
    "Answer",
    "ControlLink",
    "ControlTransport",
    "DialFailed",
    "NamePolicy",
    "P2PSession",
    "PeerConnected",
    "PeerLost",
    "PeerNotConnected",
    "RequestError",
    "SessionClosed",
    "request_policy",
]
