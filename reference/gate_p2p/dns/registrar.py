"""Domain registration: every peer gets its node name under the suffix, with the addresses of this node."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from gate_p2p.dns.backend import AddressPublisher
from gate_p2p.node_names import node_labels


class PublishingRegistrar:
    """A `DomainRegistrar`: `<id in z-base-32>.<suffix>` leads to `addresses` (DR-03, DR-07, DR-08).

    `addresses`: IPv4 and IPv6 texts where this node is reached from everywhere; raises ValueError for others.
    """

    def __init__(self, publisher: AddressPublisher, suffix: str, addresses: Sequence[str]) -> None:
        self._publisher = publisher
        self._suffix = suffix.lower()
        self._addresses = tuple(str(ipaddress.ip_address(one)) for one in addresses)
        if not self._addresses:
            raise ValueError("there is no address to publish")

    async def register(self, peer_id: str, addresses: Sequence[str]) -> str:
        """Publish our addresses for the peer's name; its own, which it cannot prove, play no part."""
        domain = f"{node_labels(peer_id).z_base_32}.{self._suffix}"
        await self._publisher.publish_addresses(domain, self._addresses)
        return domain
