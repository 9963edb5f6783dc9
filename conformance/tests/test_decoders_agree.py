"""Schema and written rules, the reference's decoder and the suite's codec give one verdict on the same bytes.

Set ``GATE_AGREEMENT_EXAMPLES`` to look at more than 4,000 of them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from gate_conformance import codec
from gate_p2p.core import Ignored, Malformed, RemoteProtocolError, decode

from .documents import ANY_BODY, BOM
from .vector_files import body_of, load, paths
from .written_rules import RESPONSE_TO, known_members, verdicts

EXAMPLES = int(os.environ.get("GATE_AGREEMENT_EXAMPLES", "4000"))
pytestmark = pytest.mark.timeout(300 if EXAMPLES <= 4000 else 0)
Decoder = Callable[[bytes], Any]
Verdicts = tuple[set[str], Any]
CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
SETTINGS = settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=CHECKS
)


def spelled(message: Any) -> str:
    """Told apart as JSON tells apart: 1, 1.0 and true are three values."""
    return json.dumps(message, sort_keys=True)


def reference_problem(decode: Decoder, body: bytes, allowed: set[str], value: Any) -> str | None:
    try:
        found = decode(body)
    except RemoteProtocolError as error:
        return None if "framing_violation" in allowed else f"a framing violation: {error}"
    if isinstance(found, Ignored):
        return None if "ignore" in allowed else f"ignored: {found.reason}"
    if isinstance(found, Malformed):
        if "malformed" not in allowed:
            return f"malformed: {found.reason}"
        if allowed == {"malformed"} and value["type"] in RESPONSE_TO:
            readable = value.get("request_id") if isinstance(value.get("request_id"), str) else None
            return None if readable == found.request_id else f"request_id was read as {found.request_id!r}"
        return None
    if "accept" not in allowed:
        return f"accepted: {found}"
    built = {name: one for name, one in json.loads(msgspec.json.encode(found)).items() if one is not None}
    return None if spelled(built) == spelled(known_members(value)) else f"read as {built}"


def codec_problem(judge: Decoder, body: bytes, allowed: set[str], value: Any) -> str | None:
    found = judge(body)
    # nobody can tell these two apart for what is no request
    expected = {"ignore", "choice"} if allowed == {"ignore", "malformed"} else {"choice"}
    if len(allowed) == 1:
        expected = allowed
    if found.verdict not in expected:
        return f"{found.verdict}: {found.reason}"
    if "accept" not in allowed or found.message is None:
        return None  # what is too deep is not built
    built = known_members(found.message)
    return None if spelled(built) == spelled(known_members(value)) else f"read as {built}"


def disagreement(body: bytes) -> str | None:
    allowed, value = verdicts(body)
    for who, problem in (
        ("the reference", reference_problem(decode, body, allowed, value)),
        ("the codec", codec_problem(codec.judge, body, allowed, value)),
    ):
        if problem is not None:
            return f"the rules allow {sorted(allowed)}, {who} found it {problem}"
    return None


@given(ANY_BODY)
@SETTINGS
@example(b'{"type":"Ping","id":18446744073709551615.0}')
@example(b'{"type":"Ping","id":1,"x":"\\ud800","x":1}')
def test_one_verdict_on_any_body(body: bytes) -> None:
    assert disagreement(body) is None


@pytest.mark.parametrize("path", paths("messages"))
def test_one_verdict_on_every_vector(path: str) -> None:
    bodies = {vector["id"]: body for vector in load(path) if 0 < len(body := body_of(vector)) < 100_000}
    assert {name: found for name, body in bodies.items() if (found := disagreement(body))} == {}


# -- The test can fail: decoders with one fault each ------------------------------------------------


def first_of_repeated(body: bytes) -> bytes:
    again = False

    def first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal again
        again = again or len(dict(pairs)) < len(pairs)
        return dict(reversed(pairs))

    try:
        value = json.loads(body.decode(), object_pairs_hook=first)
    except (ValueError, RecursionError):
        return body
    return json.dumps(value).encode() if again else body


def without_garbage(body: bytes) -> bytes:
    try:
        text = body.decode()
        start = len(text) - len(text.lstrip(" \t\r\n"))
        return text[: json.JSONDecoder().raw_decode(text, start)[1]].encode()
    except (ValueError, RecursionError):
        return body


def deepest(body: bytes) -> int:
    depth = found = 0
    for token in re.findall(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', body, re.DOTALL):
        depth += (token in (b"[", b"{")) - (token in (b"]", b"}"))
        found = max(found, depth)
    return found


FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "takes the first of a repeated member": first_of_repeated,
    "skips a byte order mark": lambda body: body.removeprefix(BOM),
    "replaces invalid UTF-8": lambda body: body.decode("utf-8", "replace").encode(),
    "does not look behind the document": without_garbage,
    "reads NaN": lambda body: body.replace(b"NaN", b"null"),
    "reads raw control characters": lambda body: re.sub(rb"[\x00-\x08]", b"", body),
    "takes a form feed for white space": lambda body: body.replace(b"\x0c", b" "),
    "reads numbers with leading zeros": lambda body: re.sub(rb"([:\[,-]\s*)0+(?=[0-9])", rb"\1", body),
    "lets 2^64 wrap round": lambda body: body.replace(b"18446744073709551616", b"0"),
    "keeps an id in a double": lambda body: body.replace(b"18446744073709551615", b"18446744073709551616"),
    "lets a byte of 256 wrap round": lambda body: re.sub(rb"(?<=[\[,\s])256(?=[,\]\s])", b"0", body),
    "takes -1 for 0": lambda body: re.sub(rb"([:\[,]\s*)-1(?=[\s,\]}])", rb"\g<1>0", body),
    "takes true for 1": lambda body: re.sub(rb'"id"(\s*):(\s*)true', rb'"id"\1:\g<2>1', body),
    "takes a fraction for its integer": lambda body: body.replace(b"255.5", b"255").replace(b"0.5", b"0"),
    "refuses numbers too small for a double": lambda body: body.replace(b"1e-400", b"NaN"),
    "refuses 64 levels": lambda body: b"!" if deepest(body) == 64 else body,
    "looks at no case in types": lambda body: body.replace(b'"pong"', b'"Pong"').replace(
        b'"ping"', b'"Ping"'
    ),
    "refuses null for an optional member": lambda body: re.sub(rb'("error"\s*:\s*)null', rb"\g<1>0", body),
    "takes null for an empty text": lambda body: re.sub(rb'("request_id"\s*:\s*)null', rb'\1""', body),
    "refuses long texts": lambda body: body if len(body) < 4096 else b"!",
    "refuses JSON that is no object": lambda body: body if b"{" in body else b"!",
}


@pytest.fixture(scope="module")
def sample() -> list[tuple[bytes, Verdicts]]:
    """As many bodies as the test above looks at, each with what the rules allow."""
    found: list[tuple[bytes, Verdicts]] = []

    @given(ANY_BODY)
    @settings(SETTINGS, phases=[Phase.generate])
    def collect(body: bytes) -> None:
        found.append((body, verdicts(body)))

    collect()
    return found


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_among_the_examples(fault: str, sample: list[tuple[bytes, Verdicts]]) -> None:
    spoil = FAULTS[fault]
    # where the fault shows in the bytes, it may still change nothing
    shown = [(body, spoil(body), rules) for body, rules in sample if spoil(body) != body]
    assert any(reference_problem(decode, spoilt, *rules) for _, spoilt, rules in shown), "in the reference"
    assert any(codec_problem(codec.judge, spoilt, *rules) for _, spoilt, rules in shown), "in the codec"
