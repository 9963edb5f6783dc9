"""A zone at Cloudflare. Needs the extra `dns`.

`LeasingHandler(CloudflareBackend(token))` is the challenge handler of a session. The token needs the
permissions Zone / Zone / Read and Zone / DNS / Edit for the zone.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gate_p2p.dns.addresses import IpAddress, PublishesAddresses
from gate_p2p.dns.backend import CHALLENGE_PREFIX, TTL
from gate_p2p.dns.cloudflare_api import API, CloudflareApi, CloudflareError
from gate_p2p.dns.errors import DnsRefused, DnsUnavailable
from gate_p2p.dns.propagation import DEADLINE, Expected, Propagation, expect_txt
from gate_p2p.dns.servers import DNS_PORT, NameServer, listed, resolve

_log = logging.getLogger("gate_p2p.dns")

EXISTS: Final = frozenset({81057, 81058})
"""The record is there already."""
ABSENT: Final = frozenset({81044})
"""There is no such record (any more)."""
NO_ZONE: Final = frozenset({1001, 7003})
"""The zone whose id we kept is gone."""
KEPT_ZONES: Final = 1024

T = TypeVar("T")


@dataclass(frozen=True)
class Zone:
    """`servers`: the names of its authoritative servers."""

    id: str
    servers: tuple[str, ...]


class CloudflareBackend(PublishesAddresses):
    """Sets and removes records through Cloudflare's API, and asks the zone's servers whether they show them.

    `servers`: `ip:port` of every authoritative server; without any, those that the API names are asked at
    `ns_port`. `deadline`: seconds until all have to show a change, 0 not to wait. `base_url`, `timeout`: see
    `CloudflareApi`. Raises ValueError for a token or texts that are none.
    """

    def __init__(
        self,
        token: str,
        *,
        base_url: str = API,
        servers: Sequence[str] = (),
        deadline: float = DEADLINE,
        ns_port: int = DNS_PORT,
        timeout: float = 10.0,
    ) -> None:
        self._api = CloudflareApi(token, base_url=base_url, timeout=timeout)
        self._listed = listed(servers)
        self._propagation = Propagation(deadline)
        self._ns_port = ns_port
        self._zones: OrderedDict[str, Zone] = OrderedDict()

    # -- TXT

    async def add(self, domain: str, txt_value: str) -> None:
        """See `TxtBackend`."""
        await self._create(domain, CHALLENGE_PREFIX + domain, "TXT", f'"{txt_value}"')

    async def wait(self, domain: str, txt_value: str) -> None:
        """See `TxtBackend`."""
        await self._shown(domain, expect_txt(domain, txt_value))

    async def delete(self, domain: str, txt_value: str) -> None:
        """See `TxtBackend`."""
        for record in await self._records(domain, CHALLENGE_PREFIX + domain, "TXT"):
            if record["content"].strip('"') == txt_value:
                await self._delete(domain, record["id"])

    async def aclose(self) -> None:
        """Close the connections to the API."""
        await self._api.aclose()

    # -- A and AAAA

    async def _set_addresses(self, domain: str, ips: Sequence[IpAddress]) -> None:
        """What is missing is made before what is too much goes."""
        there = {
            str(ipaddress.ip_address(record["content"])): record["id"]
            for kind in ("A", "AAAA")
            for record in await self._records(domain, domain, kind)
        }
        wanted = {str(ip): "A" if ip.version == 4 else "AAAA" for ip in ips}
        changed = False
        try:
            for text, kind in wanted.items():
                if text not in there:
                    await self._create(domain, domain, kind, text)
                    changed = True
            for text, record_id in there.items():
                if text not in wanted:
                    await self._delete(domain, record_id)
                    changed = True
        except DnsRefused:
            if changed:
                raise DnsUnavailable from None
            raise

    # -- records

    async def _create(self, domain: str, name: str, kind: str, content: str) -> None:
        body = {"type": kind, "name": name, "content": content, "ttl": TTL, "proxied": False}
        if kind == "TXT":
            del body["proxied"]
        try:
            await self._call(domain, "POST", "", json=body)
        except CloudflareError as error:
            if not error.codes & EXISTS:
                raise

    async def _delete(self, domain: str, record_id: str) -> None:
        try:
            await self._call(domain, "DELETE", f"/{record_id}")
        except CloudflareError as error:
            if not error.codes & ABSENT:
                raise

    async def _records(self, domain: str, name: str, kind: str) -> list[dict[str, str]]:
        """The records of one name and type; what else the API may list is left out."""
        rows = await self._in_zone(
            domain, lambda records: self._api.pages(records, {"type": kind, "name.exact": name})
        )
        return [
            row
            for row in rows
            if isinstance(row.get("id"), str)
            and isinstance(row.get("content"), str)
            and (row.get("type"), str(row.get("name")).lower()) == (kind, name)
        ]

    async def _call(self, domain: str, method: str, path: str, **more: Any) -> None:
        await self._in_zone(domain, lambda records: self._api.call(method, records + path, **more))

    async def _in_zone(self, domain: str, call: Callable[[str], Awaitable[T]]) -> T:
        """The outcome of `call(path of the zone's records)`; made again where the zone we kept is gone."""
        kept = domain in self._zones
        while True:
            zone = await self._zone(domain)
            try:
                return await call(f"/zones/{zone.id}/dns_records")
            except CloudflareError as error:
                if not error.codes & NO_ZONE:
                    raise
                self._zones.pop(domain, None)
                if not kept:
                    raise
                kept = False

    # -- zones

    async def _zone(self, domain: str) -> Zone:
        """The zone that the domain lies in: that of the longest name. Raises DnsRefused without one."""
        if (kept := self._zones.get(domain)) is not None:
            self._zones.move_to_end(domain)
            return kept
        labels = domain.split(".")
        for first in range(len(labels) - 1):
            name = ".".join(labels[first:])
            for row in await self._api.pages("/zones", {"name": name}):
                active = row.get("status", "active") == "active"
                if row.get("name") == name and isinstance(row.get("id"), str) and active:
                    return self._keep(domain, row)
        _log.error("no zone that the Cloudflare token can see holds %s", domain)
        raise DnsRefused("this node has no DNS zone for the name")

    def _keep(self, domain: str, row: dict[str, Any]) -> Zone:
        servers = [*(row.get("vanity_name_servers") or ()), *(row.get("name_servers") or ())]
        zone = Zone(row["id"], tuple(one for one in servers if isinstance(one, str)))
        self._zones[domain] = zone
        if len(self._zones) > KEPT_ZONES:
            self._zones.popitem(last=False)
        return zone

    async def _shown(self, domain: str, expected: Sequence[Expected]) -> None:
        if not self._propagation.deadline:
            return
        servers: Sequence[NameServer] = self._listed
        if not servers:
            zone = await self._zone(domain)
            servers = await asyncio.gather(*(resolve(name, self._ns_port) for name in zone.servers))
        if not servers:
            _log.error("Cloudflare names no servers for the zone of %s", domain)
            raise DnsRefused("this node's DNS zone has no servers")
        await self._propagation.wait(servers, expected)
