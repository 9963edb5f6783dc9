"""The example reader of the documentation: short, alone with the standard library, and able to disagree."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .vector_files import MANIFEST, VECTORS
from .written_rules import SPEC

READER = SPEC.parent / "docs" / "examples" / "read_vectors.py"


def run_example(vectors: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        # no site-packages, no environment: nothing but the standard library and the files beside it
        [sys.executable, "-B", "-E", "-S", "-s", str(READER), str(vectors)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_agrees_with_every_vector() -> None:
    done = run_example(VECTORS)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(MANIFEST["files"])
    for entry, line in zip(MANIFEST["files"], lines, strict=True):
        assert line.split() == f"{entry['count']} of {entry['count']} agree {entry['path']}".split()


def test_it_is_as_short_as_the_guide_says() -> None:
    assert len(READER.read_text("utf-8").splitlines()) == 62


def change(**members: Any) -> Callable[[dict[str, Any]], None]:
    return lambda vector: vector.update(members)


def swap_last_character(vector: dict[str, Any]) -> None:
    vector["z_base_32"] = vector["z_base_32"][:-1] + "b"


def answer_otherwise(vector: dict[str, Any]) -> None:
    vector["frames"][-2]["message"]["models"] = []


def rename_sender(vector: dict[str, Any]) -> None:
    vector["frames"][0]["message"]["node_id"] = "00" * 32


@pytest.mark.parametrize(
    ("path", "spoil"),
    [
        ("messages/Ping.json", change(verdict="malformed")),
        ("messages/Ping.json", change(message={"type": "Ping", "id": 8})),
        ("messages/Ping.json", change(text='{"type":"Ping","id":01}')),
        ("framing/streams.json", change(events=[{"ignored": True}])),
        ("framing/streams.json", change(eof=True)),
        ("transcripts/handshake.json", rename_sender),
        ("names/labels.json", change(node_id="ab" * 32)),
        ("names/labels.json", swap_last_character),
        ("names/recognition.json", change(names=None, reason="length")),
        ("transcripts/inference.json", answer_otherwise),
        ("ready/ready.json", change(hex="000000055245414458")),
        ("ready/ready.json", change(end="clean")),
        ("ready/ready.json", change(events=[{"close": 4}])),
        ("inference/requests.json", change(verdict="list_models")),
        ("inference/requests.json", change(stream=True)),
        ("inference/requests.json", change(text="[]")),
        ("inference/responses.json", change(stream=True, end="reset")),
        ("inference/responses.json", change(events=[{"complete": True}])),
        ("authorisation/acting.json", change(may_act=False)),
        ("authorisation/acting.json", change(peer="ab" * 32)),
        ("authorisation/routing.json", change(leads_to=None)),
        ("authorisation/routing.json", change(suffix="private.example.org")),
        ("recorded/hellas-gate-p2p-0.1.0.json", change(verdicts=[["ignore"]])),
        ("recorded/hellas-gate-p2p-0.1.0.json", change(verdicts=[["accept"], ["accept"]])),
    ],
)
def test_it_names_a_vector_that_was_spoilt(
    tmp_path: Path, path: str, spoil: Callable[[dict[str, Any]], None]
) -> None:
    shutil.copytree(SPEC / "schemas", tmp_path / "schemas")
    (tmp_path / "vectors" / path).parent.mkdir(parents=True)
    vectors = json.loads((VECTORS / path).read_text("utf-8"))
    spoil(vectors[0])
    (tmp_path / "vectors" / path).write_text(json.dumps(vectors), "utf-8")
    entry = next(one for one in MANIFEST["files"] if one["path"] == path)
    (tmp_path / "vectors" / "manifest.json").write_text(json.dumps({"files": [entry]}), "utf-8")
    done = run_example(tmp_path / "vectors")
    assert done.returncode == 1
    assert vectors[0]["id"] in done.stdout
    assert done.stderr == ""


def test_it_notices_a_vector_that_is_missing(tmp_path: Path) -> None:
    shutil.copytree(SPEC / "schemas", tmp_path / "schemas")
    shutil.copytree(VECTORS / "names", tmp_path / "vectors" / "names")
    entry = {"path": "names/labels.json", "kind": "names", "count": 1000}
    (tmp_path / "vectors" / "manifest.json").write_text(json.dumps({"files": [entry]}), "utf-8")
    assert run_example(tmp_path / "vectors").returncode == 1
