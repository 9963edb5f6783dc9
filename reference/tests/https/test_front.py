"""The relay's front: who is turned away, when, and how much is said about it."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gate_p2p.https import front as front_module
from gate_p2p.https.client_hello import UNRECOGNIZED_NAME
from gate_p2p.https.front import HttpsFront, _network
from gate_p2p.session.errors import SniStreamUnavailable
from gate_p2p.session.sni_stream import SniStream

PEER = "ab" * 32
Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def hello(name: str | None) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


class Front:
    """A front whose one node is never there."""

    def __init__(self, **bounds: int) -> None:
        self.asked: list[tuple[str, str]] = []
        self.front = HttpsFront(
            lambda name: PEER if name == "known.example" else None,
            self._open,
            **bounds,
        )
        self.port = 0

    async def _open(self, peer_id: str, name: str) -> SniStream:
        self.asked.append((peer_id, name))
        raise SniStreamUnavailable("it is away")

    async def connect(self) -> Pipe:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, data: bytes) -> bytes:
        """What comes back until the front closes."""
        reader, writer = await self.connect()
        try:
            writer.write(data)
            async with asyncio.timeout(5):
                return await reader.read(-1)
        finally:
            writer.close()


@asynccontextmanager
async def running(**bounds: Any) -> AsyncIterator[Front]:
    front = Front(**bounds)
    address = await front.front.start("127.0.0.1", 0)
    front.port = int(address.rpartition(":")[2])
    yield front
    await front.front.aclose()
    assert front.front.visitors == 0
    assert not front.front._of_address


async def test_a_known_name_asks_for_a_stream_of_its_node() -> None:
    async with running() as front:
        assert await front.say(hello("KNOWN.example")) == b""
        assert front.asked == [(PEER, "known.example")]


@pytest.mark.parametrize("name", [None, "unknown.example", "known.example.org", "single"])
async def test_what_names_nobody_gets_the_alert(name: str | None) -> None:
    async with running() as front:
        assert await front.say(hello(name)) == UNRECOGNIZED_NAME
        assert front.asked == []


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: known.example\r\n\r\n", b"\0" * 200, b"S"])
async def test_what_is_no_tls_gets_no_answer(data: bytes) -> None:
    async with running() as front:
        assert await front.say(data) == b""
        assert front.asked == []


@pytest.mark.parametrize("data", [b"", hello("known.example")[:200]])
async def test_a_hello_that_does_not_come_is_not_waited_for(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_module, "HELLO_WITHIN", 0.2)
    async with running() as front:
        assert await front.say(data) == b""
        assert front.front._refused == {"no ClientHello in time": 1}


async def test_an_endless_hello_is_cut() -> None:
    body = b"\x01\0\x3f\0" + bytes(16_000)
    async with running() as front:
        await front.say(b"".join(b"\x16\x03\x01\0\x01" + bytes([byte]) for byte in body)[:70_000])
        assert front.front._refused == {"a ClientHello that is too long": 1}


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({"max_visitors": 2}, "too many visitors"),
        ({"max_of_address": 2}, "too many visitors of one address"),
    ],
)
async def test_visitors_are_bounded_and_a_place_gets_free(bounds: dict[str, int], reason: str) -> None:
    async with running(**bounds) as front:
        held = [await front.connect() for _ in range(2)]
        while front.front.visitors < 2:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)
        reader, writer = await front.connect()
        assert await reader.read(-1) == b""  # at once, with nothing read
        writer.close()
        assert front.front._refused == {reason: 1}
        held[0][1].close()
        while front.front.visitors > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert await front.say(hello("unknown.example")) == UNRECOGNIZED_NAME
        held[1][1].close()


async def test_a_few_addresses_do_not_keep_everybody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = iter(["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"])
    monkeypatch.setattr(front_module, "_network", lambda peername: next(addresses))
    async with running(max_visitors=3) as front:
        held = [await front.connect() for _ in range(4)]
        with pytest.raises(ConnectionError):
            await held[1][0].read(-1)  # the newer one of the address that had two
        reader, writer = await front.connect()
        assert await reader.read(-1) == b""  # every other has as many
        writer.close()
        assert front.front._refused == {"cut for a visitor of another address": 1, "too many visitors": 1}
        assert sorted(front.front._of_address) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        for _, writer in held:
            writer.close()


async def test_a_flood_is_one_line_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(front_module, "REPORT_EVERY", 0.5)
    async with running() as front:
        for _ in range(20):
            await front.say(b"GET /\r\n")
        await front.say(hello("unknown.example"))
        await asyncio.sleep(0.6)
    shown = [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]
    assert shown == [
        "HTTPS visitors refused in the last minute: no TLS: 20, a server name that leads nowhere: 1"
    ]


def test_one_visitor_is_an_address_or_a_network_of_ipv6() -> None:
    assert _network(("192.0.2.7", "1")) == _network(("::ffff:192.0.2.7", "1")) == "192.0.2.7"
    assert _network(("2001:db8::1", "1")) == _network(("2001:db8::ffff:1%eth0", "1")) == "2001:db8::/64"
    assert _network(("2001:db8:0:1::1", "1")) != _network(("2001:db8::1", "1"))
    assert _network(None) == "unknown"


async def test_who_arrives_during_the_end_of_a_front_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    front = Front()
    held: list[Pipe] = []
    both = asyncio.Event()
    arrived = front.front._arrived

    def hold(*pipe: Any) -> None:
        held.append(pipe)
        both.set()

    monkeypatch.setattr(front.front, "_arrived", hold)
    address = await front.front.start("127.0.0.1", 0)
    front.port = int(address.rpartition(":")[2])
    reader, writer = await front.connect()
    await both.wait()
    ending = asyncio.create_task(front.front.aclose())
    await asyncio.sleep(0)
    arrived(*held.pop())
    await ending
    assert front.front.visitors == 0
    with pytest.raises(ConnectionError):
        await reader.read(-1)
    writer.close()


async def test_who_waits_for_the_end_of_a_front_is_cut() -> None:
    front = Front()
    address = await front.front.start("127.0.0.1", 0)
    front.port = int(address.rpartition(":")[2])
    reader, writer = await front.connect()
    writer.write(hello("known.example")[:100])
    await asyncio.sleep(0.05)
    await front.front.aclose()
    with pytest.raises(ConnectionError):
        await reader.read(-1)
    writer.close()
