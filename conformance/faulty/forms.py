"""The forms of identifiers, names and values: each function says what is wrong, or gives None."""

from __future__ import annotations

import ipaddress
import re

Z_BASE_32 = "ybndrfg8ejkmcpqxot1uwisza345h769"
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
TXT_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+)):(?P<port>[1-9][0-9]{0,4})")


def request_id_problem(text: str, longest: int = 128) -> str | None:
    """RQ-03: 1 to 128 characters from U+0021 to U+007E."""
    if not 1 <= len(text) <= longest:
        return f"request_id has {len(text)} characters, not 1 to {longest}"
    if any(not 0x21 <= ord(character) <= 0x7E for character in text):
        return "request_id has a character outside printable ASCII"
    return None


def domain_problem(text: str, longest: int = 237) -> str | None:
    """DC-03: an A-label host name of two labels or more."""
    if len(text) > longest:
        return f"domain has {len(text)} characters, more than {longest}"
    if text.lower().startswith("_acme-challenge."):
        return "domain carries the _acme-challenge prefix, which the node adds itself"
    labels = text.split(".")
    if len(labels) < 2:
        return "domain has fewer than two labels"
    if any(not LABEL.fullmatch(label) for label in labels):
        return "domain has a label that is not 1 to 63 letters, digits and inner hyphens"
    if re.fullmatch("[0-9]+", labels[-1]):
        return "the last label of domain is all digits"
    return None


def txt_value_problem(text: str) -> str | None:
    """DC-06: 43 characters of unpadded base64url; spare bits are not looked at (DC-07)."""
    if not TXT_VALUE.fullmatch(text):
        return "txt_value is not 43 characters of base64url"
    return None


def address_problem(text: str) -> str | None:
    """DR-05: `<IPv4>:<port>` or `[<IPv6>]:<port>`."""
    found = ADDRESS.fullmatch(text)
    if not found or int(found["port"]) > 65535:
        return "an entry of direct_addresses is no ip:port with a port from 1 to 65535"
    try:
        ipaddress.IPv6Address(found["six"]) if found["six"] else ipaddress.IPv4Address(found["four"])
    except ValueError:
        return "an entry of direct_addresses has no IP address before its port"
    return None


def z_base_32(octets: bytes) -> str:
    """DR-02: the label of a node id."""
    number = int.from_bytes(octets, "big") << 4
    return "".join(Z_BASE_32[number >> shift & 31] for shift in range(255, -1, -5))
