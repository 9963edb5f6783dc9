"""Two endpoints on the loopback interface in one process, and iroh without an adapter in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

from gate_p2p.core import Connection, Event
from gate_p2p.iroh import ALPN_CONTROL, Endpoint, IrohConnection
from gate_p2p.iroh.fast_io import find
from gate_p2p.session.link import Answer, ControlLink
from gate_p2p.session.transport import ConnectionTransport

READ = 262144  # bytes that a bare read asks for: as the adapter does at most


@dataclass(frozen=True)
class Bare:
    """iroh's two halves of a stream, with the fast write where this iroh has one."""

    receive: Any
    send: Any
    write_all: Callable[[Any, bytes], Awaitable[None]]
    connection: IrohConnection  # kept: it ends when it is collected

    @classmethod
    def of(cls, connection: IrohConnection, stream: Any) -> Self:
        fast_io = find()
        write_all = slow_write if fast_io is None else fast_io.write_all
        return cls(stream.recv(), stream.send(), write_all, connection)

    async def read(self) -> bytes:
        data: bytes = await self.receive.read(READ)
        return data

    async def write(self, data: bytes) -> None:
        await self.write_all(self.send, data)


async def slow_write(stream: Any, data: bytes) -> None:
    await stream.write_all(data)


async def no_answer(request: object) -> Answer:
    """The handler of a node that is only asked for challenges, and has nothing to do for them."""
    return Answer()


class Pair:
    """A dialer's and an acceptor's endpoint. `await Pair.bind()`, then `await pair.aclose()`."""

    def __init__(self, dialer: Endpoint, acceptor: Endpoint) -> None:
        self.dialer = dialer
        self.acceptor = acceptor
        self._tasks: list[asyncio.Task[Any]] = []
        self._bare: list[Bare] = []

    @classmethod
    async def bind(cls) -> Self:
        return cls(await Endpoint.bind(), await Endpoint.bind())

    async def connections(self) -> tuple[IrohConnection, IrohConnection]:
        """A new connection, seen from both sides."""
        accepting = asyncio.create_task(self.acceptor.accept())
        dialled = await self.dialer.dial(self.acceptor.address, ALPN_CONTROL)
        accepted = await accepting
        assert accepted is not None
        return dialled, accepted

    async def bare_streams(self, serve: Callable[[Bare], Awaitable[None]]) -> Bare:
        """A stream of bare iroh; `serve` runs at the acceptor's end until the connection is over."""
        dialled, accepted = await self.connections()
        raw_dialled: Any = dialled.raw
        raw_accepted: Any = accepted.raw
        ours = Bare.of(dialled, await raw_dialled._connection.open_bi())

        async def accept() -> None:
            theirs = Bare.of(accepted, await raw_accepted._connection.accept_bi())
            self._bare.append(theirs)
            await serve(theirs)

        self.spawn(accept())
        self._bare.append(ours)
        return ours

    async def bare_to_link(self) -> Bare:
        """A stream of bare iroh at the dialer's end, a control link at the acceptor's."""
        dialled, accepted = await self.connections()
        self.spawn(self.serve_link(accepted))
        raw: Any = dialled.raw
        ours = Bare.of(dialled, await raw._connection.open_bi())
        self._bare.append(ours)
        return ours

    def spawn(self, call: Any) -> None:
        """Run in the background until the endpoints are closed; what it then ends with is of no interest."""
        self._tasks.append(asyncio.ensure_future(call))

    async def serve_link(self, connection: IrohConnection) -> None:
        """The session's side of the acceptor: one control link, which answers Pings and requests."""
        stream = await connection.accept_stream()
        core = Connection.acceptor(
            node_id=self.acceptor.node_id,
            capabilities=["dns_challenge"],
            now=asyncio.get_running_loop().time(),
        )
        await ControlLink(core, ConnectionTransport(connection, stream), handle=no_answer).run()

    async def link(self, on_event: Callable[[Event], None]) -> ControlLink:
        """An established control link of the dialer to the acceptor's."""
        dialled, accepted = await self.connections()
        self.spawn(self.serve_link(accepted))
        core = Connection.dialer(
            node_id=self.dialer.node_id, capabilities=[], now=asyncio.get_running_loop().time()
        )
        transport = ConnectionTransport(dialled, await dialled.open_stream())
        link = ControlLink(core, transport, handle=no_answer, on_event=on_event)
        self.spawn(link.run())
        if not await link.wait_established():
            raise AssertionError("the handshake failed")
        return link

    async def aclose(self) -> None:
        await self.dialer.aclose()
        await self.acceptor.aclose()
        await asyncio.wait(self._tasks)
        for task in self._tasks:
            task.exception()
        self._tasks.clear()
        self._bare.clear()
