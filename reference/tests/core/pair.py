"""Both ends of a control stream in memory, under a clock that only the test moves."""

from __future__ import annotations

from typing import Any

from gate_p2p.core import Connection, Event, encode_frame
from gate_p2p.core.limits import Limits

DIALER_ID = "d1" * 32
ACCEPTOR_ID = "ac" * 32
TXT = "x" * 43


def frame(text: str) -> bytes:
    return encode_frame(text.encode())


class Pair:
    """A dialer and an acceptor; `exchange` carries bytes until both are silent."""

    def __init__(
        self,
        *,
        capabilities: tuple[str, ...] = ("dns_challenge", "inference"),
        limits: Limits | None = None,
        **acceptor: Any,
    ) -> None:
        self.now = 100.0
        self.dialer = Connection.dialer(
            node_id=DIALER_ID, capabilities=("inference",), now=self.now, limits=limits
        )
        self.acceptor = Connection.acceptor(
            node_id=ACCEPTOR_ID, capabilities=capabilities, now=self.now, limits=limits, **acceptor
        )

    def exchange(self) -> tuple[list[Event], list[Event]]:
        """Events of the dialer and of the acceptor, in order."""
        at_dialer: list[Event] = []
        at_acceptor: list[Event] = []
        while True:
            there, back = self.dialer.data_to_send(), self.acceptor.data_to_send()
            if not there and not back:
                return at_dialer, at_acceptor
            if there:
                at_acceptor += self.acceptor.receive_data(there, self.now)
            if back:
                at_dialer += self.dialer.receive_data(back, self.now)

    def established(self) -> Pair:
        self.exchange()
        assert self.dialer.established
        assert self.acceptor.established
        return self

    def pass_time(self, seconds: float) -> tuple[list[Event], list[Event]]:
        """Move the clock, stopping at every deadline of either end on the way, bytes carried at each."""
        at_dialer: list[Event] = []
        at_acceptor: list[Event] = []
        end = self.now + seconds
        while True:
            deadlines = [
                d for d in (self.dialer.next_deadline(), self.acceptor.next_deadline()) if d is not None
            ]
            stop = min(deadlines, default=end)
            self.now = min(max(stop, self.now), end)
            at_dialer += self.dialer.handle_timeout(self.now)
            at_acceptor += self.acceptor.handle_timeout(self.now)
            dialer_events, acceptor_events = self.exchange()
            at_dialer += dialer_events
            at_acceptor += acceptor_events
            if stop >= end:
                return at_dialer, at_acceptor


def established_acceptor(**options: Any) -> Connection:
    """An acceptor after the handshake at time 100, nothing left to send."""
    connection = Connection.acceptor(
        node_id=ACCEPTOR_ID, capabilities=("dns_challenge",), now=100.0, **options
    )
    connection.receive_data(HANDSHAKE, 100.0)
    connection.data_to_send()
    return connection


HANDSHAKE = frame(f'{{"type":"Handshake","node_id":"{DIALER_ID}","capabilities":["dns_challenge"]}}')
CONSENT = frame('{"type":"HandshakeResponse","accepted":true,"capabilities":["dns_challenge"]}')
