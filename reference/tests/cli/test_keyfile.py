"""The key file: made whole and private, never overwritten, refused when it is not what it should be."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gate_p2p.cli.failure import Failure
from gate_p2p.cli.keyfile import create, load, load_or_create

from .process import environment


def test_a_key_is_made_private_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    key = load_or_create(path)
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create(path) == load(path) == key
    assert os.listdir(tmp_path) == ["node.key"]  # noqa: PTH208  nothing temporary is left


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    path.write_text("precious")
    with pytest.raises(Failure, match="exists already"):
        create(path)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["node.key"]  # noqa: PTH208


@pytest.mark.parametrize(("content", "size"), [(b"", "0"), (b"x" * 31, "31"), (b"x" * 33, "more")])
def test_a_file_of_another_size_is_no_key(tmp_path: Path, content: bytes, size: str) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Failure, match=f"this file has {size}"):
        load(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "node.key"
    create(path)
    path.chmod(mode)
    with pytest.raises(Failure, match="chmod 600"):
        load(path)


def test_a_directory_and_a_missing_parent_are_one_line_errors(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot read"):
        load_or_create(tmp_path)
    with pytest.raises(Failure, match="No such file") as caught:
        load_or_create(tmp_path / "missing" / "node.key")
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2


def test_a_command_with_its_standard_output_closed_does_its_work_all_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gate_p2p.cli", "keygen", str(tmp_path / "key")]
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command], stderr=subprocess.PIPE, check=False, env=environment()
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert len((tmp_path / "key").read_bytes()) == 32
