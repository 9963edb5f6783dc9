"""The sans-IO core of Gate P2P: bytes and moments in, events and bytes out.

It imports no event loop, no socket, no clock and no source of random numbers.
"""

from __future__ import annotations

from .answers import Policy, Refusal
from .capabilities import DNS_CHALLENGE, INFERENCE, SNI_PROXY
from .connection import Connection
from .errors import (
    CloseCode,
    FailureCode,
    GateError,
    LocalProtocolError,
    MissingCapabilityError,
    ProtocolError,
    RemoteProtocolError,
)
from .events import (
    CapabilitiesRenewed,
    Established,
    Event,
    MessageIgnored,
    PingReceived,
    PongReceived,
    RequestFailed,
    RequestReceived,
    RequestRefused,
    ResponseReceived,
    Terminated,
)
from .framing import FrameDecoder, encode_frame
from .limits import Limits
from .messages import (
    DnsChallengeCleanup,
    DnsChallengeCreate,
    DnsChallengeResponse,
    DomainRegistrationRequest,
    DomainRegistrationResponse,
    Handshake,
    HandshakeResponse,
    Ignored,
    Malformed,
    Message,
    NodeAddr,
    Ping,
    Pong,
    Request,
    RequestInferenceStream,
    RequestSniStream,
    Response,
    StreamReady,
    decode,
    encode,
)
from .states import TABLE, Action, State, Stimulus, Transition

__all__ = [
    "DNS_CHALLENGE",
    "INFERENCE",
    "SNI_PROXY",
    "TABLE",
    "Action",
    "CapabilitiesRenewed",
    "CloseCode",
    "Connection",
    "DnsChallengeCleanup",
    "DnsChallengeCreate",
    "DnsChallengeResponse",
    "DomainRegistrationRequest",
    "DomainRegistrationResponse",
    "Established",
    "Event",
    "FailureCode",
    "FrameDecoder",
    "GateError",
    "Handshake",
    "HandshakeResponse",
    "Ignored",
    "Limits",
    "LocalProtocolError",
    "Malformed",
    "Message",
    "MessageIgnored",
    "MissingCapabilityError",
    "NodeAddr",
    "Ping",
    "PingReceived",
    "Policy",
    "Pong",
    "PongReceived",
    "ProtocolError",
    "Refusal",
    "RemoteProtocolError",
    "Request",
    "RequestFailed",
    "RequestInferenceStream",
    "RequestReceived",
    "RequestRefused",
    "RequestSniStream",
    "Response",
    "ResponseReceived",
    "State",
    "Stimulus",
    "StreamReady",
    "Terminated",
    "Transition",
    "decode",
    "encode",
    "encode_frame",
]
