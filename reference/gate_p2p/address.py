"""The address of a node in text: `<64 hex id>@<ip:port>[,<ip:port>...]`. Needs no iroh."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_ID = re.compile(r"[0-9a-f]{64}")
_SHAPE = "expected <64 hex id>@<ip:port>"


@dataclass(frozen=True)
class NodeAddress:
    """Who a node is and where it can be dialled.

    `node_id`: the Ed25519 public key, 64 lowercase hexadecimal characters.
    `socket_addresses`: one or more `ip:port` texts, IPv6 in brackets, best first.
    """

    node_id: str
    socket_addresses: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> NodeAddress:
        """Read an address; raises ValueError that says what was wrong with it."""
        node_id, at, rest = text.strip().partition("@")
        if not at:
            raise ValueError(f"no '@' in {text!r}: {_SHAPE}")
        check_node_id(node_id)
        return cls(node_id, tuple(check_socket_address(part.strip()) for part in rest.split(",")))

    def __str__(self) -> str:
        return f"{self.node_id}@{','.join(self.socket_addresses)}"


def check_node_id(text: str) -> str:
    """The id itself when it is 64 lowercase hexadecimal characters; raises ValueError."""
    if _ID.fullmatch(text):
        return text
    if _ID.fullmatch(text.lower()):
        raise ValueError(f"the node id {text!r} has upper-case digits: write it in lower case")
    raise ValueError(
        f"{text!r} is no node id: expected 64 hexadecimal characters, got {len(text)} characters"
    )


def check_socket_address(text: str, *, port_zero: bool = False) -> str:
    """The `ip:port` text in its canonical form; raises ValueError. Host names are not looked up.

    `port_zero`: allow port 0, which asks the system for a free one when listening.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        ip = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(
            f"{text!r} is no socket address: expected ip:port, host names are not looked up"
        ) from None
    if not colon or (ip.version == 6) != bracketed:
        raise ValueError(f"{text!r} is no socket address: write IPv6 as [ip]:port and IPv4 as ip:port")
    if not (port.isascii() and port.isdigit() and (0 if port_zero else 1) <= int(port) <= 65535):
        raise ValueError(
            f"{text!r} has no usable port: expected {0 if port_zero else 1} to 65535, got {port!r}"
        )
    return f"[{ip}]:{int(port)}" if ip.version == 6 else f"{ip}:{int(port)}"


def is_unspecified(socket_address: str) -> bool:
    """Whether the address is a wildcard (0.0.0.0 or ::), which nobody can dial."""
    return ipaddress.ip_address(socket_address.rpartition(":")[0].strip("[]")).is_unspecified


def is_loopback(socket_address: str) -> bool:
    """Whether the address is one that reaches this machine alone."""
    return ipaddress.ip_address(socket_address.rpartition(":")[0].strip("[]")).is_loopback


def is_this_machine(host: str) -> bool:
    """Whether the host of a URL, an IP without brackets or a name, is one that reaches this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
