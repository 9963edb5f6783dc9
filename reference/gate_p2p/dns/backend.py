"""What a DNS service has to do for a handler: records by value. Who owns them is the handler's business."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

TTL: Final = 60
"""Seconds, of every record that is made (DC-20)."""

CHALLENGE_PREFIX: Final = "_acme-challenge."


class TxtBackend(Protocol):
    """Sets and removes single TXT values at `_acme-challenge.<domain>`, whoever asked for them.

    Calls for different values run side by side, those for one value one after the other. `domain`: in lower
    case, without the prefix. Every method raises DnsChallengeError: DnsRefused where nothing was changed.
    """

    async def add(self, domain: str, txt_value: str) -> None:
        """Have the value there; one that is there already is no error."""
        ...

    async def wait(self, domain: str, txt_value: str) -> None:
        """Return when every authoritative server answers with the value (DC-13)."""
        ...

    async def delete(self, domain: str, txt_value: str) -> None:
        """Remove this value and no other; nothing there is no error."""
        ...

    async def aclose(self) -> None:
        """Let go of connections. The records stay."""
        ...


class AddressPublisher(Protocol):
    """Gives a domain A and AAAA records.

    A name without records of its own, which resolves through a wildcard, stops resolving while a challenge
    stands below it: `_acme-challenge.<domain>` makes `<domain>` an empty non-terminal (RFC 4592).
    """

    async def publish_addresses(self, domain: str, addresses: Sequence[str]) -> None:
        """Return when every authoritative server answers with exactly these addresses (DR-03).

        `addresses`: IPv4 and IPv6 texts. Raises DnsChallengeError (DnsRefused where nothing was changed), and
        ValueError for what is no address.
        """
        ...

    async def withdraw_addresses(self, domain: str) -> None:
        """Remove the A and AAAA records of the domain; none there is no error. Raises DnsChallengeError.

        Returns when that is done at the server that takes changes: behind a wildcard the name still resolves.
        """
        ...
