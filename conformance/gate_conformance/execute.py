"""Running one case: the body, what comes after it, and the verdict."""

from __future__ import annotations

import asyncio
import time
import traceback
from dataclasses import dataclass
from typing import Any

from gate_conformance import spec
from gate_conformance.case import Case
from gate_conformance.channel import CloseReport
from gate_conformance.trial import Health, Opener, Options, Trial, crash_failure
from gate_conformance.verdicts import (
    CaseFailed,
    CaseInconclusive,
    CaseNotTestable,
    CaseUnsupported,
    Deviation,
    Outcome,
    Result,
    TargetGone,
    Verdict,
)

SETTLE = 0.2
_FAREWELLS: dict[type[Outcome], Verdict] = {
    CaseUnsupported: Verdict.UNSUPPORTED,
    CaseNotTestable: Verdict.NOT_TESTABLE,
    CaseInconclusive: Verdict.INCONCLUSIVE,
}


@dataclass(frozen=True)
class Context:
    """What all cases of a run share."""

    target: Opener
    role: str
    options: Options
    health: Health
    seed: int = 0
    examples_scale: float = 1.0

    def trial(self, case: Case) -> Trial:
        return Trial(case, self.target, self.role, self.options, self.health)


def time_limit(case: Case) -> float:
    """Seconds after which a case is given up: far above what its own waits add up to."""
    return 90.0 + 3 * case.seconds


async def run_body(trial: Trial, settle: float = SETTLE, **drawn: Any) -> None:
    """One execution: the body, a look at what came unasked, and the end of its links.

    Raises CaseFailed and the other outcomes; a crash of the target comes before everything else.
    """
    try:
        await _in_time(trial, drawn)
        await look_back(trial, settle if trial.shared is None else 0.0)
    except BaseException as error:
        excuse = _excuse(trial) if isinstance(error, CaseFailed) else None
        crash = await release_links(trial, keep=None)
        if crash is not None and isinstance(error, Outcome):
            raise crash_failure(crash, str(error)) from error
        if excuse is not None:
            raise CaseInconclusive(f"{excuse}; without that: {error}") from error
        raise
    crash = await release_links(trial, keep=trial.shared)
    if crash is not None:
        raise crash_failure(crash)


_TIMERS = {"acceptor": 9.5, "dialer": 4.5}  # HS-14 and HS-08, less what measuring may miss
_ABOUT_TIMERS = frozenset({"HS-08", "HS-09", "HS-11", "HS-14", "HS-16"})


def _excuse(trial: Trial) -> str | None:
    """Why a failure says nothing about the requirement: the transport, or a timer of the target's own."""
    for link in trial.links:
        if link.transport_error is not None:
            return f"the transport failed: {link.transport_error}"
        if (
            link.ended is not None
            and not link.audit.handshake_done
            and trial.case.requirement not in _ABOUT_TIMERS
            and link.ended.seconds - link.opened_at >= _TIMERS[trial.role]
        ):
            return "the target answers so slowly that its own time-out for the handshake ended the case"
    return None


async def _in_time(trial: Trial, drawn: dict[str, Any]) -> None:
    limit = time_limit(trial.case)
    try:
        async with asyncio.timeout(limit) as scope:
            trial.time_limit = scope
            await trial.case.run(trial, **drawn)
    except TimeoutError:
        if not scope.expired():
            raise
        # every wait that judges the target has a bound of its own; their sum does not judge it
        raise CaseInconclusive(f"the case was still going on after {limit:g} s") from None


async def look_back(trial: Trial, settle: float) -> None:
    """Fail for what the target sent and should not have, once late answers had ``settle`` seconds to come."""
    if settle and any(link.ended is None for link in trial.links):
        await asyncio.sleep(settle)
    for link in trial.links:
        link.check_audit()


async def release_links(trial: Trial, keep: object) -> CloseReport | None:
    """Release all links but ``keep``; the report of the first that ended in a crash."""
    going = [link for link in trial.links if link is not keep]
    trial.links[:] = [link for link in trial.links if link is keep]
    if keep is None:
        trial.drop_shared()
    reports = await asyncio.gather(*(link.release() for link in going), return_exceptions=True)
    reports += await trial.release_data()
    found: CloseReport | None = None
    for report in reports:
        if isinstance(report, BaseException):
            raise report
        if report.crash is not None and found is None:
            found = report
    return found


async def run_plain(case: Case, context: Context) -> Result:
    """A case without generated examples. Raises TargetGone."""
    trial = context.trial(case)
    start = trial.now()
    error: BaseException | None = None
    try:
        await run_body(trial)
    except TargetGone:
        raise
    except Exception as caught:  # noqa: BLE001 - whatever it is, it becomes a verdict
        error = caught
    finally:
        trial.release_slots()
    return conclude(case, context.health, trial, error, trial.now() - start)


def conclude(
    case: Case,
    health: Health,
    trial: Trial | None,
    error: BaseException | None,
    seconds: float,
    records: list[dict[str, Any]] | None = None,
) -> Result:
    """From what happened to a result."""
    warnings = trial.warnings if trial is not None else []
    notes = trial.notes if trial is not None else []
    if records is None:
        records = trial.transcript.records() if trial is not None else []
    result = Result(case.id, case.requirement, case.level, Verdict.PASS, "; ".join(notes), seconds, records)
    result.case_level = case.level
    result.finished_at = time.monotonic()
    if isinstance(error, CaseFailed):
        requirement = error.requirement or case.requirement
        deviation = Deviation(requirement, error.expected, error.actual)
        _blame(result, deviation, [one for one in warnings if one != deviation])
        prerequisite = health.failed.get(requirement)
        if prerequisite is not None and requirement != case.requirement and prerequisite != case.id:
            result.verdict = Verdict.INCONCLUSIVE
            result.requirement, result.level = case.requirement, case.level
            result.message = f"needs what {prerequisite} tests ({requirement}): {deviation.text}"
    elif isinstance(error, Outcome):
        result.verdict, result.message = _FAREWELLS[type(error)], str(error)
    elif error is not None:
        result.verdict = Verdict.HARNESS_ERROR
        result.message = "".join(traceback.format_exception(error)).strip()
    elif warnings:
        _blame(result, warnings[0], warnings[1:])
    return result


def _blame(result: Result, deviation: Deviation, others: list[Deviation]) -> None:
    result.requirement = deviation.requirement
    result.level = spec.requirement(deviation.requirement).level
    result.verdict = Verdict.FAIL if result.level == "MUST" else Verdict.WARN
    result.expected, result.actual = deviation.expected, deviation.actual
    result.message = deviation.text
    if others:
        result.message += "; also " + "; ".join(f"{one.requirement}: {one.text}" for one in others)


def gone_result(case: Case, gone: TargetGone, seconds: float = 0.0) -> Result:
    """The result of a case for which the target could not be reached any more."""
    failure = CaseFailed("the target can be reached", f"the target is gone: {gone.reason}", "TR-05")
    return conclude(case, Health(), None, failure, seconds)
