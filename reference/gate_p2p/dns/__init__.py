"""DNS challenge handlers: what carries a TXT record from a request into a zone.

`MemoryDnsHandler` keeps records in memory. `LeasingHandler` is the handler over a DNS service: one of
`gate_p2p.dns.rfc2136.Rfc2136Backend` and `gate_p2p.dns.cloudflare.CloudflareBackend` (extra `dns`), or a
`TxtBackend` of your own.
"""

from __future__ import annotations

from gate_p2p.dns.backend import AddressPublisher, TxtBackend
from gate_p2p.dns.errors import (
    DnsNotVisible,
    DnsRefused,
    DnsUnavailable,
    TooManyNames,
    TooManyRecords,
    TooManyValues,
)
from gate_p2p.dns.handler import DnsChallengeError, DnsChallengeHandler, DomainRegistrar
from gate_p2p.dns.journal import Journal
from gate_p2p.dns.leases import Leases, TxtRecord
from gate_p2p.dns.leasing import LeasingHandler
from gate_p2p.dns.memory import MemoryDnsHandler
from gate_p2p.dns.registrar import PublishingRegistrar

__all__ = [
    "AddressPublisher",
    "DnsChallengeError",
    "DnsChallengeHandler",
    "DnsNotVisible",
    "DnsRefused",
    "DnsUnavailable",
    "DomainRegistrar",
    "Journal",
    "Leases",
    "LeasingHandler",
    "MemoryDnsHandler",
    "PublishingRegistrar",
    "TooManyNames",
    "TooManyRecords",
    "TooManyValues",
    "TxtBackend",
    "TxtRecord",
]
