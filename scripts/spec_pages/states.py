"""`spec/states.md`: the life of a control stream, drawn from the core's one transition table."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Collection, Iterator
from enum import IntEnum

from gate_p2p.core import states
from gate_p2p.core.states import TABLE, Action, State, Stimulus
from spec_pages.markdown import generated, link_ids, table
from spec_pages.sources import Sources

ROLES = {"Dialer": State.AWAITING_RESPONSE, "Acceptor": State.AWAITING_HANDSHAKE}
OVER = (State.DRAINING, State.CLOSED)
NOTHING = (Action.IGNORE, Action.REJECT)


def page(sources: Sources) -> str:
    """Two diagrams, the table they are drawn from, and what its words mean."""

    def linked(text: str) -> str:
        return link_ids(text, sources.target)

    return generated(
        "States",
        "One control stream, as the reference implementation sees it. Dialer and acceptor share one "
        "table and differ in the state in which they begin. An edge says what happens and, after the "
        "stroke, what is done about it. The table is total: whatever happens has an answer in every "
        "state. What leaves every open state alike is drawn once, from *any open state*. "
        "What a node is bound to is said in the chapters, in [Handshake and capabilities](handshake.md) "
        "above all; a node may keep other states as long as it behaves so.\n",
        *(_role(role, initial) for role, initial in ROLES.items()),
        "\n## The whole table\n\n",
        "A cell says what is done; an arrow names the state that follows where it is another one.\n\n",
        _table(),
        "\n## The words\n\n",
        *(_words(kind, title, linked) for kind, title in _KINDS),
    )


_KINDS: tuple[tuple[type[IntEnum], str], ...] = (
    (State, "State"),
    (Stimulus, "What happens"),
    (Action, "What is done"),
)


def words(member: IntEnum) -> str:
    return member.name.lower().replace("_", " ")


def reachable(initial: State) -> list[State]:
    """The states that a role can be in, in the order of the table."""
    found, new = {initial}, [initial]
    while new:
        for transition in TABLE[new.pop()].values():
            if transition.state not in found:
                found.add(transition.state)
                new.append(transition.state)
    return sorted(found)


def common(states: list[State]) -> list[Stimulus]:
    """What leads out of all of these states to the same state, with the same action."""
    first, *others = (TABLE[state] for state in states)
    return [
        stimulus
        for stimulus, transition in first.items()
        if transition.state not in states and all(row[stimulus] == transition for row in others)
    ]


def edges(state: State, but: Collection[Stimulus] = ()) -> Iterator[tuple[State, Action, list[Stimulus]]]:
    """The ways out of a state, one for all that does the same and leads to the same state."""
    merged: dict[tuple[State, Action], list[Stimulus]] = {}
    for stimulus, (following, action) in TABLE[state].items():
        if following != state and stimulus not in but:
            merged.setdefault((following, action), []).append(stimulus)
    for (following, action), stimuli in merged.items():
        yield following, action, stimuli


def _role(role: str, initial: State) -> str:
    known = reachable(initial)
    is_open = [state for state in known if state not in OVER]
    shared = common(is_open)
    lines = ["stateDiagram-v2", f"    [*] --> {_name(initial)}"]
    lines += [f'    state "{words(state)}" as {_name(state)}' for state in known]
    for state in known:
        for following, action, stimuli in edges(state, shared if state in is_open else ()):
            lines.append(f"    {_name(state)} --> {_name(following)}: {_label(stimuli, action)}")
    lines.append('    state "any open state" as any_open_state')
    for following, action, stimuli in edges(initial, set(Stimulus) - set(shared)):
        lines.append(f"    any_open_state --> {_name(following)}: {_label(stimuli, action)}")
    lines.append(f"    {_name(State.CLOSED)} --> [*]")
    stays = [f"- *{words(state)}*: {stay}\n" for state in known if (stay := _stays(state))]
    return (
        f"\n## {role}\n\n```mermaid\n" + "\n".join(lines) + "\n```\n\n"
        f"The open states are {', '.join(f'*{words(state)}*' for state in is_open[:-1])} and "
        f"*{words(is_open[-1])}*. "
        "What is done without leaving a state; everything else there changes nothing:\n\n" + "".join(stays)
    )


def _name(state: State) -> str:
    return state.name.lower()


def _label(stimuli: list[Stimulus], action: Action) -> str:
    """One stimulus to a line, and what is done on the last: narrow, so that labels keep off each other."""
    return "<br/>".join([*map(words, stimuli), f"/ {words(action)}"])


def _stays(state: State) -> str:
    """What a state does about the stimuli that do not change it, leaving out what does nothing."""
    merged: dict[Action, list[str]] = {}
    for stimulus, (following, action) in TABLE[state].items():
        if following == state and action not in NOTHING:
            merged.setdefault(action, []).append(words(stimulus))
    return "; ".join(f"{', '.join(stimuli)} / {words(action)}" for action, stimuli in merged.items())


def _table() -> str:
    def cell(state: State, stimulus: Stimulus) -> str:
        following, action = TABLE[state][stimulus]
        return words(action) + ("" if following == state else f" → {words(following)}")

    return table(
        ("What happens", *(words(state) for state in State)),
        ((words(stimulus), *(cell(state, stimulus) for state in State)) for stimulus in Stimulus),
    )


def _words(kind: type[IntEnum], title: str, linked: Callable[[str], str]) -> str:
    docs = _docstrings(kind)
    rows = [(words(member), linked(docs[member.name])) for member in kind if member.name in docs]
    return table((title, "Meaning"), rows) + "\n"


def _docstrings(kind: type[IntEnum]) -> dict[str, str]:
    """The texts under the members of an enumeration, by the members' names."""
    (tree,) = (
        node
        for node in ast.parse(inspect.getsource(states)).body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    found = {}
    for member, text in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(member, ast.Assign)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(member.targets[0], ast.Name)
        ):
            found[member.targets[0].id] = inspect.cleandoc(str(text.value.value))
    return found
