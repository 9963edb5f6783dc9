"""The suite is put to the proof: it finds every faulty node, and finds nothing wrong with permitted choices.

GATE_PROOF=full runs every case over every choice, which takes half an hour; else each choice gets a share
of the cases. The score is written to build/self-proof.json.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import pytest

from faulty import proof
from faulty.nulls import NULLS
from faulty.registry import BOTH, CHOICES, FAULTS
from gate_conformance import spec
from gate_conformance.case import all_cases
from gate_conformance.runner import SMOKE, Runner, Settings
from gate_conformance.targets.base import TargetOptions
from gate_conformance.targets.parse import parse_target
from gate_conformance.verdicts import Verdict

ROOT = Path(__file__).resolve().parents[2]
FULL = os.environ.get("GATE_PROOF") == "full"

# Faults that no case finds yet, with what it would take. A fault that is found after all fails the test.
SURVIVORS: dict[tuple[str, str], str] = {
    (
        "authority-of-own-node-id",
        "dialer",
    ): "no case sends the target's own node_id and asks for a refused name",
    (
        "no-handler-says-failed",
        "acceptor",
    ): "no case asks a node without `dns_challenge` for the code `unsupported`",
    (
        "no-handler-says-failed",
        "dialer",
    ): "no case asks a node without `dns_challenge` for the code `unsupported`",
    (
        "accepts-with-false",
        "acceptor",
    ): "no case wants the end after a renewal was answered with `accepted: false`",
    (
        "accepts-with-false",
        "dialer",
    ): "no case wants the end after a renewal was answered with `accepted: false`",
    (
        "node-id-of-receiver-refused",
        "dialer",
    ): "no case sends the target's own node_id in a Handshake to a dialer",
    (
        "unknown-member-in-response",
        "dialer",
    ): "unknown members of HandshakeResponse are seen under HS-06 alone",
    (
        "own-pings-must-be-answered",
        "acceptor",
    ): "no case leaves a Ping of the target unanswered while other bytes arrive",
    (
        "own-pings-must-be-answered",
        "dialer",
    ): "no case leaves a Ping of the target unanswered while other bytes arrive",
    (
        "takes-back-renewed-capability-late",
        "acceptor",
    ): "no case takes `dns_challenge` back while requests of the target may come",
    (
        "takes-back-renewed-capability-late",
        "dialer",
    ): "no case takes `dns_challenge` back while requests of the target may come",
    ("requests-dropped-past-limit", "acceptor"): "requests.slow-flood blames DC-03",
    ("requests-dropped-past-limit", "dialer"): "requests.slow-flood blames DC-03",
    ("limit-closes", "acceptor"): "requests.slow-flood blames LV-02",
    ("limit-closes", "dialer"): "requests.slow-flood blames LV-02",
    ("quota-refusal-of-another-code", "acceptor"): "no case looks at the code past the limit",
    ("quota-refusal-of-another-code", "dialer"): "no case looks at the code past the limit",
    ("ids-in-flight-without-case", "acceptor"): "no case has ids in flight that differ in case alone",
    ("ids-in-flight-without-case", "dialer"): "no case has ids in flight that differ in case alone",
    ("registration-for-others", "acceptor"): "no case registers the address of another node",
    ("registration-for-others", "dialer"): "no case registers the address of another node",
    ("handshake-shared", "acceptor"): "no case asks on a second connection before its handshake",
}

# Faults that exec: and Iroh show too, one for each way to go wrong.
SOME = ("zero-length-skipped", "pong-with-next-id", "everyone-may")
CRASH = "no-json-crashes"

Job = TypeVar("Job")
Answer = TypeVar("Answer")


def at_once(work: Callable[[Job], Answer], jobs: Iterable[Job]) -> list[Answer]:
    """Does the jobs on every core; spawned, because a fork would inherit the loops of other tests."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, jobs, chunksize=2))


def test_every_fault_names_requirements_that_exist() -> None:
    for item in FAULTS.values():
        assert [spec.requirement(name).id for name in item.breaks] == list(item.breaks), item.name
        assert set(item.roles) <= set(BOTH), item.name


def test_there_are_faults_for_every_must_that_has_a_case() -> None:
    broken = {name for item in FAULTS.values() for name in item.breaks}
    tested = {case.requirement for case in all_cases() if case.level == "MUST"}
    assert tested - broken == set()


