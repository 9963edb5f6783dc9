"""Who may ask for what: authority from the transport's peer id alone (AU-03), and the quota of a peer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from gate_p2p.address import check_node_id
from gate_p2p.core import (
    DnsChallengeCleanup,
    DnsChallengeCreate,
    DomainRegistrationRequest,
    FailureCode,
    Policy,
    Refusal,
    Request,
)
from gate_p2p.core.forms import domain_problem
from gate_p2p.dns.handler import DomainRegistrar
from gate_p2p.node_names import id_from_label
from gate_p2p.session.names import RecordingRegistrar, ShortLabels

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
    Raises ValueError for a name or an id of bad form.
    """

    def __init__(self, suffix: str, allowed: Mapping[str, Iterable[str]] | None = None) -> None:
        for name in (suffix, *(name for names in (allowed or {}).values() for name in names)):
            if (problem := domain_problem(name)) is not None:
                raise ValueError(f"{name!r}: {problem}")
        for peer in allowed or {}:
            if peer != ANY_PEER:
                check_node_id(peer)
        self._suffix = labels(suffix)
        self._allowed = {peer: {labels(name) for name in names} for peer, names in (allowed or {}).items()}
        self._registered: dict[str, str] = {}
        self._short = ShortLabels()

    def may_act_for(self, peer_id: str, domain: str) -> bool:
        """Whether the peer with this id, proved by the transport, may ask for challenges under `domain`."""
        name = labels(domain)
        if name[1:] == self._suffix and (node := id_from_label(name[0])) is not None:
            return node == peer_id or (peer_id.startswith(node) and self._short.claim(node, peer_id))
        return self._registered.get(".".join(name)) == peer_id or any(
            name in self._allowed.get(peer, ()) for peer in (peer_id, ANY_PEER)
        )

    def recording(self, registrar: DomainRegistrar) -> DomainRegistrar:
        """The registrar, whose names are from now on the peers' that get them (AU-04)."""
        return RecordingRegistrar(registrar, self._registered)

    def peer_of(self, server_name: str, nodes: Collection[str]) -> str | None:
        """The peer that visitors of this name are led to (SP-10): that of the name itself, else of the name
        without its first label, which a wildcard certificate covers. `nodes`: the peers that are connected.
        """
        name = labels(server_name)
        return self._owner(name, nodes) or self._owner(name[1:], nodes)

    def _owner(self, name: tuple[str, ...], nodes: Collection[str]) -> str | None:
        if name[1:] == self._suffix and (node := id_from_label(name[0])) is not None:
            return node if len(node) == 64 else self._short.find(node, nodes)
        if (peer := self._registered.get(".".join(name))) is not None:
            return peer
        given = [peer for peer, names in self._allowed.items() if name in names and peer != ANY_PEER]
        return next((peer for peer in given if peer in nodes), given[0] if given else None)


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
