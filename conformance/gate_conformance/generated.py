"""Cases with generated examples: Hypothesis draws and shrinks, the loop runs the examples."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from gate_conformance.case import Case
from gate_conformance.execute import (
    SETTLE,
    Context,
    conclude,
    look_back,
    release_links,
    run_body,
)
from gate_conformance.trial import Trial, crash_failure
from gate_conformance.verdicts import CaseFailed, Result, TargetGone

SHRINK_SECONDS = 15.0
GENERATE_SECONDS = 20.0
EXAMPLE_SETTLE = 0.05
_VALUE_CHARACTERS = 200
Run = Callable[[Coroutine[Any, Any, Any]], Any]


class CounterexampleError(Exception):
    """An example failed; the state knows how."""


@dataclass
class _Failure:
    error: CaseFailed
    records: list[dict[str, Any]]
    drawn: dict[str, Any]


@dataclass
class GivenState:
    """What happened to the examples so far; ``stop()`` from another thread ends the case soon."""

    failures: dict[str, _Failure] = field(default_factory=dict)
    last: _Failure | None = None
    stopped: BaseException | None = None
    first_failure_at: float | None = None
    executed: int = 0
    current: Future[Any] | None = None

    def stop(self, error: BaseException) -> None:
        self.stopped = self.stopped or error
        if self.current is not None:
            self.current.cancel()


class _Examples:
    """Callable by Hypothesis, once per example."""

    def __init__(self, trial: Trial, run: Run, state: GivenState) -> None:
        self._trial, self._run, self._state = trial, run, state
        self._started = time.monotonic()

    def __call__(self, drawn: dict[str, Any]) -> None:
        state, key = self._state, repr(sorted(drawn.items()))
        known = state.failures.get(key)
        if known is None and state.stopped is None and not self._out_of_time():
            known = self._execute(key, drawn)
        # Raised at one place, whatever failed: Hypothesis tells failures apart by where they come from.
        if known is not None:
            state.last = known
            raise CounterexampleError

    def _out_of_time(self) -> bool:
        """Later examples count as passed: so generating ends, and shrinking keeps the best it has."""
        first, now = self._state.first_failure_at, time.monotonic()
        return now - self._started > GENERATE_SECONDS if first is None else now - first > SHRINK_SECONDS

    def _execute(self, key: str, drawn: dict[str, Any]) -> _Failure | None:
        state, trial = self._state, self._trial
        trial.transcript.mark()
        state.executed += 1
        try:
            self._run(run_body(trial, EXAMPLE_SETTLE, **drawn))
        except CaseFailed as error:
            if state.last is not None and state.last.error.requirement != error.requirement:
                return None  # another fault than the one that is being shrunk
            state.first_failure_at = state.first_failure_at or time.monotonic()
            state.failures[key] = _Failure(error, trial.transcript.records(), dict(drawn))
            return state.failures[key]
        except Exception as error:  # noqa: BLE001 - kept, and raised when Hypothesis is done
            state.stop(error)
        return None


def run_given(case: Case, context: Context, run: Run, state: GivenState) -> Result:
    """Run the examples of a case; ``run`` executes a coroutine on the loop. Raises TargetGone."""
    import hypothesis

    trial: Trial = run(_make(case, context))
    start: float = run(_now(trial))
    examples = _Examples(trial, run, state)

    def test(**drawn: Any) -> None:
        examples(drawn)

    settings = hypothesis.settings(
        max_examples=max(1, round(case.examples * context.examples_scale)),
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate, hypothesis.Phase.shrink),
        verbosity=hypothesis.Verbosity.quiet,
    )
    seeded = hypothesis.seed(context.seed ^ zlib.crc32(case.id.encode()))
    error: BaseException | None = None
    try:
        seeded(settings(hypothesis.given(**case.given)(test)))()
    except Exception as caught:  # noqa: BLE001 - whatever Hypothesis makes of a counterexample
        error = caught
    failure = state.last
    if isinstance(state.stopped, TargetGone):
        run(release_links(trial, keep=None))
        raise state.stopped
    if failure is not None:
        values = ", ".join(f"{name}={_brief(value)}" for name, value in failure.drawn.items())
        error = CaseFailed(
            failure.error.expected, f"{failure.error.actual} [with {values}]", failure.error.requirement
        )
    elif state.stopped is not None:
        error = state.stopped
    try:
        run(_finish(trial))
    except CaseFailed as late:
        error = error or late
    trial.note(f"{state.executed} examples")
    records = failure.records if failure is not None else None
    return conclude(case, context.health, trial, error, run(_now(trial)) - start, records)


async def _make(case: Case, context: Context) -> Trial:
    return context.trial(case)


async def _now(trial: Trial) -> float:
    return trial.now()


async def _finish(trial: Trial) -> None:
    try:
        await look_back(trial, SETTLE)
    finally:
        crash = await release_links(trial, keep=None)
    if crash is not None:
        raise crash_failure(crash)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _VALUE_CHARACTERS else text[:_VALUE_CHARACTERS] + "…"
