"""Data connections: every MUST case finds a faulty node, and nodes that do nothing sensible pass none."""

from __future__ import annotations

from typing import Any

import pytest

from faulty import proof
from faulty.node import Node
from faulty.nulls import NULLS, run_null
from faulty.registry import FAULTS
from faulty.sni import Supply
from faulty.targets import factory_named
from faulty.world import World
from gate_conformance.case import Case, all_cases
from gate_conformance.runner import Runner, Settings
from gate_conformance.targets.memory import MemoryTarget
from gate_conformance.verdicts import Verdict

MODULES = ("inference", "inference_streams", "sni_proxy", "sni_proxy_daemon")
CASES = [
    case
    for case in all_cases()
    if case.body.__module__.rpartition(".")[2] in MODULES
    or case.id.startswith(("closing.other-control", "closing.any-reset-code"))
]
MUST = [(case, role) for case in CASES if case.level == "MUST" for role in case.roles]


@pytest.mark.parametrize(("case", "role"), MUST, ids=[f"{case.id}-{role}" for case, role in MUST])
def test_each_must_case_finds_a_fault(case: Case, role: str) -> None:
    faults = [
        name
        for name, item in FAULTS.items()
        if case.requirement in item.breaks and role in item.roles and item.over == "any"
    ]
    for name in faults:
        (result,) = proof.run(name, role, [case]).results
        if result.verdict is Verdict.FAIL and result.requirement == case.requirement:
            return
    pytest.fail(f"none of {faults} fails it")


@pytest.mark.parametrize("name", NULLS)
def test_null_responders_and_relays_pass_no_must(name: str) -> None:
    factory: Any = factory_named("correct", World())

    async def data(stream: Any, *, alpn: str, peer_id: str) -> None:
        await run_null(name, stream)

    factory.data = data
    target = MemoryTarget(f"py:tests:{name}", factory, "acceptor", proof.PEER_ID)
    cases = [case for case in CASES if case.chapter in ("inference", "sni-proxy", "stream-requests")]
    report = Runner(target, cases, proof.OPTIONS, Settings()).run()
    passed = [one.id for one in report.results if one.verdict is Verdict.PASS and one.case_level == "MUST"]
    assert passed == []
    assert report.summary["harness_error"] == 0
    assert report.summary["fail"] > 20


class NullSupply(Supply):
    """Dials, and does nothing sensible on the stream."""

    null = ""

    async def one(self, ahead: bool) -> None:
        stream: Any = self.node.stream
        self.opening -= ahead
        if not ahead:
            await run_null(self.null, await stream.dial("gate/sni-proxy/1.0"))


@pytest.mark.parametrize("name", NULLS)
def test_null_daemons_pass_no_must(name: str) -> None:
    supplier = type(name, (NullSupply,), {"null": name})
    node = type(name, (Node,), {"supplier": supplier})
    world = World()

    async def factory(stream: Any, *, role: str, peer_id: str) -> None:
        await node(stream, role=role, peer_id=peer_id, world=world).run()

    target = MemoryTarget(f"py:tests:{name}", factory, "dialer", proof.PEER_ID)
    cases = [case for case in CASES if "dialer" in case.roles and case.chapter == "sni-proxy"]
    report = Runner(target, cases, proof.OPTIONS, Settings()).run()
    passed = [one.id for one in report.results if one.verdict is Verdict.PASS and one.case_level == "MUST"]
    assert passed == []
    assert report.summary["harness_error"] == 0


def test_without_data_connections_nothing_is_testable() -> None:
    async def factory(stream: Any, *, role: str, peer_id: str) -> None:
        await Node(stream, role=role, peer_id=peer_id, world=World()).run()

    target = MemoryTarget("py:tests:factory", factory, "acceptor", proof.PEER_ID)
    cases = [case for case in CASES if case.chapter in ("inference", "sni-proxy")]
    results = Runner(target, cases, proof.OPTIONS, Settings()).run().results
    assert {one.verdict for one in results} == {Verdict.NOT_TESTABLE}
    assert {one.message for one in results} == {"this kind of target has no data connections"}


def test_what_is_not_advertised_is_unsupported() -> None:
    cases = [case for case in CASES if case.chapter in ("inference", "sni-proxy")]
    for role in ("acceptor", "dialer"):
        report = proof.run("no-capabilities", role, [case for case in cases if role in case.roles])
        wanted = Verdict.UNSUPPORTED if role == "acceptor" else Verdict.PASS
        assert {one.verdict for one in report.results} == {wanted}, role
