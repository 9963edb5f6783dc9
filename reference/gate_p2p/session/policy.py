"""Who may ask for what: authority from the transport's peer id alone (AU-03), and the quota of a peer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gate_p2p.core import (
    DnsChallengeCleanup,
    DnsChallengeCreate,
    DomainRegistrationRequest,
    FailureCode,
    Policy,
    Refusal,
    Request,
)
from gate_p2p.node_names import names_node

ANY_PEER = "*"
MAX_IN_FLIGHT = (
    64  # requests of one peer over all its connections: each may keep a DNS server busy for minutes
)


def labels(name: str) -> tuple[str, ...]:
    """A domain name as it is compared: label by label, without regard to case (AU-02)."""
    # lower() turns some letters outside ASCII into ASCII, the Kelvin sign into k: such a name stays as it is
    return tuple((name.lower() if name.isascii() else name).split("."))


class NamePolicy:
    """Which names a peer may act for: its own node names under `suffix`, and names given to it.

    `allowed`: names by peer id (64 lowercase hex) or `*` for every peer. Names are exact: no subdomains.
    """

    def __init__(self, suffix: str, allowed: Mapping[str, Iterable[str]] | None = None) -> None:
        self._suffix = labels(suffix)
        self._allowed = {peer: {labels(name) for name in names} for peer, names in (allowed or {}).items()}

    def may_act_for(self, peer_id: str, domain: str) -> bool:
        """Whether the peer with this id, proved by the transport, may ask for challenges under `domain`."""
        name = labels(domain)
        if name[1:] == self._suffix and names_node(name[0], peer_id):
            return True
        return any(name in self._allowed.get(peer, ()) for peer in (peer_id, ANY_PEER))


def request_policy(
    peer_id: str,
    names: NamePolicy | None,
    in_flight: Callable[[], int],
    max_in_flight: int = MAX_IN_FLIGHT,
) -> Policy:
    """The core's policy for one peer: authorisation, then the quota over all its connections (RQ-08's order).

    `names` None: there is no DNS handler, hence nothing to be authorised for; the handler says so.
    `in_flight`: the peer's requests in flight over all its connections, as their cores count them.
    """

    def policy(request: Request) -> Refusal | None:
        if (
            names is not None
            and isinstance(request, DnsChallengeCreate | DnsChallengeCleanup)
            and not names.may_act_for(peer_id, request.domain)
        ):
            return Refusal(FailureCode.NOT_AUTHORISED, f"this node may not act for {request.domain}")
        if isinstance(request, DomainRegistrationRequest) and bytes(request.node_addr.id).hex() != peer_id:
            return Refusal(FailureCode.NOT_AUTHORISED, "node_addr.id is not the id of this connection's node")
        if in_flight() >= max_in_flight:
            return Refusal(FailureCode.QUOTA, f"{max_in_flight} requests of this node are in flight already")
        return None

    return policy
