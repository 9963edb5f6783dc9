"""The one transition table of a control stream.

Two rules. Every change of state is in `TABLE`; nothing else decides what may follow what. And the table does
not know which role we play: dialer and acceptor differ in the state they begin in, and obey the same rows
from then on. The table is total: every stimulus has an answer in every state, so no byte of a peer and no
moment of time finds it without one. The state diagrams of the documentation are drawn from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class State(IntEnum):
    """Where a control stream stands."""

    AWAITING_RESPONSE = 0
    """Dialer: our Handshake is out. Initial state of a dialer."""
    AWAITING_HANDSHAKE = 1
    """Acceptor: nothing but answers may be sent yet (HS-03). Initial state of an acceptor."""
    ESTABLISHED = 2
    """The handshake is done."""
    RENEWING = 3
    """Established, and a later Handshake of ours awaits its response (HS-12)."""
    DRAINING = 4
    """Nothing more is acted on; answers that are ready soon may still be sent (FR-10, CL-02)."""
    CLOSED = 5
    """Nothing more is to be done on the stream."""


class Stimulus(IntEnum):
    """What can happen to a control stream."""

    HANDSHAKE = 0
    UNWELCOME_HANDSHAKE = 1
    """A Handshake of a peer that we do not admit."""
    CONSENT = 2
    """HandshakeResponse with `accepted: true`."""
    REFUSAL = 3
    """HandshakeResponse with `accepted: false`."""
    MALFORMED_HANDSHAKE_RESPONSE = 4
    PING = 5
    PONG = 6
    REQUEST = 7
    RESPONSE = 8
    NONSENSE = 9
    """A document that is no message, or any other malformed message."""
    VIOLATION = 10
    """A framing violation."""
    END_OF_STREAM = 11
    """The peer's clean goodbye between two frames."""
    CONNECTION_LOST = 12
    HANDSHAKE_TIMEOUT = 13
    SILENCE = 14
    """No byte for as long as it takes to be given up for dead (LV-06)."""
    DRAINED = 15
    """The last answer is out, or the time for it is over."""
    RENEW = 16
    """Our side sends a later Handshake."""
    CLOSE = 17
    """Our side ends the conversation."""


class Action(IntEnum):
    """What the core does about it."""

    IGNORE = 0
    ANSWER = 1
    """Answer the Handshake or Ping."""
    ESTABLISH = 2
    """The handshake is done: report it."""
    RENEW = 3
    """Take over the peer's capabilities, and report them."""
    ADMIT = 4
    """Answer the Handshake and establish."""
    TURN_AWAY = 5
    """Answer the Handshake with `accepted: false` and end."""
    REFUSE = 6
    """Answer the request with the failure `not_ready`."""
    DELIVER = 7
    """Check the request or response and hand it to the caller."""
    SEND = 8
    """Send what our side asked for."""
    END = 9
    """Report the end; what ended it gives the close code."""
    REJECT = 10
    """Our side's misuse: `LocalProtocolError`."""


class Transition(NamedTuple):
    """The state that follows, and what to do."""

    state: State
    action: Action


_S, _A, _X = State, Action, Stimulus


def _rows() -> dict[State, dict[Stimulus, Transition]]:
    def stay(state: State, **actions: Action) -> dict[Stimulus, Transition]:
        return {_X[name]: Transition(state, action) for name, action in actions.items()}

    def ends(drain: State) -> dict[Stimulus, Transition]:
        """What ends any open stream; after the peer's own end or fault the answers get their chance."""
        return {
            _X.VIOLATION: Transition(drain, _A.END),
            _X.END_OF_STREAM: Transition(drain, _A.END),
            _X.CONNECTION_LOST: Transition(_S.CLOSED, _A.END),
            _X.SILENCE: Transition(_S.CLOSED, _A.END),
            _X.HANDSHAKE_TIMEOUT: Transition(_S.CLOSED, _A.END),
            _X.CLOSE: Transition(_S.CLOSED, _A.END),
        }

    def waiting(state: State) -> dict[Stimulus, Transition]:
        """Before the handshake: Ping is answered, requests are refused, all else changes nothing."""
        return {
            **ends(_S.DRAINING),
            **stay(
                state,
                CONSENT=_A.IGNORE,
                REFUSAL=_A.IGNORE,
                MALFORMED_HANDSHAKE_RESPONSE=_A.IGNORE,
                PING=_A.ANSWER,
                PONG=_A.IGNORE,
                REQUEST=_A.REFUSE,
                RESPONSE=_A.IGNORE,
                NONSENSE=_A.IGNORE,
                DRAINED=_A.IGNORE,
                RENEW=_A.REJECT,
            ),
        }

    def open_(state: State) -> dict[Stimulus, Transition]:
        """After the handshake both roles are alike."""
        return {
            **waiting(state),
            _X.UNWELCOME_HANDSHAKE: Transition(_S.DRAINING, _A.TURN_AWAY),  # a refused renewal (HS-12)
            **stay(
                state,
                HANDSHAKE=_A.RENEW,
                PONG=_A.DELIVER,
                REQUEST=_A.DELIVER,
                RESPONSE=_A.DELIVER,
            ),
        }

    def over(state: State) -> dict[Stimulus, Transition]:
        return {stimulus: Transition(state, _A.IGNORE) for stimulus in _X} | {
            _X.RENEW: Transition(state, _A.REJECT)
        }

    return {
        _S.AWAITING_RESPONSE: {
            **waiting(_S.AWAITING_RESPONSE),
            _X.HANDSHAKE: Transition(_S.AWAITING_RESPONSE, _A.ANSWER),
            _X.UNWELCOME_HANDSHAKE: Transition(_S.DRAINING, _A.TURN_AWAY),
            _X.CONSENT: Transition(_S.ESTABLISHED, _A.ESTABLISH),
            _X.REFUSAL: Transition(_S.CLOSED, _A.END),
            _X.MALFORMED_HANDSHAKE_RESPONSE: Transition(_S.CLOSED, _A.END),
        },
        _S.AWAITING_HANDSHAKE: {
            **waiting(_S.AWAITING_HANDSHAKE),
            _X.HANDSHAKE: Transition(_S.ESTABLISHED, _A.ADMIT),
            _X.UNWELCOME_HANDSHAKE: Transition(_S.DRAINING, _A.TURN_AWAY),
        },
        _S.ESTABLISHED: {
            **open_(_S.ESTABLISHED),
            _X.HANDSHAKE_TIMEOUT: Transition(_S.ESTABLISHED, _A.IGNORE),
            _X.RENEW: Transition(_S.RENEWING, _A.SEND),
        },
        _S.RENEWING: {
            **open_(_S.RENEWING),
            _X.CONSENT: Transition(_S.ESTABLISHED, _A.RENEW),
            _X.REFUSAL: Transition(_S.CLOSED, _A.END),
        },
        _S.DRAINING: {
            **over(_S.DRAINING),
            _X.CONNECTION_LOST: Transition(_S.CLOSED, _A.IGNORE),
            _X.DRAINED: Transition(_S.CLOSED, _A.IGNORE),
            _X.CLOSE: Transition(_S.CLOSED, _A.IGNORE),
        },
        _S.CLOSED: over(_S.CLOSED),
    }


TABLE: Final[Mapping[State, Mapping[Stimulus, Transition]]] = MappingProxyType(
    {state: MappingProxyType(row) for state, row in _rows().items()}
)
