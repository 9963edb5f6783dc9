"""TCP connections of the suite: as a visitor of a relay, and in the place of a daemon's TLS server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable

CHUNK = 65536
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


class Tcp:
    """One connection. ``received``: all bytes; ``ended``: "end" or "reset", None while it is open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.received = bytearray()
        self.ended: str | None = None
        self.claimed = False
        self._changed = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, address: str) -> Tcp:
        """A connection to ``host:port``. Raises OSError."""
        host, _, port = address.rpartition(":")
        tcp = cls(*await asyncio.open_connection(host.strip("[]"), int(port), limit=CHUNK))
        tcp.claimed = True
        return tcp

    def read_on(self) -> None:
        """Begin to read."""
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(CHUNK):
                self.received += data
                self._wake()
            self.ended = "end"
        except OSError:
            self.ended = "reset"
        self._wake()
        if not self.claimed:
            self._writer.close()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, done: Callable[[], bool], within: float) -> bool:
        """Wait until ``done`` or so many seconds; whether it is done."""
        limit = asyncio.get_running_loop().time() + within
        while not done():
            left = limit - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait({changed}, timeout=left)
            changed.cancel()
        return True

    async def send(self, data: bytes, within: float = 10.0) -> bool:
        """Whether the other side has taken so much that there is room again, in so many seconds."""
        self._writer.write(data)
        try:
            async with asyncio.timeout(within):
                await self._writer.drain()
        except (TimeoutError, OSError):
            return False
        return True

    def pause(self) -> None:
        """Read no more."""
        with contextlib.suppress(RuntimeError):  # paused already
            self._reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001

    def finish(self) -> None:
        """End the own direction."""
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    def abort(self) -> None:
        """Reset the connection."""
        sock = self._writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self._writer.transport.abort()

    async def aclose(self) -> None:
        """Close at once."""
        self._writer.transport.abort()
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=2.0)


class TcpServer:
    """Stands in for the TLS server to which a daemon's streams lead; cases find theirs by its first bytes."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._starting = asyncio.Lock()
        self._connections: list[Tcp] = []

    async def start(self, address: str) -> None:
        """Listen at ``host:port``, once. Raises OSError."""
        host, _, port = address.rpartition(":")
        async with self._starting:
            if self._server is None:
                serve = asyncio.start_server(self._arrive, host.strip("[]"), int(port), limit=CHUNK)
                self._server = await serve

    def _arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tcp = Tcp(reader, writer)
        tcp.read_on()
        self._connections = [one for one in self._connections if one.ended is None or one.claimed]
        self._connections.append(tcp)

    async def expect(self, first: bytes, within: float) -> Tcp | None:
        """The connection that begins with these bytes; None when none does in so many seconds."""
        limit = asyncio.get_running_loop().time() + within
        while asyncio.get_running_loop().time() < limit:
            for tcp in self._connections:
                if not tcp.claimed and tcp.received.startswith(first):
                    tcp.claimed = True
                    return tcp
            await asyncio.sleep(0.02)
        return None

    async def aclose(self) -> None:
        """Listen no more, and close what is open."""
        if self._server is not None:
            self._server.close()
            for tcp in self._connections:
                await tcp.aclose()
            await self._server.wait_closed()


def client_hello(name: str | None, size: int = 0) -> bytes:
    """The ClientHello of a TLS client for this server name, about ``size`` bytes long or longer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if size:
        names = max((size - len(client_hello(name))) // 201, 1)
        context.set_alpn_protocols([f"{number:03d}".ljust(200, "x") for number in range(names)])
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def in_records(hello: bytes, size: int) -> bytes:
    """The same ClientHello in TLS records of so many bytes."""
    payload = b""
    while hello:
        length = int.from_bytes(hello[3:5], "big")
        payload, hello = payload + hello[5 : 5 + length], hello[5 + length :]
    parts = [payload[at : at + size] for at in range(0, len(payload), size)]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)
