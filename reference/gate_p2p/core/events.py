"""What the core tells its caller: each call of `Connection` that takes input returns a list of these."""

from __future__ import annotations

import msgspec

from .errors import CloseCode
from .messages import Request, Response


class Event(msgspec.Struct, frozen=True):
    """Base of the events."""


class Established(Event, frozen=True):
    """The handshake is done: requests may be sent, and the peer's are acted on."""

    capabilities: frozenset[str]
    """What the peer advertised: every known capability, and a few dozen others (HS-06)."""
    peer_node_id: str | None
    """What the peer's Handshake claims, at most 64 characters of it, None where it sent none. No proof of
    anything (HS-05, AU-03)."""


class CapabilitiesRenewed(Event, frozen=True):
    """The peer sent a later Handshake, or answered ours (HS-12)."""

    capabilities: frozenset[str]


class PingReceived(Event, frozen=True, gc=False):
    """The peer sent Ping; the answer is already in `data_to_send()` (LV-01)."""

    id: int


class PongReceived(Event, frozen=True, gc=False):
    """The peer answered one of our Pings."""

    id: int


class RequestReceived(Event, frozen=True):
    """A request that passed handshake, form, policy and quota.

    Carry it out, then call `answer_success` or `answer_failure` with its `request_id`, once.
    """

    request: Request


class RequestRefused(Event, frozen=True):
    """The core has refused a request of the peer; the answer is in `data_to_send()`. For the log."""

    request_id: str
    code: str
    error: str


class ResponseReceived(Event, frozen=True):
    """The peer answered our request; look at `success` or `stream_accepted` for how."""

    request_id: str
    request: Request
    response: Response


class RequestFailed(Event, frozen=True):
    """Our request gets no answer: its deadline passed (`timed_out`) or the connection ended (`failed`)."""

    request_id: str
    request: Request
    code: str
    reason: str


class MessageIgnored(Event, frozen=True):
    """The peer sent something that changes nothing. For the log."""

    reason: str


class Terminated(Event, frozen=True):
    """The conversation is over, always the last event. Flush until `finished`, then close with `code`."""

    code: CloseCode
    reason: str
