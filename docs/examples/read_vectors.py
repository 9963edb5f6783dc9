"""Reads every vector with the standard library alone and holds a toy receiver to it.

Run it: ``python docs/examples/read_vectors.py spec/vectors``. A pattern for other languages, no decoder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

VECTORS = Path(sys.argv[1])


def text(value: Any) -> bool:
    return isinstance(value, str)


def text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def truth(value: Any) -> bool:
    return isinstance(value, bool)


def texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def integer(value: Any, limit: int = 2**64) -> bool:
    return type(value) is int and 0 <= value < limit  # True is an int in Python, and no integer here


def address(value: Any) -> bool:
    if not isinstance(value, dict) or not texts(value.get("direct_addresses")):
        return False
    key = value.get("id")
    return isinstance(key, list) and len(key) == 32 and all(integer(one, 256) for one in key)


FAILURE = {"error": text_or_none, "code": text_or_none}
MEMBERS: dict[str, dict[str, Any]] = {
    "Handshake": {"node_id": text, "capabilities": texts},
    "HandshakeResponse": {"accepted": truth, "capabilities": texts},
    "Ping": {"id": integer},
    "Pong": {"id": integer},
    "RequestSniStream": {"request_id": text, "domain": text},
    "RequestInferenceStream": {"request_id": text},
    "StreamReady": {"request_id": text, "stream_accepted": truth, **FAILURE},
    "DnsChallengeCreate": {"request_id": text, "domain": text, "txt_value": text},
    "DnsChallengeCleanup": {"request_id": text, "domain": text, "txt_value": text_or_none},
    "DnsChallengeResponse": {"request_id": text, "success": truth, **FAILURE},
    "DomainRegistrationRequest": {"request_id": text, "node_addr": address},
    "DomainRegistrationResponse": {"request_id": text, "success": truth, "domain": text_or_none, **FAILURE},
}


def no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def decode(body: bytes) -> tuple[str, Any]:
    """The verdict on one body, and the message: what you would replace by your own receiver."""
    try:
        document = body.decode("utf-8")
        if document.startswith("\ufeff"):
            return "framing_violation", "FR-07"
        value = json.loads(document, parse_constant=no_constant)
    except UnicodeDecodeError:
        return "framing_violation", "FR-07"
    except (ValueError, RecursionError):
        return "framing_violation", "FR-06"
    type_ = value.get("type") if isinstance(value, dict) else None
    if not isinstance(type_, str) or type_ not in MEMBERS:
        return "ignore", None
    known = {"type": type_} | {name: value[name] for name in MEMBERS[type_] if value.get(name) is not None}
    if not all(fits(known.get(name)) for name, fits in MEMBERS[type_].items()):
        return "malformed", None
    if type_ == "DomainRegistrationResponse" and known["success"] and "domain" not in known:
        return "malformed", None
    if "node_addr" in known:
        known["node_addr"] = {name: known["node_addr"][name] for name in ("id", "direct_addresses")}
    return "accept", known


def read_stream(data: bytes, eof: bool) -> list[dict[str, Any]]:
    """The events of one direction of a stream."""
    events: list[dict[str, Any]] = []
    while len(data) >= 4:
        length = int.from_bytes(data[:4], "big")
        if not 1 <= length <= 10_485_760:
            return [*events, {"violation": "FR-03" if length else "FR-04"}]
        if len(data) < 4 + length:
            break
        verdict, found = decode(data[4 : 4 + length])
        data = data[4 + length :]
        if verdict == "framing_violation":
            return [*events, {"violation": found}]
        named = {"accept": ("message", found), "ignore": ("ignored", True), "malformed": ("malformed", True)}
        events.append(dict([named[verdict]]))
    if eof:
        events.append({"violation": "FR-11"} if data else {"end": "clean"})
    return events


def bytes_of(vector: dict[str, Any]) -> bytes:
    """`text`, `hex`, or `parts` that are repeated."""
    if "parts" in vector:
        return b"".join(bytes_of(part) * part["times"] for part in vector["parts"])
    return vector["text"].encode() if "text" in vector else bytes.fromhex(vector["hex"])


def agrees(kind: str, vector: dict[str, Any]) -> bool:
    if kind == "framing":
        return bool(read_stream(bytes_of(vector), vector["eof"]) == vector["events"])
    if kind == "transcripts":
        expected = [{k: v for k, v in one["message"].items() if v is not None} for one in vector["frames"]]
        data = b"".join(bytes.fromhex(one["hex"]) for one in vector["frames"])
        return [event.get("message") for event in read_stream(data, eof=False)] == expected
    verdict, message = decode(bytes_of(vector))
    if verdict not in vector.get("allowed", [vector["verdict"]]):
        return False
    return verdict != "accept" or "message" not in vector or bool(message == vector["message"])


def main() -> int:
    wrong = 0
    for entry in json.loads((VECTORS / "manifest.json").read_text("utf-8"))["files"]:
        vectors = json.loads((VECTORS / entry["path"]).read_text("utf-8"))
        failed = [vector["id"] for vector in vectors if not agrees(entry["kind"], vector)]
        wrong += len(failed)
        print(f"{len(vectors) - len(failed):4} of {entry['count']:4} agree  {entry['path']}", *failed)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
