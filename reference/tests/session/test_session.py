"""Sessions over real Iroh on the loopback interface."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from gate_p2p.address import NodeAddress
from gate_p2p.core import CloseCode, LocalProtocolError
from gate_p2p.dns import DnsChallengeError
from gate_p2p.dns.memory import MemoryDnsHandler
from gate_p2p.iroh import ALPN_CONTROL, ConnectionLost, Endpoint, StreamReset
from gate_p2p.node_names import node_labels
from gate_p2p.session import (
    DialFailed,
    P2PSession,
    PeerConnected,
    PeerLost,
    PeerNotConnected,
    RequestError,
    SessionClosed,
)
from gate_p2p.session.events import SessionEvent

pytestmark = pytest.mark.iroh

VALUE = "v" * 43


@pytest.fixture
def dns() -> MemoryDnsHandler:
    return MemoryDnsHandler()


@pytest.fixture
async def relay(dns: MemoryDnsHandler) -> AsyncIterator[P2PSession]:
    async with P2PSession(dns_challenge_handler=dns, allowed={"*": ["conformance.test"]}) as session:
        yield session


class Events:
    """Collects the events of a session and waits for one."""

    def __init__(self, session: P2PSession) -> None:
        self.queue: asyncio.Queue[SessionEvent] = asyncio.Queue()
        session.subscribe(self.queue.put_nowait)

    async def until(self, kind: type[SessionEvent]) -> SessionEvent:
        while True:
            event = await self.queue.get()
            if isinstance(event, kind):
                return event


async def test_a_daemon_gets_its_own_name_and_is_refused_another(
    relay: P2PSession, dns: MemoryDnsHandler
) -> None:
    async with P2PSession() as daemon:
        peer = await daemon.add_peer(str(relay.node_addr()))
        await peer.wait_connected()
        name = f"{node_labels(daemon.node_id).z_base_32}.private.example"
        await daemon.request_dns_challenge_create(relay.node_id, name.upper().lower(), VALUE)
        assert dns.values(name) == (VALUE,)
        await daemon.request_dns_challenge_cleanup(relay.node_id, name)
        assert dns.values(name) == ()
        with pytest.raises(RequestError, match="may not act") as caught:
            await daemon.request_dns_challenge_create(relay.node_id, "x.private.example", VALUE)
        assert caught.value.code == "not_authorised"


async def test_both_sides_list_each_other_and_hear_of_the_end(relay: P2PSession) -> None:
    events = Events(relay)
    async with P2PSession(inference=True) as daemon:
        peer = await daemon.add_peer(relay.node_addr())
        assert await daemon.add_peer(relay.node_addr()) is peer
        await peer.wait_connected()
        connected = await events.until(PeerConnected)
        assert connected == PeerConnected(daemon.node_id, frozenset({"inference"}), dialled=False)
        assert relay.list_peers() == [daemon.node_id]
        assert daemon.list_peers() == [relay.node_id]
        daemon_id = daemon.node_id
    lost = await events.until(PeerLost)
    assert isinstance(lost, PeerLost)
    assert lost.peer_id == daemon_id
    assert relay.list_peers() == []


async def test_a_peer_without_the_capability_is_not_asked(relay: P2PSession) -> None:
    events = Events(relay)
    async with P2PSession() as daemon:
        await (await daemon.add_peer(relay.node_addr())).wait_connected()
        await events.until(PeerConnected)
        with pytest.raises(LocalProtocolError, match="dns_challenge"):
            await relay.request_dns_challenge_create(daemon.node_id, "a.example", VALUE)


async def test_a_peer_that_advertises_and_has_no_handler_refuses() -> None:
    async with P2PSession(dns_challenge=True) as relay, P2PSession() as daemon:
        await (await daemon.add_peer(relay.node_addr())).wait_connected()
        with pytest.raises(RequestError, match="no DNS challenge handler") as caught:
            await daemon.request_dns_challenge_create(relay.node_id, "a.example", VALUE)
        assert caught.value.code == "unsupported"


async def test_the_words_and_the_code_of_a_handler_reach_the_requester() -> None:
    class Full:
        async def create(self, peer_id: str, domain: str, txt_value: str) -> None:
            raise DnsChallengeError(f"no room for {domain}", "quota")

        async def cleanup(self, peer_id: str, domain: str, txt_value: str | None) -> None:
            raise DnsChallengeError("")

    async with (
        P2PSession(dns_challenge_handler=Full(), allowed={"*": ["a.example"]}) as relay,
        P2PSession() as daemon,
    ):
        await (await daemon.add_peer(relay.node_addr())).wait_connected()
        with pytest.raises(RequestError, match=r"no room for a\.example") as caught:
            await daemon.request_dns_challenge_create(relay.node_id, "a.example", VALUE)
        assert caught.value.code == "quota"
        with pytest.raises(RequestError, match="failed"):
            await daemon.request_dns_challenge_cleanup(relay.node_id, "a.example", VALUE)


async def test_a_peer_is_dialled_again_when_the_relay_is_back(dns: MemoryDnsHandler) -> None:
    key = b"\7" * 32
    async with P2PSession() as daemon:
        events = Events(daemon)
        async with P2PSession(secret_key=key, dns_challenge_handler=dns) as relay:
            address = relay.node_addr()
            await (await daemon.add_peer(address)).wait_connected()
        failed = await events.until(DialFailed)
        assert isinstance(failed, DialFailed)
        assert failed.retry_in > 0
        assert daemon.list_peers() == []
        with pytest.raises(PeerNotConnected):
            await daemon.request_dns_challenge_create(address.node_id, "a.example", VALUE)
        async with P2PSession(secret_key=key, listen=address.socket_addresses[0], dns_challenge_handler=dns):
            await events.until(PeerConnected)


async def test_a_second_stream_is_refused_and_the_first_goes_on(relay: P2PSession) -> None:
    endpoint = await Endpoint.bind()
    connection = await endpoint.dial(relay.node_addr(), ALPN_CONTROL)
    first, second = await connection.open_stream(), await connection.open_stream()
    ping = b'{"type":"Ping","id":1}'
    frame = len(ping).to_bytes(4, "big") + ping
    pong = frame.replace(b"Ping", b"Pong")
    await first.write(frame)
    assert await first.read() == pong
    await second.write(frame)
    with pytest.raises(StreamReset) as caught:
        await second.read()
    assert caught.value.code == 1
    await first.write(frame)
    assert await first.read() == pong
    await endpoint.aclose()


@pytest.mark.iroh1(reason="iroh 0.35 answers one of two endpoints with the same id alone")
async def test_the_quota_counts_all_connections_of_a_peer() -> None:
    class Stuck:
        async def create(self, peer_id: str, domain: str, txt_value: str) -> None:
            await asyncio.Event().wait()

        async def cleanup(self, peer_id: str, domain: str, txt_value: str | None) -> None:
            return None

    key = b"\3" * 32
    async with P2PSession(dns_challenge_handler=Stuck(), allowed={"*": ["a.example"]}) as relay:
        async with P2PSession(secret_key=key) as one, P2PSession(secret_key=key) as two:
            waiting = []
            for daemon in (one, two):
                await (await daemon.add_peer(relay.node_addr())).wait_connected()
                waiting += [
                    asyncio.create_task(
                        daemon.request_dns_challenge_create(relay.node_id, "a.example", VALUE)
                    )
                    for _ in range(33)
                ]
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            error = next(iter(done)).exception()
            assert isinstance(error, RequestError)
            assert error.code == "quota"
            # below the limit again, the other connection is served
            with pytest.raises(RequestError) as caught:
                await two.request_dns_challenge_cleanup(relay.node_id, "a.example")
            assert caught.value.code == "quota"
        results = await asyncio.gather(*waiting, return_exceptions=True)
        codes = [error.code for error in results if isinstance(error, RequestError)]
        # 64 were in flight until their connections ended
        assert (codes.count("quota"), codes.count("failed")) == (2, 64)


async def test_a_violation_closes_with_its_code(relay: P2PSession) -> None:
    endpoint = await Endpoint.bind()
    for sent, code in ((b"\0\0\0\0", 1), (b"\xff\xff\xff\xff", 2)):
        connection = await endpoint.dial(relay.node_addr(), ALPN_CONTROL)
        stream = await connection.open_stream()
        await stream.write(sent)
        assert await stream.read() == b""
        assert (await connection.wait_closed()).code == code
    await endpoint.aclose()


async def test_leaving_says_code_6_to_a_peer_that_waits(relay: P2PSession) -> None:
    endpoint = await Endpoint.bind()
    connection = await endpoint.dial(relay.node_addr(), ALPN_CONTROL)
    stream = await connection.open_stream()
    ping = b'{"type":"Ping","id":1}'
    await stream.write(len(ping).to_bytes(4, "big") + ping)
    await stream.read()
    await relay.aclose(CloseCode.SHUTTING_DOWN)
    assert await stream.read() == b""
    assert (await connection.wait_closed()).code == 6
    with pytest.raises(ConnectionLost):
        await connection.open_stream()
    await endpoint.aclose()


@pytest.mark.parametrize("leaver", ["relay", "daemon"])
async def test_both_sides_hear_of_the_end_with_the_code_of_who_left(leaver: str) -> None:
    relay, daemon = P2PSession(), P2PSession()
    await relay.start()
    await daemon.start()
    heard = {"relay": Events(relay), "daemon": Events(daemon)}
    await (await daemon.add_peer(relay.node_addr())).wait_connected()
    await heard["relay"].until(PeerConnected)
    await (relay if leaver == "relay" else daemon).aclose()
    for events in heard.values():
        lost = await events.until(PeerLost)
        assert isinstance(lost, PeerLost)
        assert lost.code == CloseCode.SHUTTING_DOWN
        assert "shutting down" in lost.reason
    await relay.aclose()
    await daemon.aclose()


async def test_a_closed_session_says_so() -> None:
    session = P2PSession()
    with pytest.raises(SessionClosed):
        _ = session.node_id
    await session.aclose()
    async with session:
        with pytest.raises(RuntimeError, match="already"):
            await session.start()
        with pytest.raises(ValueError, match="no '@'"):
            await session.add_peer("nonsense")
    with pytest.raises(SessionClosed):
        session.node_addr()


async def test_an_advertised_address_is_the_one_that_is_told() -> None:
    async with P2PSession(advertise="192.0.2.9:31145") as session:
        assert str(session.node_addr()) == f"{session.node_id}@192.0.2.9:31145"
    with pytest.raises(ValueError, match="port"):
        P2PSession(advertise="192.0.2.9:0")


def test_asyncio_run_ends_without_complaint_while_a_dial_is_under_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        async with P2PSession() as gone:
            address = gone.node_addr()
        async with P2PSession() as relay, P2PSession() as daemon:
            await daemon.add_peer(address)
            await (await daemon.add_peer(relay.node_addr())).wait_connected()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert not caplog.records


async def test_two_peers_that_dial_each_other_are_both_served(dns: MemoryDnsHandler) -> None:
    async with (
        P2PSession(dns_challenge_handler=dns) as one,
        P2PSession(dns_challenge_handler=dns) as two,
    ):
        peers = await asyncio.gather(one.add_peer(two.node_addr()), two.add_peer(one.node_addr()))
        await asyncio.gather(*(peer.wait_connected() for peer in peers))
        assert (one.list_peers(), two.list_peers()) == ([two.node_id], [one.node_id])
        for asker, asked in ((one, two), (two, one)):
            name = f"{node_labels(asker.node_id).hex}.private.example"
            await asker.request_dns_challenge_create(asked.node_id, name, VALUE)
            await asker.request_dns_challenge_cleanup(asked.node_id, name)


async def test_every_address_is_tried(relay: P2PSession) -> None:
    async with P2PSession() as gone:
        dead = gone.node_addr().socket_addresses
    address = NodeAddress(relay.node_id, (*dead, *relay.node_addr().socket_addresses))
    async with P2PSession() as daemon, asyncio.timeout(8):
        await (await daemon.add_peer(address)).wait_connected()


async def test_the_builder_says_the_same_as_the_keywords(dns: MemoryDnsHandler) -> None:
    builder = P2PSession.builder().with_port(0).with_identity(b"\5" * 32).with_sni_proxy()
    builder.with_dns_challenge().with_dns_challenge_handler(dns).with_advertise("192.0.2.9:31145")
    async with await builder.build() as built:
        assert built.node_addr().socket_addresses == ("192.0.2.9:31145",)
        assert built.take_sni_proxy_handle() is not None
        assert built.take_sni_proxy_handle() is None
        assert built.take_inference_handle() is None
        own = built.node_id
    async with P2PSession(secret_key=b"\5" * 32) as session:
        assert session.node_id == own
    async with (
        await P2PSession.builder().with_private_key(b"\5" * 32).with_generated_identity().build() as new
    ):
        assert new.node_id != own
    with pytest.raises(ValueError, match="32 bytes"):
        P2PSession.builder().with_private_key(b"short")
    with pytest.raises(ValueError, match="65535"):
        P2PSession.builder().with_port(65536)
