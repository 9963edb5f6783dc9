"""Where faults and choices register: a name, what it does, which requirements it breaks, where it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .node import Node

BOTH = ("acceptor", "dialer")
ACCEPTOR = ("acceptor",)
DIALER = ("dialer",)


@dataclass(frozen=True)
class Fault:
    """One mistake.

    `breaks`: the requirements that a judge may name for it, the first the nearest. `over`: "any", or "iroh"
    when only a real connection shows it, "dns" when only a look into the zone does, "front" when TCP
    connections do.
    """

    name: str
    description: str
    breaks: tuple[str, ...]
    roles: tuple[str, ...]
    node: type[Node]
    chapter: str
    over: str = "any"


@dataclass(frozen=True)
class Choice:
    """One permitted choice that the correct node makes the other way."""

    name: str
    description: str
    roles: tuple[str, ...]
    node: type[Node]
    over: str = "any"


FAULTS: dict[str, Fault] = {}
CHOICES: dict[str, Choice] = {}


def fault(
    name: str, *breaks: str, roles: tuple[str, ...] = BOTH, over: str = "any"
) -> Callable[[type[Node]], type[Node]]:
    """Registers a Node subclass as a fault; its docstring is the description."""

    def register(node: type[Node]) -> type[Node]:
        if name in FAULTS or name in CHOICES or not breaks or not node.__doc__:
            raise ValueError(f"fault {name}: needs a name of its own, a requirement and a docstring")
        chapter = node.__module__.rpartition(".")[2]
        FAULTS[name] = Fault(name, node.__doc__, breaks, roles, node, chapter, over)
        return node

    return register


def variant(
    chapter: str,
    name: str,
    *breaks: str,
    does: str,
    roles: tuple[str, ...] = BOTH,
    over: str = "any",
    **switches: object,
) -> None:
    """Registers a fault that is nothing but class attributes with other values."""
    for switch in switches:
        if not hasattr(Node, switch):
            raise ValueError(f"fault {name}: the node has no switch {switch}")
    module = f"{__package__}.faults.{chapter}"
    node = type(name, (Node,), {"__doc__": does, "__module__": module, **switches})
    fault(name, *breaks, roles=roles, over=over)(node)


def choice(
    name: str, *, roles: tuple[str, ...] = BOTH, over: str = "any"
) -> Callable[[type[Node]], type[Node]]:
    """Registers a Node subclass as a permitted choice; its docstring is the description."""

    def register(node: type[Node]) -> type[Node]:
        if name in FAULTS or name in CHOICES or not node.__doc__:
            raise ValueError(f"choice {name}: needs a name of its own and a docstring")
        CHOICES[name] = Choice(name, node.__doc__, roles, node, over)
        return node

    return register
