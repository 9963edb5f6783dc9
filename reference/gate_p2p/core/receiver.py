"""The receiving half of a connection: bytes and moments become events, answers and changes of state.

`Connection` in `connection.py` adds what the caller may ask for. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from . import answers, forms
from . import messages as m
from .answers import Policy, Refusal
from .capabilities import kept
from .errors import CloseCode, FailureCode, LocalProtocolError, RemoteProtocolError
from .events import (
    CapabilitiesRenewed,
    Established,
    Event,
    MessageIgnored,
    PingReceived,
    PongReceived,
    RequestFailed,
    RequestReceived,
    RequestRefused,
    ResponseReceived,
    Terminated,
)
from .framing import FrameDecoder, encode_frame
from .limits import MAX_FRAME, Limits
from .liveness import Liveness
from .pending import PendingRequests
from .states import TABLE, Action, State, Stimulus

OPEN: Final = frozenset({State.ESTABLISHED, State.RENEWING})
"""The states between the handshake and the end."""

ENDING: Final = frozenset({State.DRAINING, State.CLOSED})
"""The states in which nothing of the peer is acted on any more."""

_NOT_READY: Final = Refusal(FailureCode.NOT_READY, "the handshake is not done")


class Receiver:
    """Everything of a connection that the peer and the clock set in motion."""

    def __init__(
        self,
        state: State,
        *,
        node_id: str,
        capabilities: Iterable[str],
        now: float,
        limits: Limits | None = None,
        policy: Policy | None = None,
        admit: bool = True,
    ) -> None:
        if (problem := forms.node_id_problem(node_id)) is not None:
            raise LocalProtocolError(problem)
        self._state = state
        self._row = TABLE[state]
        self._node_id = node_id
        self._handshake = self._own_handshake(capabilities)
        self._limits = limits or Limits()
        self._policy = policy
        self._admit = admit
        self._now = now
        self._frames = FrameDecoder(self._limits.max_frame)
        self._out = bytearray()
        self._in_flight: dict[str, m.Request] = {}
        self._pending = PendingRequests()
        self._liveness = Liveness(now, self._limits.keepalive_interval, self._limits.dead_after)
        self._deadline: float | None = None
        self._peer_node_id: str | None = None
        self.peer_capabilities: frozenset[str] = frozenset()
        """What the peer advertised last: every known capability, and a few dozen others."""
        self.report_pings = True
        """Whether an answered Ping is an event too: a peer can send hundreds of thousands a second."""
        self.close_code: CloseCode | None = None
        """The application code to close the connection with; None while the conversation goes on."""
        self.close_reason = ""
        """Why it ended, for the log."""

    # -- What the caller may look at -----------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the stream stands."""
        return self._state

    @property
    def established(self) -> bool:
        """True between the handshake and the end: requests may be sent."""
        return self._state in OPEN

    @property
    def finished(self) -> bool:
        """True when nothing more is to be done: flush, finish the stream, close with `close_code`."""
        return self._state is State.CLOSED

    def data_to_send(self, max_bytes: int | None = None) -> bytes:
        """Take up to `max_bytes` (default: all) of what is to be written; `b""` when there is nothing."""
        out = self._out
        if max_bytes is None or len(out) <= max_bytes:
            data = bytes(out)
            out.clear()
        else:
            data = bytes(out[:max_bytes])
            del out[:max_bytes]
        return data

    # -- Input ---------------------------------------------------------------------------------

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take bytes of the stream, cut anyhow; the events do not depend on the cuts (FR-05).

        Never raises over what the peer sent, and drops what follows a violation (FR-08).
        """
        now = self._advance(now)
        if data:
            self._liveness.last_received = now
        events: list[Event] = []
        if self._state in ENDING:
            return events
        try:
            decode, pong_frame, out = m.decode, answers.pong_frame, self._out
            for body in self._frames.feed(data):
                message = decode(body)
                if type(message) is m.Ping:  # answered in every state that gets here, and it changes none
                    out += pong_frame(message.id)
                    if self.report_pings:
                        events.append(PingReceived(message.id))
                    continue
                self._RECEIVE[type(message)](self, message, events)
                if self._state in ENDING:
                    return events
        except RemoteProtocolError as violation:
            self._violation(violation, events)
            return events
        if self._frames.violation is not None:
            self._violation(self._frames.violation, events)
        return events

    def receive_eof(self, now: float) -> list[Event]:
        """The peer ended its direction: a goodbye (CL-02), or inside a frame a violation (FR-11)."""
        self._advance(now)
        events: list[Event] = []
        if self._frames.inside_frame:
            self._violation(RemoteProtocolError("the stream ended inside a frame (FR-11)"), events)
        else:
            self._end(Stimulus.END_OF_STREAM, CloseCode.DONE, "the peer ended the stream", events)
        return events

    def connection_lost(self, now: float, reason: str = "the connection was lost") -> list[Event]:
        """The transport is gone: what is pending fails, and nothing more can be sent."""
        self._advance(now)
        events: list[Event] = []
        self._end(Stimulus.CONNECTION_LOST, CloseCode.DONE, reason, events)
        self._in_flight.clear()
        self._out.clear()
        return events

    # -- Time ----------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When `handle_timeout` is to be called next, on the clock of `now`; None once finished."""
        if self._state is State.CLOSED:
            return None
        deadlines = [] if self._deadline is None else [self._deadline]
        if self._state in OPEN:
            deadlines += (self._liveness.dead_at(), self._liveness.keepalive_at())
            if (expiry := self._pending.next_deadline()) is not None:
                deadlines.append(expiry)
        return min(deadlines, default=None)

    def handle_timeout(self, now: float) -> list[Event]:
        """Do what is due at `now`; does nothing when called early."""
        now = self._advance(now)
        events: list[Event] = []
        if self._deadline is not None and self._deadline <= now:
            self._deadline = None
            if self._state is State.DRAINING:
                self._move(Stimulus.DRAINED)
            else:
                self._end(
                    Stimulus.HANDSHAKE_TIMEOUT,
                    CloseCode.HANDSHAKE_FAILED,
                    "no handshake in time",
                    events,
                )
        if self._state not in OPEN:
            return events
        for request in self._pending.expire(now):
            events.append(
                RequestFailed(request.request_id, request, FailureCode.TIMED_OUT, "no answer in time")
            )
        if self._liveness.dead_at() <= now and (until := self._pending.patience()) is not None:
            self._liveness.reprieve(until)
        if self._liveness.dead_at() <= now:
            silence = now - self._liveness.last_received
            self._end(Stimulus.SILENCE, CloseCode.TIMEOUT, f"nothing received for {silence:.0f} s", events)
        elif self._liveness.keepalive_at() <= now:
            self._send(m.Ping(id=self._liveness.next_ping(now)))
        return events

    def _advance(self, now: float) -> float:
        # a clock that steps back must not undo a deadline
        if now > self._now:
            self._now = now
        return self._now

    # -- Messages of the peer ------------------------------------------------------------------

    def _on_pong(self, message: m.Pong, events: list[Event]) -> None:
        if self._row[Stimulus.PONG].action is Action.DELIVER and self._liveness.is_answered_by(message.id):
            events.append(PongReceived(message.id))
        else:
            events.append(MessageIgnored("a Pong that nobody asked for (LV-04)"))

    def _on_handshake(self, message: m.Handshake, events: list[Event]) -> None:
        action = self._move(Stimulus.HANDSHAKE if self._admit else Stimulus.UNWELCOME_HANDSHAKE)
        turned_away = action is Action.TURN_AWAY
        self._send(m.HandshakeResponse(accepted=not turned_away, capabilities=self._handshake.capabilities))
        if turned_away:
            self._deadline = self._now + self._limits.drain_timeout
            self._terminate(CloseCode.HANDSHAKE_FAILED, "the peer is not admitted", events)
            return
        self._peer_node_id = message.node_id[: forms.NODE_ID_LENGTH]
        self.peer_capabilities = kept(message.capabilities)
        if action is Action.ADMIT:
            self._establish(events)
        elif action is Action.RENEW:
            events.append(CapabilitiesRenewed(self.peer_capabilities))

    def _on_handshake_response(self, message: m.HandshakeResponse, events: list[Event]) -> None:
        if not message.accepted:
            if self._row[Stimulus.REFUSAL].action is Action.END:
                self._end(
                    Stimulus.REFUSAL, CloseCode.HANDSHAKE_FAILED, "the peer refused the handshake", events
                )
                return
        elif (action := self._move(Stimulus.CONSENT)) is not Action.IGNORE:
            self.peer_capabilities = kept(message.capabilities)
            if action is Action.ESTABLISH:
                self._establish(events)
            else:
                self._deadline = None
                events.append(CapabilitiesRenewed(self.peer_capabilities))
            return
        events.append(MessageIgnored("a HandshakeResponse that nobody asked for (HS-13)"))

    def _on_request(self, request: m.Request, events: list[Event]) -> None:
        request_id = request.request_id
        if request_id in self._in_flight:
            events.append(MessageIgnored("a second request with an id in flight (RQ-05)"))
            return
        refusal = self._check(request)
        if refusal is None:
            self._in_flight[request_id] = request
            events.append(RequestReceived(request))
        else:
            self._refuse(type(request), request_id, refusal, events)

    def _check(self, request: m.Request) -> Refusal | None:
        """Why a request is refused, the checks in the order of RQ-08."""
        if self._row[Stimulus.REQUEST].action is Action.REFUSE:
            return _NOT_READY
        if (problem := forms.request_problem(request)) is not None:
            return Refusal(FailureCode.MALFORMED, problem)
        if self._policy is not None and (refusal := self._policy(request)) is not None:
            return refusal
        if len(self._in_flight) >= self._limits.max_in_flight:
            return Refusal(
                FailureCode.QUOTA, f"{len(self._in_flight)} requests are in flight; wait for answers"
            )
        return None

    def _on_response(self, response: m.Response, events: list[Event]) -> None:
        request = self._pending.get(response.request_id)
        if request is None or not isinstance(response, answers.RESPONSE_TO[type(request)]):
            events.append(MessageIgnored("a response to no request (RQ-06)"))
            return
        self._wait_no_more(response.request_id)
        events.append(ResponseReceived(response.request_id, request, response))

    def _wait_no_more(self, request_id: str) -> None:
        self._pending.resolve(request_id)
        self._liveness.reprieve(self._now)  # the silence was perhaps forgiven for this one (LV-09)

    def _on_ignored(self, ignored: m.Ignored, events: list[Event]) -> None:
        events.append(MessageIgnored(ignored.reason))

    def _on_malformed(self, malformed: m.Malformed, events: list[Event]) -> None:
        kind = m.TYPES[malformed.type]
        if kind is m.HandshakeResponse:
            row = self._row[Stimulus.MALFORMED_HANDSHAKE_RESPONSE]
            if row.action is Action.END:
                self._end(
                    Stimulus.MALFORMED_HANDSHAKE_RESPONSE,
                    CloseCode.HANDSHAKE_FAILED,
                    f"a malformed HandshakeResponse: {malformed.reason}",
                    events,
                )
                return
        request_id = malformed.request_id
        if kind in answers.RESPONSE_TO and request_id is not None and request_id not in self._in_flight:
            not_ready = self._row[Stimulus.REQUEST].action is Action.REFUSE
            reason = f"{malformed.type} is malformed: {malformed.reason}"
            refusal = _NOT_READY if not_ready else Refusal(FailureCode.MALFORMED, reason)
            self._refuse(kind, request_id, refusal, events)
        else:
            events.append(MessageIgnored(f"a malformed {malformed.type}: {malformed.reason}"))

    def _refuse(self, kind: type[m.Message], request_id: str, refusal: Refusal, events: list[Event]) -> None:
        code, error = refusal.code, refusal.error[: self._limits.max_error_text]
        try:
            self._send(answers.failure(kind, request_id, code, error))
        except LocalProtocolError:
            events.append(MessageIgnored("a request whose request_id is too long to be sent back"))
        else:
            events.append(RequestRefused(request_id, code, error))

    # -- Inside --------------------------------------------------------------------------------

    def _move(self, stimulus: Stimulus) -> Action:
        transition = self._row[stimulus]
        self._state = transition.state
        self._row = TABLE[transition.state]
        return transition.action

    def _send(self, message: m.Message) -> None:
        """Queue a message; raises `LocalProtocolError` and queues nothing when no frame can carry it."""
        self._out += self._frame_of(message)

    def _frame_of(self, message: m.Message) -> bytes:
        try:
            body = m.encode(message)
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"{type(message).__name__} is not Unicode: {error}") from None
        if len(body) > MAX_FRAME:
            raise LocalProtocolError(
                f"{type(message).__name__} would have {len(body)} bytes; a frame carries at most {MAX_FRAME}"
            )
        return encode_frame(body)

    def _own_handshake(self, capabilities: Iterable[str]) -> m.Handshake:
        """Our Handshake; raises `LocalProtocolError` when it, and our shorter response, cannot be sent."""
        names = tuple(capabilities)
        # a lone text is a collection of letters: easily passed by mistake, and never meant
        if isinstance(capabilities, str) or not all(isinstance(name, str) for name in names):
            raise LocalProtocolError(f"capabilities are {capabilities!r:.70}; expected a collection of texts")
        handshake = m.Handshake(node_id=self._node_id, capabilities=names)
        self._frame_of(handshake)
        return handshake

    def _send_handshake(self, now: float) -> None:
        self._send(self._handshake)
        self._deadline = now + self._limits.handshake_timeout

    def _establish(self, events: list[Event]) -> None:
        self._deadline = None
        # the counts of silence begin with the finished handshake (LV-05, LV-06)
        self._liveness.restart(self._now)
        events.append(Established(self.peer_capabilities, self._peer_node_id))

    def _violation(self, violation: RemoteProtocolError, events: list[Event]) -> None:
        self._end(Stimulus.VIOLATION, violation.code, str(violation), events)

    def _end(self, stimulus: Stimulus, code: CloseCode, reason: str, events: list[Event]) -> None:
        """Take the stimulus that ends the conversation; once it is over, only the way to CLOSED goes on."""
        if self._move(stimulus) is not Action.END:
            return
        self._deadline = None
        if self._state is State.DRAINING:
            if self._in_flight:
                self._deadline = self._now + self._limits.drain_timeout
            else:
                self._move(Stimulus.DRAINED)
        self._terminate(code, reason, events)

    def _terminate(self, code: CloseCode, reason: str, events: list[Event]) -> None:
        for request in self._pending.clear():
            events.append(RequestFailed(request.request_id, request, FailureCode.FAILED, reason))
        self._frames.drop()
        self.close_code = code
        self.close_reason = reason
        events.append(Terminated(code, reason))

    _RECEIVE: Final[dict[type, Callable[..., None]]] = {
        m.Handshake: _on_handshake,
        m.HandshakeResponse: _on_handshake_response,
        m.Pong: _on_pong,
        m.Ignored: _on_ignored,
        m.Malformed: _on_malformed,
        **dict.fromkeys(m.REQUEST_TYPES, _on_request),
        **dict.fromkeys(m.RESPONSE_TYPES, _on_response),
    }
