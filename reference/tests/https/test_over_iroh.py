"""Browsers, a relay, a daemon and its server: HTTPS through SNI-proxy streams over real Iroh."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gate_p2p.core import LocalProtocolError
from gate_p2p.https import Forwarder, HttpsFront
from gate_p2p.node_names import node_labels
from gate_p2p.session import P2PSession, SniStreamSupply

pytest.importorskip("cryptography")

from .tls_site import Client, Site, make_certificate

pytestmark = pytest.mark.iroh

KEY = bytes(range(32))
SUFFIX = "nodes.example"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)


@dataclass
class Net:
    """A relay with its front; the daemon's names are known, since its key is."""

    relay: P2PSession
    front: HttpsFront
    address: str
    name: str
    short: str
    certificate: Path
    key: Path

    @asynccontextmanager
    async def daemon(self, target: int, idle: int = 2) -> AsyncIterator[SniStreamSupply]:
        async with P2PSession(secret_key=KEY) as daemon:
            peer = await daemon.add_peer(self.relay.node_addr())
            await peer.wait_connected()
            supply = daemon.supply_sni_streams(self.relay.node_id, Forwarder("127.0.0.1", target), idle=idle)
            handle = self.relay._sni_pool
            assert handle is not None
            await until(lambda: handle.idle(daemon.node_id) >= idle)
            yield supply

    def client(self) -> Client:
        return Client(self.certificate, self.address)

    def site(self) -> Site:
        return Site(self.certificate, self.key)


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Net]:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
    async with P2PSession(secret_key=KEY) as daemon:
        labels = node_labels(daemon.node_id)
    name, short = f"{labels.z_base_32}.{SUFFIX}", f"{labels.hex}.{SUFFIX}"
    async with P2PSession(sni_proxy=True, suffix=SUFFIX) as relay:
        handle = relay.take_sni_proxy_handle()
        assert handle is not None
        front = HttpsFront(relay.peer_of, handle.open)
        address = await front.start("127.0.0.1", 0)
        certificate, key = make_certificate(tmp_path, name, f"*.{name}", short, "other.example")
        yield Net(relay, front, address, name, short, certificate, key)
        await front.aclose()
    assert not front.visitors
    assert not complaints


async def test_a_page_under_every_name_of_the_node(net: Net) -> None:
    async with net.site().running() as site, net.daemon(site.port):
        for name in (net.name, net.name.upper(), net.short, f"www.{net.name}"):
            head, body = await net.client().fetch(name)
            assert head.startswith("HTTP/1.1 200")
            assert body == b"hello from the site"
        assert site.served == 4


async def test_ten_megabytes_each_way_arrive_whole(net: Net) -> None:
    body = random.Random(7).randbytes(10_000_000)
    async with net.site().running() as site, net.daemon(site.port):
        head, back = await net.client().fetch(net.name, body)
    assert hashlib.sha256(body).hexdigest() in head
    assert back == body[::-1]


async def test_many_visitors_at_once_although_few_streams_are_idle(net: Net) -> None:
    async with net.site().running() as site, net.daemon(site.port, idle=1) as supply:
        bodies = [random.Random(number).randbytes(20_000) for number in range(30)]
        answers = await asyncio.gather(*(net.client().fetch(net.name, body) for body in bodies))
        assert [back for _, back in answers] == [body[::-1] for body in bodies]
        await until(lambda: supply.open == supply.idle)  # every other connection has ended


async def test_a_pool_that_is_dry_is_filled_by_asking(net: Net) -> None:
    async with net.site().running() as site, net.daemon(site.port, idle=0) as supply:
        assert supply.idle == 0
        _, body = await net.client().fetch(net.name)
        assert body == b"hello from the site"


async def test_a_daemon_that_comes_back_is_found(net: Net) -> None:
    async with net.site().running() as site:
        async with net.daemon(site.port):
            await net.client().fetch(net.name)
        with pytest.raises((OSError, ssl.SSLError)):
            await net.client().fetch(net.name)
        async with net.daemon(site.port):
            _, body = await net.client().fetch(net.name)
        assert body == b"hello from the site"


async def test_a_name_of_nobody_gets_the_alert_and_uses_no_stream(net: Net) -> None:
    async with net.site().running() as site, net.daemon(site.port) as supply:
        for name in ("other.example", SUFFIX, f"a.b.{net.name}"):
            with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
                await net.client().fetch(name)
        assert (site.served, supply.idle) == (0, 2)


