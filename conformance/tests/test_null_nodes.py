"""Nodes that do nothing right: none may pass a case of the MUST level."""

from __future__ import annotations

from typing import Any

import pytest

from gate_conformance.case import all_cases
from gate_conformance.verdicts import Verdict


async def silent(stream: Any, *, role: str, peer_id: str) -> None:
    try:
        while await stream.read():
            pass
    except ConnectionError:
        return


async def echo(stream: Any, *, role: str, peer_id: str) -> None:
    try:
        while data := await stream.read():
            await stream.write(data)
    except ConnectionError:
        return


async def closes(stream: Any, *, role: str, peer_id: str) -> None:
    await stream.finish()
    stream.close(0)


async def crashes(stream: Any, *, role: str, peer_id: str) -> None:
    raise RuntimeError("crash")


async def always_errors(stream: Any, *, role: str, peer_id: str) -> None:
    body = b'{"type":"DnsChallengeResponse","request_id":"","success":false,"error":"no"}'
    try:
        while await stream.read():
            await stream.write(len(body).to_bytes(4, "big") + body)
    except ConnectionError:
        return


@pytest.mark.timeout(240)
@pytest.mark.parametrize("role", ["acceptor", "dialer"])
@pytest.mark.parametrize("factory", [silent, echo, closes, crashes, always_errors])
def test_passes_no_must_case(run_cases: Any, factory: Any, role: str) -> None:
    cases = [case for case in all_cases() if case.level == "MUST"]
    report = run_cases(factory, *cases, role=role, examples_scale=0.1)
    passed = [one.id for one in report.results if one.verdict is Verdict.PASS]
    assert passed == []
    assert report.summary["fail"] > 0
    assert report.summary["harness_error"] == 0
