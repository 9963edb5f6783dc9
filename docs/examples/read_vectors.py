"""Holds a receiver to all vectors: `python docs/examples/read_vectors.py spec/vectors`. Status 0: agreed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from toy_receiver import Receiver, id_from_label  # put your own in its place

VECTORS = Path(sys.argv[1])
RECEIVER = Receiver(VECTORS.parent / "schemas")
VERDICT = {"message": "accept", "ignored": "ignore", "violation": "framing_violation"}  # else the same word


def bytes_of(vector: dict[str, Any]) -> bytes:
    """`text`, `hex`, or pieces one after the other: `parts`, each repeated, or `frames`."""
    if pieces := vector.get("parts", vector.get("frames")):
        return b"".join(bytes_of(piece) * piece.get("times", 1) for piece in pieces)
    return vector["text"].encode() if "text" in vector else bytes.fromhex(vector["hex"])


def fits(events: list[dict[str, Any]], kind: str, vector: dict[str, Any]) -> bool:
    """Whether the events that a receiver found are what the vector says."""
    if kind == "framing":
        return bool(events == vector["events"])
    if kind == "transcripts":
        sent = [{k: v for k, v in frame["message"].items() if v is not None} for frame in vector["frames"]]
        return events == [{"message": message} for message in sent]
    found = [VERDICT.get(name, name) for event in events for name in event]
    allowed = vector["verdicts"] if kind == "recorded" else [vector.get("allowed", [vector["verdict"]])]
    if found == ["accept"] and "message" in vector and events != [{"message": vector["message"]}]:
        return False
    return len(found) == len(allowed) and all(one in some for one, some in zip(found, allowed, strict=True))


def agrees(kind: str, vector: dict[str, Any]) -> bool:
    if "label" in vector:
        return bool(id_from_label(vector["label"]) == vector["names"])
    if kind == "names":
        node_id = vector["node_id"]
        return id_from_label(vector["z_base_32"]) == node_id and id_from_label(vector["hex"]) == node_id[:32]
    data = bytes_of(vector)
    if kind == "messages":  # bodies without their length
        data = len(data).to_bytes(4, "big") + data
    sizes = {len(data) // 10_000 + 1, len(data) // 7 + 1, len(data) + 1}  # from single bytes to all at once
    return all(fits(RECEIVER.read(data, size, vector.get("eof", False)), kind, vector) for size in sizes)


status = 0
for entry in json.loads((VECTORS / "manifest.json").read_text())["files"]:
    vectors = json.loads((VECTORS / entry["path"]).read_text())
    wrong = [vector["id"] for vector in vectors if not agrees(entry["kind"], vector)]
    status |= bool(wrong) or len(vectors) != entry["count"]
    print(f"{len(vectors) - len(wrong):4} of {entry['count']:4} agree  {entry['path']}", *wrong)
sys.exit(status)
