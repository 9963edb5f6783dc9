"""The thin Iroh adapter: endpoints, connections and streams of bytes; it knows no messages.

Importing this package imports no iroh: the name is resolved on first use of an endpoint, so that
`NodeAddress` and the errors can be had from a bare install.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gate_p2p.address import NodeAddress, check_socket_address
from gate_p2p.transport import (
    ALPN_CONTROL,
    ALPN_INFERENCE,
    ALPN_SNI_PROXY,
    BindError,
    CloseInfo,
    ConnectionLost,
    DialError,
    StreamReset,
    StreamStopped,
    TransportError,
)

if TYPE_CHECKING:
    from gate_p2p.iroh.connection import IrohConnection
    from gate_p2p.iroh.endpoint import Endpoint
    from gate_p2p.iroh.stream import IrohStream

__all__ = [
    "ALPN_CONTROL",
    "ALPN_INFERENCE",
    "ALPN_SNI_PROXY",
    "BindError",
    "CloseInfo",
    "ConnectionLost",
    "DialError",
    "Endpoint",
    "IrohConnection",
    "IrohStream",
    "NodeAddress",
    "StreamReset",
    "StreamStopped",
    "TransportError",
    "check_socket_address",
]

_HOMES = {
    "IrohConnection": "connection",
    "Endpoint": "endpoint",
    "IrohStream": "stream",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)
