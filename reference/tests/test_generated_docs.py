"""The pages that are written from spec/ and the state table are up to date, and drift is noticed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "generate_docs.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_pages_are_up_to_date() -> None:
    done = generate("--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("source", "page"),
    [("requirements.toml", "requirements.md"), ("schemas/Ping.json", "messages.md")],
)
def test_a_change_of_the_specification_is_noticed_until_the_page_is_written(
    tmp_path: Path, source: str, page: str
) -> None:
    spec, docs = tmp_path / "spec", tmp_path / "docs"
    shutil.copytree(ROOT / "spec", spec)
    where = ("--spec", str(spec), "--docs", str(docs))
    assert generate(*where).returncode == 0
    assert generate("--check", *where).returncode == 0
    changed = spec / source
    text = changed.read_text(encoding="utf-8")
    assert "Pong" in text
    changed.write_text(text.replace("Pong", "Pang"), encoding="utf-8")
    done = generate("--check", *where)
    assert (done.returncode, page in done.stderr) == (1, True)
    assert generate(*where).returncode == 0
    assert generate("--check", *where).returncode == 0