class Echo:
    """A server of plain bytes behind the daemon: TLS is its affair, and ours to pass on unread."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = asyncio.Event()
        self.reply = b""
        self.cut = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.received += data
        except ConnectionError:
            self.cut = True
        self.ended.set()
        writer.write(self.reply)
        writer.close()


@asynccontextmanager
async def server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield running.sockets[0].getsockname()[1]
    finally:
        running.close()
        await running.wait_closed()


def hello(name: str) -> bytes:
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


async def connect(net: Net) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = net.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def test_the_visitors_end_is_passed_on_and_the_answer_comes_after_it(net: Net) -> None:
    echo = Echo()
    echo.reply = b"after the end" * 100_000
    async with server(echo.serve) as port, net.daemon(port) as supply:
        reader, writer = await connect(net)
        writer.write(hello(net.name) + b"early data")
        writer.write_eof()
        assert await reader.read(-1) == echo.reply
        writer.close()
        assert bytes(echo.received).endswith(b"early data")
        await until(lambda: supply.open == supply.idle)


async def test_a_visitor_that_resets_is_not_taken_for_one_that_ended(net: Net) -> None:
    echo = Echo()
    async with server(echo.serve) as port, net.daemon(port) as supply:
        _, writer = await connect(net)
        writer.write(hello(net.name))
        await writer.drain()
        await until(lambda: bool(echo.received))
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()
        async with asyncio.timeout(5):
            await echo.ended.wait()
        assert echo.cut
        await until(lambda: supply.open == supply.idle)


async def test_a_server_that_resets_is_not_taken_for_one_that_ended(net: Net) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(b"half an ans")
        await writer.drain()
        await asyncio.sleep(0.2)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with server(serve) as port, net.daemon(port) as supply:
        reader, writer = await connect(net)
        writer.write(hello(net.name))
        with pytest.raises(ConnectionError):
            await reader.read(-1)
        writer.close()
        await until(lambda: supply.open == supply.idle)


async def test_a_target_that_is_down_cuts_the_visitor_within_a_second(
    net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with net.daemon(nobody.getsockname()[1]):
            for _ in range(3):
                reader, writer = await connect(net)
                writer.write(hello(net.name))
                with pytest.raises(ConnectionError):
                    async with asyncio.timeout(1):
                        await reader.read(-1)
                writer.close()
    warnings = [record for record in caplog.records if "cannot be reached" in record.getMessage()]
    assert [record.levelname for record in warnings if record.levelno >= 30] == ["WARNING"]


async def test_a_node_that_is_away_is_no_use_to_its_visitor(net: Net) -> None:
    reader, writer = await connect(net)
    writer.write(hello(net.name))
    async with asyncio.timeout(1):  # nobody can be asked: at once
        assert await reader.read(-1) == b""
    writer.close()
    assert net.front._refused == {"no stream of the node": 1}


async def test_a_stream_in_use_goes_on_when_the_control_connection_ends(net: Net) -> None:
    echo = Echo()
    echo.reply = b"still here"
    async with server(echo.serve) as port, net.daemon(port):
        reader, writer = await connect(net)
        writer.write(hello(net.name))
        await until(lambda: bool(echo.received))
        await net.relay._control.close(6, "a test")  # type: ignore[arg-type]
        writer.write(b"more")
        writer.write_eof()
        assert await reader.read(-1) == b"still here"
        assert echo.received.endswith(b"more")
        writer.close()


async def test_a_node_asks_for_streams_and_supplies_them_only_as_it_may(net: Net) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with net.daemon(nobody.getsockname()[1]) as supply, P2PSession() as plain:
            with pytest.raises(LocalProtocolError, match="sni_proxy"):  # ST-07
                await plain.request_sni_stream(net.relay.node_id, net.name)
            first = plain.supply_sni_streams(net.relay.node_id, Forwarder("127.0.0.1", 1))
            with pytest.raises(RuntimeError, match="already"):
                plain.supply_sni_streams(net.relay.node_id, Forwarder("127.0.0.1", 1))
            await first.aclose()
            plain.supply_sni_streams(net.relay.node_id, Forwarder("127.0.0.1", 1))
            daemon_id = net.relay.peer_of(net.name)
            assert daemon_id is not None
            await net.relay.request_sni_stream(daemon_id, net.name)
            await until(lambda: supply.idle == 3)  # one of its own, beside those kept ahead
