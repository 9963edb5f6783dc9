"""What a node does with the requests that its core lets through."""

from __future__ import annotations

from gate_p2p.core import (
    DnsChallengeCleanup,
    DnsChallengeCreate,
    DomainRegistrationRequest,
    FailureCode,
    Request,
    RequestInferenceStream,
    RequestSniStream,
)
from gate_p2p.dns.handler import DnsChallengeError, DnsChallengeHandler
from gate_p2p.session.link import Answer


async def carry_out(request: Request, peer_id: str, dns: DnsChallengeHandler | None) -> Answer:
    """Carry out a request of the peer `peer_id`; what this node cannot do is refused as `unsupported`."""
    match request:
        case DnsChallengeCreate() | DnsChallengeCleanup():
            return await _challenge(request, peer_id, dns)
        case RequestSniStream():
            return Answer("this node opens no SNI-proxy streams", FailureCode.UNSUPPORTED)
        case RequestInferenceStream():
            return Answer("this node serves no inference", FailureCode.UNSUPPORTED)
        case DomainRegistrationRequest():
            return Answer("this node registers no domains", FailureCode.UNSUPPORTED)


async def _challenge(
    request: DnsChallengeCreate | DnsChallengeCleanup, peer_id: str, dns: DnsChallengeHandler | None
) -> Answer:
    if dns is None:
        return Answer("this node has no DNS challenge handler", FailureCode.UNSUPPORTED)
    domain = request.domain.lower()  # upper case means the same (DC-04)
    try:
        if isinstance(request, DnsChallengeCreate):
            await dns.create(peer_id, domain, request.txt_value)
        else:
            await dns.cleanup(peer_id, domain, request.txt_value)
    except DnsChallengeError as error:
        return Answer(str(error) or "the DNS challenge failed", error.code)
    return Answer()
