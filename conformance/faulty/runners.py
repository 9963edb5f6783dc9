"""Running a node as a process of its own: over its standard streams, or over Iroh."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from gate_p2p.iroh import (
    ALPN_CONTROL,
    Endpoint,
    IrohConnection,
    IrohStream,
    NodeAddress,
    StreamReset,
    TransportError,
)
from gate_p2p.iroh.beside import receive_datagram, receive_unidirectional

from .nulls import NULLS
from .protocol import VIOLATION, Crash
from .targets import Factory, class_named, factory_named
from .world import World


class PipeStream:
    """The standard streams as a control stream: its end is the end of the process."""

    remote_id = ""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, max_bytes: int = 65536) -> bytes:
        return await self._reader.read(max_bytes)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def finish(self) -> None:
        await self._writer.drain()

    async def wait_delivered(self, timeout: float = 1.0) -> bool:
        return True

    def close(self, code: int, reason: str = "") -> None:
        self._writer.close()


async def run_exec(name: str, role: str, world: World | None = None) -> None:
    """One control stream on standard input and output."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    incoming, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    outgoing, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    stream = PipeStream(reader, asyncio.StreamWriter(outgoing, protocol, None, loop))
    try:
        await factory_named(name, world)(stream, role=role, peer_id=os.environ.get("GATE_PEER_ID", ""))
    finally:
        incoming.close()
        outgoing.close()


class QuicStream:
    """An Iroh stream whose losses are OSErrors, with the close of its connection."""

    def __init__(self, stream: IrohStream, connection: IrohConnection, watches_stop: bool = False) -> None:
        self._stream, self._connection = stream, connection
        self.remote_id = connection.remote_id
        self._stopped = asyncio.create_task(stream.wait_stopped()) if watches_stop else None

    async def read(self, max_bytes: int = 65536) -> bytes:
        reading = asyncio.create_task(self._stream.read(max_bytes))
        try:
            waits = {reading} if self._stopped is None else {reading, self._stopped}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                raise ConnectionResetError("the peer stopped the stream")
            return reading.result()
        except StreamReset as error:
            raise ConnectionResetError(str(error)) from error
        except TransportError as error:
            raise ConnectionError(str(error)) from error
        finally:
            reading.cancel()

    async def write(self, data: bytes) -> None:
        try:
            await self._stream.write(data)
        except TransportError as error:
            raise ConnectionError(str(error)) from error

    async def finish(self) -> None:
        try:
            await self._stream.finish()
        except TransportError as error:
            raise ConnectionError(str(error)) from error

    async def wait_delivered(self, timeout: float = 1.0) -> bool:
        return await self._stream.wait_delivered(timeout)

    def close(self, code: int, reason: str = "") -> None:
        self._connection.close(code, reason)


BESIDE = {"datagram": receive_datagram, "unidirectional stream": receive_unidirectional}


class MergedStream(QuicStream):
    """The control stream with what comes beside it put in between, as if it were one stream."""

    def __init__(self, stream: IrohStream, connection: IrohConnection, way: str) -> None:
        super().__init__(stream, connection)
        self._data: asyncio.Queue[bytes | ConnectionError] = asyncio.Queue(64)
        sources = (super().read, partial(BESIDE[way], connection))
        self._pumps = [asyncio.create_task(self._pump(source)) for source in sources]

    async def _pump(self, source: Callable[[], Awaitable[bytes]]) -> None:
        try:
            while True:
                data = await source()
                await self._data.put(data)
                if not data:
                    return
        except (TransportError, ConnectionError) as error:
            await self._data.put(ConnectionError(str(error)))

    async def read(self, max_bytes: int = 65536) -> bytes:
        data = await self._data.get()
        if isinstance(data, ConnectionError):
            raise data
        return data


async def close_over(connection: IrohConnection, way: str) -> None:
    """Close the connection when anything comes beside its streams."""
    try:
        await BESIDE[way](connection)
        connection.close(VIOLATION, "not on the control stream")
    except TransportError:
        return  # the connection is over


