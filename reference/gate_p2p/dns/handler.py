"""The interface between a node and the DNS of its domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from gate_p2p.core import FailureCode, GateError


class DnsChallengeError(GateError):
    """A challenge could not be set or removed. Text and `code` go to the peer that asked (RQ-07, RQ-08)."""

    def __init__(self, text: str, code: str = FailureCode.FAILED) -> None:
        super().__init__(text)
        self.code = code


class DnsChallengeHandler(Protocol):
    """Sets and removes TXT records under `_acme-challenge.<domain>`. Calls run side by side.

    `peer_id`: 64 lowercase hex, from the transport (AU-03); it may act for `domain`, that is checked before.
    `domain`: in lower case, without the `_acme-challenge.` prefix. `txt_value`: 43 characters of base64url.
    """

    async def create(self, peer_id: str, domain: str, txt_value: str) -> None:
        """Return when every authoritative server answers with the value (DC-13); again is no error (DC-09).

        Raises DnsChallengeError.
        """
        ...

    async def cleanup(self, peer_id: str, domain: str, txt_value: str | None) -> None:
        """Remove one value of this peer, or with None all of them (DC-11); nothing there is no error (DC-10).

        Raises DnsChallengeError.
        """
        ...


@runtime_checkable
class WatchesPeers(Protocol):
    """What a handler or registrar has beside, if it wants to know which peers are here, as leases do (DC-15).

    What it raises is logged, and harms no connection.
    """

    def peer_connected(self, peer_id: str) -> None:
        """A control connection with this peer is established; told again for each further one."""
        ...

    def peer_gone(self, peer_id: str) -> None:
        """The last control connection with this peer is over."""
        ...


class DomainRegistrar(Protocol):
    """Gives a peer its domain name and has that name lead to this node."""

    async def register(self, peer_id: str, addresses: Sequence[str]) -> str:
        """Return the peer's domain once A or AAAA records for it stand at every authoritative server (DR-03).

        `peer_id`: 64 lowercase hex, from the transport. `addresses`: `ip:port` texts that the peer says it
        can be reached at, unproven. Again gives the same domain (DR-07). Raises DnsChallengeError.
        """
        ...
