"""What can go wrong below the messages. Each text is one line and says what to do where that is known."""

from __future__ import annotations

from gate_p2p.core.errors import GateError


class TransportError(GateError):
    """The root of every error of the adapter."""


class BindError(TransportError):
    """The endpoint could not be bound: port in use, no such local address, wrong key length."""


class DialError(TransportError):
    """A peer could not be reached.

    `kind`: `no_answer`, `wrong_id`, `unknown_alpn`, `refused`, `no_address`, `own_id`, `closed` or `other`.
    """

    def __init__(self, text: str, kind: str = "other") -> None:
        super().__init__(text)
        self.kind = kind


class StreamReset(TransportError):
    """The peer abandoned a stream. `code`: the application code it gave (u62)."""

    def __init__(self, code: int, text: str | None = None) -> None:
        super().__init__(text or f"the peer reset the stream (code {code})")
        self.code = code


class StreamStopped(StreamReset):
    """The peer does not want more bytes on this stream. `code`: the application code it gave."""

    def __init__(self, code: int) -> None:
        super().__init__(code, f"the peer stopped reading the stream (code {code})")


class ConnectionLost(TransportError):
    """The connection is over.

    `code`: the application code of the close, None when there was none (time-out, transport error);
    `by_peer`: whether the peer closed it; `reason`: its words, or what happened.
    """

    def __init__(self, code: int | None, by_peer: bool, reason: str) -> None:
        who = "the peer closed the connection" if by_peer else "the connection is closed"
        if code is None:
            who = "the connection was lost"
        detail = ": ".join(part for part in (f" (code {code})" if code is not None else "", reason) if part)
        super().__init__(who + (detail if detail.startswith(" ") or not detail else f": {detail}"))
        self.code = code
        self.by_peer = by_peer
        self.reason = reason
