"""Verdicts, blame, prerequisites, generated examples, and exit statuses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import strategies as st

from gate_conformance import report_json, report_junit
from gate_conformance.channel import Channel
from gate_conformance.load import LoadMonitor
from gate_conformance.runner import Runner, Settings
from gate_conformance.targets.base import Target
from gate_conformance.trial import Options, Trial
from gate_conformance.verdicts import CaseFailed, TargetGone, Verdict


async def _passes(t: Trial) -> None:
    await (await t.established()).barrier()


async def _fails(t: Trial) -> None:
    t.fail("a hat", "no hat")


async def _fails_should(t: Trial) -> None:
    t.check(False, "a code", "none", "RQ-08")


async def _warns_about_a_must(t: Trial) -> None:
    t.warn("a hat", "no hat", "LV-01")


async def _raises(t: Trial) -> None:
    raise KeyError("the suite is wrong")


async def _times_out_itself(t: Trial) -> None:
    raise TimeoutError


async def _unsupported(t: Trial) -> None:
    t.unsupported("declared so")


async def _not_testable(t: Trial) -> None:
    t.not_testable("no option")


async def _inconclusive(t: Trial) -> None:
    t.inconclusive("not reached")


async def _notes(t: Trial) -> None:
    t.note("twelve frames")


async def _never_ends(t: Trial) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("body", "verdict", "requirement", "level", "status", "words"),
    [
        (_passes, Verdict.PASS, "FR-04", "MUST", 0, ""),
        (_notes, Verdict.PASS, "FR-04", "MUST", 0, "twelve frames"),
        (_fails, Verdict.FAIL, "FR-04", "MUST", 1, "expected a hat; actual no hat"),
        (_fails_should, Verdict.WARN, "RQ-08", "SHOULD", 0, "expected a code; actual none"),
        (_warns_about_a_must, Verdict.HARNESS_ERROR, "FR-04", "MUST", 4, "which is a MUST"),
        (_raises, Verdict.HARNESS_ERROR, "FR-04", "MUST", 4, "Traceback"),
        (_times_out_itself, Verdict.HARNESS_ERROR, "FR-04", "MUST", 4, "TimeoutError"),
        (_unsupported, Verdict.UNSUPPORTED, "FR-04", "MUST", 3, "declared so"),
        (_not_testable, Verdict.NOT_TESTABLE, "FR-04", "MUST", 3, "no option"),
        (_inconclusive, Verdict.INCONCLUSIVE, "FR-04", "MUST", 3, "not reached"),
        (_never_ends, Verdict.INCONCLUSIVE, "FR-04", "MUST", 3, "still going on"),
    ],
)
def test_verdicts(
    run_cases: Any,
    make_case: Any,
    small_node: Any,
    body: Any,
    verdict: Verdict,
    requirement: str,
    level: str,
    status: int,
    words: str,
) -> None:
    report = run_cases(small_node.factory(), make_case(body, "FR-04"))
    (result,) = report.results
    assert (result.verdict, result.requirement, result.level) == (verdict, requirement, level)
    assert words in result.message
    assert report.exit_status == status
    assert report.summary[verdict.value] == 1
    assert set(result.document()) == {
        "id", "requirement", "level", "verdict", "message", "seconds", "transcript",
    }  # fmt: skip


def test_only_cases_of_the_role_run(run_cases: Any, make_case: Any, small_node: Any) -> None:
    case = make_case(_passes, roles=("dialer",))
    assert run_cases(small_node.factory(), case).results == []
    assert len(run_cases(small_node.factory(), case, role="dialer").results) == 1


def test_a_raising_node_has_crashed(run_cases: Any, make_case: Any, small_node: Any) -> None:
    class Crashing(small_node):  # type: ignore[misc]
        async def on_message(self, message: dict[str, Any]) -> None:
            if message["type"] == "Ping":
                raise RuntimeError("boom")
            await super().on_message(message)

    report = run_cases(Crashing.factory(), make_case(_passes))
    (result,) = report.results
    assert (result.verdict, result.requirement) == (Verdict.FAIL, "TR-05")
    assert "boom" in result.message
    assert report.exit_status == 1


def test_a_node_that_exits_has_crashed(run_cases: Any, make_case: Any, small_node: Any) -> None:
    class Exiting(small_node):  # type: ignore[misc]
        async def on_message(self, message: dict[str, Any]) -> None:
            raise SystemExit(0)

    (result,) = run_cases(Exiting.factory(), make_case(_passes)).results
    assert (result.verdict, result.requirement) == (Verdict.FAIL, "TR-05")
    assert "SystemExit" in result.message


def test_failed_prerequisites_make_others_inconclusive(
    run_cases: Any, make_case: Any, small_node: Any
) -> None:
    class Deaf(small_node):  # type: ignore[misc]
        async def on_message(self, message: dict[str, Any]) -> None:
            if message["type"] != "Ping":
                await super().on_message(message)

    smoke = make_case(_passes, "LV-01", "liveness.ping")
    other = make_case(_passes, "MS-01", "messages.other")
    own = make_case(_passes, "LV-01", "liveness.more")
    good = make_case(_notes, "MS-02", "messages.good")
    results = {one.id: one for one in run_cases(Deaf.factory(), other, own, good, smoke).results}
    assert results["liveness.ping"].verdict is Verdict.FAIL
    assert results["liveness.more"].verdict is Verdict.FAIL
    assert results["messages.good"].verdict is Verdict.PASS
    assert results["messages.other"].verdict is Verdict.INCONCLUSIVE
    assert results["messages.other"].requirement == "MS-01"
    assert "liveness.ping" in results["messages.other"].message


def test_generated_examples_shrink_to_the_smallest(run_cases: Any, make_case: Any, small_node: Any) -> None:
    class Limited(small_node):  # type: ignore[misc]
        async def on_message(self, message: dict[str, Any]) -> None:
            if message.get("id", 0) < 1000:
                await super().on_message(message)

    async def body(t: Trial, number: int) -> None:
        link = await t.shared_link()
        await link.send({"type": "Ping", "id": number})
        await link.expect("Pong", id=number)

    case = make_case(body, given={"number": st.integers(0, 10**6)}, examples=50)
    (result,) = run_cases(Limited.factory(), case).results
    assert (result.verdict, result.requirement) == (Verdict.FAIL, "LV-01")
    assert "[with number=1000]" in result.message
    sent = [record["text"] for record in result.transcript if record["from"] == "suite" and "text" in record]
    assert sent[-1] == '{"type":"Ping","id":1000}'
    assert len(sent) <= 2


def test_generated_examples_share_a_link_and_the_seed(
    run_cases: Any, make_case: Any, small_node: Any
) -> None:
    runs: list[tuple[set[int], list[int]]] = []

    async def body(t: Trial, number: int) -> None:
        link = await t.shared_link()
        runs[-1][0].add(id(link))
        runs[-1][1].append(number)
        await link.barrier()

    case = make_case(body, given={"number": st.integers()}, examples=20)
    for seed in (7, 7, 8):
        runs.append((set(), []))
        (result,) = run_cases(small_node.factory(), case, seed=seed).results
        assert result.verdict is Verdict.PASS
        assert result.message == "20 examples"
    assert [len(links) for links, _ in runs] == [1, 1, 1]
    assert runs[0][1] == runs[1][1] != runs[2][1]


def test_errors_in_an_example_are_the_suites(run_cases: Any, make_case: Any, small_node: Any) -> None:
    async def body(t: Trial, number: int) -> None:
        raise ZeroDivisionError(number)

    (result,) = run_cases(small_node.factory(), make_case(body, given={"number": st.integers()})).results
    assert result.verdict is Verdict.HARNESS_ERROR
    assert "ZeroDivisionError" in result.message


class _Unreachable(Target):
    """Opens so many streams and no more."""

    persistent = True

    def __init__(self, good: int, starts: bool = True) -> None:
        super().__init__("test:unreachable", "acceptor")
        self.good, self.starts, self.confirmed = good, starts, 0

    async def start(self) -> None:
        if not self.starts:
            raise TargetGone("nobody there", "start it")

    async def open(self) -> Channel:
        self.good -= 1
        if self.good < 0:
            raise TargetGone("nobody answers")
        raise CaseFailed("a stream", "none")

    async def confirm_gone(self) -> TargetGone | None:
        self.confirmed += 1
        return TargetGone("nobody answers") if self.good < 0 else None


def test_a_target_that_goes_away_fails_the_rest_at_once(make_case: Any) -> None:
    async def waits(t: Trial) -> None:
        await asyncio.sleep(10**6)

    cases = [make_case(_passes, "MS-01", f"tests.case-{number}") for number in range(30)]
    cases.append(make_case(waits, "LV-07", "tests.waits", seconds=50))
    target = _Unreachable(good=0)
    report = Runner(target, cases, Options(), Settings(jobs=4)).run()
    assert [one.verdict for one in report.results] == [Verdict.FAIL] * 31
    assert {one.requirement for one in report.results} == {"TR-05"}
    assert all("the target is gone" in one.message for one in report.results)
    assert target.confirmed == 1
    assert report.exit_status == 1
    assert report.gone == "nobody answers"


def test_a_target_never_reached_is_no_result(make_case: Any) -> None:
    with pytest.raises(TargetGone, match="nobody there"):
        Runner(_Unreachable(0, starts=False), [make_case(_passes)], Options()).run()


def test_reports_survive_any_bytes(run_cases: Any, make_case: Any, small_node: Any) -> None:
    import json
    from xml.etree import ElementTree as ET

    async def body(t: Trial) -> None:
        link = await t.established()
        await link.send_raw(b"\x00\x00\x00\x03\xff\x00\x1b")
        t.fail("]]> \x00 & <b>", "\x1b[31m \ufffe \ud800")

    report = run_cases(small_node.factory(), make_case(body), make_case(_passes, case_id="tests.b"))
    parsed = ET.fromstring(report_junit.render(report))
    (failure,) = parsed.iter("failure")
    assert "\\u0000" in failure.attrib["message"]
    assert "ff001b" in (failure.text or "")
    assert parsed.attrib["tests"] == "2"
    document = json.loads(report_json.render(report))
    assert list(document)[:5] == ["target", "role", "suite_version", "summary", "cases"]
    counts = {name: count for name, count in document["summary"].items() if count}
    assert counts == {"pass": 1, "fail": 1}
    assert list(document["summary"]) == [verdict.value for verdict in Verdict]
    assert any(record["hex"].endswith("ff001b") for record in document["cases"][0]["transcript"])


def test_transcripts_of_passes_are_abridged_and_those_of_failures_whole(
    run_cases: Any, make_case: Any, small_node: Any
) -> None:
    import json

    async def passes(t: Trial) -> None:
        link = await t.established()
        await link.send({"type": "Unknown", "padding": "x" * 1000})
        for _ in range(40):
            await link.barrier()

    async def fails(t: Trial) -> None:
        await passes(t)
        t.fail("a hat", "no hat")

    report = run_cases(small_node.factory(), make_case(passes), make_case(fails, case_id="tests.fails"))
    text = report_json.render(report)
    good, bad = (case["transcript"] for case in json.loads(text)["cases"])
    assert len(bad) > 80
    assert len(good) == 25
    assert [record.get("note") for record in good].count(f"{len(bad) - 24} records left out here") == 1
    assert (good[0]["t"], good[-1]["from"], good[-1]["bytes"]) == (bad[0]["t"], bad[-1]["from"], 0)
    padded = next(record for record in good if record["bytes"] > 1000)
    assert (len(padded["hex"]), len(padded["text"])) == (96, 129)
    assert max(map(len, text.split("\n"))) < 4000


@pytest.mark.parametrize(("lateness", "verdict", "runs"), [(1.0, Verdict.PASS, 2), (0.0, Verdict.FAIL, 1)])
def test_what_failed_while_the_suite_was_starved_runs_again_alone(
    make_case: Any, monkeypatch: pytest.MonkeyPatch, lateness: float, verdict: Verdict, runs: int
) -> None:
    seen: list[int] = []

    async def body(t: Trial) -> None:
        seen.append(1)
        t.check(len(seen) > 1, "an answer in time", "none")

    async def calm(self: LoadMonitor, patience: float) -> None:
        return None

    monkeypatch.setattr(LoadMonitor, "worst_since", lambda self, moment: lateness)
    monkeypatch.setattr(LoadMonitor, "calm", calm)
    report = Runner(_Unreachable(0), [make_case(body)], Options(), Settings(jobs=2)).run()
    assert [one.verdict for one in report.results] == [verdict]
    assert len(seen) == runs
