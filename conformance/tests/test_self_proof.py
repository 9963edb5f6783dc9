"""The suite is put to the proof: it finds every faulty node, and finds nothing wrong with permitted choices.

GATE_PROOF=full runs every case over every choice, which takes half an hour; else each choice gets a share
of the cases. The score is written to build/self-proof.json.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import pytest

from faulty import proof
from faulty.nulls import NULLS
from faulty.processes import Job, problems
from faulty.registry import BOTH, CHOICES, FAULTS
from gate_conformance import spec
from gate_conformance.case import all_cases
from gate_conformance.verdicts import Verdict

ROOT = Path(__file__).resolve().parents[2]
FULL = os.environ.get("GATE_PROOF") == "full"

# Faults in memory that no case finds, with what it would take. One that is found after all fails the test.
SURVIVORS: dict[tuple[str, str], str] = {}

# Faults that the suite cannot see at all, and why.
UNSEEN: dict[str, str] = {}

# Faults that exec: and Iroh show too, one for each way to go wrong.
SOME = ("zero-length-skipped", "sends-trailing-comma", "everyone-may")
CRASH = "no-json-crashes"

Work = TypeVar("Work")
Answer = TypeVar("Answer")


def at_once(work: Callable[[Work], Answer], jobs: Iterable[Work], workers: int | None = None) -> list[Answer]:
    """Does the jobs on every core; spawned, because a fork would inherit the loops of other tests."""
    with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, jobs, chunksize=1))


def test_every_fault_names_requirements_that_exist() -> None:
    for item in FAULTS.values():
        assert [spec.requirement(name).id for name in item.breaks] == list(item.breaks), item.name
        assert set(item.roles) <= set(BOTH), item.name


def test_there_are_faults_for_every_must_that_has_a_case() -> None:
    broken = {name for item in FAULTS.values() for name in item.breaks}
    tested = {case.requirement for case in all_cases() if case.level == "MUST"}
    assert tested - broken == set()


def score(findings: Sequence[proof.Finding]) -> tuple[str, dict[tuple[str, str], Any]]:
    """The score in words, and what was missed with what was blamed for it."""
    missed = {(one.fault, one.role): one.blamed for one in findings if one.case is None}
    return f"{len(findings) - len(missed)} of {len(findings)} faults found", missed


def publish(part: str, findings: Sequence[proof.Finding]) -> None:
    """Write the score of one part into build/self-proof.json; the parts come one after the other."""
    path = ROOT / "build" / "self-proof.json"
    path.parent.mkdir(exist_ok=True)
    words, missed = score(findings)
    rows = [
        {"fault": one.fault, "role": one.role, "case": one.case, "requirement": one.requirement}
        for one in findings
    ]
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    content[part] = {
        "score": words,
        "found": len(findings) - len(missed),
        "faults": len(findings),
        "findings": rows,
    }
    content["survivors"] = {f"{name} as {role}": why for (name, role), why in SURVIVORS.items()} | UNSEEN
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{part}: {words}\n")


@pytest.mark.timeout(600)
def test_each_fault_is_found_for_the_right_requirement() -> None:
    findings = at_once(proof.verdict_on, proof.provable())
    publish("memory", findings)
    _, missed = score(findings)
    assert {job: blamed for job, blamed in missed.items() if job not in SURVIVORS} == {}
    assert sorted(job for job in SURVIVORS if job not in missed) == [], "found now: take them off the list"


@pytest.mark.timeout(120)
def test_each_fault_in_the_zone_is_found() -> None:
    with ThreadPoolExecutor(12) as pool:  # they wait most of the time
        correct = {
            (name, role): pool.submit(proof.run_in_zone, name, role, proof.zone_cases(role))
            for name in ("correct", "registers-names")
            for role in BOTH
        }
        findings = list(pool.map(proof.verdict_in_zone, proof.provable("dns")))
    publish("zone", findings)
    assert score(findings)[1] == {}
    others = {
        (*job, one.id): one.verdict
        for job, done in correct.items()
        for one in done.result()
        if one.verdict is not Verdict.PASS
    }
    assert others == {
        ("correct", role, "domain-registration.records"): Verdict.UNSUPPORTED for role in BOTH
    }  # it registers no names
    assert all(len(done.result()) >= 12 for done in correct.values())


@pytest.mark.timeout(300)
def test_each_fault_with_tcp_connections_is_found() -> None:
    with ThreadPoolExecutor(8) as pool:  # they wait most of the time
        correct = {
            role: pool.submit(proof.run_visited, "correct", role, proof.visited_cases(role)) for role in BOTH
        }
        findings = list(pool.map(proof.verdict_visited, proof.provable("front")))
    publish("front", findings)
    assert score(findings)[1] == {}
    for role, done in correct.items():
        results = done.result()
        assert len(results) >= 9
        assert [one.message for one in results if one.verdict is not Verdict.PASS] == [], role


def test_every_fault_is_proven_somewhere() -> None:
    seen = {name for over in ("any", "dns", "front") for name, _ in proof.provable(over)}
    seen |= {name for name, _ in proof.provable("iroh")}
    assert set(FAULTS) - seen | set(UNSEEN) == set(UNSEEN)


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


@pytest.mark.timeout(240)
def test_exec_shows_the_same() -> None:
    jobs = [Job("exec", name, role) for name in ("correct", CRASH, *SOME) for role in BOTH]
    jobs += [Job("zone", "correct", "acceptor")]
    assert [problem for found in at_once(problems, jobs, 5) for problem in found] == []


@pytest.mark.iroh
@pytest.mark.timeout(240)
def test_iroh_shows_the_same() -> None:
    jobs = [Job("iroh", name, role) for name, role in proof.provable("iroh") if name not in UNSEEN]
    jobs += [Job("iroh", name, role) for name in ("correct", *SOME) for role in BOTH]
    # a dialer may exit with any status when its connection is over: its crash is not told from that
    jobs += [Job("iroh", CRASH, "acceptor"), Job("iroh", "second-stream-ignored", "acceptor")]
    assert [problem for found in at_once(problems, jobs, 5) for problem in found] == []
