"""A daemon's supply of SNI-proxy streams, and a stream in use, in memory and in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gate_p2p.core import CloseCode, RequestSniStream
from gate_p2p.session.errors import PeerNotConnected
from gate_p2p.session.handlers import Handlers
from gate_p2p.session.sni_stream import READY, SniStream, splice
from gate_p2p.session.sni_supply import SniStreamSupply
from gate_p2p.transport import ConnectionLost, DialError

from .memory import ACCEPTOR, DIALER, run
from .sni_memory import Connection, connection_pair


class Daemon:
    """A supply whose relay is the test: `dialled` are the relay's ends, with the time of each."""

    def __init__(self, idle: int, serve: Callable[[SniStream], Awaitable[None]] | None = None) -> None:
        self.connected = True
        self.capabilities = frozenset({"sni_proxy"})
        self.reachable = True
        self.bug: Exception | None = None
        self.dialled: list[Connection] = []
        self.times: list[float] = []
        self.serving: list[SniStream] = []
        self.supply = SniStreamSupply(ACCEPTOR, self, self.dial, serve or self.serve, idle)  # type: ignore[arg-type]

    def link(self, peer_id: str) -> Any:
        if not self.connected:
            raise PeerNotConnected("gone")
        return SimpleNamespace(connection=SimpleNamespace(peer_capabilities=self.capabilities))

    async def dial(self, peer_id: str, alpn: str) -> Connection:
        self.times.append(asyncio.get_running_loop().time())
        if self.bug is not None:
            raise self.bug
        if not self.reachable:
            raise DialError("nobody is there")
        ours, theirs = connection_pair(DIALER, ACCEPTOR)
        self.dialled.append(theirs)
        return ours

    async def serve(self, stream: SniStream) -> None:
        self.serving.append(stream)
        await stream.closed.wait()


def with_daemon(idle: int, test: Callable[[Daemon], Awaitable[None]]) -> None:
    async def main() -> None:
        daemon = Daemon(idle)
        await asyncio.sleep(0.01)
        await test(daemon)
        await daemon.supply.aclose(CloseCode.SHUTTING_DOWN, "over")
        assert not daemon.supply.open
        assert not daemon.supply.idle
        assert all(connection.end is not None for connection in daemon.dialled)
        await asyncio.sleep(0.01)

    run(main())


def test_streams_are_ready_at_once_and_silent_until_the_relay_speaks() -> None:
    async def test(daemon: Daemon) -> None:
        assert [await one.stream.read() for one in daemon.dialled] == [READY] * 3
        await asyncio.sleep(3600)
        assert [bytes(one.stream._in.bytes) for one in daemon.dialled] == [b""] * 3
        assert [one.end for one in daemon.dialled] == [None] * 3

    with_daemon(3, test)


def test_another_is_opened_at_the_relays_first_byte_which_is_passed_on() -> None:
    async def test(daemon: Daemon) -> None:
        await daemon.dialled[0].stream.write(b"first")
        await asyncio.sleep(0.01)
        assert len(daemon.dialled) == 3
        assert (daemon.supply.idle, daemon.supply.open) == (2, 3)
        assert await daemon.serving[0].read(3) == b"fir"
        assert await daemon.serving[0].read() == b"st"

    with_daemon(2, test)


@pytest.mark.parametrize("why", ["not connected", "no capability"])
def test_nothing_is_opened_at_a_relay_that_may_have_none(why: str) -> None:
    async def test(daemon: Daemon) -> None:
        await daemon.supply.aclose()
        other = Daemon(2)
        if why == "not connected":
            other.connected = False
        else:
            other.capabilities = frozenset()
        await asyncio.sleep(100)
        assert other.dialled == []
        assert not other.supply.open_one()
        other.connected, other.capabilities = True, frozenset({"sni_proxy"})
        other.supply.wake()
        await asyncio.sleep(0.01)
        assert len(other.dialled) == 2
        await other.supply.aclose()

    with_daemon(0, test)


