"""What a benchmark gives back, and how two things are measured side by side."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One measured value beside an anchor's, both in `unit`; the ratio is meant to reach `goal`."""

    name: str
    value: float
    unit: str
    anchor: str
    anchor_value: float
    goal: float

    @property
    def ratio(self) -> float:
        """How many times the anchor's value."""
        return self.value / self.anchor_value


def side_by_side(
    ours: Callable[[], int], anchor: Callable[[], int], *, rounds: int = 15
) -> tuple[float, float]:
    """The median rates of both, in units a second, each call returning how many units it did.

    The rounds of the two take turns in one process, so that both see the same machine; the first warms up.
    """
    rates: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for subject, found in zip((ours, anchor), rates, strict=True):
            gc.collect()
            started = time.perf_counter()
            units = subject()
            seconds = time.perf_counter() - started
            if number:
                found.append(units / seconds)
    return statistics.median(rates[0]), statistics.median(rates[1])
