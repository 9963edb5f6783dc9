"""How the suite is put to the proof: which cases find which fault, in memory and in virtual time.

The only module here that knows the suite; the nodes themselves know nothing of it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from gate_conformance import spec
from gate_conformance.case import Case, all_cases
from gate_conformance.identity import Identity
from gate_conformance.runner import SMOKE, Report, Runner, Settings
from gate_conformance.targets.memory import MemoryTarget
from gate_conformance.trial import Options
from gate_conformance.verdicts import Result, Verdict

from .nameserver import NameServer
from .registry import FAULTS, Fault
from .targets import class_named, factory_named, names
from .world import DOMAIN, MODEL, PEER_NAME, SLOW_DOMAIN, SLOW_MODEL, World

PEER_ID = "ab" * 32
OPTIONS = Options(
    domain=DOMAIN,
    refused_domain="refused.test",
    slow_domain=SLOW_DOMAIN,
    model=MODEL,
    slow_model=SLOW_MODEL,
    peer_id=PEER_ID,
    domain_given=True,
    other=Identity.of(bytes([7]) * 32),
    refused=Identity.of(bytes([8]) * 32),
)


@dataclass(frozen=True)
class Finding:
    """What became of one fault in one role: the case that found it, or None."""

    fault: str
    role: str
    case: str | None
    requirement: str | None
    blamed: tuple[str, ...] = ()


def target_of(name: str, role: str) -> MemoryTarget:
    """A fresh node of that name, as a target in memory; KeyError for an unknown name."""
    return MemoryTarget(f"py:faulty.targets:{name}", factory_named(name), role, PEER_ID)


def run(name: str, role: str, cases: Sequence[Case], scale: float = 1.0) -> Report:
    """The report of these cases over the node of that name."""
    return Runner(target_of(name, role), cases, OPTIONS, Settings(examples_scale=scale)).run()


def finds(fault: Fault, result: Result) -> bool:
    """Whether this result blames the fault for what it breaks; a warning does where no MUST is broken."""
    if result.requirement not in fault.breaks:
        return False
    if result.verdict is Verdict.WARN:
        return spec.requirement(result.requirement).level != "MUST"
    return result.verdict is Verdict.FAIL


def near_first(fault: Fault, role: str) -> Iterator[Case]:
    """The cases of the requirements that the fault breaks, the nearest first, plain before generated."""

    def distance(case: Case) -> tuple[bool, int]:
        return bool(case.given), fault.breaks.index(case.requirement)

    usable = [case for case in all_cases() if role in case.roles and case.requirement in fault.breaks]
    yield from sorted(usable, key=distance)


def chapters_of(fault: Fault, role: str) -> Iterator[Case]:
    """The other cases of the chapters that those requirements stand in."""
    chapters = {spec.requirement(name).chapter for name in fault.breaks}
    for case in all_cases():
        if role in case.roles and case.chapter in chapters and case.requirement not in fault.breaks:
            yield case


def the_others(fault: Fault, role: str) -> Iterator[Case]:
    """The cases of all other chapters."""
    chapters = {spec.requirement(name).chapter for name in fault.breaks}
    for case in all_cases():
        if role in case.roles and case.chapter not in chapters:
            yield case


def look_for(
    fault: Fault,
    role: str,
    ways: Sequence[Callable[[Fault, str], Iterator[Case]]] = (near_first, chapters_of, the_others),
) -> Finding:
    """Runs case after case until one finds the fault."""
    blamed: list[str] = []
    for way in ways:
        for case in way(fault, role):
            for result in (
                Runner(target_of(fault.name, role), [case], OPTIONS, Settings(examples_scale=0.5))
                .run()
                .results
            ):
                if finds(fault, result):
                    return Finding(fault.name, role, case.id, result.requirement)
                if result.verdict in (Verdict.FAIL, Verdict.WARN, Verdict.HARNESS_ERROR):
                    blamed.append(f"{case.id}:{result.verdict.value}:{result.requirement}")
    return Finding(fault.name, role, None, None, tuple(blamed))


def provable(over: str = "any") -> list[tuple[str, str]]:
    """Every fault that shows there, with every role; "any" is memory."""
    return [(name, role) for name, item in FAULTS.items() if item.over == over for role in item.roles]


def verdict_on(job: tuple[str, str]) -> Finding:
    """What becomes of one fault in one role."""
    name, role = job
    return look_for(FAULTS[name], role)


def zone_cases(role: str) -> list[Case]:
    """The cases that look records up."""
    return [
        case for case in all_cases() if case.body.__module__.endswith(".dns_records") and role in case.roles
    ]


def run_in_zone(name: str, role: str, cases: Sequence[Case]) -> list[Result]:
    """The results of these cases over a fresh node whose zone a name server shows, in real time."""
    world = World()
    target = MemoryTarget(f"py:faulty.targets:{name}", factory_named(name, world), role, PEER_ID)
    target.virtual = False  # the name server answers from a thread, which virtual time does not wait for
    with NameServer(world) as server:
        return Runner(target, cases, replace(OPTIONS, dns=server.address), Settings()).run().results


def verdict_in_zone(job: tuple[str, str]) -> Finding:
    """What becomes of a fault that only a look into the zone shows."""
    name, role = job
    fault = FAULTS[name]
    blamed: list[str] = []
    for case in sorted(zone_cases(role), key=lambda case: case.requirement not in fault.breaks):
        for result in run_in_zone(name, role, [case]):
            if finds(fault, result):
                return Finding(name, role, case.id, result.requirement)
            if result.verdict is not Verdict.PASS:
                blamed.append(f"{case.id}:{result.verdict.value}:{result.requirement}")
    return Finding(name, role, None, None, tuple(blamed))


def visited_cases(role: str) -> list[Case]:
    """The cases that have to do with TCP connections."""
    modules = (".sni_proxy_bytes", ".sni_proxy_visitors")
    return [case for case in all_cases() if case.body.__module__.endswith(modules) and role in case.roles]


def run_visited(name: str, role: str, cases: Sequence[Case]) -> list[Result]:
    """The results of these cases over a fresh node with TCP connections, in real time."""
    world = World()
    with socket.socket() as visitors, socket.socket() as probe:
        visitors.bind(("127.0.0.1", 0))
        visitors.listen()
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()
        probe.close()
        front = f"127.0.0.1:{visitors.getsockname()[1]}"
        world.tls_target = free
        node = class_named(name)
        world.splice = node.splice
        world.front = node.front(world, visitors)
        target = MemoryTarget(f"py:faulty.targets:{name}", factory_named(name, world), role, PEER_ID)
        target.virtual = False
        options = replace(OPTIONS, https=front, https_name=PEER_NAME, https_target=f"127.0.0.1:{free[1]}")
        return Runner(target, cases, options, Settings(jobs=4)).run().results


def verdict_visited(job: tuple[str, str]) -> Finding:
    """What becomes of a fault that only TCP connections show."""
    name, role = job
    fault = FAULTS[name]
    blamed: list[str] = []
    for case in visited_cases(role):
        if case.requirement not in fault.breaks:
            continue
        for result in run_visited(name, role, [case]):
            if finds(fault, result):
                return Finding(name, role, case.id, result.requirement)
            blamed.append(f"{case.id}:{result.verdict.value}:{result.requirement}:{result.message[:200]}")
    return Finding(name, role, None, None, tuple(blamed))


def sample(place: int, of: int) -> list[Case]:
    """Every `of`-th plain case from `place` on, after the smoke cases."""
    plain = [case for case in all_cases() if not case.given and case.id not in SMOKE]
    return [case for case in all_cases() if case.id in SMOKE] + plain[place % of :: of]


def false_alarms(job: tuple[str, str, int]) -> list[str]:
    """The failures of a node that does nothing wrong; (name, role, n): each n-th plain case, all for 0."""
    name, role, step = job
    cases = sample(names().index(name), step) if step else all_cases()
    if name == "generous":  # its long Pongs make this case a test of the suite's own speed
        cases = [case for case in cases if case.id != "liveness.flood-unread"]
    wrong = (Verdict.FAIL, Verdict.HARNESS_ERROR)
    report = run(name, role, cases, scale=0.2)
    return [
        f"{name} as {role}: {one.id}: {one.requirement}: {one.message[:300]}"
        for one in report.results
        if one.verdict in wrong
    ]


def passed_by_null(job: tuple[str, str]) -> list[str]:
    """The MUST cases that a null node passes."""
    name, role = job
    report = run(name, role, [case for case in all_cases() if not case.given], scale=0.2)
    return [one.id for one in report.results if one.verdict is Verdict.PASS and one.case_level == "MUST"]
