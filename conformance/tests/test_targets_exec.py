"""Processes as targets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gate_conformance.runner import Report, Runner, Settings
from gate_conformance.targets import TargetOptions, parse_target
from gate_conformance.trial import Options, Trial
from gate_conformance.verdicts import TargetGone, UsageError, Verdict

NODE = """
import json, os, struct, sys
def send(**message):
    body = json.dumps(message).encode()
    sys.stdout.buffer.write(struct.pack(">I", len(body)) + body); sys.stdout.buffer.flush()
def read(count):
    data = sys.stdin.buffer.read(count)
    return data if len(data) == count else None
if os.environ["GATE_ROLE"] == "dialer":
    send(type="Handshake", node_id="5a" * 32, capabilities=[os.environ["GATE_PEER_ID"]])
while (prefix := read(4)) is not None:
    body = read(struct.unpack(">I", prefix)[0])
    message = json.loads(body)
    if message["type"] == "Handshake":
        send(type="HandshakeResponse", accepted=True, capabilities=[os.environ["GATE_PEER_ID"]])
    if message["type"] == "Ping":
        BEFORE_PONG
        send(type="Pong", id=message["id"])
AT_END
"""


@pytest.fixture
def run_node(tmp_path: Path) -> Any:
    def run(case: Any, before_pong: str = "pass", at_end: str = "pass", role: str = "acceptor") -> Report:
        script = tmp_path / "node.py"
        script.write_text(NODE.replace("BEFORE_PONG", before_pong).replace("AT_END", at_end))
        options = TargetOptions(bytes(32), "ab" * 32, role)
        target = parse_target(f"exec:'{sys.executable}' '{script}'", options)
        return Runner(target, [case], Options(peer_id="ab" * 32), Settings(jobs=2)).run()

    return run


async def _body(t: Trial) -> None:
    link = await t.established()
    assert link.peer_capabilities == ("ab" * 32,)
    await link.barrier()


@pytest.mark.parametrize("role", ["acceptor", "dialer"])
def test_speaks_over_pipes(run_node: Any, make_case: Any, role: str) -> None:
    (result,) = run_node(make_case(_body), role=role).results
    assert (result.verdict, result.message) == (Verdict.PASS, "")


def test_an_error_status_is_a_crash(run_node: Any, make_case: Any) -> None:
    (result,) = run_node(make_case(_body), at_end="sys.exit('sorry')").results
    assert (result.verdict, result.requirement) == (Verdict.FAIL, "TR-05")
    assert "status 1" in result.message
    assert "sorry" in result.message


def test_a_signal_is_a_crash(run_node: Any, make_case: Any) -> None:
    (result,) = run_node(make_case(_body), before_pong="os.kill(os.getpid(), 11)").results
    assert (result.verdict, result.requirement) == (Verdict.FAIL, "TR-05")
    assert "SIGSEGV" in result.message


def test_the_end_of_output_is_an_end(run_node: Any, make_case: Any) -> None:
    async def body(t: Trial) -> None:
        link = await t.established()
        await link.finish()
        end = await link.expect_end()
        t.note(f"{end.kind} {end.status}")

    (result,) = run_node(make_case(body)).results
    assert (result.verdict, result.message) == (Verdict.PASS, "exit 0")


def test_a_missing_program_is_out_of_reach(make_case: Any) -> None:
    target = parse_target("exec:/nowhere/no-such-node", TargetOptions(bytes(32), "ab" * 32))
    with pytest.raises(TargetGone, match="no-such-node"):
        Runner(target, [make_case(_body)], Options()).run()


@pytest.mark.parametrize(
    ("text", "role", "dialer", "words"),
    [
        ("", None, None, "expected iroh:"),
        ("tcp:localhost:1", None, None, "expected iroh:"),
        ("exec:", None, None, "a command is expected"),
        ("exec:'x", None, None, "No closing quotation"),
        ("py:gate_conformance", None, None, "py:module:factory"),
        ("py:no_such_module_here:f", None, None, "cannot import"),
        ("py:gate_conformance.codec:encode", None, None, "coroutine function"),
        ("py:gate_conformance.codec:nothing", None, None, "no function"),
        ("iroh:abc", None, None, "expected <64 hex"),
        ("iroh:" + "ab" * 32 + "@localhost:1", None, None, "ip:port"),
        ("iroh:" + "ab" * 32 + "@127.0.0.1:1", "dialer", None, "use listen"),
        ("listen:nowhere", None, None, "ip:port"),
        ("listen", "acceptor", None, "use iroh:"),
        ("listen", None, "my-node", "{address}"),
        ("exec:x", None, "my-node {address}", "belongs to the target listen"),
    ],
)
def test_bad_target_strings_say_what_is_expected(
    text: str, role: str | None, dialer: str | None, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(text, TargetOptions(bytes(32), "ab" * 32, role, dialer))
    assert words in str(caught.value)
