"""What can come out of a case, and the exceptions by which a case says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The seven verdicts, in the order in which reports count them."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    UNSUPPORTED = "unsupported"
    NOT_TESTABLE = "not_testable"
    INCONCLUSIVE = "inconclusive"
    HARNESS_ERROR = "harness_error"


class Outcome(Exception):
    """Base of what ends a case early without being an error of the suite."""


class CaseFailed(Outcome):
    """The target broke a requirement. ``requirement`` None stands for the case's own."""

    def __init__(self, expected: str, actual: str, requirement: str | None = None) -> None:
        super().__init__(f"expected {expected}; actual {actual}")
        self.expected = expected
        self.actual = actual
        self.requirement = requirement


class CaseUnsupported(Outcome):
    """The target declares that it does not do what the case is about."""


class CaseNotTestable(Outcome):
    """What the case needs was not given to the suite (an option, a second stream)."""


class CaseInconclusive(Outcome):
    """The state that the case is about was not reached."""


class TargetGone(Exception):
    """No new control stream to the target can be had.

    ``hint`` says what to do about it. ``code``: with which the target closed the new connection.
    """

    def __init__(self, reason: str, hint: str = "", code: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.code = code


class UsageError(Exception):
    """What the user asked for cannot be: a bad target string, a missing file (exit status 2)."""


@dataclass(frozen=True)
class Deviation:
    """One requirement that was not met."""

    requirement: str
    expected: str
    actual: str

    @property
    def text(self) -> str:
        return f"expected {self.expected}; actual {self.actual}"


@dataclass
class Result:
    """The outcome of one case; ``document`` gives the members that the JSON report has, no others."""

    id: str
    requirement: str
    level: str
    verdict: Verdict
    message: str
    seconds: float
    transcript: list[dict[str, Any]] = field(default_factory=list)
    expected: str = ""
    actual: str = ""
    finished_at: float = 0.0
    case_level: str = ""

    def document(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "requirement": self.requirement,
            "level": self.level,
            "verdict": self.verdict.value,
            "message": self.message,
            "seconds": round(self.seconds, 3),
            "transcript": self.transcript,
        }
