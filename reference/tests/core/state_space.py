"""Exhaustive exploration of two cores joined back to back, breadth first, each state once.

    python -m reference.tests.core.state_space --depth 12 --seconds 300

(from the top of a checkout) goes deeper than the test suite does, and prints how far it came. `PLANS` says
which commands each exploration may give; without a depth it goes on until there is no new state.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from typing import Any

from gate_p2p.core import Connection, State, Stimulus

from .two_ends import QUIET, SIDES, Broken, Plan, World

EVERYTHING = {
    "dialer.create": 1,
    "dialer.cleanup": 1,
    "acceptor.sni": 1,
    "acceptor.inference": 1,
    **{f"{side}.{command}": 1 for side in SIDES for command in ("ping", "renew", "close")},
}
PLANS = {
    "all commands": Plan(EVERYTHING),
    "all commands, no keep-alive": Plan(EVERYTHING, QUIET, halves=False),
    "a request": Plan({"dialer.create": 1}, QUIET),
    "a request and keep-alive": Plan({"dialer.create": 1}, halves=False, under_way=1),
    "requests from both sides": Plan(
        {"dialer.create": 1, "dialer.cleanup": 1, "acceptor.sni": 1}, QUIET, halves=False
    ),
    "requests and goodbyes": Plan(
        {"dialer.create": 1, "acceptor.inference": 1, "dialer.close": 1, "acceptor.close": 1}, QUIET
    ),
    "renewals": Plan(
        {"dialer.renew": 2, "acceptor.renew": 1, "dialer.create": 1, "dialer.close": 1}, QUIET, halves=False
    ),
    "pings": Plan({"dialer.ping": 2, "acceptor.ping": 1, "acceptor.close": 1}, QUIET),
    "keep-alive": Plan({}, halves=False),
    "an unwelcome dialer": Plan({"dialer.create": 1, "dialer.ping": 1, "dialer.close": 1}, admit=False),
}


@dataclass
class Explored:
    """What an exploration has seen."""

    states: int = 0
    transitions: int = 0
    depth: int = 0
    final: int = 0
    complete: bool = False
    """Whether no state was left of which the steps were not taken."""
    seconds: float = 0.0
    rows: set[tuple[State, Stimulus]] = field(default_factory=set)

    def __str__(self) -> str:
        how = "complete" if self.complete else "bounded"
        return (
            f"{self.states:,} states ({self.final:,} final), {self.transitions:,} transitions, "
            f"depth {self.depth} ({how}), {self.seconds:.1f} s"
        )


def explore(
    plan: Plan,
    *,
    make: type[Connection] = Connection,
    depth: int | None = None,
    seconds: float = float("inf"),
) -> Explored:
    """Take every step from every state that is at most `depth` steps from the start.

    Raises `Broken`, with the steps that lead there, for a state in which something does not hold. From every
    state, at the bound too, one way to the end is gone: time-outs, and deliveries where nothing else is left.
    """
    started = time.monotonic()
    found = Explored()
    first = World(plan, make)
    parents: dict[Any, tuple[Any, str] | None] = {first.key(): None}
    onward: dict[Any, Any] = {}
    level = [(first.key(), first)]

    def lead_to_the_end(key: Any, world: World) -> None:
        try:
            run_to_the_end(world, onward)
        except Broken as broken:
            raise Broken(f"{broken}{told(path_to(key, parents))}") from broken

    while level and (depth is None or found.depth < depth) and time.monotonic() - started < seconds:
        found.depth += 1
        following: list[tuple[Any, World]] = []
        for key, world in level:
            quietest = world.quietest()
            for option in world.options():
                try:
                    new = world.step(option)
                except Broken as broken:
                    raise Broken(f"{broken}{told(path_to(key, parents), option)}") from broken
                found.transitions += 1
                found.rows.update(new.rows)
                new_key = new.key()
                if option == quietest:
                    onward[key] = new_key
                if new_key in parents:
                    continue
                parents[new_key] = (key, option)
                if new.final:
                    found.final += 1
                    onward[new_key] = None
                else:
                    following.append((new_key, new))
            if key not in onward:  # too much is under way for time to pass
                lead_to_the_end(key, world)
        level = following
    for key, world in level:
        lead_to_the_end(key, world)
    look_for_rings(onward)
    found.complete = not level
    found.states = len(parents)
    found.seconds = time.monotonic() - started
    return found


def run_to_the_end(world: World, onward: dict[Any, Any]) -> None:
    """Let as little arrive as can be until both ends are closed, or a state comes of which that is known."""
    while (key := world.key()) not in onward:
        if world.final:
            onward[key] = None
            return
        world = world.step(world.quietest())
        onward[key] = world.key()


def look_for_rings(onward: dict[Any, Any]) -> None:
    """From every state the quietest steps lead to the end, and not round in a ring."""
    safe: set[Any] = {None}
    for start in onward:
        passed: dict[Any, None] = {}
        at = start
        while at not in safe:
            if at in passed:
                raise Broken(f"with nothing arriving, the two never come to an end: {at}")
            passed[at] = None
            at = onward[at]
        safe.update(passed)


def told(path: list[str], *last: str) -> str:
    return "\n  after " + "\n   then ".join([*path, *last])


def path_to(key: Any, parents: dict[Any, tuple[Any, str] | None]) -> list[str]:
    """The steps that led to a state first."""
    steps: list[str] = []
    while (parent := parents[key]) is not None:
        key, option = parent
        steps.append(option)
    return steps[::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description="Explore the states of two cores joined back to back.")
    parser.add_argument("--depth", type=int, default=None, help="steps from the start; without it all")
    parser.add_argument("--seconds", type=float, default=300.0, help="go no deeper after these")
    parser.add_argument("--plan", choices=PLANS, action="append", help="which commands; all plans without it")
    chosen = parser.parse_args()
    for name in chosen.plan or PLANS:
        found = explore(PLANS[name], depth=chosen.depth, seconds=chosen.seconds)
        print(f"{name}: {found}", flush=True)


if __name__ == "__main__":
    main()
