"""What a connection carries beside its bidirectional streams: unidirectional streams and datagrams.

Gate uses neither (TR-08). These are for those who test that a node does not act on them; a node calls none.
As with every iroh call, they are never to be cancelled.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from gate_p2p.iroh.connection import IrohConnection


@runtime_checkable
class RawBeside(Protocol):
    """What the connection of a generation may have on top of `RawConnection`."""

    async def send_unidirectional(self, data: bytes) -> None:
        """Write a whole stream."""
        ...

    async def receive_unidirectional(self, max_bytes: int) -> bytes:
        """The next stream that the peer opened, up to its end."""
        ...

    async def send_datagram(self, data: bytes) -> bool:
        """False when the peer takes no datagrams of this size."""
        ...

    async def receive_datagram(self) -> bytes: ...


def _raw(connection: IrohConnection) -> RawBeside | None:
    raw = connection.raw
    return raw if isinstance(raw, RawBeside) else None


async def send_unidirectional(connection: IrohConnection, data: bytes) -> bool | None:
    """Open a unidirectional stream, write `data` and end it: True; None when this iroh has none.

    Waits while the peer lets none be opened. Raises TransportError.
    """
    if (raw := _raw(connection)) is None:
        return None
    await raw.send_unidirectional(data)
    return True


async def send_datagram(connection: IrohConnection, data: bytes) -> bool | None:
    """Send one datagram; False when the peer takes none of this size, None when this iroh has none."""
    return None if (raw := _raw(connection)) is None else await raw.send_datagram(data)


async def receive_unidirectional(connection: IrohConnection, max_bytes: int = 65536) -> bytes:
    """All bytes of the next unidirectional stream of the peer. Raises TransportError.

    Needs an endpoint that was bound with `unidirectional=True`: others refuse such streams as they come.
    """
    if (raw := _raw(connection)) is None:
        raise NotImplementedError("this iroh has no unidirectional streams")
    return await raw.receive_unidirectional(max_bytes)


async def receive_datagram(connection: IrohConnection) -> bytes:
    """The next datagram of the peer. Raises TransportError."""
    if (raw := _raw(connection)) is None:
        raise NotImplementedError("this iroh has no datagrams")
    return await raw.receive_datagram()