@pytest.mark.timeout(600)
def test_each_fault_is_found_for_the_right_requirement() -> None:
    findings = at_once(proof.verdict_on, proof.provable())
    found = [one for one in findings if one.case is not None]
    score = f"{len(found)} of {len(findings)} faults found"
    rows = [
        {"fault": one.fault, "role": one.role, "case": one.case, "requirement": one.requirement}
        for one in findings
    ]
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    content: dict[str, Any] = {"score": score, "found": len(found), "faults": len(findings), "findings": rows}
    (build / "self-proof.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(score + "\n")
    missed = {(one.fault, one.role): one.blamed for one in findings if one.case is None}
    assert {job: blamed for job, blamed in missed.items() if job not in SURVIVORS} == {}
    assert sorted(job for job in SURVIVORS if job not in missed) == [], "found now: take them off the list"


@pytest.mark.timeout(600)
def test_nothing_is_wrong_with_the_correct_node_and_with_choices() -> None:
    jobs = [(name, role, 0) for name in ("correct", "generous") for role in BOTH]
    jobs += [
        (name, role, 0 if FULL else 12)
        for name, item in CHOICES.items()
        if name != "generous" and item.over == "any"
        for role in item.roles
    ]
    assert [alarm for alarms in at_once(proof.false_alarms, jobs) for alarm in alarms] == []


@pytest.mark.timeout(300)
def test_null_nodes_pass_no_must() -> None:
    jobs = [(name, role) for name in NULLS for role in BOTH]
    passed = dict(zip(jobs, at_once(proof.passed_by_null, jobs), strict=True))
    assert {job: cases for job, cases in passed.items() if cases} == {}


def smoke_and(requirements: Iterable[str]) -> list[Any]:
    """The smoke cases and a few short ones of these requirements."""
    wanted = set(requirements)
    short = [
        case for case in all_cases() if case.requirement in wanted and not case.given and case.seconds <= 1.0
    ]
    smoke = [case for case in all_cases() if case.id in SMOKE]
    return smoke + [case for case in short if case not in smoke][:5]


def judge(text: str, role: str, requirements: Iterable[str], dialer: str | None = None) -> list[Any]:
    """The results of these cases over a target that is a process."""
    options = TargetOptions(key=bytes(range(32)), peer_id=proof.PEER_ID, role=role, dialer=dialer)
    return (
        Runner(parse_target(text, options), smoke_and(requirements), proof.OPTIONS, Settings()).run().results
    )


def command(name: str, *arguments: str) -> str:
    return " ".join([sys.executable, "-m", "faulty", name, *arguments])


@pytest.fixture
def faulty_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "conformance"))


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("faulty_importable")
@pytest.mark.parametrize("role", BOTH)
@pytest.mark.parametrize("name", ["correct", CRASH, *SOME])
def test_exec_shows_the_same(name: str, role: str) -> None:
    breaks = FAULTS[name].breaks if name in FAULTS else ("FR-04", "LV-01", "FR-06", "AU-01")
    results = judge(f"exec:{command(name, '--exec', '--role', role)}", role, breaks)
    check(name, results)


@pytest.mark.iroh
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("faulty_importable")
@pytest.mark.parametrize("name", ["correct", *SOME])
def test_iroh_shows_the_same_of_a_dialer(name: str) -> None:
    breaks = FAULTS[name].breaks if name in FAULTS else ("FR-04", "LV-01", "FR-06", "AU-01")
    results = judge("listen", "dialer", breaks, dialer=command(name, "--iroh", "--dial", "{address}"))
    check(name, results)


@pytest.mark.iroh
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("faulty_importable")
@pytest.mark.parametrize("name", ["correct", CRASH, *SOME, "second-stream-ignored", "second-stream-closes"])
def test_iroh_shows_the_same_of_an_acceptor(name: str) -> None:
    import subprocess

    breaks = FAULTS[name].breaks if name in FAULTS else ("FR-04", "LV-01", "FR-06", "TR-02", "TR-03")
    with subprocess.Popen(command(name, "--iroh").split(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            results = judge(f"iroh:{address}", "acceptor", breaks)
        finally:
            process.kill()
    check(name, results)


def check(name: str, results: list[Any]) -> None:
    """A fault is found, anything else has no failure."""
    failed = [one for one in results if one.verdict in (Verdict.FAIL, Verdict.HARNESS_ERROR)]
    assert any(one.verdict is Verdict.PASS for one in results) or failed
    if name in FAULTS:
        assert any(proof.finds(FAULTS[name], one) for one in results), [one.message for one in results]
    else:
        assert [f"{one.id}: {one.message}" for one in failed] == []
