"""`gate-p2p stdio`: the node on standard input and output, as the suite's `exec:` targets are run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .process import PEER_ID, environment, frame, frames, run

HANDSHAKE = frame(json.dumps({"type": "Handshake", "node_id": PEER_ID, "capabilities": []}).encode())


def speak(
    *messages: dict[str, object] | bytes, arguments: tuple[str, ...] = ()
) -> tuple[int, list[dict[str, object]]]:
    sent = b"".join(one if isinstance(one, bytes) else frame(json.dumps(one).encode()) for one in messages)
    result = run("stdio", *arguments, stdin=HANDSHAKE + sent, GATE_PEER_ID=PEER_ID)
    assert b"Traceback" not in result.stderr
    return result.returncode, frames(result.stdout)


@contextmanager
def open_node(*arguments: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "gate_p2p.cli", "stdio", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(GATE_PEER_ID=PEER_ID, **env),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_it_answers_and_ends_with_0_at_the_end_of_its_input() -> None:
    status, answers = speak({"type": "Ping", "id": 2**64 - 1})
    assert status == 0
    assert [answer["type"] for answer in answers] == ["HandshakeResponse", "Pong"]
    assert answers[0]["capabilities"] == ["dns_challenge"]
    assert answers[1]["id"] == 2**64 - 1


@pytest.mark.parametrize("violation", [b"\0\0\0\0", b"\xff\xff\xff\xff", frame(b"{"), b"\0\0"])
def test_a_violation_is_an_orderly_end(violation: bytes) -> None:
    status, answers = speak({"type": "Ping", "id": 7}, violation)
    assert status == 0
    assert [answer["type"] for answer in answers] == ["HandshakeResponse", "Pong"]


def test_the_end_comes_although_its_input_stays_open() -> None:
    with open_node() as node:
        assert node.stdin is not None
        assert node.stdout is not None
        node.stdin.write(HANDSHAKE + b"\0\0\0\0")
        node.stdin.flush()
        assert [answer["type"] for answer in frames(node.stdout.read())] == ["HandshakeResponse"]
        assert node.wait(timeout=45) == 0


def test_allow_and_delay_are_obeyed() -> None:
    def create(request_id: str, domain: str) -> dict[str, object]:
        return {
            "type": "DnsChallengeCreate",
            "request_id": request_id,
            "domain": domain,
            "txt_value": "v" * 43,
        }

    status, answers = speak(
        create("slow", "slow.conformance.test"),
        create("good", "conformance.test"),
        create("bad", "other.test"),
        arguments=(
            "--allow",
            "*=conformance.test",
            "--allow",
            f"{PEER_ID}=slow.conformance.test",
            "--dns-delay",
            "slow.conformance.test=0.3",
        ),
    )
    assert status == 0
    results = [(answer["request_id"], answer["success"]) for answer in answers[1:]]
    # the refusal is ready at once; the slow one ends within the second that an end of input leaves
    assert sorted(results) == [("bad", False), ("good", True), ("slow", True)]
    assert results[-1] == ("slow", True)


@pytest.mark.parametrize("how", ["option", "environment"])
def test_as_dialer_it_speaks_first(how: str) -> None:
    arguments = ("--role", "dialer") if how == "option" else ()
    with open_node(*arguments, **({} if how == "option" else {"GATE_ROLE": "dialer"})) as node:
        assert node.stdout is not None
        size = int.from_bytes(node.stdout.read(4), "big")
        handshake = json.loads(node.stdout.read(size))
        assert handshake["type"] == "Handshake"
        assert len(handshake["node_id"]) == 64
        out, _ = node.communicate(timeout=45)
        assert node.returncode == 0
        assert out == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_0(number: signal.Signals) -> None:
    with open_node() as node:
        assert node.stdin is not None
        assert node.stdout is not None
        node.stdin.write(HANDSHAKE)
        node.stdin.flush()
        assert node.stdout.read(4)
        node.send_signal(number)
        _, err = node.communicate(timeout=45)
        assert node.returncode == 0
        assert b"Traceback" not in err


def test_a_reader_that_went_away_is_an_orderly_end() -> None:
    with open_node() as node:
        assert node.stdin is not None
        assert node.stdout is not None
        node.stdin.write(HANDSHAKE)
        node.stdin.flush()
        assert node.stdout.read(4)
        node.stdout.close()
        node.stdin.write(b'\0\0\0\x16{"type":"Ping","id":7}')
        node.stdin.flush()
        assert node.stderr is not None
        err = node.stderr.read()
        assert node.wait(timeout=45) == 0
        assert b"Traceback" not in err


def test_a_file_as_standard_input_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(HANDSHAKE)
    with path.open("rb") as file:
        failed = subprocess.run(
            [sys.executable, "-m", "gate_p2p.cli", "stdio"],
            stdin=file,
            capture_output=True,
            check=False,
            env=environment(GATE_PEER_ID=PEER_ID),
            timeout=45,
        )
    assert failed.returncode == 2
    assert failed.stderr.count(b"\n") == 1
    assert b"pipe" in failed.stderr
