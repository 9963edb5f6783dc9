"""The relay's front for browsers: reads whom each TCP connection wants, and passes it on unread."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gate_p2p.https.client_hello import UNRECOGNIZED_NAME, ClientHello, HelloError
from gate_p2p.session.errors import SniStreamUnavailable
from gate_p2p.session.sni_stream import CHUNK, SniStream, reset, splice
from gate_p2p.transport import TransportError

_log = logging.getLogger("gate_p2p.https")

HELLO_WITHIN = 10.0  # seconds for the whole ClientHello (SP-12)
# TCP connections in all: with the rest of a relay below the usual 1,024 open files. When there are as
# many, a visitor from an address with few gets in all the same: a few addresses do not keep everybody out.
MAX_VISITORS = 800
MAX_OF_ADDRESS = 100  # of one IPv4 address, or of one /64 of IPv6: an office behind one address
# Seconds without a byte either way, after which a visitor gives its place up (SP-30): browsers keep a
# connection that they do not use for up to this long, and what waits longer for news sends pings meanwhile.
SILENCE = 300.0
TRIES = 3  # streams for one visitor: one may turn out dead before a byte of its daemon has come (SP-20)
REPORT_EVERY = 60.0  # seconds between two lines about refusals, however many there are
KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}  # who has vanished holds no stream

PeerOf = Callable[[str], str | None]
"""The peer that a server name leads to: `P2PSession.peer_of`."""
OpenStream = Callable[[str, str], Awaitable[SniStream]]
"""A stream to this peer for this server name, or SniStreamUnavailable: `SniProxyHandle.open`."""


class HttpsFront:
    """A TCP server. `await start("ip", port)`, then `await aclose()`, which cuts what is open.

    What names no peer, or nothing in time, is closed without a word but a TLS alert where one is due; plain
    HTTP gets no answer. Each refusal is logged for developers, their numbers once a minute for everybody.
    """

    def __init__(
        self,
        peer_of: PeerOf,
        open_stream: OpenStream,
        *,
        max_visitors: int = MAX_VISITORS,
        max_of_address: int = MAX_OF_ADDRESS,
    ) -> None:
        self._peer_of = peer_of
        self._open_stream = open_stream
        self._max_visitors = max_visitors
        self._max_of_address = max_of_address
        self._server: asyncio.Server | None = None
        self._closing = False
        self._visitors: set[asyncio.Task[None]] = set()
        self._of_address: dict[str, list[asyncio.Task[None]]] = {}  # the newest last
        self._refused: Counter[str] = Counter()
        self._report: asyncio.TimerHandle | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen; the `ip:port` that it became. Raises OSError."""
        self._closing = False
        self._server = await asyncio.start_server(self._arrived, host, port, limit=CHUNK // 2, backlog=256)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def visitors(self) -> int:
        """How many TCP connections are open."""
        return len(self._visitors)

    async def aclose(self) -> None:
        """Listen no more, and cut every connection."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        for visitor in self._visitors:
            visitor.cancel()
        if self._visitors:
            await asyncio.wait(self._visitors)
        if self._server is not None:
            await self._server.wait_closed()
        self._tell_refusals()

    # -- one visitor

    def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closing:  # the system had accepted it before
            reset(writer)
            return
        address = _network(writer.get_extra_info("peername"))
        own = len(self._of_address.get(address, ()))
        if own >= self._max_of_address:
            self._refuse("too many visitors of one address", address, writer)
        elif len(self._visitors) >= self._max_visitors and not self._make_room(own + 1):
            self._refuse("too many visitors", address, writer)
        else:
            task = asyncio.get_running_loop().create_task(self._visit(address, reader, writer))
            self._of_address.setdefault(address, []).append(task)
            self._visitors.add(task)
            task.add_done_callback(lambda task: self._left(task, address, writer))

    def _make_room(self, for_address: int) -> bool:
        """Cut a visitor of the address that has most, if that is more than `for_address`."""
        fullest = max(self._of_address.values(), key=len, default=[])
        if len(fullest) <= for_address:
            return False
        fullest.pop().cancel()
        self._count_refusal("cut for a visitor of another address")
        return True

    def _left(self, visitor: asyncio.Task[None], address: str, writer: asyncio.StreamWriter) -> None:
        self._visitors.discard(visitor)
        of_address = self._of_address.get(address, [])
        if visitor in of_address:
            of_address.remove(visitor)
        if not of_address:
            self._of_address.pop(address, None)
        if not writer.is_closing():  # cancelled, perhaps before it began
            reset(writer)
        if not visitor.cancelled() and (error := visitor.exception()) is not None:
            _log.error("serving a visitor failed in an unexpected way", exc_info=error)

    async def _visit(self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _notice_the_vanished(writer)
        try:
            name, hello = await self._hello(reader)
            if (peer_id := self._peer_of(name)) is None:
                raise HelloError("a server name that leads nowhere", UNRECOGNIZED_NAME)
            stream = await self._stream(peer_id, name, hello)
        except HelloError as error:
            self._refuse(str(error), address, writer, error.alert)
        except SniStreamUnavailable as error:
            _log.debug("a visitor finds nobody: %s", error)
            self._refuse("no stream of the node", address, writer)
        except OSError as error:
            self._refuse(f"the connection broke off: {type(error).__name__}", address, writer)
        else:
            await splice(stream, reader, writer, SILENCE)

    async def _hello(self, reader: asyncio.StreamReader) -> tuple[str, bytes]:
        """The server name, and all bytes that came. Raises HelloError, OSError."""
        hello = ClientHello()
        try:
            async with asyncio.timeout(HELLO_WITHIN):
                while data := await reader.read(CHUNK):
                    if (name := hello.feed(data)) is not None:
                        return name, bytes(hello.received)
        except TimeoutError:
            raise HelloError("no ClientHello in time") from None
        raise HelloError("no ClientHello before the end")

    async def _stream(self, peer_id: str, name: str, hello: bytes) -> SniStream:
        """A stream that has taken the hello. Raises SniStreamUnavailable."""
        for _ in range(TRIES):
            stream = await self._open_stream(peer_id, name)
            try:
                await stream.write(hello)
            except TransportError as error:
                _log.debug("a stream of %s was lost before its use: %s", peer_id, error)
                stream.abort()
            except BaseException:
                stream.abort()
                raise
            else:
                return stream
        raise SniStreamUnavailable(f"{TRIES} streams of {peer_id} were lost before their use")

    # -- refusals

    def _refuse(self, reason: str, address: str, writer: asyncio.StreamWriter, alert: bytes = b"") -> None:
        _log.debug("a visitor from %s is refused: %s", address, reason)
        self._count_refusal(reason)
        with suppress(OSError):
            writer.write(alert)
        writer.close()

    def _count_refusal(self, reason: str) -> None:
        self._refused[reason] += 1
        if self._report is None:
            self._report = asyncio.get_running_loop().call_later(REPORT_EVERY, self._tell_refusals)

    def _tell_refusals(self) -> None:
        if self._report is not None:
            self._report.cancel()
            self._report = None
        if self._refused:
            parts = ", ".join(f"{reason}: {number}" for reason, number in self._refused.most_common())
            _log.info("HTTPS visitors refused in the last minute: %s", parts)
            self._refused.clear()


def _network(peername: tuple[str, ...] | None) -> str:
    """What one visitor can choose addresses from: an IPv4 address, or a /64 of IPv6."""
    if peername is None:
        return "unknown"  # it was gone before we looked
    address = ipaddress.ip_address(peername[0].partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((address, 64), strict=False))
        address = address.ipv4_mapped
    return str(address)


def _notice_the_vanished(writer: asyncio.StreamWriter) -> None:
    if (sock := writer.get_extra_info("socket")) is None:
        return
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEP_ALIVE.items():
            if (number := getattr(socket, option, None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, number, value)
