"""Entries of ``direct_addresses`` in and out of form, and node labels that are nobody's."""

from __future__ import annotations

import ipaddress
import re

from hypothesis import strategies as st

Z_BASE_32 = "ybndrfg8ejkmcpqxot1uwisza345h769"
_PORT = re.compile(r"[0-9]{1,5}")


def is_address(text: str) -> bool:
    """The form of DR-05: ``<IPv4>:<port>`` or ``[<IPv6>]:<port>``, the port from 1 to 65535."""
    host, _, port = text.rpartition(":")
    if not _PORT.fullmatch(port) or port.startswith("0") or int(port) > 65535:
        return False
    try:
        if host.startswith("[") and host.endswith("]") and "%" not in host:
            ipaddress.IPv6Address(host[1:-1])
        else:
            ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


LEGAL_ADDRESSES: dict[str, list[str]] = {
    "none": [],
    "the lowest and the highest port": ["192.0.2.7:1", "192.0.2.8:65535"],
    "IPv6": ["[2001:db8::7]:31145"],
    "IPv6 in other spellings": ["[2001:DB8::7]:1", "[2001:db8:0:0:0:0:0:7]:1", "[::ffff:192.0.2.7]:1"],
    "both families": ["[2001:db8::7]:31145", "192.0.2.7:31145"],
    "the same one 20 times": ["192.0.2.7:31145"] * 20,
}

ILLEGAL_ADDRESSES: dict[str, list[str]] = {
    "host-name": ["relay.example:31145", "localhost:31145", "a:1", "_:1", "192.0.2.7.example:1"],
    "no-port": ["192.0.2.7", "192.0.2.7:", "[2001:db8::7]", "[2001:db8::7]:", "2001:db8::7", ":31145"],
    "port-0": ["192.0.2.7:0", "[2001:db8::7]:0"],
    "port-too-large": ["192.0.2.7:65536", "[2001:db8::7]:65536", "192.0.2.7:96681", f"192.0.2.7:{2**32 + 1}"],
    "port-no-number": ["192.0.2.7:http", "192.0.2.7:+1", "192.0.2.7:-1", "192.0.2.7:0x1", "192.0.2.7:1.0"],
    "no-brackets": ["2001:db8::7:31145", "::1:31145", "[2001:db8::7:31145", "2001:db8::7]:31145"],
    "zone": ["[fe80::1%1]:31145", "[fe80::1%eth0]:31145", "[2001:db8::7%]:1"],
    "empty": ["", ":", "[]:1"],
    "white-space": [
        " 192.0.2.7:31145",
        "192.0.2.7:31145 ",
        "192.0.2.7:31145\n",
        "192.0.2.7: 31145",
        "192.0.2.7 :1",
    ],
    "no-ip": ["256.0.0.1:1", "192.0.2:1", "192.0.2.7.9:1", "3221225991:1", "[192.0.2.7]:1", "[::g]:1"],
    "more-than-one": ["192.0.2.7:1,192.0.2.8:1", "192.0.2.7:1:2", "192.0.2.7:1/192.0.2.8:1"],
    "scheme": ["udp://192.0.2.7:31145", "/ip4/192.0.2.7/udp/31145", "https://relay.example:443"],
    "other-digits": ["192.0.2.7:\uff11", "\uff11.0.2.7:1", "192.0.2.7:\u0663"],
}

_ipv4 = st.ip_addresses(v=4).map(str)
_ipv6 = st.ip_addresses(v=6).map(lambda ip: f"[{ip}]")
_ports = st.integers(1, 65535).map(str)
legal_addresses = st.builds(lambda host, port: f"{host}:{port}", st.one_of(_ipv4, _ipv6), _ports)
illegal_addresses = st.one_of(
    st.text(max_size=30),
    st.builds(
        lambda text, extra, at: text[: at % (len(text) + 1)] + extra + text[at % (len(text) + 1) :],
        legal_addresses,
        st.characters(exclude_categories=["Cs"]),
        st.integers(0, 60),
    ),
    st.builds(lambda host, port: f"{host}:{port}", _ipv4, st.integers(65536, 10**9)),
    st.ip_addresses(v=6).map(lambda ip: f"{ip}:31145"),
).filter(
    # what a reader may take for a port although it has a zero in front is left alone
    lambda text: not is_address(text) and not re.search(r":0+[1-9][0-9]{0,4}$", text)
)


def z_base_32(octets: bytes) -> str:
    """The spelling of node ids in names: 52 characters for 32 bytes."""
    bits = "".join(f"{octet:08b}" for octet in octets).ljust(260, "0")
    return "".join(Z_BASE_32[int(bits[at : at + 5], 2)] for at in range(0, 260, 5))


def near_labels(octets: bytes) -> dict[str, str]:
    """Labels that look like those of this id, and are labels of no node (DR-02)."""
    good, text = z_base_32(octets), octets.hex()
    last = Z_BASE_32.index(good[-1])
    return {
        "a spare bit set": good[:-1] + Z_BASE_32[last | 1],
        "all spare bits set": good[:-1] + Z_BASE_32[last | 15],
        "51 characters": good[:-1],
        "53 characters": good + "y",
        "31 hex characters": text[:31],
        "33 hex characters": text[:33],
        "63 hex characters": text[:63],
        "the last 32 hex characters": text[32:] if text[32:] != text[:32] else "0" * 32,
        "16 hex characters": text[:16],
    }


__all__ = [
    "ILLEGAL_ADDRESSES",
    "LEGAL_ADDRESSES",
    "illegal_addresses",
    "is_address",
    "legal_addresses",
    "near_labels",
    "z_base_32",
]
