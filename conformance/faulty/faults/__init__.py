"""One module a chapter; importing this package registers every fault."""

from __future__ import annotations

from . import (
    authorisation,
    closing,
    dns_challenges,
    dns_names,
    dns_records,
    framing,
    handshake,
    handshake_dialer,
    handshake_renewal,
    interplay,
    json_reading,
    liveness,
    message_ids,
    messages,
    own_requests,
    request_ids,
    requests,
    sending,
    streams,
    transport,
)

__all__ = [
    "authorisation",
    "closing",
    "dns_challenges",
    "dns_names",
    "dns_records",
    "framing",
    "handshake",
    "handshake_dialer",
    "handshake_renewal",
    "interplay",
    "json_reading",
    "liveness",
    "message_ids",
    "messages",
    "own_requests",
    "request_ids",
    "requests",
    "sending",
    "streams",
    "transport",
]
