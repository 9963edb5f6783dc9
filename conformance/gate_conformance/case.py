"""The registry of cases."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gate_conformance import spec

if TYPE_CHECKING:
    from gate_conformance.trial import Trial

Body = Callable[..., Awaitable[None]]
ROLES = ("acceptor", "dialer")
_ID = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9][a-z0-9-]*")
_registry: dict[str, Case] = {}


@dataclass(frozen=True)
class Case:
    """One case: what it is called, which requirement it tests, and how to run it."""

    id: str
    requirement: str
    roles: tuple[str, ...]
    body: Body
    title: str
    seconds: float = 1.0
    exclusive: bool = False
    idle: bool = False
    given: Mapping[str, Any] = field(default_factory=dict)
    examples: int = 40

    @property
    def level(self) -> str:
        """MUST, SHOULD or MAY: the level of the case's requirement."""
        return spec.requirement(self.requirement).level

    @property
    def chapter(self) -> str:
        return spec.requirement(self.requirement).chapter

    def run(self, trial: Trial, **drawn: Any) -> Awaitable[None]:
        return self.body(trial, **drawn)


def case(
    case_id: str,
    *,
    requirement: str,
    roles: tuple[str, ...] = ROLES,
    seconds: float = 1.0,
    exclusive: bool = False,
    idle: bool = False,
    given: Mapping[str, Any] | None = None,
    examples: int = 40,
) -> Callable[[Body], Body]:
    """Register a coroutine as a case.

    ``roles`` are the roles of the *target*; ``seconds`` is a hint of the duration (long cases start
    first); an ``exclusive`` case runs at the end, beside ``idle`` ones alone, which mostly wait and make no
    requests; with ``given`` the coroutine is called per
    example with what Hypothesis drew. Raises ValueError for a malformed or repeated id, KeyError for
    an unknown requirement.
    """
    if not _ID.fullmatch(case_id):
        raise ValueError(f"case id {case_id!r} is not <chapter>.<kebab-name>")
    if not roles or any(role not in ROLES for role in roles):
        raise ValueError(f"case {case_id}: roles {roles!r} are not of {ROLES}")
    spec.requirement(requirement)

    def register(body: Body) -> Body:
        if case_id in _registry and _registry[case_id].body.__module__ != body.__module__:
            raise ValueError(f"case {case_id} is there twice")
        title = (body.__doc__ or "").strip().split("\n")[0]
        if not title:
            raise ValueError(f"case {case_id} has no docstring, so it has no title")
        _registry[case_id] = Case(
            case_id,
            requirement,
            tuple(roles),
            body,
            title,
            seconds,
            exclusive,
            idle,
            dict(given or {}),
            examples,
        )
        return body

    return register


def all_cases() -> list[Case]:
    """Every case of ``gate_conformance.cases``, in the order of the specification's requirements."""
    package = importlib.import_module("gate_conformance.cases")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"gate_conformance.cases.{module.name}")
    order = {identifier: index for index, identifier in enumerate(spec.requirements())}
    known = [one for one in _registry.values() if one.body.__module__.startswith("gate_conformance.cases.")]
    return sorted(known, key=lambda one: (order[one.requirement], one.id))