def test_waits_grow_from_1_s_to_60_and_begin_again_after_a_use() -> None:
    async def test(daemon: Daemon) -> None:
        daemon.reachable = False
        daemon.dialled[0].close(5, "enough")
        daemon.dialled[1].close(5, "enough")
        await asyncio.sleep(200)
        pairs = daemon.times[2:]
        assert pairs[::2] == pairs[1::2]  # both at a time
        gaps = [round(b - a) for a, b in zip([0.0, *pairs[::2]], pairs[::2], strict=False)]
        assert gaps == [1, 2, 4, 8, 16, 32, 60, 60]
        daemon.reachable = True
        assert daemon.supply.open_one()  # what the relay asks for does not wait
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        await daemon.dialled[-1].stream.write(b"x")
        await asyncio.sleep(0.01)
        assert len(daemon.dialled) == 5  # a use: the two are opened at once
        daemon.dialled[-1].close(0)
        before = len(daemon.dialled)
        await asyncio.sleep(0.9)
        assert len(daemon.dialled) == before
        await asyncio.sleep(0.2)
        assert len(daemon.dialled) == before + 1

    with_daemon(2, test)


def test_an_error_that_nobody_expects_is_logged_and_waited_after(caplog: pytest.LogCaptureFixture) -> None:
    async def test(daemon: Daemon) -> None:
        daemon.bug = ZeroDivisionError("a bug")
        daemon.dialled[0].close(0)
        await asyncio.sleep(16)
        assert daemon.times == [0, 1.01, 3.01, 7.01, 15.01]
        daemon.bug = None
        await asyncio.sleep(60)
        assert daemon.supply.idle == 1

    with_daemon(1, test)
    assert caplog.text.count("ZeroDivisionError: a bug") == 4


def test_each_accepted_request_brings_a_stream_of_its_own() -> None:
    async def test(daemon: Daemon) -> None:
        assert daemon.supply.open_one()
        assert daemon.supply.open_one()
        await asyncio.sleep(0.01)
        assert len(daemon.dialled) == 3
        await daemon.supply.aclose()
        assert not daemon.supply.open_one()

    with_daemon(1, test)


def test_idle_streams_outlive_the_control_connection_by_60_s_and_those_in_use_for_good() -> None:
    async def test(daemon: Daemon) -> None:
        await daemon.dialled[0].stream.write(b"used")
        await asyncio.sleep(0.01)
        daemon.connected = False
        daemon.supply.wake()
        await asyncio.sleep(59)
        assert [one.end for one in daemon.dialled] == [None] * 3
        await asyncio.sleep(2)
        assert [one.end for one in daemon.dialled] == [None, 0, 0]
        await asyncio.sleep(600)
        assert len(daemon.dialled) == 3

    with_daemon(2, test)


def test_a_node_that_stops_closes_idle_and_used_streams_with_6() -> None:
    async def test(daemon: Daemon) -> None:
        await daemon.dialled[0].stream.write(b"used")
        await asyncio.sleep(0.01)
        await daemon.supply.aclose(CloseCode.SHUTTING_DOWN, "shutting down")
        assert [one.end for one in daemon.dialled] == [6, 6, 6]

    with_daemon(2, test)


def test_a_bug_of_the_application_cuts_its_stream_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def fail(stream: SniStream) -> None:
            raise KeyError("a bug")

        daemon = Daemon(1, fail)
        await asyncio.sleep(0.01)
        await daemon.dialled[0].stream.write(b"x")
        await asyncio.sleep(0.01)
        assert (daemon.dialled[0].end, daemon.dialled[1].end) == (0, None)
        await daemon.supply.aclose()

    run(main())
    assert "serving an SNI-proxy stream failed" in caplog.text


# -- a stream in use


def ends(capacity: int = 1_000_000) -> tuple[SniStream, Connection]:
    """The daemon's stream, and the relay's end of its connection."""
    ours, theirs = connection_pair(DIALER, ACCEPTOR, capacity)
    return SniStream(ours, ours.stream, dialled=True), theirs


def test_nothing_is_lost_although_the_peer_takes_its_time() -> None:
    async def main() -> None:
        stream, relay = ends()
        await stream.write(b"x" * 1000)
        await stream.finish()
        await relay.stream.finish()
        assert await stream.read() == b""
        closing = asyncio.create_task(stream.aclose())
        await asyncio.sleep(1000)
        assert relay.end is None
        assert await relay.stream.read() == b"x" * 1000
        await closing
        assert relay.end == 0

    run(main())


def test_an_end_before_both_directions_have_ended_is_a_cut() -> None:
    async def main() -> None:
        stream, relay = ends()
        await stream.write(b"x")
        await stream.finish()
        await stream.aclose()
        await stream.aclose()
        assert relay.end == 0
        with pytest.raises(ConnectionLost):
            await relay.stream.write(b"y")

    run(main())


