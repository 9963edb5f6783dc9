"""A session's connections, on an endpoint in memory and in virtual time: bounds, ends, dialling again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import pytest

from gate_p2p.core import CapabilitiesRenewed, CloseCode, Established, Handshake
from gate_p2p.session import P2PSession, PeerCapabilities, PeerConnected, PeerLost
from gate_p2p.session import session as session_module
from gate_p2p.session.errors import SessionClosed
from gate_p2p.session.events import DialFailed, SessionEvent
from gate_p2p.transport import ALPN_CONTROL, BindError, TransportError

from .endpoints import MemoryConnection, MemoryEndpoint
from .memory import DIALER, Peer, run

OTHER = "0e" * 32


def with_session(test: Callable[[P2PSession, MemoryEndpoint], Awaitable[None]]) -> None:
    async def main() -> None:
        endpoint = MemoryEndpoint()
        async with P2PSession(bind=endpoint.bind) as session:
            await test(session, endpoint)

    run(main())


async def shake_hands(connection: MemoryConnection) -> Peer:
    peer = Peer(connection.theirs)
    await peer.flush()
    await peer.until(Established)
    return peer


def end(connection: MemoryConnection) -> tuple[int, str] | None:
    closed = connection.theirs.closed
    return None if closed is None else closed[1:]


def test_connections_of_one_peer_are_bounded_and_others_get_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "CONTROL_CONNECTIONS", (1024, 2))

    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        first, second, third = [await endpoint.arrive(DIALER) for _ in range(3)]
        assert end(first) is end(second) is None
        assert end(third) == (CloseCode.NOT_AUTHORISED, "too many connections: close some, or try later")
        other = await endpoint.arrive(OTHER)
        assert end(other) is None
        await shake_hands(second)
        # the place of one that has ended is free again
        first.theirs.close(0)
        await asyncio.sleep(1)
        assert end(await endpoint.arrive(DIALER)) is None

    with_session(test)


def test_a_stop_of_the_control_stream_loses_the_connection() -> None:
    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        first, second = [await endpoint.arrive(DIALER) for _ in range(2)]
        await shake_hands(first)
        await shake_hands(second)
        first.control.stopped.set()
        await asyncio.sleep(0.1)
        assert end(first) == (CloseCode.DONE, "the peer stopped the control stream")
        assert end(second) is None
        assert len(session._control._links[DIALER]) == 1

    with_session(test)


def test_connections_are_bounded_in_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "CONTROL_CONNECTIONS", (2, 256))

    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        ends = [end(await endpoint.arrive(f"{number:064x}")) for number in range(3)]
        assert [closed and closed[0] for closed in ends] == [None, None, CloseCode.NOT_AUTHORISED]

    with_session(test)


def test_a_few_peers_with_many_connections_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "CONTROL_CONNECTIONS", (6, 3))

    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        crowd = [await endpoint.arrive(f"{number % 2:064x}") for number in range(6)]
        late = await endpoint.arrive(DIALER)
        await shake_hands(late)
        assert session.list_peers() == [DIALER]
        closed = [connection for connection in crowd if end(connection) is not None]
        assert closed == [crowd[4]]  # the newest of one that has most
        assert end(crowd[4]) == (CloseCode.NOT_AUTHORISED, "too many connections: another peer had fewer")
        # its peer comes again, and does not displace one that has as few
        assert end(await endpoint.arrive(crowd[4].remote_id)) is not None
        assert end(late) is None
        await asyncio.sleep(15)  # the others have said nothing
        assert len(session._services[ALPN_CONTROL].admission) == 1

    with_session(test)


def test_a_connection_without_stream_or_handshake_ends_and_nothing_of_it_is_kept() -> None:
    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        silent = await endpoint.arrive(DIALER)
        mute = await endpoint.arrive(OTHER, opened=False)
        await asyncio.sleep(9)
        assert end(silent) is end(mute) is None
        await asyncio.sleep(3)
        assert end(mute) == (CloseCode.HANDSHAKE_FAILED, "no control stream in time")
        assert end(silent) == (CloseCode.HANDSHAKE_FAILED, "no handshake in time")
        assert not len(session._services[ALPN_CONTROL].admission)
        assert not session._control._links

    with_session(test)


@pytest.mark.parametrize(
    ("finish", "code", "seconds", "reason"),
    [
        (True, 6, 0.0, "the peer ended the stream: going home"),
        (True, None, 0.25, "the peer ended the stream"),
        (False, 6, 0.0, "the peer closed the connection (code 6): going home"),
    ],
)
def test_the_last_word_belongs_to_the_side_that_said_goodbye(
    finish: bool, code: int | None, seconds: float, reason: str
) -> None:
    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        events: asyncio.Queue[SessionEvent] = asyncio.Queue()
        session.subscribe(events.put_nowait)
        connection = await endpoint.arrive(DIALER)
        peer = await shake_hands(connection)
        assert isinstance(await events.get(), PeerConnected)
        if finish:
            await peer.stream.finish()
            assert await peer.stream.read() == b""
        if code is not None:
            peer.stream.close(code, "going home")
        assert await events.get() == PeerLost(DIALER, code or CloseCode.DONE, reason)
        assert asyncio.get_running_loop().time() == seconds

    with_session(test)


def test_a_subscriber_that_fails_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        heard: list[SessionEvent] = []

        def broken(event: SessionEvent) -> None:
            raise ZeroDivisionError("a bug of the application")

        session.subscribe(broken)
        session.subscribe(heard.append)
        await shake_hands(await endpoint.arrive(DIALER))
        assert len(heard) == 1
        assert session.list_peers() == [DIALER]

    with_session(test)
    assert "a bug of the application" in caplog.text


def test_words_of_a_peer_are_escaped_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        connection = await endpoint.arrive(DIALER)
        peer = Peer(connection.theirs)
        peer.core.data_to_send()
        await peer.send(Handshake(node_id=DIALER, capabilities=("a\nroot logged in", "b" * 5000)))
        await peer.until(Established)

    with caplog.at_level(logging.INFO):
        with_session(test)
    (message,) = [text for text in caplog.messages if "root" in text]
    assert "a\\nroot" in message
    assert len(message) < 1100


def test_a_peer_that_was_given_up_is_dialled_afresh() -> None:
    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        peer = await session.add_peer(f"{OTHER}@127.0.0.1:1", keep_trying=False)
        with pytest.raises(TransportError, match="nobody"):
            await peer.first_attempt()
        await asyncio.sleep(1)
        again = await session.add_peer(f"{OTHER}@127.0.0.1:2")
        assert again is not peer
        assert await session.add_peer(f"{OTHER}@127.0.0.1:3") is again
        assert again.address.socket_addresses == ("127.0.0.1:3",)

    with_session(test)


def test_a_peer_that_is_added_again_is_dialled_at_its_new_address_at_once_and_for_ever() -> None:
    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        failures: asyncio.Queue[SessionEvent] = asyncio.Queue()
        session.subscribe(failures.put_nowait)
        once = await session.add_peer(f"{OTHER}@127.0.0.1:1", keep_trying=False)
        assert await session.add_peer(f"{OTHER}@127.0.0.1:1") is once
        for _ in range(9):  # the pauses have become long ones
            await failures.get()
        before = asyncio.get_running_loop().time()
        await session.add_peer(f"{OTHER}@127.0.0.1:2")
        assert isinstance(await failures.get(), DialFailed)
        assert asyncio.get_running_loop().time() == before

    with_session(test)


def test_a_renewed_handshake_is_told_until_the_subscription_ends() -> None:
    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        heard: list[SessionEvent] = []
        unsubscribe = session.subscribe(heard.append)
        peer = await shake_hands(await endpoint.arrive(DIALER))
        for capabilities in (("inference",), ("sni_proxy",)):
            peer.core.renew_handshake(asyncio.get_running_loop().time(), capabilities)
            await peer.flush()
            await peer.until(CapabilitiesRenewed)
            unsubscribe()
        unsubscribe()
        assert heard[1:] == [PeerCapabilities(DIALER, frozenset({"inference"}))]

    with_session(test)


def test_a_removed_peer_is_closed_on_every_connection_whoever_dialled() -> None:
    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        connections = [await endpoint.arrive(who) for who in (DIALER, DIALER, OTHER)]
        for connection in connections:
            await shake_hands(connection)
        assert session.list_peers() == [DIALER, OTHER]
        await session.remove_peer(DIALER)
        await session.remove_peer("ff" * 32)  # nobody knows it
        assert [end(connection) for connection in connections] == [(0, "the peer was removed")] * 2 + [None]
        assert session.list_peers() == [OTHER]

    with_session(test)


def test_a_peer_that_is_removed_while_it_is_dialled_says_so_to_who_waits_for_it() -> None:
    async def test(session: P2PSession, endpoint: MemoryEndpoint) -> None:
        peer = await session.add_peer(f"{OTHER}@127.0.0.1:1")
        waiting = asyncio.create_task(peer.wait_connected())
        await asyncio.sleep(10)
        await session.remove_peer(OTHER)
        with pytest.raises(TransportError):
            await waiting
        assert peer.given_up

    with_session(test)


def test_connections_without_a_stream_are_closed_with_the_code_of_the_others() -> None:
    async def main() -> None:
        endpoint = MemoryEndpoint()
        async with P2PSession(bind=endpoint.bind) as session:
            removed, mute = [await endpoint.arrive(peer_id, opened=False) for peer_id in (OTHER, DIALER)]
            await session.remove_peer(OTHER)
            assert end(removed) == (CloseCode.DONE, "the peer was removed")
            assert end(mute) is None
        assert end(mute) == (CloseCode.SHUTTING_DOWN, "shutting down")
        assert not session._control._without_stream

    run(main())


class SlowEndpoint(MemoryEndpoint):
    """Is bound when it is let, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.bound: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def bind(self, secret_key: bytes | None, listen: str, alpns: Sequence[str]) -> MemoryEndpoint:
        await self.bound
        return self


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_a_close_during_the_start_waits_for_it_and_ends_the_session(fails: bool, at_once: bool) -> None:
    async def main() -> None:
        endpoint = SlowEndpoint()
        session = P2PSession(bind=endpoint.bind)
        starting = asyncio.create_task(session.start())
        await asyncio.sleep(1)
        closing = asyncio.create_task(session.aclose())
        if not at_once:
            await asyncio.sleep(1)
            assert not closing.done()
        if fails:
            endpoint.bound.set_exception(BindError("the port is in use"))
        else:
            endpoint.bound.set_result(None)
        await closing
        with pytest.raises(BindError if fails else SessionClosed):
            await starting
        assert endpoint.incoming.empty() is fails  # the end of accepting, where there was any
        with pytest.raises(SessionClosed):
            session.node_addr()
        with pytest.raises(RuntimeError, match="already"):
            await session.start()

    run(main())


