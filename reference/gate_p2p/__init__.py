"""Gate P2P for Python: a sans-IO core, a session on top of it, and a thin Iroh adapter.

`from gate_p2p import P2PSession` works, and nothing is imported before it is asked for:
`import gate_p2p.core` brings no event loop along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gate_p2p.address import NodeAddress
    from gate_p2p.core import GateError
    from gate_p2p.dns.handler import DnsChallengeHandler
    from gate_p2p.session import P2PSession

__version__ = "0.1.0"

__all__ = ["DnsChallengeHandler", "GateError", "NodeAddress", "P2PSession", "__version__"]

_HOMES = {
    "DnsChallengeHandler": "gate_p2p.dns.handler",
    "GateError": "gate_p2p.core",
    "NodeAddress": "gate_p2p.address",
    "P2PSession": "gate_p2p.session",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
