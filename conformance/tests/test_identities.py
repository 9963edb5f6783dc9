"""Several identities of the suite, stopped streams, and targets that are told to end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from gate_conformance.identity import Identity, public_id
from gate_conformance.runner import Runner, Settings
from gate_conformance.targets import TargetOptions, parse_target
from gate_conformance.targets.base import Target
from gate_conformance.trial import Options, Trial
from gate_conformance.verdicts import Verdict

OTHER = Identity.of(bytes([7]) * 32)
WHO = """
import os, sys, json, struct
body = json.dumps({"type": "Handshake", "node_id": os.environ["GATE_PEER_ID"], "capabilities": []}).encode()
sys.stdout.buffer.write(struct.pack(">I", len(body)) + body); sys.stdout.buffer.flush()
sys.stdin.buffer.read()
"""


async def _told(t: Trial) -> None:
    """The node under test sends the id that it was told for the suite's as its own."""
    seen = []
    for identity in (None, OTHER, None):
        link = await t.connect(identity)
        seen.append((await link.expect("Handshake"))["node_id"])
        await t.forget(link)
    t.note(" ".join(seen))


async def serve_with_peer_id(stream: Any, *, role: str, peer_id: str) -> None:
    import json
    import struct

    body = json.dumps({"type": "Handshake", "node_id": peer_id, "capabilities": []}).encode()
    try:
        await stream.write(struct.pack(">I", len(body)) + body)
        while await stream.read():
            pass
    except ConnectionError:
        return


def test_a_key_stays_out_of_what_is_printed() -> None:
    assert OTHER.peer_id == public_id(OTHER.key)
    assert OTHER.key.hex() not in repr(OTHER)
    assert "key" not in repr(OTHER)


def test_a_process_is_told_who_the_suite_is(make_case: Any, tmp_path: Path) -> None:
    script = tmp_path / "who.py"
    script.write_text(WHO)
    target = parse_target(
        f"exec:'{sys.executable}' '{script}'", TargetOptions(bytes(32), "ab" * 32, role="dialer")
    )
    case = make_case(_told, roles=("dialer",))
    (result,) = Runner(target, [case], Options(peer_id="ab" * 32), Settings()).run().results
    assert (result.verdict, result.message) == (
        Verdict.PASS,
        f"{'ab' * 32} {OTHER.peer_id} {'ab' * 32}",
    )


def test_a_factory_is_told_who_the_suite_is(run_cases: Any, make_case: Any) -> None:
    case = make_case(_told, roles=("dialer",))
    (result,) = run_cases(serve_with_peer_id, case, role="dialer").results
    assert (result.verdict, result.message) == (
        Verdict.PASS,
        f"{'ab' * 32} {OTHER.peer_id} {'ab' * 32}",
    )


class _Dials(Target):
    """Has no `open_as`, as no target has that dials the suite."""


def test_a_target_that_dials_cannot_be_met_as_another(make_case: Any) -> None:
    async def body(t: Trial) -> None:
        await t.connect(OTHER)

    target = _Dials("test:dials", "acceptor")
    target.virtual = True
    (result,) = Runner(target, [make_case(body)], Options()).run().results
    assert (result.verdict, result.message) == (
        Verdict.NOT_TESTABLE,
        "the target chooses whom it dials",
    )


@pytest.mark.parametrize("name", ["reset", "stop"])
def test_a_factory_learns_of_resets_and_stops_with_their_code(
    run_cases: Any, make_case: Any, name: str
) -> None:
    seen: list[int] = []

    async def factory(stream: Any, *, role: str, peer_id: str) -> None:
        try:
            while await stream.read():
                await stream.write(b"")
        except ConnectionResetError as error:
            seen.append(getattr(error, "code", -1))
        stream.close(0)

    async def body(t: Trial) -> None:
        link = await t.connect()
        assert (link.reset(9) is True) if name == "reset" else (link.stop(9) is False)
        await link.send_raw(b"x")
        report = await link.channel.wait_closed(5.0)
        assert report.code == 0
        assert link.channel.end_target() is False

    (result,) = run_cases(factory, make_case(body)).results
    assert (result.verdict, result.message, seen) == (Verdict.PASS, "", [9])


def test_links_are_counted_until_they_are_released(run_cases: Any, make_case: Any, small_node: Any) -> None:
    async def body(t: Trial) -> None:
        links = [await t.established() for _ in range(3)]
        assert t.health.links == set(links)
        await t.forget(links[0])
        assert t.health.links == set(links[1:])

    async def after(t: Trial) -> None:
        await asyncio.sleep(0)
        assert not t.health.links

    report = run_cases(small_node.factory(), make_case(body), make_case(after, case_id="tests.z"))
    assert [(one.verdict, one.message) for one in report.results] == [(Verdict.PASS, "")] * 2
