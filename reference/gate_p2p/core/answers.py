"""Which response belongs to which request, and how success and failure are said in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from . import forms
from . import messages as m
from .errors import LocalProtocolError
from .framing import encode_frame


class Refusal(NamedTuple):
    """Why a request is refused: a `FailureCode` and a text for people."""

    code: str
    error: str


Policy = Callable[[m.Request], Refusal | None]
"""Who may ask for what. Called between the checks of form and quota (RQ-08).
Must be quick, pure, and never raise."""

RESPONSE_TO: Final[Mapping[type[m.Message], type[m.Response]]] = {
    m.RequestSniStream: m.StreamReady,
    m.RequestInferenceStream: m.StreamReady,
    m.DnsChallengeCreate: m.DnsChallengeResponse,
    m.DnsChallengeCleanup: m.DnsChallengeResponse,
    m.DomainRegistrationRequest: m.DomainRegistrationResponse,
}


def success(request: m.Request, domain: str | None = None) -> m.Response:
    """The response that says that `request` was carried out; `domain` for a registration, and only there.

    Raises `LocalProtocolError` when `domain` is missing there (DR-01), no domain name, or given elsewhere.
    """
    registration = isinstance(request, m.DomainRegistrationRequest)
    if registration != (domain is not None):
        raise LocalProtocolError("a domain is given for DomainRegistrationRequest, and only for it")
    if domain is not None and (problem := forms.domain_problem(domain)) is not None:
        raise LocalProtocolError(problem)
    kind = RESPONSE_TO[type(request)]
    if kind is m.StreamReady:
        return m.StreamReady(request_id=request.request_id, stream_accepted=True)
    if kind is m.DnsChallengeResponse:
        return m.DnsChallengeResponse(request_id=request.request_id, success=True)
    return m.DomainRegistrationResponse(request_id=request.request_id, success=True, domain=domain)


def failure(kind: type[m.Message], request_id: str, code: str, error: str) -> m.Response:
    """The response that refuses the request of type `kind`, with its id as it was (RQ-02)."""
    # a lone surrogate in a text that came from elsewhere must not break the frame (FR-13)
    error = error.encode(errors="replace").decode()
    response = RESPONSE_TO[kind]
    if response is m.StreamReady:
        return m.StreamReady(request_id=request_id, stream_accepted=False, error=error, code=code)
    if response is m.DnsChallengeResponse:
        return m.DnsChallengeResponse(request_id=request_id, success=False, error=error, code=code)
    return m.DomainRegistrationResponse(request_id=request_id, success=False, error=error, code=code)


_PONG_HEADS: Final = [
    encode_frame(b'{"type":"Pong","id":' + bytes(size))[: -size or None]
    for size in range(len(b"%d}" % m.MAX_ID) + 1)
]


def pong_frame(ping_id: int) -> bytes:
    """The frame of the Pong that answers a Ping (LV-01), put together: a peer can send thousands a second."""
    tail = b"%d}" % ping_id
    return _PONG_HEADS[len(tail)] + tail
