"""How a fault of a data connection becomes one of a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..front import Front, Splice
from ..inference import Responder
from ..node import Node
from ..registry import ACCEPTOR, BOTH, DIALER, fault
from ..sni import Relay, Supply

R = TypeVar("R", bound=type[Responder])
P = TypeVar("P", bound=type[Relay])
S = TypeVar("S", bound=type[Supply])
F = TypeVar("F", bound=type[Front])
B = TypeVar("B", bound=type[Splice])


def _register(
    part: type,
    name: str,
    breaks: tuple[str, ...],
    roles: tuple[str, ...],
    over: str = "any",
    **switches: type,
) -> None:
    node = type(name, (Node,), {"__doc__": part.__doc__, "__module__": part.__module__, **switches})
    fault(name, *breaks, roles=roles, over=over)(node)


def responder_fault(name: str, *breaks: str) -> Callable[[R], R]:
    """Registers a Responder subclass as a fault of acceptors; its docstring is the description."""

    def register(part: R) -> R:
        _register(part, name, breaks, ACCEPTOR, responder=part)
        return part

    return register


def relay_fault(name: str, *breaks: str) -> Callable[[P], P]:
    """Registers a Relay subclass as a fault of acceptors; its docstring is the description."""

    def register(part: P) -> P:
        _register(part, name, breaks, ACCEPTOR, relay=part)
        return part

    return register


def supply_fault(name: str, *breaks: str) -> Callable[[S], S]:
    """Registers a Supply subclass as a fault of dialers; its docstring is the description."""

    def register(part: S) -> S:
        _register(part, name, breaks, DIALER, supplier=part)
        return part

    return register


def front_fault(name: str, *breaks: str) -> Callable[[F], F]:
    """Registers a Front subclass as a fault of relays that take visitors."""

    def register(part: F) -> F:
        _register(part, name, breaks, ACCEPTOR, "front", front=part)
        return part

    return register


def splice_fault(name: str, *breaks: str, roles: tuple[str, ...] = BOTH) -> Callable[[B], B]:
    """Registers a Splice subclass as a fault of relays and daemons with TCP connections."""

    def register(part: B) -> B:
        _register(part, name, breaks, roles, "front", splice=part)
        return part

    return register
