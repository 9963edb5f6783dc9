"""Two cores joined back to back under a virtual clock: what can happen next, and what has to hold then.

A `World` is one state of the whole: both ends, the bytes under way, the commands that may still be given.
`options` names every step that can come next, `step` gives the world after it, and `key` is equal for worlds
that differ in nothing that matters: absolute times and the numbers in ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from gate_p2p.core import (
    Connection,
    Event,
    Limits,
    LocalProtocolError,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    State,
    Stimulus,
    Terminated,
)
from gate_p2p.core.messages import REQUEST_TYPES, RESPONSE_TYPES
from gate_p2p.core.receiver import ENDING, OPEN

from .one_end import Message, copied, end_key, frames_of, message_in
from .pair import ACCEPTOR_ID, DIALER_ID, TXT

SIDES: Final = ("dialer", "acceptor")
OTHER: Final = {"dialer": "acceptor", "acceptor": "dialer"}
# small whole numbers: every order of two deadlines comes about, and moments repeat
LIVELY: Final = Limits(
    handshake_timeout=2.0,
    accept_timeout=3.0,
    keepalive_interval=2.0,
    dead_after=5.0,
    request_timeout=3.0,
    drain_timeout=1.0,
)
QUIET: Final = replace(LIVELY, keepalive_interval=9.0)
"""No end asks whether the other is there: far fewer states, so that all can be seen."""


@dataclass(frozen=True)
class Plan:
    """What may come about: how often each `<side>.<command>` may be given, and how the ends are made."""

    commands: dict[str, int]
    limits: Limits = LIVELY
    admit: bool = True
    halves: bool = True
    """Whether frames may also arrive in two halves."""
    under_way: int = 3
    """No time passes while more frames than these are on their way to one side: else queues grow for ever."""


REQUESTS: Final = {kind.__name__ for kind in REQUEST_TYPES}
RESPONSES: Final = {kind.__name__ for kind in RESPONSE_TYPES}
STIMULI: Final = {
    "Handshake": Stimulus.HANDSHAKE,
    "Ping": Stimulus.PING,
    "Pong": Stimulus.PONG,
    **dict.fromkeys(REQUESTS, Stimulus.REQUEST),
    **dict.fromkeys(RESPONSES, Stimulus.RESPONSE),
}
EOF: Final = b""
"""Stands in the queue of frames for the end of the stream."""


class Broken(AssertionError):
    """Something that has to hold in every state does not."""


class World:
    """Both ends and all between them."""

    def __init__(self, plan: Plan, make: type[Connection] = Connection) -> None:
        self.plan = plan
        self.now = 0.0
        common: dict[str, Any] = {
            "capabilities": ("dns_challenge", "inference"),
            "now": 0.0,
            "limits": plan.limits,
        }
        self.ends: dict[str, Connection] = {
            "dialer": make.dialer(node_id=DIALER_ID, **common),
            "acceptor": make.acceptor(node_id=ACCEPTOR_ID, admit=plan.admit, **common),
        }
        self.commands = dict(plan.commands)
        """How often each command may still be given."""
        self.wire: dict[str, list[bytes]] = {"dialer": [], "acceptor": []}
        """Frames on their way to that side, the end of the stream last; bytes that arrived are cut off."""
        self.cut = {"dialer": False, "acceptor": False}
        """Whether the first half of the first frame to that side has arrived."""
        self.lost = False
        self.open: dict[str, frozenset[str]] = dict.fromkeys(SIDES, frozenset())
        """Requests that this side has asked and that have not come to their end."""
        self.due: dict[str, frozenset[str]] = dict.fromkeys(SIDES, frozenset())
        """Requests that have arrived at this side and that it has not answered."""
        self.ended: set[str] = set()
        """The sides that reported Terminated."""
        self.rows: list[tuple[State, Stimulus]] = []
        """The rows of the table that the last step asked."""
        for side in SIDES:
            self.collect(side, [])

    def copy(self, sides: tuple[str, ...]) -> World:
        """A copy in which the ends of those sides may change."""
        new = object.__new__(World)
        new.__dict__.update(self.__dict__)
        new.ends = self.ends | {side: copied(self.ends[side]) for side in sides}
        new.wire = {side: frames.copy() for side, frames in self.wire.items()}
        new.cut, new.open, new.due = self.cut.copy(), self.open.copy(), self.due.copy()
        new.ended, new.commands = self.ended.copy(), self.commands
        new.rows = []
        return new

    @property
    def final(self) -> bool:
        return all(end.finished for end in self.ends.values())

    # -- What can happen -----------------------------------------------------------------------

    def options(self) -> Iterator[str]:
        """Every step that can come next; those that need neither a command nor a loss come first."""
        yield from self.progress()
        for side, end in self.ends.items():
            if end.finished:
                continue
            for request_id in end._in_flight:
                yield f"{side}.succeed.{request_id}"
                yield f"{side}.fail.{request_id}"
        for command, left in self.commands.items():
            if left and not self.ends[command.partition(".")[0]].finished:
                yield command
        if not self.lost and not self.final:
            yield "both.lose"

    def progress(self) -> Iterator[str]:
        """Deliveries and time-outs: what comes by itself."""
        for side, frames in self.wire.items():
            if frames:
                yield f"{side}.deliver"
                if self.plan.halves and not self.cut[side] and frames[0] is not EOF:
                    yield f"{side}.deliver_half"
        if all(len(frames) <= self.plan.under_way for frames in self.wire.values()):
            yield from self.time_outs()

    def time_outs(self) -> Iterator[str]:
        deadlines = {side: end.next_deadline() for side, end in self.ends.items()}
        known = [deadline for deadline in deadlines.values() if deadline is not None]
        for side, deadline in deadlines.items():
            if deadline is not None and deadline <= max(min(known), self.now):
                yield f"{side}.time_out"

    def quietest(self) -> str:
        """The step in which least is said: a time-out, or a delivery where no end waits for one."""
        return next(self.time_outs(), None) or next(self.progress())

    def step(self, option: str) -> World:
        """The world after that step. Raises `Broken` if something does not hold in it."""
        side, _, what = option.partition(".")
        new = self.copy(SIDES if side == "both" else (side,))
        try:
            new._do(side, what)
        except Broken:
            raise
        except Exception as error:
            raise Broken(f"{option} raised {error!r}") from error
        new.check()
        return new

    def _do(self, side: str, what: str) -> None:
        if what == "lose":
            self.lost = True
            for one, end in self.ends.items():
                self.wire[one].clear()
                self.cut[one] = False
                self.note(one, Stimulus.CONNECTION_LOST)
                self.collect(one, end.connection_lost(self.now))
            return
        end = self.ends[side]
        match what.split("."):
            case ["deliver"]:
                self.deliver(side, end)
            case ["deliver_half"]:
                self.cut[side] = True
                frame = self.wire[side][0]
                self.collect(side, end.receive_data(frame[: len(frame) // 2], self.now))
            case ["time_out"]:
                self.now = max(self.now, end.next_deadline() or 0.0)
                before = end.state
                self.collect(side, end.handle_timeout(self.now))
                self.note_time_out(side, before)
            case [("succeed" | "fail") as how, request_id]:
                if how == "succeed":
                    end.answer_success(request_id, self.now)
                else:
                    end.answer_failure(request_id, self.now, error="no")
                self.collect(side, [])
            case [command]:
                if self.command(side, end, command):
                    left = self.commands[f"{side}.{command}"] - 1
                    self.commands = {**self.commands, f"{side}.{command}": left}

    def deliver(self, side: str, end: Connection) -> None:
        frame = self.wire[side].pop(0)
        if frame is EOF:
            self.note(side, Stimulus.END_OF_STREAM)
            self.collect(side, end.receive_eof(self.now))
            return
        message = message_in(frame)
        self.note(side, self.stimulus(side, message))
        if message.type in REQUESTS and end.state not in ENDING:
            self.due[side] |= {message.id}
        rest = frame[len(frame) // 2 :] if self.cut[side] else frame
        self.cut[side] = False
        self.collect(side, end.receive_data(rest, self.now))

    def command(self, side: str, end: Connection, command: str) -> bool:
        """Give a command; false when the state forbids it, which has to change nothing."""
        before = end_key(end, self.now)
        asked = None
        try:
            match command:
                case "create":
                    asked = end.request_dns_challenge_create("a.example", TXT, self.now)
                case "cleanup":
                    asked = end.request_dns_challenge_cleanup("a.example", self.now)
                case "sni":
                    asked = end.request_sni_stream("a.example", self.now)
                case "inference":
                    asked = end.request_inference_stream(self.now)
                case "ping":
                    end.ping(self.now)
                case "renew":
                    self.note(side, Stimulus.RENEW)
                    end.renew_handshake(self.now)
                case "close":
                    self.note(side, Stimulus.CLOSE)
                    self.collect(side, end.close(self.now))
        except LocalProtocolError:
            if end.state in OPEN and command != "renew":
                raise
            if end_key(end, self.now) != before:
                raise Broken(f"{command} was refused, and changed the {side}") from None
            return False
        if asked is not None:
            self.open[side] |= {asked}
        self.collect(side, [])
        return True

    # -- What has to hold ----------------------------------------------------------------------

    def collect(self, side: str, events: list[Event]) -> None:
        """Take in the events and the frames of an end, each of which has to fit what was before."""
        end = self.ends[side]
        for event in events:
            if side in self.ended:
                raise Broken(f"{event} at the {side} after Terminated")
            match event:
                case ResponseReceived(request_id=request_id) | RequestFailed(request_id=request_id):
                    if request_id not in self.open[side]:
                        raise Broken(f"{request_id} of the {side} came to an end twice: {event}")
                    self.open[side] -= {request_id}
                case RequestReceived(request=request) if request.request_id not in self.due[side]:
                    raise Broken(f"a request came up that did not arrive: {event}")
                case Terminated():
                    self.ended.add(side)
        there = self.wire[OTHER[side]]
        for frame in frames_of(end.data_to_send()):
            if (message := message_in(frame)).type in RESPONSES:
                if message.id not in self.due[side]:
                    raise Broken(f"{message.id} was answered twice, or never asked, by the {side}")
                self.due[side] -= {message.id}
            if not self.lost:
                there.append(frame)
        if end.finished:
            # it finishes its stream and reads no more; the rest of what it was sent is lost
            self.wire[side].clear()
            self.cut[side] = False
            if not self.lost and there[-1:] != [EOF] and not self.ends[OTHER[side]].finished:
                there.append(EOF)
        if self.ends[OTHER[side]].finished:
            there.clear()

    def check(self) -> None:
        """What holds between two steps."""
        for side, end in self.ends.items():
            if self.open[side] != set(end._pending._requests):
                raise Broken(f"the {side} forgot a request, or keeps one that has ended")
            if end.finished:
                if end.next_deadline() is not None:
                    raise Broken(f"the {side} is finished and still waits")
            elif self.due[side] != set(end._in_flight):
                raise Broken(f"the {side} owes {sorted(self.due[side])} and knows {sorted(end._in_flight)}")
            if (side in self.ended) != (end.state in ENDING):
                raise Broken(f"the {side} is {end.state.name}: Terminated was left out or came too early")
        if not self.final and next(self.progress(), None) is None:
            raise Broken("a deadlock: nothing is under way and no end waits for a time-out")
        if self.final and any(self.open.values()):
            raise Broken(f"requests were forgotten: {self.open}")

    # -- Rows of the table ---------------------------------------------------------------------

    def note(self, side: str, stimulus: Stimulus) -> None:
        self.rows.append((self.ends[side].state, stimulus))

    def note_time_out(self, side: str, before: State) -> None:
        end = self.ends[side]
        if before is State.DRAINING:
            self.rows.append((before, Stimulus.DRAINED))
        elif before not in ENDING and end.finished:
            silent = end.close_reason.startswith("nothing received")
            self.rows.append((before, Stimulus.SILENCE if silent else Stimulus.HANDSHAKE_TIMEOUT))

    def stimulus(self, side: str, message: Message) -> Stimulus:
        if message.type == "HandshakeResponse":
            return Stimulus.CONSENT if message.accepted else Stimulus.REFUSAL
        if message.type == "Handshake" and side == "acceptor" and not self.plan.admit:
            return Stimulus.UNWELCOME_HANDSHAKE
        return STIMULI[message.type]

    # -- What makes two worlds the same --------------------------------------------------------

    def key(self) -> tuple[Any, ...]:
        """Equal for worlds with the same future: ids are numbered anew, moments are counted from now."""
        ids: dict[str, set[str]] = {side: set() for side in SIDES}
        for side, end in self.ends.items():
            ids[side] |= {*end._pending._requests, *map(str, end._liveness._unanswered)}
            ids[OTHER[side]] |= {*end._in_flight}
            for frame in self.wire[side]:
                if frame is not EOF:
                    message = message_in(frame)
                    ids[self.asker(side, message)].add(message.id)
        numbers = {
            side: {one: n for n, one in enumerate(sorted(found, key=lambda one: (len(one), one)))}
            for side, found in ids.items()
        }
        return (
            *(end_key(end, self.now, numbers[s], numbers[OTHER[s]]) for s, end in self.ends.items()),
            *(self.frames_key(side, numbers) for side in SIDES),
            *self.cut.values(),
            self.lost,
            *self.commands.values(),
        )

    def frames_key(self, side: str, numbers: dict[str, dict[str, int]]) -> tuple[Any, ...]:
        found: list[Any] = []
        for frame in self.wire[side]:
            if frame is EOF:
                found.append("end")
                continue
            message = message_in(frame)
            number = numbers[self.asker(side, message)][message.id]
            found.append((message.type, number, message.accepted))
        return tuple(found)

    @staticmethod
    def asker(side: str, message: Message) -> str:
        """Whose id it is that a message on its way to that side carries."""
        return side if message.type in RESPONSES or message.type == "Pong" else OTHER[side]