def test_a_start_that_failed_or_was_cancelled_may_be_repeated() -> None:
    async def main() -> None:
        endpoint = SlowEndpoint()
        session = P2PSession(bind=endpoint.bind)
        starting = asyncio.create_task(session.start())
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait({starting})
        endpoint.bound = asyncio.get_running_loop().create_future()
        endpoint.bound.set_result(None)
        async with session:
            assert session.node_id == endpoint.node_id

    run(main())


def test_a_second_close_waits_for_the_first_and_a_cancelled_one_goes_on() -> None:
    async def main() -> None:
        endpoint = MemoryEndpoint()
        session = P2PSession(bind=endpoint.bind)
        await session.start()
        await shake_hands(await endpoint.arrive(DIALER))
        first = asyncio.create_task(session.aclose())
        await asyncio.sleep(0)
        first.cancel()
        await session.aclose()
        assert first.cancelled()
        assert end(endpoint.connections[0]) == (CloseCode.SHUTTING_DOWN, "shutting down")
        assert not session._control._links
        with pytest.raises(RuntimeError, match="already"):
            await session.start()

    run(main())


def test_a_handler_that_fails_over_who_is_here_harms_no_connection(caplog: pytest.LogCaptureFixture) -> None:
    class Watcher:
        told: tuple[str, ...] = ()

        def peer_connected(self, peer_id: str) -> None:
            self.told += ("connected",)
            raise RuntimeError("a bug")

        def peer_gone(self, peer_id: str) -> None:
            self.told += ("gone",)
            raise RuntimeError("a bug")

    class Dns(Watcher):
        async def create(self, peer_id: str, domain: str, txt_value: str) -> None: ...

        async def cleanup(self, peer_id: str, domain: str, txt_value: str | None) -> None: ...

    class Registrar(Watcher):
        async def register(self, peer_id: str, addresses: Sequence[str]) -> str:
            return "a.example"

    async def main() -> None:
        endpoint, dns, registrar = MemoryEndpoint(), Dns(), Registrar()
        events: list[SessionEvent] = []
        async with P2PSession(bind=endpoint.bind, dns_challenge_handler=dns, registrar=registrar) as session:
            session.subscribe(events.append)
            connection = await endpoint.arrive(DIALER)
            await shake_hands(connection)
            await asyncio.sleep(1)
            assert session.list_peers() == [DIALER]
            connection.theirs.close(0)
            await asyncio.sleep(1)
        assert [type(event) for event in events] == [PeerConnected, PeerLost]
        assert dns.told == registrar.told == ("connected", "gone")

    run(main())
    assert caplog.text.count("RuntimeError: a bug") == 4
