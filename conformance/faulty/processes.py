"""The nodes as processes of their own, over their standard streams and over Iroh, put to the proof."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gate_conformance.case import Case, all_cases
from gate_conformance.runner import SMOKE, Runner, Settings
from gate_conformance.targets.base import TargetOptions
from gate_conformance.targets.parse import parse_target
from gate_conformance.trial import Options
from gate_conformance.verdicts import Result, Verdict

from . import proof
from .registry import FAULTS

HERE = Path(__file__).resolve().parents[1]
# What the correct node and the choices are asked.
PLAIN = (
    "framing.zero-length",
    "dns-challenges.create",
    "authorisation.refused-create",
    "requests.each-alone",
)
SECOND = ("transport.second-stream-not-served", "transport.second-stream-no-disturbance")
BESIDE = (
    "transport.foreign-alpn",
    "transport.datagram-not-acted-on",
    "transport.unidirectional-stream-not-acted-on",
    "transport.unidirectional-stream-no-handshake",
    "transport.stream-of-acceptor-not-served",
    "transport.reset-inside-frame",
    "transport.stopped-in-silence",
    "transport.stopped-while-asked",
    "transport.two-peers",
    "handshake.refused-identity",
    "closing.target-ends",
    "closing.any-code",
)


@dataclass(frozen=True)
class Job:
    """One node in one role, over `exec` or `iroh`; `zone` is `exec` with a look at its records."""

    over: str
    name: str
    role: str


def command(name: str, *arguments: str) -> str:
    """How the node is started."""
    os.environ["PYTHONPATH"] = str(HERE)
    return " ".join([sys.executable, "-m", "faulty", name, *arguments])


def cases_for(job: Job) -> list[Case]:
    """The smoke cases, and those that find the fault; for a node without one a few of everything."""
    fault = FAULTS.get(job.name)
    wanted: Sequence[str] = PLAIN if job.over == "exec" else (*PLAIN, *SECOND, *BESIDE)
    if fault is not None and fault.over == "any":
        wanted = (str(proof.verdict_on((job.name, job.role)).case),)
    elif fault is not None:
        return [case for case in proof.near_first(fault, job.role) if case.seconds <= 2.0]
    return [case for case in all_cases() if case.id in (*SMOKE, *wanted) and job.role in case.roles]


def judge(
    text: str, role: str, cases: Sequence[Case], dialer: str | None = None, options: Options = proof.OPTIONS
) -> list[Result]:
    """The results of these cases over a target that is a process."""
    how = TargetOptions(key=bytes(range(32)), peer_id=proof.PEER_ID, role=role, dialer=dialer)
    return Runner(parse_target(text, how), cases, options, Settings()).run().results


def results_of(job: Job) -> list[Result]:
    """What the suite says about the node."""
    if job.over == "zone":
        return zone_over_exec(job)
    cases = cases_for(job)
    if job.over == "exec":
        return judge(f"exec:{command(job.name, '--exec', '--role', job.role)}", job.role, cases)
    if job.role == "dialer":
        dialer = command(job.name, "--iroh", "--dial", "{address}")
        return judge("listen", "dialer", cases, dialer=dialer)
    started = command(job.name, "--iroh").split()
    with subprocess.Popen(started, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            return judge(f"iroh:{address}", "acceptor", cases)
        finally:
            process.kill()


def problems(job: Job) -> list[str]:
    """What is wrong with the suite's judgement: a fault not found, or a failure where there is no fault."""
    results = results_of(job)
    said = [f"{job}: {one.id}: {one.verdict.value} {one.requirement}: {one.message[:300]}" for one in results]
    if job.name in FAULTS:
        return [] if any(proof.finds(FAULTS[job.name], one) for one in results) else said
    bad = (Verdict.FAIL, Verdict.HARNESS_ERROR, Verdict.INCONCLUSIVE)
    wrong = [text for one, text in zip(results, said, strict=True) if one.verdict in bad]
    return wrong if any(one.verdict is Verdict.PASS for one in results) else said


def zone_over_exec(job: Job) -> list[Result]:
    """The cases that look records up, over a node as a process that serves its zone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{probe.getsockname()[1]}"
    text = f"exec:{command(job.name, '--exec', '--role', job.role, '--dns', server)}"
    return judge(text, job.role, proof.zone_cases(job.role), options=replace(proof.OPTIONS, dns=server))
