"""The form of the texts in requests. One that breaks it is answered with a failure, not ignored (RQ-03)."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from . import messages as m

MAX_DOMAIN: Final = 237
"""A name of 253 characters less `_acme-challenge.`."""

MAX_ADDRESSES: Final = 1024
"""Entries of `direct_addresses`: a frame could hold 800,000, and to look at them takes seconds (LM-01)."""

NODE_ID_LENGTH = 64
_NODE_ID = re.compile(rf"[0-9a-f]{{{NODE_ID_LENGTH}}}")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_TXT_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
# ipaddress judges what stands in front of the port, but would let a zone id (%eth0) pass
_SOCKET_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<v4>[0-9.]{7,15})):(?P<port>[1-9][0-9]{0,4})"
)


def node_id_problem(node_id: str) -> str | None:
    """What is wrong with a `node_id` (HS-04), or None."""
    if _NODE_ID.fullmatch(node_id):
        return None
    return f"node_id is {node_id[:70]!r}; expected 64 lowercase hexadecimal characters"


def request_id_problem(request_id: str) -> str | None:
    """What is wrong with a `request_id` (RQ-03), or None."""
    if _REQUEST_ID.fullmatch(request_id):
        return None
    return "request_id is not 1 to 128 characters from U+0021 to U+007E"


def domain_problem(domain: str) -> str | None:
    """What is wrong with a `domain` (DC-03), or None."""
    if len(domain) > MAX_DOMAIN:
        return f"domain has {len(domain)} characters; at most {MAX_DOMAIN} are allowed"
    labels = domain.split(".")
    if labels[0].lower() == "_acme-challenge":
        return "domain begins with _acme-challenge.; give the name without it"
    if labels[0] == "*":
        return "domain is a wildcard; give the name without `*.`, its challenge is the same"
    if len(labels) < 2:
        return "domain has a single label; at least two are expected"
    for label in labels:
        if not _LABEL.fullmatch(label):
            return (
                "domain has a label that is not 1 to 63 letters, digits and inner hyphens"
                if label
                else "domain has an empty label; give it without a trailing dot"
            )
    if labels[-1].isdigit():
        return "the last label of domain is all digits"
    return None


def txt_value_problem(txt_value: str) -> str | None:
    """What is wrong with a `txt_value` (DC-06), or None."""
    if _TXT_VALUE.fullmatch(txt_value):
        return None
    return "txt_value is not 43 characters of base64url without padding"


def socket_address_problem(text: str) -> str | None:
    """What is wrong with an entry of `direct_addresses` (DR-05), or None."""
    found = _SOCKET_ADDRESS.fullmatch(text)
    if found is not None and int(found["port"]) <= 65535:
        try:
            ipaddress.IPv6Address(found["v6"]) if found["v6"] else ipaddress.IPv4Address(found["v4"])
        except ValueError:
            pass
        else:
            return None
    return f"direct_addresses has {text[:70]!r}; expected IPv4:port or [IPv6]:port, a port from 1 to 65535"


def node_addr_problem(node_addr: m.NodeAddr) -> str | None:
    """What is wrong with a `node_addr`, or None; of a received one the decoder has checked the id."""
    if len(node_addr.id) != 32 or not all(0 <= byte <= 255 for byte in node_addr.id):
        return "node_addr.id is not 32 integers from 0 to 255"
    if len(node_addr.direct_addresses) > MAX_ADDRESSES:
        return f"direct_addresses has {len(node_addr.direct_addresses)} entries; {MAX_ADDRESSES} are taken"
    for address in node_addr.direct_addresses:
        if (problem := socket_address_problem(address)) is not None:
            return problem
    return None


def request_problem(request: m.Request) -> str | None:
    """What is wrong with the form of a request, the first problem found, or None."""
    problem = request_id_problem(request.request_id)
    if problem is not None:
        return problem
    match request:
        case m.RequestSniStream(domain=domain):
            return domain_problem(domain)
        case m.DnsChallengeCreate(domain=domain, txt_value=txt_value):
            return domain_problem(domain) or txt_value_problem(txt_value)
        case m.DnsChallengeCleanup(domain=domain, txt_value=txt_value):
            return domain_problem(domain) or (None if txt_value is None else txt_value_problem(txt_value))
        case m.DomainRegistrationRequest(node_addr=node_addr):
            return node_addr_problem(node_addr)
        case _:
            return None
