"""The shell scripts that everything else runs through."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK_ONLY = ROOT / "scripts" / "loopback-only"


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as if outside of a loopback-only namespace, unless `environment` says otherwise."""
    inherited = {name: value for name, value in os.environ.items() if name != "GATE_LOOPBACK_ONLY"}
    return subprocess.run(
        [str(part) for part in command],
        env=inherited | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A directory for PATH that holds only what the wrapper itself needs, and no unshare."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("sh", "dirname", "id", "printf"):
        found = next(path for place in ("/bin", "/usr/bin") if (path := Path(place) / name).exists())
        (directory / name).symlink_to(found)
    return directory


def test_loopback_only_hands_on_arguments_output_and_status() -> None:
    done = run(LOOPBACK_ONLY, "sh", "-c", 'printf "%s|" "$@"; exit 7', "sh", "two words", "", "$HOME")
    assert (done.returncode, done.stdout) == (7, "two words||$HOME|")


def test_loopback_only_inside_a_namespace_shows_nothing_but_the_loopback_interface() -> None:
    done = run(
        LOOPBACK_ONLY, "sh", "-c", 'echo "$GATE_LOOPBACK_ONLY"; tail -n +3 /proc/net/dev | cut -d: -f1'
    )
    assert done.returncode == 0
    if "running without one" in done.stderr:
        pytest.skip("this system grants no network namespace")
    assert done.stdout.split() == ["1", "lo"]


def test_loopback_only_does_not_nest() -> None:
    done = run(LOOPBACK_ONLY, "sh", "-c", "echo inside", GATE_LOOPBACK_ONLY="1", PATH="/usr/bin:/bin")
    assert (done.returncode, done.stdout, done.stderr) == (0, "inside\n", "")


def test_loopback_only_without_unshare_runs_the_command_and_says_so_in_one_line(tools: Path) -> None:
    done = run(LOOPBACK_ONLY, "sh", "-c", "printf ran", PATH=str(tools))
    assert (done.returncode, done.stdout) == (0, "ran")
    assert done.stderr.count("\n") == 1
    assert "no network namespace" in done.stderr


def test_loopback_only_without_a_command_is_wrong_usage() -> None:
    done = run(LOOPBACK_ONLY)
    assert (done.returncode, done.stderr) == (2, "usage: loopback-only COMMAND [ARG ...]\n")


def test_an_interpreter_that_is_too_old_is_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    done = run(ROOT / "scripts" / "create-venv", tmp_path / "venv", PYTHON=str(old))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_an_interpreter_without_venv_is_one_line(tmp_path: Path) -> None:
    bare = tmp_path / "python3"
    bare.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\n', encoding="utf-8")
    bare.chmod(0o755)
    done = run(ROOT / "scripts" / "create-venv", tmp_path / "venv", PYTHON=str(bare))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "python3-venv" in done.stderr
