"""What a control link drives: one ordered stream of bytes to one authenticated peer."""

from __future__ import annotations

from typing import Protocol

from gate_p2p.iroh.connection import IrohConnection
from gate_p2p.iroh.stream import IrohStream


class ControlTransport(Protocol):
    """Reads may be cancelled and lose nothing; the link never cancels a write.

    Calls that fail raise `gate_p2p.iroh.TransportError` or OSError; both mean that the stream is lost.
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


class IrohTransport:
    """The control stream of one Iroh connection; closing it closes the connection."""

    def __init__(self, connection: IrohConnection, stream: IrohStream) -> None:
        self.connection = connection
        self._stream = stream
        self.remote_id = connection.remote_id

    async def read(self) -> bytes:
        return await self._stream.read()

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def finish(self) -> None:
        await self._stream.finish()

    async def wait_delivered(self, timeout: float = 1.0) -> bool:
        return await self._stream.wait_delivered(timeout)

    def close(self, code: int, reason: str = "") -> None:
        self.connection.close(code, reason)
