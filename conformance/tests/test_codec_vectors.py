"""The suite's own codec against every vector of ``spec/vectors``."""

from __future__ import annotations

from typing import Any

import pytest

from gate_conformance import codec

from .vector_files import body_of, load, paths


def covers(actual: Any, expected: Any) -> bool:
    """Whether `actual` has every member of `expected`, objects inside likewise; more members may be there."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            name in actual and covers(actual[name], value) for name, value in expected.items()
        )
    return type(actual) is type(expected) and bool(actual == expected)


@pytest.mark.parametrize("path", paths("messages"))
def test_judge_agrees_with_the_vectors(path: str) -> None:
    problems: dict[str, str] = {}
    for vector in load(path):
        judgement = codec.judge(body_of(vector))
        if judgement.verdict == "ignore" and vector.get("allowed") == ["ignore", "malformed"]:
            continue  # nobody can tell the two apart for what is no request
        if judgement.verdict != vector["verdict"]:
            problems[vector["id"]] = f"{judgement.verdict} ({judgement.reason}), not {vector['verdict']}"
        elif judgement.message is None and vector["verdict"] == "choice":
            continue  # too deep to be built
        elif "message" in vector and not covers(judgement.message, vector["message"]):
            problems[vector["id"]] = f"read as {judgement.message}"
    assert problems == {}


def events(data: bytes, size: int, eof: bool) -> list[dict[str, Any]]:
    reader = codec.FrameReader()
    found: list[dict[str, Any]] = []
    for start in range(0, len(data), size):
        chunk = data[start : start + size]
        while True:
            try:
                bodies = reader.feed(chunk)
            except codec.FrameError as error:
                return [*found, {"violation": "FR-03" if error.length else "FR-04"}]
            if not bodies:
                break
            chunk = b""  # a bad length behind good bodies is raised by the next call
            for body in bodies:
                judgement = codec.judge(body)
                if judgement.verdict == "framing_violation":
                    try:
                        is_utf_8 = not body.decode().startswith("\ufeff")
                    except UnicodeDecodeError:
                        is_utf_8 = False
                    return [*found, {"violation": "FR-06" if is_utf_8 else "FR-07"}]
                if judgement.verdict == "accept":
                    assert judgement.message is not None
                    known = {"type", "id", "node_id", "capabilities"}
                    members = {name: value for name, value in judgement.message.items() if name in known}
                    found.append({"message": members})
                else:
                    found.append({"ignored": True} if judgement.verdict == "ignore" else {"malformed": True})
    if eof:
        found.append({"violation": "FR-11"} if reader.pending else {"end": "clean"})
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64, 65536, 2**24])
@pytest.mark.parametrize("path", paths("framing"))
def test_frame_reader_agrees_with_the_vectors(path: str, size: int) -> None:
    problems: dict[str, Any] = {}
    for vector in load(path):
        data = body_of(vector)
        if len(data) > 300_000 and size < 65536:
            continue  # ten million reads of single bytes show nothing that a thousand do not
        found = events(data, size, vector["eof"])
        if found != vector["events"]:
            problems[vector["id"]] = found
    assert problems == {}


@pytest.mark.parametrize("path", paths("transcripts"))
def test_what_transcripts_send_is_allowed_and_encodes_alike(path: str) -> None:
    for transcript in load(path):
        for frame in transcript["frames"]:
            if "message" in frame:  # else no sender may write it, or it is no frame
                data = bytes.fromhex(frame["hex"])
                assert codec.check_sent(data[4:]) is None, transcript["id"]
                assert codec.encode(frame["message"]) == data, transcript["id"]


@pytest.mark.parametrize("path", paths("transcripts"))
def test_what_no_sender_may_write_is_found_in_transcripts(path: str) -> None:
    for transcript in load(path):
        for frame in transcript["frames"]:
            if "connection" in transcript or "message" in frame or "hex" not in frame:
                continue
            reader, data = codec.FrameReader(), bytes.fromhex(frame["hex"])
            try:
                bodies = reader.feed(data)
            except codec.FrameError:
                continue
            # out of form is good to send for the codec, which looks at types alone
            found = [codec.judge(body).verdict for body in bodies if codec.check_sent(body) is None]
            answers = [one.get("message", {}) for one in transcript["frames"] if one["from"] != frame["from"]]
            refused = "malformed" in [one.get("code") for one in answers]
            assert found == (["accept"] if found and refused else []), transcript["id"]
            assert bodies or reader.pending, transcript["id"]
