"""Holds a receiver to all vectors: `python docs/examples/read_vectors.py spec/vectors`. Status 0: agreed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import toy_names
from toy_receiver import Event, Receiver, events_in  # put your own in their place
from toy_streams import data_events

VECTORS = Path(sys.argv[1])
RECEIVER = Receiver(VECTORS.parent / "schemas")
VERDICT = {"message": "accept", "ignored": "ignore", "violation": "framing_violation"}  # else the same word


def bytes_of(vector: dict[str, Any]) -> bytes:
    """`text`, `hex`, or pieces one after the other: `parts`, each repeated, or `frames` with a message."""
    if pieces := vector.get("parts", [one for one in vector.get("frames", ()) if "message" in one]):
        return b"".join(bytes_of(piece) * piece.get("times", 1) for piece in pieces)
    return vector["text"].encode() if "text" in vector else bytes.fromhex(vector.get("hex", ""))


def read(kind: str, vector: dict[str, Any], data: bytes, size: int) -> list[Event]:
    """What a receiver finds in bytes that arrive `size` at a time."""
    if kind in ("ready", "inference"):
        return data_events(data, size, vector)
    decode = (lambda body: {"message": json.loads(body)}) if "connection" in vector else RECEIVER.decode
    return events_in(data, size, vector.get("eof", False), decode)


def fits(events: list[Event], vector: dict[str, Any]) -> bool:
    """Whether the events that a receiver found are what the vector says."""
    if "events" in vector:
        return bool(events == vector["events"])
    if "frames" in vector:
        said = [one["message"] for one in vector["frames"] if "message" in one]
        return events == [{"message": {k: v for k, v in one.items() if v is not None}} for one in said]
    found = [(VERDICT.get(name, name), value) for event in events for name, value in event.items()]
    meant = {"accept": vector.get("message"), "completion": vector.get("stream")}
    allowed = vector.get("verdicts") or [vector.get("allowed", [vector["verdict"]])]
    same = [name in some for (name, _), some in zip(found, allowed, strict=False)]
    return len(found) == len(allowed) and all(same) and all(meant.get(n) in (None, v) for n, v in found)


status = 0
for entry in json.loads((VECTORS / "manifest.json").read_text())["files"]:
    vectors, kind, wrong = json.loads((VECTORS / entry["path"]).read_text()), entry["kind"], []
    for vector in vectors:
        if kind in ("names", "authorisation"):
            agree = toy_names.agrees(vector)
        else:
            data = bytes_of(vector)
            data = (len(data).to_bytes(4, "big") if kind == "messages" else b"") + data  # bodies alone
            sizes = {len(data) // 10_000 + 1, len(data) // 7 + 1, len(data) + 1}  # from single bytes to all
            agree = all(fits(read(kind, vector, data, size), vector) for size in sizes)
        wrong += [] if agree else [vector["id"]]
    status |= bool(wrong) or len(vectors) != entry["count"]
    print(f"{len(vectors) - len(wrong):4} of {entry['count']:4} agree  {entry['path']}", *wrong)
sys.exit(status)
