"""The correct front of a relay, and how bytes pass between a stream and a TCP connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

from .protocol import DONE, DataStream
from .world import PEER_NAME, World

if TYPE_CHECKING:
    from .node import Node
    from .sni import Relay

LOST = (OSError, EOFError)
CHUNK = 65536


def abort(writer: asyncio.StreamWriter) -> None:
    """Closes a TCP connection by a reset."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Splice:
    """One stream and one TCP connection. Every fault is a subclass of this, with one thing changed."""

    lost_code = DONE
    close_after = 5.0

    def __init__(
        self, stream: DataStream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dialled: bool
    ) -> None:
        self.stream, self.reader, self.writer = stream, reader, writer
        self.dialled = dialled
        self.world = World()  # of the node: set by who makes this

    async def run(self, reading: asyncio.Task[bytes]) -> None:
        """Until both directions have ended; ``reading`` is a read of the stream that is under way."""
        ways = [asyncio.create_task(self.up()), asyncio.create_task(self.down(reading))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
            if any(way.done() and way.exception() is not None for way in ways):
                await self.cut()
            else:
                self.writer.close()
                await self.wind_up()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            abort(self.writer)

    async def cut(self) -> None:
        self.stream.reset(self.lost_code)
        self.stream.stop(self.lost_code)
        abort(self.writer)
        self.stream.close(self.lost_code)

    async def wind_up(self) -> None:
        await self.stream.wait_delivered(60.0)
        if not self.dialled:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stream.wait_closed(), self.close_after)
        self.stream.close(DONE)

    async def up(self) -> None:
        while data := await self.reader.read(CHUNK):
            await self.stream.write(self.changed(data))
        await self.on_tcp_end()

    async def on_tcp_end(self) -> None:
        await self.stream.finish()

    async def down(self, reading: asyncio.Task[bytes]) -> None:
        data = await reading
        while data:
            self.writer.write(self.changed(data))
            await self.writer.drain()
            data = await self.stream.read()
        await self.on_stream_end()

    async def on_stream_end(self) -> None:
        self.writer.write_eof()

    def changed(self, data: bytes) -> bytes:
        return data


class Front:
    """Takes visitors of one relay. Every fault is a subclass of this, with one thing changed."""

    hello_within = 10.0
    longest_hello = 65536
    most_asked = 16
    newest = -1

    def __init__(self, world: World, sock: socket.socket) -> None:
        self.world = world
        self.sock = sock
        self.asked = 0
        self.server: asyncio.Server | None = None
        self.starting = asyncio.Lock()
        self.visits: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take visitors until ``aclose``, once; again after it."""
        async with self.starting:
            if self.server is None:
                sock = self.sock.dup()
                self.server = await asyncio.start_server(self.visited, sock=sock, limit=CHUNK)

    async def aclose(self) -> None:
        """Take no more visitors."""
        if self.server is not None:
            self.server.close()
            self.server = None

    def visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self.one_visit(reader, writer))
        self.visits.add(task)
        task.add_done_callback(self.visits.discard)

    async def one_visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.visit(reader, writer)
        except LOST:
            writer.close()
        finally:
            if not writer.is_closing():
                abort(writer)

    async def visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello, name = b"", None
        try:
            async with asyncio.timeout(self.hello_within):
                while name is None:
                    data = await reader.read(CHUNK)
                    hello += data
                    name = self.name_in(hello)
                    if not data or (name is None and len(hello) > self.longest_hello):
                        name = ""
        except TimeoutError:
            name = ""
        relay = await self.stream_for(name) if self.leads_here(name) else None
        if relay is None:
            await self.turn_away(writer)
            return
        reading = relay.take()
        await relay.stream.write(self.first(hello))
        splice = self.world.splice(relay.stream, reader, writer, dialled=False)
        splice.world = self.world
        await splice.run(reading)
        relay.over.set()

    def first(self, hello: bytes) -> bytes:
        return hello

    async def turn_away(self, writer: asyncio.StreamWriter) -> None:
        writer.close()

    def leads_here(self, name: str) -> bool:
        return PEER_NAME in (name, name.partition(".")[2])

    async def stream_for(self, name: str) -> Relay | None:
        """The newest idle stream, or the next that comes when the daemon is asked."""
        for _ in range(500):
            if self.world.idle:
                relay: Relay = self.world.idle.pop(self.newest)
                return relay
            if self.asked < self.most_asked:
                break
            await asyncio.sleep(0.01)
        else:
            return None
        self.asked += 1
        try:
            return await self.ask(self.world.connections[-1], name)
        finally:
            self.asked -= 1

    async def ask(self, node: Node, name: str) -> Relay | None:
        request_id = f"own-{id(object())}-{self.asked}"
        await node.ask({"type": "RequestSniStream", "request_id": request_id, "domain": name})
        for _ in range(500):
            await asyncio.sleep(0.01)
            if self.world.idle:
                relay: Relay = self.world.idle.pop(self.newest)
                return relay
            if request_id in self.world.refused:
                return None
        return None

    def name_in(self, data: bytes) -> str | None:
        """The server name of a ClientHello; None while it is not whole, empty when there is none."""
        payload = b""
        if data[:1] not in (b"\x16", b""):
            return ""
        while len(payload) < 4 or len(payload) < 4 + int.from_bytes(payload[1:4], "big"):
            length = int.from_bytes(data[3:5], "big")
            if len(data) < 5 or (data[0] == 0x16 and len(data) < 5 + length):
                return "" if payload[:1] not in (b"\x01", b"") else None
            if data[0] != 0x16 or (payload + data[5:6])[:1] != b"\x01":
                return ""
            payload, data = payload + data[5 : 5 + length], data[5 + length :]
        return server_name(payload[4:])


def server_name(body: bytes) -> str:
    """The host name in the body of a ClientHello, in lower case; empty when there is none."""
    at = 34
    at += 1 + body[at]
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    at += 1 + body[at]
    at += 2
    while at + 4 <= len(body):
        kind, length = int.from_bytes(body[at : at + 2], "big"), int.from_bytes(body[at + 2 : at + 4], "big")
        if kind == 0:
            return body[at + 9 : at + 4 + length].decode("ascii").lower()
        at += 4 + length
    return ""
