"""Targets over real Iroh connections, on the loopback interface."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import pytest

from gate_conformance.identity import Identity, public_id
from gate_conformance.runner import Runner, Settings
from gate_conformance.targets import TargetOptions, parse_target
from gate_conformance.trial import Options, Trial
from gate_conformance.verdicts import TargetGone, Verdict
from gate_p2p.iroh import (
    ALPN_CONTROL,
    ALPN_INFERENCE,
    ALPN_SNI_PROXY,
    Endpoint,
    NodeAddress,
    TransportError,
)

pytestmark = pytest.mark.iroh
KEY = bytes(range(32))


def frame(**message: Any) -> bytes:
    body = json.dumps(message).encode()
    return struct.pack(">I", len(body)) + body


async def answer(stream: Any, connection: Any) -> None:
    """Handshake and Ping on one stream; a length of 0 closes with 1."""
    buffer = b""
    try:
        while data := await stream.read():
            buffer += data
            while len(buffer) >= 4:
                (length,) = struct.unpack(">I", buffer[:4])
                if length == 0:
                    await stream.finish()
                    await stream.wait_delivered(1.0)
                    connection.close(1)
                    return
                if len(buffer) < 4 + length:
                    break
                message, buffer = json.loads(buffer[4 : 4 + length]), buffer[4 + length :]
                if message["type"] == "Handshake":
                    await stream.write(frame(type="HandshakeResponse", accepted=True, capabilities=[]))
                elif message["type"] == "Ping":
                    await stream.write(frame(type="Pong", id=message["id"]))
    except TransportError:
        return


async def violation(t: Trial) -> None:
    link = await t.established()
    assert link.channel.remote_id != t.options.peer_id
    await link.barrier()
    await link.send_raw(bytes(4))
    end = await t.expect_violation(link, code=1)
    t.note(f"{end.kind} {end.code}")


async def run_real(runner: Runner) -> Any:
    """The runner has a loop of its own: a thread for it, while this loop plays the node."""
    return await asyncio.to_thread(runner.run)


async def test_dials_a_node(make_case: Any) -> None:
    node = await Endpoint.bind()
    peers: list[str] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve() -> None:
        while (connection := await node.accept()) is not None:
            tasks.add(asyncio.create_task(one(connection)))

    async def one(connection: Any) -> None:
        peers.append(connection.remote_id)
        try:
            await answer(await connection.accept_stream(), connection)
        except TransportError:
            return

    server = asyncio.create_task(serve())
    target = parse_target(f"iroh:{node.address}", TargetOptions(KEY, public_id(KEY)))
    cases = [make_case(violation, "FR-04", f"tests.case-{number}") for number in range(3)]
    report = await run_real(Runner(target, cases, Options(peer_id=public_id(KEY)), Settings(jobs=3)))
    await node.aclose()
    await server
    await asyncio.gather(*tasks)
    assert [(one.verdict, one.message) for one in report.results] == [(Verdict.PASS, "finished 1")] * 3
    assert set(peers) == {public_id(KEY)}


async def test_dials_as_another_identity_and_is_closed_at_once(make_case: Any) -> None:
    node = await Endpoint.bind()
    other = Identity.of(bytes([7]) * 32)

    async def serve() -> None:
        while (connection := await node.accept()) is not None:
            connection.close(5 if connection.remote_id == other.peer_id else 0)

    async def turned_away(t: Trial) -> None:
        link = await t.connect(other)
        await link.send_raw(bytes(1))
        end = await link.expect_end()
        t.note(f"{end.kind} {end.code}")

    server = asyncio.create_task(serve())
    target = parse_target(f"iroh:{node.address}", TargetOptions(KEY, public_id(KEY)))
    cases = [make_case(turned_away, "FR-04", f"tests.case-{number}") for number in range(5)]
    report = await run_real(Runner(target, cases, Options(peer_id=public_id(KEY)), Settings(jobs=5)))
    await node.aclose()
    await server
    assert [(one.verdict, one.message) for one in report.results] == [(Verdict.PASS, "lost 5")] * 5


async def test_waits_for_a_node_that_dials(make_case: Any) -> None:
    node = await Endpoint.bind()
    announced: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def announce(line: str) -> None:
        loop.call_soon_threadsafe(announced.put_nowait, line)

    options = TargetOptions(KEY, public_id(KEY), announce=announce)

    async def dial() -> None:
        address = NodeAddress.parse(await announced.get())
        try:
            while True:
                connection = await node.dial(address, ALPN_CONTROL, timeout=5.0)
                stream = await connection.open_stream()
                await stream.write(frame(type="Handshake", node_id=node.node_id, capabilities=[]))
                await answer(stream, connection)
                await connection.wait_closed()
        except TransportError:
            return

    dialer = asyncio.create_task(dial())
    target = parse_target("listen", options)
    cases = [make_case(violation, "FR-04", f"tests.case-{number}") for number in range(3)]
    report = await run_real(Runner(target, cases, Options(peer_id=public_id(KEY)), Settings(jobs=3)))
    await node.aclose()
    await dialer
    assert [(one.verdict, one.message) for one in report.results] == [(Verdict.PASS, "finished 1")] * 3


async def test_the_wrong_id_is_out_of_reach(make_case: Any) -> None:
    node = await Endpoint.bind()
    server = asyncio.create_task(node.accept())
    wrong = NodeAddress(public_id(bytes(32)), node.address.socket_addresses)
    target = parse_target(f"iroh:{wrong}", TargetOptions(KEY, public_id(KEY)))
    with pytest.raises(TargetGone, match="cannot reach") as caught:
        await run_real(Runner(target, [make_case(violation)], Options()))
    assert caught.value.hint
    await node.aclose()
    assert await server is None


async def echoed(t: Trial) -> None:
    link = await t.established()
    stream = await t.dial(ALPN_INFERENCE)
    await stream.send(b"to and fro")
    await stream.finish()
    assert await stream.until(lambda: stream.ended is not None, 5.0)
    t.note(f"{bytes(stream.received)!r} {stream.ended}, closed with {await stream.code()}")
    await link.barrier()
    await t.dial("gate/sni-proxy/1.0")


async def test_opens_data_connections(make_case: Any) -> None:
    node = await Endpoint.bind(alpns=(ALPN_CONTROL, ALPN_INFERENCE))
    tasks: set[asyncio.Task[None]] = set()

    async def serve() -> None:
        while (connection := await node.accept()) is not None:
            tasks.add(asyncio.create_task(one(connection)))

    async def one(connection: Any) -> None:
        try:
            stream = await connection.accept_stream()
            if connection.alpn == ALPN_CONTROL:
                await answer(stream, connection)
                return
            while data := await stream.read():
                await stream.write(data)
            await stream.finish()
            await stream.wait_delivered(1.0)
            connection.close(5)
        except TransportError:
            return

    server = asyncio.create_task(serve())
    target = parse_target(f"iroh:{node.address}", TargetOptions(KEY, public_id(KEY)))
    report = await run_real(Runner(target, [make_case(echoed)], Options(peer_id=public_id(KEY)), Settings()))
    await node.aclose()
    await server
    await asyncio.gather(*tasks)
    (result,) = report.results
    assert (result.verdict, result.requirement) == (Verdict.WARN, "HS-21")
    assert "refused in the TLS handshake" in result.message
    notes = [record.get("note", "") for record in result.transcript]
    assert "inference stream 1: ended its direction" in notes


async def taken(t: Trial) -> None:
    link = await t.established()
    stream = await t.dialled(link, 0.0, 5.0)
    assert stream is not None
    assert await stream.until(lambda: len(stream.received) == 9, 5.0)
    assert await t.dialled(link, t.now(), 0.1) is None
    t.note(f"{bytes(stream.received)!r}")
    await link.barrier()


async def test_takes_the_data_connections_of_a_dialer(make_case: Any) -> None:
    node = await Endpoint.bind()
    announced: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def announce(line: str) -> None:
        loop.call_soon_threadsafe(announced.put_nowait, line)

    options = TargetOptions(KEY, public_id(KEY), announce=announce)

    async def dial() -> None:
        address = NodeAddress.parse(await announced.get())
        try:
            while True:
                connection = await node.dial(address, ALPN_CONTROL, timeout=5.0)
                stream = await connection.open_stream()
                await stream.write(frame(type="Handshake", node_id=node.node_id, capabilities=[]))
                data = await node.dial(address, ALPN_SNI_PROXY, timeout=5.0)
                await (await data.open_stream()).write(b"\0\0\0\5READY")
                await answer(stream, connection)
                await connection.wait_closed()
        except TransportError:
            return

    dialer = asyncio.create_task(dial())
    target = parse_target("listen", options)
    cases = [make_case(taken, "SP-03", f"tests.case-{number}") for number in range(2)]
    report = await run_real(Runner(target, cases, Options(peer_id=public_id(KEY)), Settings(jobs=2)))
    await node.aclose()
    await dialer
    wanted = (Verdict.PASS, repr(b"\0\0\0\5READY"))
    assert [(one.verdict, one.message) for one in report.results] == [wanted] * 2