async def tcp(serve: Callable[..., Awaitable[None]]) -> tuple[Any, asyncio.Server]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return await asyncio.open_connection(*server.sockets[0].getsockname()), server


async def test_a_splice_holds_a_bounded_number_of_bytes() -> None:
    taken = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await taken.wait()  # the server does not read
        writer.transport.abort()

    (reader, writer), server = await tcp(serve)
    stream, relay = ends(capacity=100_000)
    splicing = asyncio.create_task(splice(stream, reader, writer))
    sent = 0
    try:
        async with asyncio.timeout(1):
            while sent < 100_000_000:
                await relay.stream.write(bytes(100_000))
                sent += 100_000
    except TimeoutError:
        pass
    assert sent < 20_000_000  # the system's own buffers, and little more
    assert writer.transport.get_write_buffer_size() <= 262_144
    taken.set()
    await splicing
    assert relay.end == 0
    server.close()
    await server.wait_closed()


class TcpInMemory:
    """The writing side of a TCP connection, for a clock that is not the system's."""

    def __init__(self) -> None:
        self.transport = SimpleNamespace(set_write_buffer_limits=lambda high: None, abort=self.abort)
        self.written = bytearray()
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        """The system takes everything."""

    def get_extra_info(self, name: str) -> None:
        """There is no socket."""

    async def wait_closed(self) -> None:
        """At once."""


def test_a_splice_on_which_nothing_moves_for_a_while_is_cut_with_4() -> None:
    async def main() -> None:
        stream, relay = ends()
        reader: asyncio.StreamReader = asyncio.StreamReader()
        writer: Any = TcpInMemory()
        splicing = asyncio.create_task(splice(stream, reader, writer, 300.0))
        for _ in range(3):  # one direction is enough
            await asyncio.sleep(299)
            await relay.stream.write(b"down")
        await asyncio.sleep(299)
        reader.feed_data(b"up")
        await asyncio.sleep(299)
        assert (relay.end, bytes(writer.written)) == (None, b"down" * 3)
        await splicing
        assert asyncio.get_running_loop().time() == 299 * 4 + 300
        assert (relay.end, writer.aborted) == (4, True)

    run(main())


def test_a_splice_without_a_limit_may_be_silent_for_ever() -> None:
    async def main() -> None:
        stream, relay = ends()
        writer: Any = TcpInMemory()
        splicing = asyncio.create_task(splice(stream, asyncio.StreamReader(), writer))
        await asyncio.sleep(1e6)
        assert relay.end is None
        splicing.cancel()
        await asyncio.wait({splicing})

    run(main())


async def test_a_cancelled_splice_cuts_both_sides() -> None:
    ended: asyncio.Future[bytes | OSError] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            ended.set_result(await reader.read())
        except OSError as error:
            ended.set_result(error)
        writer.close()

    (reader, writer), server = await tcp(serve)
    stream, relay = ends()
    splicing = asyncio.create_task(splice(stream, reader, writer))
    await asyncio.sleep(0.05)
    splicing.cancel()
    await asyncio.wait({splicing})
    assert isinstance(await ended, ConnectionError)
    assert relay.end == 0
    server.close()
    await server.wait_closed()


async def test_a_peer_that_takes_no_more_may_still_send() -> None:
    received = bytearray()
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            writer.write(b"unwanted")
            await asyncio.sleep(0.05)
        received.extend(await reader.read(-1))
        ended.set()
        writer.close()

    (reader, writer), server = await tcp(serve)
    stream, relay = ends()
    splicing = asyncio.create_task(splice(stream, reader, writer))
    relay.stream.stop(0)
    await asyncio.sleep(0.2)
    await relay.stream.write(b"the rest")
    await relay.stream.finish()
    await ended.wait()
    assert bytes(received) == b"the rest"
    await splicing
    assert relay.end == 0
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("serving", "opens", "code"),
    [(True, True, None), (True, False, "quota"), (False, False, "unsupported"), (None, False, "unsupported")],
)
async def test_what_a_relay_is_answered(serving: bool | None, opens: bool, code: str | None) -> None:
    supply = SimpleNamespace(serving=serving, open_one=lambda: opens)
    handlers = Handlers(sni_supplies={} if serving is None else {ACCEPTOR: supply})
    answer = await handlers.carry_out(RequestSniStream(request_id="1", domain="a.example"), ACCEPTOR)
    assert (answer.code if answer.error else None) == code
