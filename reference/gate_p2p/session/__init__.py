"""What an application holds: a session with its peers, or a link over a stream of its own."""

from __future__ import annotations

from gate_p2p.address import NodeAddress
from gate_p2p.core import FailureCode, GateError, LocalProtocolError, MissingCapabilityError
from gate_p2p.session.builder import SessionBuilder
from gate_p2p.session.errors import (
    InferenceCancelled,
    InferenceError,
    PeerNotConnected,
    RequestError,
    SessionClosed,
    SniStreamUnavailable,
)
from gate_p2p.session.events import DialFailed, PeerCapabilities, PeerConnected, PeerLost, SessionEvent
from gate_p2p.session.inference import InferenceCall
from gate_p2p.session.inference_request import InferenceRequest
from gate_p2p.session.inference_server import InferenceHandle
from gate_p2p.session.link import Answer, ControlLink
from gate_p2p.session.peer import Peer
from gate_p2p.session.policy import NamePolicy, request_policy
from gate_p2p.session.session import P2PSession
from gate_p2p.session.sni_pool import SniProxyHandle
from gate_p2p.session.sni_stream import SniStream, splice
from gate_p2p.session.sni_supply import OnSniStream, SniStreamSupply
from gate_p2p.transport import BindError, ControlTransport, DialError, TransportError

__all__ = [
    "Answer",
    "BindError",
    "ControlLink",
    "ControlTransport",
    "DialError",
    "DialFailed",
    "FailureCode",
    "GateError",
    "InferenceCall",
    "InferenceCancelled",
    "InferenceError",
    "InferenceHandle",
    "InferenceRequest",
    "LocalProtocolError",
    "MissingCapabilityError",
    "NamePolicy",
    "NodeAddress",
    "OnSniStream",
    "P2PSession",
    "Peer",
    "PeerCapabilities",
    "PeerConnected",
    "PeerLost",
    "PeerNotConnected",
    "RequestError",
    "SessionBuilder",
    "SessionClosed",
    "SessionEvent",
    "SniProxyHandle",
    "SniStream",
    "SniStreamSupply",
    "SniStreamUnavailable",
    "TransportError",
    "request_policy",
    "splice",
]
