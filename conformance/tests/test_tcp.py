"""The suite's own TCP connections and the ClientHellos that it sends over them."""

from __future__ import annotations

import asyncio

import pytest

from gate_conformance.tcp import Tcp, TcpServer, client_hello, in_records


def test_a_client_hello_is_one_record_with_the_name() -> None:
    hello = client_hello("node.example")
    assert hello[:1] == b"\x16"
    assert hello[5:6] == b"\x01"
    assert b"node.example" in hello
    assert client_hello("node.example") != hello
    assert b"node.example" not in client_hello(None)


def test_a_client_hello_can_be_long() -> None:
    assert 15_000 < len(client_hello("node.example", 15_500)) < 16_384


def test_records_hold_the_same_client_hello() -> None:
    hello = client_hello("node.example", 5_000)
    cut = in_records(hello, 100)
    assert cut != hello
    assert cut[3:5] == (100).to_bytes(2, "big")
    assert in_records(cut, 16_384) == in_records(hello, 16_384)


async def test_connections_are_found_by_their_first_bytes(unused_tcp_port: int) -> None:
    server, address = TcpServer(), f"127.0.0.1:{unused_tcp_port}"
    await asyncio.gather(server.start(address), server.start(address))
    first, second = await Tcp.connect(address), await Tcp.connect(address)
    await first.send(b"first and more")
    await second.send(b"second")
    assert await server.expect(b"third", 0.1) is None
    found = await server.expect(b"second", 2.0)
    assert found is not None
    assert bytes(found.received) == b"second"
    await found.send(b"answer")
    second.read_on()
    assert await second.until(lambda: second.received == b"answer", 2.0)
    second.finish()
    assert await found.until(lambda: found.ended == "end", 2.0)
    first.abort()
    assert await server.expect(b"first", 2.0) is not None
    for tcp in (first, second):
        await tcp.aclose()
    await server.aclose()


@pytest.mark.parametrize(("how", "ended"), [("finish", "end"), ("abort", "reset")])
async def test_an_end_is_told_from_a_reset(how: str, ended: str, unused_tcp_port: int) -> None:
    server, address = TcpServer(), f"127.0.0.1:{unused_tcp_port}"
    await server.start(address)
    tcp = await Tcp.connect(address)
    await tcp.send(b"x")
    found = await server.expect(b"x", 2.0)
    assert found is not None
    getattr(tcp, how)()
    assert await found.until(lambda: found.ended is not None, 2.0)
    assert found.ended == ended
    await found.aclose()
    await tcp.aclose()
    await server.aclose()
