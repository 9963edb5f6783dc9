"""What cases see of a control stream."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gate_conformance.trial import Trial
from gate_conformance.verdicts import Verdict


def only(report: Any) -> Any:
    assert len(report.results) == 1
    return report.results[0]


@pytest.mark.parametrize("role", ["acceptor", "dialer"])
def test_established_and_barrier(run_cases: Any, make_case: Any, small_node: Any, role: str) -> None:
    async def body(t: Trial) -> None:
        link = await t.established()
        assert link.peer_capabilities == ("dns_challenge",)
        assert (link.peer_handshake is not None) == (role == "dialer")
        assert await link.barrier() == []

    result = only(run_cases(small_node.factory(), make_case(body), role=role))
    assert (result.verdict, result.message) == (Verdict.PASS, "")


def test_expect_leaves_other_messages_in_order(run_cases: Any, make_case: Any, small_node: Any) -> None:
    class Chatty(small_node):  # type: ignore[misc]
        async def on_message(self, message: dict[str, Any]) -> None:
            if message["type"] == "Ping":
                await self.send(type="Weather", sky="clear")
                await self.send(type="Weather", sky="grey")
            await super().on_message(message)

    seen: list[Any] = []

    async def body(t: Trial) -> None:
        link = await t.established()
        await link.send({"type": "Ping", "id": 5})
        seen.append(await link.expect("Weather", sky="grey"))
        seen.append(await link.receive())
        seen.append(await link.receive())
        seen.append([one["type"] for one in await link.barrier()])

    assert only(run_cases(Chatty.factory(), make_case(body))).verdict is Verdict.PASS
    assert [seen[0]["sky"], seen[1]["sky"], seen[2]["type"], seen[3]] == [
        "grey",
        "clear",
        "Pong",
        ["Weather", "Weather"],
    ]


def test_own_pings_of_the_target_are_answered_between_frames(
    run_cases: Any, make_case: Any, small_node: Any
) -> None:
    got: list[Any] = []

    class Pinging(small_node):  # type: ignore[misc]
        async def on_message(self, message: dict[str, Any]) -> None:
            await super().on_message(message)
            if message["type"] == "Handshake":
                await asyncio.sleep(0.5)
                await self.send(type="Ping", id=9)
            if message["type"] == "Pong":
                got.append(message["id"])

    async def body(t: Trial) -> None:
        link = await t.established()
        await link.send_raw(b"\x00")  # the target's Ping comes while this frame is open
        await asyncio.sleep(1)
        assert got == []
        await link.send_raw(b"\x00\x00\x02{}")
        await asyncio.sleep(1)
        assert link.inbox == []
        assert [one["type"] for one in link.received] == ["HandshakeResponse", "Ping"]

    class Tolerant(Pinging):
        async def on_message(self, message: dict[str, Any]) -> None:
            if "type" in message:
                await super().on_message(message)

    assert only(run_cases(Tolerant.factory(), make_case(body))).verdict is Verdict.PASS
    assert got == [9]


@pytest.mark.parametrize(
    ("message", "requirement"),
    [
        ({"type": "Pong", "id": 1}, "LV-01"),
        ({"type": "StreamReady", "request_id": "x", "stream_accepted": True}, "RQ-01"),
        ({"type": "HandshakeResponse", "accepted": True, "capabilities": []}, "HS-02"),
        ({"type": "Pong"}, "MS-12"),
        ({"type": "Ping", "id": 1.0}, "MS-09"),
        ({"type": "Weather", "x": "\ud800"}, "FR-13"),
    ],
)
def test_what_the_target_may_not_send(
    run_cases: Any, make_case: Any, small_node: Any, message: dict[str, Any], requirement: str
) -> None:
    class Bad(small_node):  # type: ignore[misc]
        async def on_message(self, received: dict[str, Any]) -> None:
            await super().on_message(received)
            if received["type"] == "Ping":
                await self.send(**message)

    async def body(t: Trial) -> None:
        link = await t.established()
        await link.barrier()

    result = only(run_cases(Bad.factory(), make_case(body, "TR-04")))
    assert (result.verdict, result.requirement) == (Verdict.FAIL, requirement)


def test_tolerated_answers_are_no_fault(run_cases: Any, make_case: Any, small_node: Any) -> None:
    class Bad(small_node):  # type: ignore[misc]
        async def on_message(self, received: dict[str, Any]) -> None:
            await super().on_message(received)
            if received["type"] == "Ping":
                await self.send(type="Pong", id=received["id"] + 10**6)

    async def body(t: Trial) -> None:
        link = await t.established()
        ping = link.fresh_id()
        link.tolerate_pong(ping + 10**6)
        await link.send({"type": "Ping", "id": ping})
        await link.expect("Pong", id=ping)

    assert only(run_cases(Bad.factory(), make_case(body))).verdict is Verdict.PASS


def test_answers_after_a_violation_break_fr_08(run_cases: Any, make_case: Any, small_node: Any) -> None:
    class Deaf(small_node):  # type: ignore[misc]
        async def run(self) -> None:
            while data := await self.stream.read():
                for ping_id in (77, 78):
                    if str(ping_id).encode() in data:
                        await self.send(type="Pong", id=ping_id)

    async def body(t: Trial) -> None:
        link = await t.connect()
        await link.send({"type": "Ping", "id": 77})
        await link.expect("Pong", id=77)
        await link.send_text("{")
        await link.send({"type": "Ping", "id": 78})
        await link.settle()

    result = only(run_cases(Deaf.factory(), make_case(body)))
    assert (result.verdict, result.requirement) == (Verdict.FAIL, "FR-08")


def test_end_of_stream_and_close_code(run_cases: Any, make_case: Any, small_node: Any) -> None:
    async def body(t: Trial) -> None:
        link = await t.established()
        await link.send_raw(bytes(4))
        end = await t.expect_violation(link, code=2)
        assert (end.kind, end.code) == ("finished", 1)

    result = only(run_cases(small_node.factory(), make_case(body, "FR-04")))
    assert (result.verdict, result.requirement, result.level) == (Verdict.WARN, "CL-01", "SHOULD")
    assert "expected close code 2; actual 1" in result.message


@pytest.mark.parametrize(
    ("answer", "requirement"),
    [
        ({"type": "DnsChallengeResponse", "request_id": "R", "success": False, "error": "no"}, "RQ-08"),
        ({"type": "DnsChallengeResponse", "request_id": "R", "success": False}, "RQ-07"),
        ({"type": "DnsChallengeResponse", "request_id": "R", "success": True}, "DC-03"),
        ({"type": "DnsChallengeResponse", "request_id": "r", "success": False, "error": "no"}, "RQ-02"),
        ({"type": "StreamReady", "request_id": "R", "stream_accepted": False, "error": "no"}, "RQ-01"),
        (None, "DC-03"),
    ],
)
def test_expect_failure_blames_what_is_wrong(
    run_cases: Any, make_case: Any, small_node: Any, answer: dict[str, Any] | None, requirement: str
) -> None:
    class Answering(small_node):  # type: ignore[misc]
        async def on_message(self, message: dict[str, Any]) -> None:
            await super().on_message(message)
            if message["type"] == "DnsChallengeCreate" and answer is not None:
                await self.send(**answer)

    async def body(t: Trial) -> None:
        link = await t.established()
        request = {"type": "DnsChallengeCreate", "request_id": "R", "domain": "*.x", "txt_value": "v" * 43}
        await link.send(request)
        await link.expect_failure(request, "malformed", requirement="DC-03")

    result = only(run_cases(Answering.factory(), make_case(body, "DC-03")))
    assert (result.verdict, result.requirement) == (
        Verdict.WARN if requirement == "RQ-08" else Verdict.FAIL,
        requirement,
    )


def test_a_target_that_stops_reading_is_a_failure(run_cases: Any, make_case: Any) -> None:
    async def stuck(stream: Any, *, role: str, peer_id: str) -> None:
        await asyncio.sleep(10**6)

    async def body(t: Trial) -> None:
        link = await t.connect()
        await link.send_chunks([bytes(1 << 20), bytes(1 << 20)])

    result = only(run_cases(stuck, make_case(body, "LV-03")))
    assert (result.verdict, result.requirement) == (Verdict.FAIL, "LV-03")
    assert "still waits" in result.message


def test_silence_and_settle(run_cases: Any, make_case: Any, small_node: Any) -> None:
    class Late(small_node):  # type: ignore[misc]
        async def on_message(self, message: dict[str, Any]) -> None:
            if message["type"] == "Ping":
                await asyncio.sleep(1)
            await super().on_message(message)

    async def body(t: Trial) -> None:
        link = await t.established()
        await link.send({"type": "Ping", "id": 3})
        assert await link.settle(0.5) == []
        assert [one["id"] for one in await link.settle(1)] == [3]
        await link.silence(10)
        await link.send({"type": "Ping", "id": 4})
        await link.silence(2, requirement="LV-04")

    result = only(run_cases(Late.factory(), make_case(body)))
    assert (result.verdict, result.requirement) == (Verdict.FAIL, "LV-04")
