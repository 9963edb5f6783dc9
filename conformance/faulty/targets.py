"""`py:faulty.targets:NAME`: the nodes as factories for targets in memory.

NAME is `correct`, or the name of a fault, a choice or a null node; hyphens may be written as underscores.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from . import choices, faults, lenient
from .node import Node
from .nulls import NULLS, run_null
from .protocol import INFERENCE_ALPN, DataStream, Stream
from .registry import CHOICES, FAULTS
from .world import World

Factory = Callable[..., Awaitable[None]]

__all__ = ["choices", "class_named", "factory_named", "faults", "lenient", "names"]


def names() -> list[str]:
    """Every name that there is a node for."""
    return ["correct", *CHOICES, *FAULTS, *NULLS]


def class_named(name: str) -> type[Node]:
    """The node of that name; KeyError when there is none."""
    if name == "correct":
        return Node
    return (FAULTS.get(name) or CHOICES[name]).node


def factory_named(name: str, world: World | None = None) -> Factory:
    """A factory for control streams, all of one node; KeyError for an unknown name."""
    if name in NULLS:

        async def null_factory(stream: Stream, *, role: str, peer_id: str) -> None:
            await run_null(name, stream)

        return null_factory

    node, shared = class_named(name), world or World()

    async def factory(stream: Stream, *, role: str, peer_id: str) -> None:
        if shared.front is not None:
            await shared.front.start()
        try:
            await node(stream, role=role, peer_id=peer_id, world=shared).run()
        finally:
            if shared.front is not None and not shared.connections:
                await shared.front.aclose()

    async def data(stream: DataStream, *, alpn: str, peer_id: str) -> None:
        serve = node.responder if alpn == INFERENCE_ALPN else node.relay
        await serve(stream, peer_id, shared).run()

    cast(Any, factory).data = data
    return factory


def __getattr__(name: str) -> Factory:
    try:
        return factory_named(name.replace("_", "-"))
    except KeyError:
        raise AttributeError(f"module faulty.targets has no node named {name!r}") from None
