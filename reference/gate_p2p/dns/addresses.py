"""Publishing A and AAAA records: what the backends have in common (extra `dns`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from gate_p2p.dns.propagation import Expected, expect_addresses

IpAddress = IPv4Address | IPv6Address


class PublishesAddresses(ABC):
    """An `AddressPublisher` over a service that can exchange the addresses of a name."""

    async def publish_addresses(self, domain: str, addresses: Sequence[str]) -> None:
        """See `AddressPublisher`."""
        if not addresses:
            raise ValueError("there is no address to publish")
        ips = [ip_address(text) for text in addresses]
        await self._set_addresses(domain, ips)
        await self._shown(domain, expect_addresses(domain, ips))

    async def withdraw_addresses(self, domain: str) -> None:
        """See `AddressPublisher`."""
        await self._set_addresses(domain, ())

    @abstractmethod
    async def _set_addresses(self, domain: str, ips: Sequence[IpAddress]) -> None:
        """Have exactly these A and AAAA records there. Raises DnsRefused where nothing was changed."""

    @abstractmethod
    async def _shown(self, domain: str, expected: Sequence[Expected]) -> None:
        """Return when every authoritative server answers so; `domain` is the one that was asked for."""
