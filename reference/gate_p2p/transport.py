"""What lies below the control stream, whatever carries it: the errors, and what a session asks for.

A session is written against these protocols; an adapter, such as `gate_p2p.iroh`, implements them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from gate_p2p.address import NodeAddress
from gate_p2p.core.errors import GateError

ALPN_CONTROL: Final = "gate/control/1.0"
ALPN_INFERENCE: Final = "gate/inference/1.0"
ALPN_SNI_PROXY: Final = "gate/sni-proxy/1.0"


class TransportError(GateError):
    """The root of every error of a transport; one line that says what to do where that is known."""


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


@dataclass(frozen=True)
class CloseInfo:
    """How a connection ended. `code`: application code or None (time-out, transport error)."""

    code: int | None
    by_peer: bool
    reason: str

    def __str__(self) -> str:
        if self.code is None:
            text = "the connection was lost"
        else:
            who = "the peer closed the connection" if self.by_peer else "the connection is closed"
            text = f"{who} (code {int(self.code)})"
        return f"{text}: {self.reason}" if self.reason else text


class ConnectionLost(TransportError):
    """The connection is over.

    `code`: the application code of the close, None when there was none (time-out, transport error);
    `by_peer`: whether the peer closed it; `reason`: its words, or what happened.
    """

    def __init__(self, code: int | None, by_peer: bool, reason: str) -> None:
        super().__init__(str(CloseInfo(code, by_peer, reason)))
        self.code = code
        self.by_peer = by_peer
        self.reason = reason


class ControlTransport(Protocol):
    """What a control link drives: one ordered stream of bytes to one authenticated peer.

    Reads may be cancelled and lose nothing; the link never cancels a write.
    Calls that fail raise TransportError or OSError; both mean that the stream is lost.
    """

    @property
    def remote_id(self) -> str:
        """The peer's id as the transport proved it (AU-03): 64 lowercase hex."""
        ...

    async def read(self) -> bytes:
        """Some bytes; `b""` at the clean end."""
        ...

    async def write(self, data: bytes) -> None:
        """Return once the bytes are taken; blocks while the peer does not read."""
        ...

    async def finish(self) -> None:
        """End our direction cleanly."""
        ...

    async def wait_delivered(self, timeout: float = 1.0) -> bool:
        """After `finish`: whether the peer had everything within `timeout` seconds."""
        ...

    def close(self, code: int, reason: str = "") -> None:
        """Close at once, pending reads and writes fail; again does nothing."""
        ...


@runtime_checkable
class EagerTransport(Protocol):
    """What a transport may have on top: bytes are taken without a wait while few are on their way."""

    @property
    def has_room(self) -> bool:
        """Whether `write_soon` may be called; `write` waits and fails where it may not."""
        ...

    def write_soon(self, data: bytes, failed: Callable[[TransportError], None]) -> None:
        """Write `data` after all that was written before; `failed` is called when that cannot be."""
        ...


class PeerStream(Protocol):
    """One bidirectional stream of a connection. Every call may be cancelled and loses nothing."""

    async def read(self, max_bytes: int = 65536) -> bytes:
        """Between 1 and `max_bytes` bytes; `b""` at the clean end. Raises StreamReset, ConnectionLost."""
        ...

    async def write(self, data: bytes) -> None:
        """Return once the bytes are taken. Raises StreamStopped, ConnectionLost."""
        ...

    async def finish(self) -> None:
        """End our direction cleanly."""
        ...

    async def wait_delivered(self, timeout: float = 1.0) -> bool:
        """After `finish`: whether the peer had everything within `timeout` seconds."""
        ...

    async def wait_stopped(self, every: float = 1.0) -> None:
        """Return within about `every` seconds of the peer stopping our direction, or of its end otherwise."""
        ...

    def reset(self, code: int) -> None:
        """Abandon our direction."""
        ...

    def stop(self, code: int) -> None:
        """Ask the peer to send no more."""
        ...


class PeerConnection(Protocol):
    """A connection to an authenticated peer, with any number of streams."""

    @property
    def remote_id(self) -> str:
        """The peer's id as the transport proved it (AU-03): 64 lowercase hex."""
        ...

    @property
    def alpn(self) -> str:
        """What is spoken on it: one of the ALPNs above."""
        ...

    async def open_stream(self) -> PeerStream:
        """A new stream. Raises ConnectionLost."""
        ...

    async def accept_stream(self) -> PeerStream:
        """The next stream that the peer opened. Raises ConnectionLost. Cancelling loses no stream."""
        ...

    def close(self, code: int, reason: str = "") -> None:
        """Close at once; again does nothing."""
        ...

    async def wait_closed(self) -> CloseInfo:
        """How the connection ended; waits for it."""
        ...


class Endpoint(Protocol):
    """One identity that dials and is dialled."""

    @property
    def node_id(self) -> str:
        """Our id, 64 lowercase hex."""
        ...

    @property
    def address(self) -> NodeAddress:
        """Where we can be dialled."""
        ...

    async def dial(self, address: NodeAddress, alpn: str, timeout: float = 30.0) -> PeerConnection:
        """Connect within `timeout` seconds. Raises DialError."""
        ...

    async def accept(self) -> PeerConnection | None:
        """The next connection; None once the endpoint is closed. Cancelling loses none."""
        ...

    async def aclose(self) -> None:
        """Close what is open, and leave nothing running."""
        ...
