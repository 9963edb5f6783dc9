from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gate_p2p.core import CloseCode
from gate_p2p.core.states import TABLE, Action, State, Stimulus


@pytest.mark.parametrize("state", State)
def test_the_table_has_an_answer_to_every_stimulus(state: State) -> None:
    assert set(TABLE[state]) == set(Stimulus)


def test_closed_is_left_by_nothing() -> None:
    assert {transition.state for transition in TABLE[State.CLOSED].values()} == {State.CLOSED}


def test_every_state_can_be_reached_and_every_open_one_can_end() -> None:
    def reachable(start: State) -> set[State]:
        seen, todo = {start}, [start]
        while todo:
            for transition in TABLE[todo.pop()].values():
                if transition.state not in seen:
                    seen.add(transition.state)
                    todo.append(transition.state)
        return seen

    assert reachable(State.AWAITING_RESPONSE) | reachable(State.AWAITING_HANDSHAKE) == set(State)
    assert all(State.CLOSED in reachable(state) for state in State)


def test_no_request_is_delivered_before_the_handshake() -> None:
    before = (State.AWAITING_RESPONSE, State.AWAITING_HANDSHAKE)
    assert {TABLE[state][Stimulus.REQUEST].action for state in before} == {Action.REFUSE}


def test_ping_is_answered_in_every_state_that_acts_on_messages() -> None:
    acting = set(State) - {State.DRAINING, State.CLOSED}
    assert {TABLE[state][Stimulus.PING].action for state in acting} == {Action.ANSWER}
    assert all(TABLE[state][Stimulus.PING].state is state for state in acting)


def test_only_consent_establishes_a_dialer_and_only_a_handshake_an_acceptor() -> None:
    ways = {
        (state, stimulus)
        for state, row in TABLE.items()
        for stimulus, transition in row.items()
        if transition.action in (Action.ESTABLISH, Action.ADMIT)
    }
    assert ways == {
        (State.AWAITING_RESPONSE, Stimulus.CONSENT),
        (State.AWAITING_HANDSHAKE, Stimulus.HANDSHAKE),
    }


def test_the_close_codes_are_those_of_the_specification() -> None:
    spec = Path(__file__).resolve().parents[3] / "spec" / "requirements.toml"
    entries = tomllib.loads(spec.read_text(encoding="utf-8"))["close_code"]
    names = {entry["code"]: entry["name"].upper().replace(" ", "_").replace("-", "") for entry in entries}
    assert names == {code.value: code.name for code in CloseCode}
