"""Choosing cases by pattern and level."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from gate_conformance.case import Case

_REACH = {"must": ("MUST",), "should": ("MUST", "SHOULD"), "may": ("MUST", "SHOULD", "MAY")}


def matches(case: Case, pattern: str) -> bool:
    """A glob on the case id, the requirement id, or the chapter; letters of either case."""
    wanted = pattern.lower()
    names = (case.id, case.id.partition(".")[0], case.requirement.lower(), case.chapter)
    return any(fnmatchcase(name, wanted) for name in names)


def select(cases: Sequence[Case], patterns: Sequence[str], level: str | None, role: str | None) -> list[Case]:
    """The cases that apply to the role, match a pattern (any without patterns) and reach the level."""
    return [
        case
        for case in cases
        if (role is None or role in case.roles)
        and (not patterns or any(matches(case, pattern) for pattern in patterns))
        and (level is None or case.level in _REACH[level])
    ]


def near(cases: Sequence[Case], patterns: Sequence[str]) -> list[str]:
    """Names that look like the patterns, best first."""
    names = [name for case in cases for name in (case.id, case.requirement, case.chapter)]
    names = list(dict.fromkeys(names))
    lower = {name.lower(): name for name in names}
    found: list[str] = []
    for pattern in patterns:
        bare = pattern.strip("*?").lower()
        inside = [name for name in names if bare and bare in name.lower()]
        close = difflib.get_close_matches(pattern.lower(), list(lower), n=4, cutoff=0.5)
        found += inside[:4] + [lower[name] for name in close]
    return list(dict.fromkeys(found))[:6]
