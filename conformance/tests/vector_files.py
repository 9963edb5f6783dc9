"""The vectors of ``spec/vectors``, as the tests read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).resolve().parents[2] / "spec" / "vectors"
MANIFEST: dict[str, Any] = json.loads((VECTORS / "manifest.json").read_text("utf-8"))


def paths(kind: str) -> list[str]:
    return [entry["path"] for entry in MANIFEST["files"] if entry["kind"] == kind]


def load(path: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((VECTORS / path).read_text("utf-8"))
    return vectors


def body_of(vector: dict[str, Any]) -> bytes:
    pieces = vector.get("parts", [vector])
    return b"".join(
        (piece["text"].encode() if "text" in piece else bytes.fromhex(piece["hex"])) * piece.get("times", 1)
        for piece in pieces
    )
