"""The command line: options, reports, exit statuses."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from gate_conformance import cli
from gate_conformance.cli.app import run_app
from gate_conformance.identity import public_id

NODE = """
import json, struct
async def good(stream, *, role, peer_id):
    buffer = b""
    async def send(message):
        body = json.dumps(message).encode()
        await stream.write(struct.pack(">I", len(body)) + body)
    try:
        while data := await stream.read():
            buffer += data
            while len(buffer) >= 4:
                (length,) = struct.unpack(">I", buffer[:4])
                if len(buffer) < 4 + length:
                    break
                message, buffer = json.loads(buffer[4 : 4 + length]), buffer[4 + length :]
                if message["type"] == "Handshake":
                    await send({"type": "HandshakeResponse", "accepted": True, "capabilities": []})
                if message["type"] == "Ping":
                    await send({"type": "Pong", "id": message["id"]})
    except ConnectionError:
        pass
async def silent(stream, *, role, peer_id):
    try:
        while await stream.read():
            pass
    except ConnectionError:
        pass
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command in a directory with a module of nodes; gives status, stdout, stderr."""
    (tmp_path / "cli_nodes.py").write_text(NODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gate-conformance", *arguments])
        with pytest.raises(SystemExit) as caught:
            run_app()
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    yield run
    sys.modules.pop("cli_nodes", None)


def test_a_good_node_gives_0_and_reports(command: Any, tmp_path: Path) -> None:
    status, out, err = command(
        "run",
        "py:cli_nodes:good",
        "--only",
        "liveness.ping",
        "--json",
        "r.json",
        "--junit",
        "r.xml",
        "--seed",
        "5",
    )
    assert status == 0, out + err
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["summary"]["pass"] == 1
    assert (document["role"], document["seed"], document["interrupted"]) == ("acceptor", 5, False)
    assert ET.parse(tmp_path / "r.xml").getroot().attrib["failures"] == "0"
    assert "liveness.ping" in out
    assert "seed 5" in out
    assert "\x1b" not in out
    assert "the suite's identity:" in err


def test_a_failing_node_gives_1_and_says_why(command: Any) -> None:
    status, out, _ = command("run", "py:cli_nodes:silent", "--only", "LV-01", "--only", "handshake.answered")
    assert status == 1
    assert "Requirement:" in out
    assert "Expected: HandshakeResponse within 5 s" in out
    assert "Actual:   nothing of the kind in 5 s" in out
    assert "->" in out
    assert '"type":"Handshake"' in out


def test_json_on_standard_output_is_alone_there(command: Any) -> None:
    status, out, err = command("run", "py:cli_nodes:good", "--only", "liveness.ping", "--json", "-")
    assert status == 0
    assert json.loads(out)["cases"][0]["verdict"] == "pass"
    assert "the MUST set in" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "nonsense"), "expected iroh:"),
        (("run", "py:cli_nodes:missing"), "no function missing"),
        (("run", "py:cli_nodes:good", "--dns", "localhost"), "SERVER:PORT"),
        (("run", "py:cli_nodes:good", "--https", "localhost"), "--https localhost: expected HOST:PORT"),
        (("run", "py:cli_nodes:good", "--https", "localhost:1"), "goes with a target over Iroh"),
        (
            ("run", "py:cli_nodes:good", "--domain", "foo bar"),
            "--domain foo bar: no domain in the form of DC-03",
        ),
        (
            ("run", "py:cli_nodes:good", "--refused-domain", "conformance.test"),
            "--refused-domain is --domain",
        ),
        (
            ("run", "iroh:" + "a" * 64 + "@127.0.0.1:1", "--https", "localhost:1"),
            "--https and --https-name go together",
        ),
        (("run", "py:cli_nodes:good", "--https-target", "1.2.3.4:0"), "--https-target 1.2.3.4:0: expected"),
        (("run", "py:cli_nodes:good", "--json", "no/such/dir/r.json"), "No such file"),
        (("run", "py:cli_nodes:good", "--key", "short.key"), "32 raw bytes"),
        (("run", "py:cli_nodes:good", "--other-key", "short.key"), "32 raw bytes"),
        (("run", "py:cli_nodes:good", "--key", "a.key", "--refused-key", "a.key"), "different keys"),
        (("run", "py:cli_nodes:good", "--jobs", "0"), "--jobs"),
        (("run", "py:cli_nodes:good", "--json", "-", "--junit", "-"), "standard output"),
        (("run",), "TARGET"),
        (("explain", "XX-99"), "no requirement"),
    ],
)
def test_wrong_usage_gives_2(command: Any, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    (tmp_path / "short.key").write_bytes(b"short")
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_a_pattern_that_matches_nothing_gives_3(command: Any) -> None:
    status, _, err = command("run", "py:cli_nodes:good", "--only", "livenes.ping")
    assert status == 3
    assert "no case ran" in err
    assert "liveness.ping" in err


def test_one_pattern_of_two_that_matches_nothing_is_said(command: Any) -> None:
    status, _, err = command("run", "py:cli_nodes:good", "--only", "liveness.ping", "--only", "livenes.pong")
    assert status == 0
    assert "--only livenes.pong matches nothing" in err


def test_an_unreachable_target_gives_3_and_leaves_no_report(command: Any, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("of an earlier run")
    (tmp_path / "node").write_text("no program")
    (tmp_path / "node").chmod(0o755)
    for target in ("exec:/nowhere/node", "exec:./node"):
        status, _, err = command("run", target, "--only", "liveness.ping", "--json", "r.json")
        assert status == 3
        assert "cannot be reached" in err
        assert "hint:" in err
        assert not (tmp_path / "r.json").exists()


def test_a_run_that_tested_nothing_gives_3_and_says_so(command: Any) -> None:
    status, out, _ = command("run", "py:cli_nodes:good", "--only", "liveness.while-slow-pending")
    assert status == 3
    assert "No case could test anything" in out


def test_a_report_that_cannot_be_written_gives_4(command: Any) -> None:
    status, _, err = command("run", "py:cli_nodes:good", "--only", "liveness.ping", "--json", "/dev/full")
    assert status == 4
    assert "--json /dev/full was not written" in err


def test_an_error_that_nobody_foresaw_gives_4(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from gate_conformance.runner import Runner

    def broken(self: Runner) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(Runner, "run", broken)
    status, _, err = command("run", "py:cli_nodes:good", "--only", "liveness.ping")
    assert status == 4
    assert "ZeroDivisionError" in err
    assert "says nothing about the target" in err


def test_junit_on_standard_output_is_alone_there(command: Any) -> None:
    status, out, _ = command("run", "py:cli_nodes:good", "--only", "liveness.ping", "--junit", "-")
    assert status == 0
    assert ET.fromstring(out).attrib["tests"] == "1"


def test_an_error_of_the_suite_gives_4(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from gate_conformance.link import Link

    async def broken(self: Link, requirement: str | None = None) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(Link, "barrier", broken)
    status, out, _ = command("run", "py:cli_nodes:good", "--only", "framing.sends-frames", "--only", "FR-02")
    assert status == 4
    assert "not the target's fault" in out
    assert "ZeroDivisionError" in out


def test_the_key_is_made_once_and_kept(command: Any, tmp_path: Path) -> None:
    identities = []
    for _ in range(2):
        _, _, err = command("run", "py:cli_nodes:good", "--only", "liveness.ping", "--key", "suite.key")
        identities.append(err.split("identity: ")[1][:64])
    key = tmp_path / "suite.key"
    assert identities[0] == identities[1] == public_id(key.read_bytes())
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_public_id_is_ed25519() -> None:
    # RFC 8032, 7.1, test 1
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert public_id(secret) == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def test_list_and_explain(command: Any) -> None:
    status, out, _ = command("list", "--json")
    rows = json.loads(out)
    assert status == 0
    assert len(rows) >= 40
    assert {"id", "requirement", "level", "roles", "title", "requirement_text"} == set(rows[0])
    status, out, _ = command("explain", "fr-04")
    assert status == 0
    assert "length of 0" in out
    assert "Chapter: Framing" in out
    assert "framing.md" in out
    status, out, _ = command("explain", "liveness.ping")
    assert "LV-01 MUST" in out


def piped(tmp_path: Path, *arguments: str, take: int = 1) -> tuple[int, bytes]:
    """Status and standard error of the command when its reader takes so many lines and goes away."""
    (tmp_path / "cli_nodes.py").write_text(NODE)
    command = [sys.executable, "-m", "gate_conformance", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(take):
            process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    return process.returncode, said


@pytest.mark.parametrize("arguments", [("list",), ("list", "--json"), ("explain", "FR-06"), ("--help",)])
@pytest.mark.parametrize("take", [0, 1])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, arguments: tuple[str, ...], take: int) -> None:
    assert piped(tmp_path, *arguments, take=take) == (0, b"")


@pytest.mark.parametrize(("node", "wanted"), [("good", 0), ("silent", 1)])
def test_a_run_goes_on_without_a_reader(tmp_path: Path, node: str, wanted: int) -> None:
    only = ("--only", "liveness.ping", "--only", "handshake.answered")
    status, said = piped(tmp_path, "run", f"py:cli_nodes:{node}", *only, "--json", "r.json", take=0)
    assert status == wanted, said
    assert b"Traceback" not in said
    assert len(json.loads((tmp_path / "r.json").read_text())["cases"]) == 2
    status, said = piped(tmp_path, "run", f"py:cli_nodes:{node}", *only, "--json", "-", take=0)
    assert status == wanted, said
    assert b"not written" not in said


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help")])
def test_help_has_examples(command: Any, arguments: tuple[str, ...]) -> None:
    status, out, _ = command(*arguments)
    assert status == 0
    assert "gate-conformance run iroh:" in out


def test_levels_include_those_above(command: Any) -> None:
    from gate_conformance.case import all_cases
    from gate_conformance.cli.select import select

    def levels(level: str) -> set[str]:
        return {case.level for case in select(all_cases(), (), level, None)}

    assert levels("must") == {"MUST"}
    assert levels("should") == {"MUST", "SHOULD"}
    assert levels("may") == {"MUST", "SHOULD", "MAY"}


def test_a_missing_extra_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "gate-conformance needs the extra \"conformance\": pip install 'gate-p2p[conformance]'\n"
    )


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_gives_130_and_ends_the_processes(tmp_path: Path, name: str) -> None:
    (tmp_path / "node.py").write_text(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(os.getpid(), file=open('new', 'w'))\n"
        "os.rename('new', 'up')\n"
        "time.sleep(1000)\n"
    )
    code = (
        "import os, signal, sys, threading, pathlib, time\n"
        "from gate_conformance.cli import main\n"
        "def stop():\n"
        "    while not pathlib.Path('up').exists(): time.sleep(0.02)\n"
        f"    os.kill(os.getpid(), signal.{name})\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in jobs that a shell put aside\n"
        "threading.Thread(target=stop).start()\n"
        "sys.argv = ['gate-conformance', 'run', 'exec:' + sys.executable + ' node.py', '--level', 'must']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stderr
    assert "Traceback" not in done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "up").read_text()), 0)


def test_an_interrupted_run_reports_what_was_run(tmp_path: Path) -> None:
    (tmp_path / "cli_nodes.py").write_text(NODE)
    code = (
        "import os, signal, sys\n"
        "from gate_conformance.cli import main\n"
        "from gate_conformance.runner import Runner\n"
        "record = Runner._record\n"
        "def stop(self, case, result):\n"
        "    record(self, case, result)\n"
        "    if len(self._results) == 2: os.kill(os.getpid(), signal.SIGINT)\n"
        "Runner._record = stop\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.argv = ['gate-conformance', 'run', 'py:cli_nodes:good', '--only', 'liveness', '--only',"
        " 'handshake.answered', '--json', 'r.json', '--junit', 'r.xml']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 130, done.stderr
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["interrupted"] is True
    assert [one["verdict"] for one in document["cases"]] == ["pass", "pass"]
    suite = ET.parse(tmp_path / "r.xml").getroot()
    assert suite.attrib["tests"] == "2"
    assert [one.attrib["name"] for one in suite.iter("property")][-1] == "interrupted"
