"""What was asked of the target on one stream, and whether it answers only that.

Everything that the suite sends is read again here, so cases may send bytes in any way.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from gate_conformance.codec import RESPONSE_OF, FrameError, FrameReader, judge
from gate_conformance.verdicts import Deviation

_RESPONSES = frozenset(RESPONSE_OF.values())


class Audit:
    """Counts of what was asked, less what was answered. ``problems`` are found late on purpose:
    a case that looks for the same thing speaks first.

    ``capabilities``: what the suite said last; ``handshake_done``: the first exchange ended with consent;
    ``answered``: the target has answered something that it was asked.
    """

    def __init__(self, role: str) -> None:
        self._role = role
        self._reader = FrameReader()
        self._violated: str | None = None
        self._asked: Counter[tuple[str, Any]] = Counter()
        self._tolerated: set[tuple[str, Any]] = set()
        self._barred: set[tuple[str, Any]] = set()
        self._first = True
        self._answered_handshake = False
        self._unread = False
        self.capabilities: list[str] = []
        self.handshake_done = False
        self.answered = False
        self.problems: list[Deviation] = []

    @property
    def mid_frame(self) -> bool:
        """True while the suite's stream stands inside a frame, or is broken: nothing may come in between."""
        return self._reader.pending > 0 or self._violated is not None

    def tolerate(self, kind: str, key: Any) -> None:
        self._tolerated.add((kind, key))

    def sent(self, data: bytes) -> None:
        """Take note of what the suite sends."""
        if self._violated == "length":
            return
        try:
            bodies = self._reader.feed(data)
            for body in bodies:
                self._sent_body(body)
            while bodies:
                bodies = self._reader.feed(b"")
                for body in bodies:
                    self._sent_body(body)
        except FrameError:
            self._violated = "length"

    def _sent_body(self, body: bytes) -> None:
        judgement = judge(body)
        if judgement.verdict == "framing_violation":
            self._violated = "body"
            return
        if judgement.verdict == "choice" and judgement.message is None:
            self._unread = True  # the target may have read what the suite's own codec has not: a Ping, say
        message = judgement.message or {}
        kind = message.get("type")
        if kind in ("Handshake", "HandshakeResponse") and judgement.verdict == "accept":
            self.capabilities = list(message["capabilities"])
            self.handshake_done |= self._role == "dialer" and message.get("accepted") is True
        key: tuple[str, Any] | None = None
        if kind == "Ping" and judgement.verdict in ("accept", "choice"):
            key = ("Pong", message.get("id"))
        elif kind == "Handshake":
            key = ("HandshakeResponse", None)
        elif isinstance(kind, str) and kind in RESPONSE_OF and isinstance(message.get("request_id"), str):
            key = (RESPONSE_OF[kind], message["request_id"])
        if key is None:
            return
        if self._violated:
            self._barred.add(key)
        elif judgement.verdict == "choice" and kind == "Ping":
            self._tolerated.add(key)
        else:
            self._asked[key] += 1

    def was_asked(self, kind: str, key: Any) -> bool:
        return (kind, key) in self._asked or (kind, key) in self._tolerated

    def received(self, message: dict[str, Any]) -> None:
        """Take note of a well-formed message of the target."""
        kind = message.get("type")
        if self._role == "dialer" and self._first and kind != "Handshake":
            self._problem("HS-01", "Handshake as the dialer's first message", f"{kind} first")
        self._first = False
        if kind == "Pong":
            self._answer("Pong", message["id"], "LV-01", f"Pong {message['id']}")
        elif kind in _RESPONSES:
            name = f"{kind} for {message['request_id']!r}"
            self._answer(str(kind), message["request_id"], "RQ-01", name)
        elif kind == "HandshakeResponse":
            self._answered_handshake = True
            self.handshake_done |= self._role == "acceptor" and message["accepted"] is True
            self._answer("HandshakeResponse", None, "HS-02", "HandshakeResponse")
        elif self._role == "acceptor" and not self._answered_handshake:
            self._problem("HS-03", "nothing unasked before the acceptor's HandshakeResponse", f"{kind}")

    def _answer(self, kind: str, key: Any, requirement: str, name: str) -> None:
        if self._asked[kind, key] > 0:
            self._asked[kind, key] -= 1
            self.answered = True
        elif (kind, key) in self._tolerated:
            return
        elif (kind, key) in self._barred:
            self._problem("FR-08", "nothing acted on after a framing violation", f"{name} after it")
        elif (kind, key) in self._asked:
            self._problem(requirement, f"one {kind} for each time it is asked for", f"one {name} too many")
        elif not self._unread:
            self._problem(requirement, f"no {kind} that nobody asked for", f"an unasked {name}")

    def _problem(self, requirement: str, expected: str, actual: str) -> None:
        if len(self.problems) < 20:
            self.problems.append(Deviation(requirement, expected, actual))