class IrohNode:
    """All connections of one node over Iroh."""

    def __init__(self, name: str, endpoint: Endpoint, world: World) -> None:
        self.endpoint = endpoint
        self.world = world
        self.world.node_id = endpoint.node_id
        self.factory: Factory = factory_named(name, self.world)
        self.second = "ignore" if name in NULLS else class_named(name).second_stream
        self.streams = 1 if name in NULLS else class_named(name).dialled_streams
        self.of_acceptor = "ignore" if name in NULLS else class_named(name).stream_of_acceptor
        self.beside = "" if name in NULLS else class_named(name).beside
        self.watches_stop = name not in NULLS and class_named(name).watches_stop
        self.crashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tasks: set[asyncio.Task[None]] = set()

    async def accept(self) -> None:
        """Serves whoever dials until the node crashes."""
        serving = asyncio.create_task(self._accept_on())
        await asyncio.wait({serving, self.crashed}, return_when=asyncio.FIRST_COMPLETED)
        await self.endpoint.aclose()
        await asyncio.wait({serving, *self.tasks})
        if self.crashed.done():
            self.crashed.result()

    async def _accept_on(self) -> None:
        while (connection := await self.endpoint.accept()) is not None:
            task = asyncio.create_task(self._serve(connection))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _serve(self, connection: IrohConnection) -> None:
        try:
            first = await connection.accept_stream()
        except TransportError:
            return  # the peer went before it opened a stream
        others = asyncio.create_task(self._others(connection, self.second))
        await self._run(first, connection, "acceptor")
        connection.close(0)
        await others

    async def _others(self, connection: IrohConnection, how: str) -> None:
        if how == "ignore":
            return
        try:
            while True:
                stream = await connection.accept_stream()
                if how == "serve":
                    task = asyncio.create_task(self._run(stream, connection, "acceptor"))
                    self.tasks.add(task)
                    task.add_done_callback(self.tasks.discard)
                elif how == "close":
                    connection.close(VIOLATION, "a second stream")
                else:
                    stream.reset(VIOLATION)
                    stream.stop(VIOLATION)
        except TransportError:
            return  # the connection is over, and with it the waiting for streams

    async def _run(self, stream: IrohStream, connection: IrohConnection, role: str) -> None:
        what, _, way = self.beside.partition(" ")
        if what == "close":
            task = asyncio.create_task(close_over(connection, way))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        control = (
            MergedStream(stream, connection, way)
            if what == "serve"
            else QuicStream(stream, connection, self.watches_stop)
        )
        try:
            await self.factory(control, role=role, peer_id=connection.remote_id)
        except (Crash, OSError) as error:
            if not self.crashed.done():
                self.crashed.set_exception(error)

    async def dial(self, address: NodeAddress) -> None:
        """One connection to `address`, until it is over."""
        connection = await self.endpoint.dial(address, ALPN_CONTROL)
        streams = [await connection.open_stream() for _ in range(self.streams)]
        others = asyncio.create_task(self._others(connection, self.of_acceptor))
        if not streams:
            await connection.wait_closed()
        await asyncio.gather(*(self._run(stream, connection, "dialer") for stream in streams))
        connection.close(0)
        await others
        await self.endpoint.aclose()
        if self.crashed.done():
            self.crashed.result()


def end_at_sigterm(world: World) -> None:
    """Have SIGTERM close the connections, and the process end with them."""
    running = asyncio.current_task()
    assert running is not None

    def end() -> None:
        for node in world.connections:
            node.end(node.stop_code, "the process is to end")
        if not world.connections:
            running.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)


async def run_iroh(name: str, address: NodeAddress | None, listen: str, world: World | None = None) -> None:
    """A node over Iroh; prints its address as the first line when it accepts."""
    alpns = (ALPN_CONTROL, *(() if name in NULLS else class_named(name).more_alpns))
    endpoint = await Endpoint.bind(listen=listen, alpns=alpns, unidirectional=True)
    node = IrohNode(name, endpoint, world or World())
    if address is not None:
        end_at_sigterm(node.world)
        await node.dial(address)
        return
    print(node.endpoint.address, flush=True)
    await node.accept()
