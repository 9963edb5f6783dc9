"""Every interleaving of commands, deliveries, time-outs and loss at two joined ends: see `state_space.py`.

Small sets of commands are explored until there is no new state, all commands together to a stated depth:
``GATE_STATE_SPACE_DEPTH=8`` goes deeper than the default, 6.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gate_p2p.core import (
    TABLE,
    Connection,
    Event,
    LocalProtocolError,
    Request,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    State,
    Stimulus,
)
from gate_p2p.core.messages import Response

from .one_end import copied, end_key
from .state_space import PLANS, Explored, explore
from .two_ends import STIMULI, Broken, Plan, World

DEPTH = int(os.environ.get("GATE_STATE_SPACE_DEPTH", "6"))
pytestmark = pytest.mark.timeout(300 if DEPTH <= 6 else 0)
BOUNDED = {name: DEPTH for name in PLANS if name.startswith("all commands")}

NEVER = {
    "two of these cores send nothing of the kind": (
        {Stimulus.NONSENSE, Stimulus.MALFORMED_HANDSHAKE_RESPONSE, Stimulus.VIOLATION},
        set(State),
    ),
    "an end that is closed is given nothing more but the loss of the connection": (
        set(Stimulus) - {Stimulus.CONNECTION_LOST},
        {State.CLOSED},
    ),
    "only an acceptor turns away, and only at the first Handshake": (
        {Stimulus.UNWELCOME_HANDSHAKE, Stimulus.REFUSAL},
        {State.ESTABLISHED, State.RENEWING, State.DRAINING},
    ),
    "the dialer's Handshake is the first message on the stream": (
        {Stimulus.UNWELCOME_HANDSHAKE},
        {State.AWAITING_RESPONSE},
    ),
    "an acceptor asks nothing before the handshake, so nothing answers it": (
        {Stimulus.CONSENT, Stimulus.REFUSAL, Stimulus.PONG, Stimulus.RESPONSE},
        {State.AWAITING_HANDSHAKE},
    ),
    "a dialer sends nothing else before the consent": (
        {Stimulus.PING, Stimulus.REQUEST},
        {State.AWAITING_HANDSHAKE},
    ),
    "a dialer that waits has asked for consent alone": (
        {Stimulus.PONG, Stimulus.RESPONSE},
        {State.AWAITING_RESPONSE},
    ),
    "an acceptor consents before it asks anything": (
        {Stimulus.HANDSHAKE, Stimulus.PING, Stimulus.REQUEST},
        {State.AWAITING_RESPONSE},
    ),
    "silence is counted between the handshake and the end": (
        {Stimulus.SILENCE},
        {State.AWAITING_RESPONSE, State.AWAITING_HANDSHAKE, State.DRAINING},
    ),
    "there is no handshake to wait for": ({Stimulus.HANDSHAKE_TIMEOUT}, {State.ESTABLISHED, State.DRAINING}),
    "an end drains when the peer's stream has ended, or when it turned the peer away, which says no more": (
        {*STIMULI.values(), Stimulus.CONSENT},
        {State.DRAINING},
    ),
    "a HandshakeResponse comes only to an end that waits for one": ({Stimulus.CONSENT}, {State.ESTABLISHED}),
    "the dialer's Handshake comes before the end of its stream": (
        {Stimulus.END_OF_STREAM},
        {State.AWAITING_HANDSHAKE},
    ),
    "nothing drains": (
        {Stimulus.DRAINED},
        {State.AWAITING_RESPONSE, State.AWAITING_HANDSHAKE, State.ESTABLISHED, State.RENEWING},
    ),
}
"""Why rows of the table are not reached: the stimuli, and the states in which they do not come about."""


@pytest.fixture(scope="module")
def explored() -> dict[str, Explored]:
    found = {name: explore(plan, depth=BOUNDED.get(name)) for name, plan in PLANS.items()}
    for name, result in found.items():
        print(f"{name}: {result}")
    return found


def test_nothing_breaks_and_every_small_plan_is_seen_whole(explored: dict[str, Explored]) -> None:
    for name, result in explored.items():
        assert result.complete is (name not in BOUNDED), name
        assert result.final, name
    assert sum(result.states for result in explored.values()) > 15_000


def test_every_row_of_the_table_that_two_ends_can_reach_is_reached(explored: dict[str, Explored]) -> None:
    reached = {row for result in explored.values() for row in result.rows}
    never = {
        (state, stimulus) for stimuli, states in NEVER.values() for state in states for stimulus in stimuli
    }
    every = {(state, stimulus) for state in State for stimulus in Stimulus}
    assert {(state, stimulus) for state, row in TABLE.items() for stimulus in row} == every
    assert reached & never == set()
    assert every - never - reached == set()


def test_an_exploration_gives_the_same_numbers_again() -> None:
    first, second = (explore(PLANS["requests and goodbyes"]) for _ in range(2))
    assert (first.states, first.transitions, first.depth) == (second.states, second.transitions, second.depth)


def test_a_copy_shares_nothing_that_changes() -> None:
    world = World(PLANS["a request"])
    for option in ("acceptor.deliver", "dialer.deliver", "dialer.create"):
        world = world.step(option)
    end = world.ends["dialer"]
    before = end_key(end, world.now)
    copy = copied(end)
    copy.ping(world.now)
    copy.request_inference_stream(world.now)
    copy.close(world.now)
    assert end_key(end, world.now) == before
    assert end._pending._deadlines


# -- The exploration can fail: cores with one fault each --------------------------------------------


class AnswersTwice(Connection):
    def _answer(self, request_id: str, now: float, respond: Callable[[Request], Response]) -> None:
        request = self._in_flight[request_id]
        self._send(respond(request))
        super()._answer(request_id, now, respond)


class ForgetsAtTimeOut(Connection):
    def handle_timeout(self, now: float) -> list[Event]:
        return [event for event in super().handle_timeout(now) if not isinstance(event, RequestFailed)]


class ForgetsAtTheEnd(Connection):
    def _terminate(self, code: Any, reason: str, events: list[Event]) -> None:
        self._pending.clear()
        super()._terminate(code, reason, events)


class KeepsWhatIsAnswered(Connection):
    def receive_data(self, data: bytes, now: float) -> list[Event]:
        events = super().receive_data(data, now)
        for event in events:
            if isinstance(event, ResponseReceived):
                self._pending.add(event.request, now + 3.0)
        return events


class DropsARequest(Connection):
    def receive_data(self, data: bytes, now: float) -> list[Event]:
        before = set(self._in_flight)
        events = super().receive_data(data, now)
        for request_id in set(self._in_flight) - before if before else ():
            del self._in_flight[request_id]
        return [event for event in events if not (before and isinstance(event, RequestReceived))]


class DrainsForEver(Connection):
    def next_deadline(self) -> float | None:
        return None if self._state is State.DRAINING else super().next_deadline()


class PassesNoTime(Connection):
    def handle_timeout(self, now: float) -> list[Event]:
        return [] if self._state is State.RENEWING else super().handle_timeout(now)


class RaisesWhileDraining(Connection):
    def _answer(self, request_id: str, now: float, respond: Callable[[Request], Response]) -> None:
        if self._state is State.DRAINING:
            raise KeyError(request_id)
        super()._answer(request_id, now, respond)


class EndsTwice(Connection):
    def connection_lost(self, now: float, reason: str = "lost") -> list[Event]:
        events = super().connection_lost(now, reason)
        if self.close_code is not None and not events:
            self._terminate(self.close_code, reason, events)
        return events


class ChangesWhenRefused(Connection):
    def renew_handshake(self, now: float, capabilities: Any = None) -> None:
        try:
            super().renew_handshake(now, capabilities)
        except LocalProtocolError:
            self._deadline = (self._deadline or now) + 1.0
            raise


@pytest.mark.parametrize(
    ("make", "plan", "says"),
    [
        (AnswersTwice, "a request", "answered twice"),
        (ForgetsAtTimeOut, "a request", "forgot a request"),
        (ForgetsAtTheEnd, "a request", "forgot a request"),
        (KeepsWhatIsAnswered, "a request", "keeps one that has ended"),
        (DropsARequest, "requests from both sides", "owes"),
        (DrainsForEver, "requests and goodbyes", "deadlock"),
        (PassesNoTime, "renewals", "never come to an end"),
        (RaisesWhileDraining, "requests and goodbyes", "raised KeyError"),
        (EndsTwice, "requests and goodbyes", "after Terminated"),
        (ChangesWhenRefused, "renewals", "was refused, and changed"),
    ],
)
def test_a_broken_core_is_found(make: type[Connection], plan: str, says: str) -> None:
    with pytest.raises(Broken, match=says):
        explore(PLANS[plan], make=make)


def test_a_breach_is_told_with_the_shortest_way_to_it() -> None:
    with pytest.raises(Broken) as caught:
        explore(PLANS["a request"], make=AnswersTwice)
    assert str(caught.value).splitlines()[1:] == [
        "  after acceptor.deliver",
        "   then dialer.deliver",
        "   then dialer.create",
        "   then acceptor.deliver",
        "   then acceptor.succeed.r1",
    ]


def test_a_bound_is_kept_and_said() -> None:
    found = explore(PLANS["a request"], depth=3)
    assert (found.depth, found.complete) == (3, False)
    assert "depth 3 (bounded)" in str(found)
    assert explore(replace(Plan({}), admit=False)).complete
