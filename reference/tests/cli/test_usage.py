"""Wrong usage is one line that says what to do, and status 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .process import environment, run

RELAY = f"{'ab' * 32}@127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("relay", "--listen", "127.0.0.1"), "expected ip:port"),
        (("relay", "--listen", "0.0.0.0:0"), "--advertise"),
        (("relay", "--advertise", "0.0.0.0:1"), "nobody can dial a wildcard"),
        (("relay", "--advertise", "192.0.2.1:0"), "no usable port"),
        (("relay", "--allow", "nonsense"), "PEER=DOMAIN"),
        (("relay", "--allow", "abc=a.example"), "no node id"),
        (("relay", "--allow", "*=*.example"), "wildcard"),
        (("relay", "--dns-delay", "a.example=soon"), "no number"),
        (("relay", "--dns-delay", "a.example=-1"), "0 to 3600"),
        (("relay", "--dns-delay", "a.example=nan"), "0 to 3600"),
        (("relay", "--suffix", "example"), "single label"),
        (("relay", "--key", "/nowhere/at/all.key"), "cannot make the key file"),
        (("daemon", "--relay", "nonsense"), "no '@'"),
        (("daemon", "--relay", f"{'ab' * 32}@localhost:1"), "host names are not looked up"),
        (("daemon", "--relay", RELAY, "--idle-streams", "2"), "goes with --https-target"),
        (("daemon", "--relay", RELAY, "--dns-delay", "a.example=1"), "goes with --allow"),
        (("daemon", "--relay", RELAY, "--longest-pause", "nan"), "0.1 to 3600"),
        (("dns-challenge", "create", RELAY, "a.example", "v" * 43, "--timeout", "nan"), "positive number"),
        (("dns-challenge", "cleanup", RELAY, "a.example", "--timeout", "inf"), "positive number"),
        (("dns-challenge", "cleanup", RELAY, "a.example", "--timeout", "0"), "positive number"),
        (("stdio",), "GATE_PEER_ID"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: tuple[str, ...], words: str) -> None:
    failed = run(*arguments, GATE_PEER_ID="")
    assert failed.returncode == 2
    assert failed.stdout == b""
    assert failed.stderr.startswith(b"gate-p2p: ")
    assert failed.stderr.count(b"\n") == 1
    assert words in failed.stderr.decode()


@pytest.mark.parametrize("command", ["relay", "daemon", "dns-challenge", "keygen", "stdio"])
def test_each_command_has_help_with_examples(command: str) -> None:
    shown = run(command, "--help")
    assert shown.returncode == 0
    assert b"Example" in shown.stdout
    assert f"gate-p2p {command}".encode() in shown.stdout


def test_the_group_lists_its_commands_and_knows_no_others() -> None:
    shown = run("--help")
    assert all(name in shown.stdout for name in (b"relay", b"daemon", b"dns-challenge", b"stdio"))
    assert run("--version").stdout.startswith(b"gate-p2p, version ")
    assert run("nonsense").returncode == 2


@pytest.mark.parametrize("missing", ["click", "rich", "iroh"])
def test_a_missing_extra_is_named_in_one_line(missing: str) -> None:
    code = (
        "import importlib.machinery, sys\n"
        "find = importlib.machinery.PathFinder.find_spec\n"
        f"hide = lambda name, *more: None if name == {missing!r} else find(name, *more)\n"
        "importlib.machinery.PathFinder.find_spec = hide\n"
        "from gate_p2p.cli import main\n"
        "main()\n"
    )
    failed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, env=environment(), timeout=45
    )
    assert failed.returncode == 2
    assert failed.stderr.decode() == "gate-p2p needs the extra \"iroh\": pip install 'gate-p2p[iroh]'\n"


def test_help_imports_neither_iroh_nor_rich() -> None:
    code = (
        "import sys\n"
        "from gate_p2p.cli import main\n"
        "sys.argv = ['gate-p2p', 'relay', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "assert not {'iroh', 'rich', 'asyncio'} & set(sys.modules), 'imported too early'\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, env=environment(), timeout=45
    )


def test_the_tests_run_this_checkout() -> None:
    assert (Path(environment()["PYTHONPATH"]) / "gate_p2p" / "cli").is_dir()
