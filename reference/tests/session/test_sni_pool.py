"""A relay's pool of SNI-proxy streams, in memory and in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gate_p2p.core import CloseCode, FailureCode
from gate_p2p.session.errors import RequestError, SniStreamUnavailable
from gate_p2p.session.sni_pool import MAX_ASKED, MAX_IDLE, SniStreamPool
from gate_p2p.session.sni_stream import READY, SniStream

from .memory import ACCEPTOR, DIALER, run
from .sni_memory import Connection, ControlOf, connection_pair

REFUSED = RequestError("no", FailureCode.QUOTA)


class Relay:
    def __init__(self) -> None:
        self.control = ControlOf()
        self.pool = SniStreamPool(self.control)
        self.served: list[asyncio.Task[None]] = []

    async def arrive(self, data: bytes = READY) -> Connection:
        """A connection of the daemon, on which it has sent `data`."""
        daemon, relay = connection_pair(DIALER, ACCEPTOR)
        self.served.append(asyncio.create_task(self.pool.accepted(relay)))
        if data:
            await daemon.stream.write(data)
        await asyncio.sleep(0.01)
        return daemon

    def take(self, domain: str = "a.example") -> asyncio.Task[SniStream]:
        return asyncio.create_task(self.pool.take(DIALER, domain))


def with_relay(test: Callable[[Relay], Awaitable[None]]) -> None:
    async def main() -> None:
        relay = Relay()
        await test(relay)
        relay.pool.close(CloseCode.SHUTTING_DOWN, "over")
        await asyncio.gather(*relay.served, return_exceptions=True)
        await asyncio.sleep(0.01)
        assert not relay.pool._peers  # nothing is kept of a peer that has gone

    run(main())


def test_the_newest_stream_is_taken_first_and_carries_bytes_both_ways() -> None:
    async def test(relay: Relay) -> None:
        older, newer = await relay.arrive(), await relay.arrive()
        stream = await relay.take()
        await stream.write(b"hello")
        assert await newer.stream.read() == b"hello"
        await newer.stream.write(b"back")
        assert await stream.read() == b"back"
        assert (older.end, relay.pool.idle(DIALER)) == (None, 1)

    with_relay(test)


def test_a_read_right_after_the_taking_meets_no_other() -> None:
    async def test(relay: Relay) -> None:
        daemon = await relay.arrive()
        stream = await relay.pool.take(DIALER, "a.example")
        reading = asyncio.create_task(stream.read(2))
        await asyncio.sleep(0)
        reading.cancel()  # and loses nothing
        await daemon.stream.write(b"abc")
        assert await stream.read(2) == b"ab"
        assert await stream.read(2) == b"c"

    with_relay(test)


@pytest.mark.parametrize("cut", range(1, len(READY)))
def test_ready_may_come_in_pieces_and_is_not_complete_before_its_last_byte(cut: int) -> None:
    async def test(relay: Relay) -> None:
        daemon = await relay.arrive(READY[:cut])
        await asyncio.sleep(1.9)
        assert relay.pool.idle(DIALER) == 0
        await daemon.stream.write(READY[cut:])
        await asyncio.sleep(0.01)
        assert relay.pool.idle(DIALER) == 1

    with_relay(test)


def test_other_streams_are_refused_from_the_first_on_and_not_once_ready_is_there() -> None:
    async def test(relay: Relay) -> None:
        assert (await relay.arrive(READY[:1])).link.others_awaited

    with_relay(test)


@pytest.mark.parametrize(
    ("data", "seconds", "code"),
    [(b"", 2, 4), (READY[:8], 2, 4), (b"\0\0\0\5READX", 0, 1), (b"GET /", 0, 1), (READY + b"!", 0, 1)],
)
def test_what_is_not_ready_in_time_is_closed_with_its_code(data: bytes, seconds: float, code: int) -> None:
    async def test(relay: Relay) -> None:
        daemon = await relay.arrive(data)
        if seconds:
            assert daemon.end is None
        await asyncio.sleep(seconds)
        assert daemon.end == code
        assert relay.pool.idle(DIALER) == 0

    with_relay(test)


@pytest.mark.parametrize("how", ["finish", "reset"])
@pytest.mark.parametrize(("sent", "code"), [(READY[:4], 1), (READY, 0)])
def test_the_end_of_a_stream_before_its_use_ends_the_connection(how: str, sent: bytes, code: int) -> None:
    async def test(relay: Relay) -> None:
        daemon = await relay.arrive(sent)
        if how == "finish":
            await daemon.stream.finish()
        else:
            daemon.stream.reset(9)
        await asyncio.sleep(0.01)
        assert daemon.end == code
        assert relay.pool.idle(DIALER) == 0

    with_relay(test)


def test_a_byte_on_an_idle_stream_ends_it_with_1() -> None:
    async def test(relay: Relay) -> None:
        daemon = await relay.arrive()
        await daemon.stream.write(b"!")
        await asyncio.sleep(0.01)
        assert daemon.end == 1

    with_relay(test)


def test_a_stream_that_was_seen_to_end_is_given_to_nobody() -> None:
    async def test(relay: Relay) -> None:
        older, newer = await relay.arrive(), await relay.arrive()
        newer.close(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the read has ended, its consequences have not come yet
        stream = await relay.pool.take(DIALER, "a.example")
        await stream.write(b"x")
        assert await older.stream.read() == b"x"

    with_relay(test)


def test_without_a_control_connection_there_is_no_stream_and_nobody_is_asked() -> None:
    async def test(relay: Relay) -> None:
        relay.control.connected = False
        assert (await relay.arrive()).end == 5
        with pytest.raises(SniStreamUnavailable, match="nobody"):
            await relay.take()

    with_relay(test)


def test_idle_streams_are_bounded_and_those_asked_for_are_taken_beyond() -> None:
    async def test(relay: Relay) -> None:
        for _ in range(MAX_IDLE):
            assert (await relay.arrive()).end is None
        assert (await relay.arrive()).end == 5
        assert relay.pool.idle(DIALER) == MAX_IDLE

    with_relay(test)


def test_a_dry_pool_asks_and_the_oldest_visitor_is_served_first() -> None:
    async def test(relay: Relay) -> None:
        first, second = relay.take("first.example"), relay.take("second.example")
        await asyncio.sleep(0.01)
        assert relay.control.asked.domains == ["first.example", "second.example"]
        await relay.arrive()  # before any StreamReady
        assert first.done()
        assert not second.done()
        await relay.arrive()
        assert second.done()
        assert relay.pool.idle(DIALER) == 0

    with_relay(test)


def test_a_refusal_turns_its_visitor_away_and_no_other() -> None:
    async def test(relay: Relay) -> None:
        first, second = relay.take(), relay.take()
        await asyncio.sleep(0.01)
        relay.control.asked.answers.put_nowait(REFUSED)
        with pytest.raises(SniStreamUnavailable):
            await first
        assert not second.done()
        await relay.arrive()
        assert second.done()

    with_relay(test)


def test_an_accepted_stream_that_does_not_come_is_given_up_5_s_after_stream_ready() -> None:
    async def test(relay: Relay) -> None:
        loop = asyncio.get_running_loop()
        visitor = relay.take()
        await asyncio.sleep(3)
        relay.control.asked.answers.put_nowait(None)
        began = loop.time()
        with pytest.raises(SniStreamUnavailable, match="accepted"):
            await visitor
        assert loop.time() - began == pytest.approx(5)

    with_relay(test)


def test_no_more_than_16_are_outstanding_and_every_place_is_used_again() -> None:
    async def test(relay: Relay) -> None:
        visitors = [relay.take() for _ in range(MAX_ASKED + 4)]
        await asyncio.sleep(0.01)
        assert len(relay.control.asked.domains) == MAX_ASKED
        await relay.arrive()
        assert len(relay.control.asked.domains) == MAX_ASKED + 1
        relay.control.asked.answers.put_nowait(REFUSED)
        await asyncio.sleep(0.01)
        assert len(relay.control.asked.domains) == MAX_ASKED + 2
        for _ in range(MAX_ASKED + 2):
            await relay.arrive()
        done = await asyncio.gather(*visitors, return_exceptions=True)
        assert sum(isinstance(one, SniStream) for one in done) == MAX_ASKED + 3

    with_relay(test)


def test_a_stream_that_comes_for_a_visitor_who_leaves_goes_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(relay: Relay) -> None:
        first, second = relay.take(), relay.take()
        await asyncio.sleep(0.01)
        offer = relay.pool._offer

        def offer_and_leave(*arguments: Any) -> None:
            offer(*arguments)
            first.cancel()  # in the very same moment

        monkeypatch.setattr(relay.pool, "_offer", offer_and_leave)
        await relay.arrive()
        assert first.cancelled()
        assert isinstance(await second, SniStream)

    with_relay(test)


def test_an_application_that_keeps_the_streams_gets_each_as_it_becomes_ready() -> None:
    async def test(relay: Relay) -> None:
        got: list[SniStream] = []

        async def take_all() -> None:
            async for stream in relay.pool.handle:
                got.append(stream)

        early = await relay.arrive()
        taking = asyncio.create_task(take_all())
        late = await relay.arrive()
        visitor = relay.take()  # who names a peer goes first
        await asyncio.sleep(0.01)
        others = await relay.arrive()
        assert [stream.peer_id for stream in got] == [DIALER, DIALER]
        for stream, daemon in ((got[0], early), (got[1], late), (await visitor, others)):
            await stream.write(b"hello")
            assert await daemon.stream.read() == b"hello"
        relay.pool.close(CloseCode.SHUTTING_DOWN, "over")
        await taking
        assert [stream async for stream in relay.pool.handle] == []

    with_relay(test)


def test_a_stream_for_an_iteration_that_is_cancelled_stays() -> None:
    async def test(relay: Relay) -> None:
        taking = asyncio.create_task(anext(relay.pool.handle))
        await asyncio.sleep(0.01)
        daemon, ours = connection_pair(DIALER, ACCEPTOR)
        relay.served.append(asyncio.create_task(relay.pool.accepted(ours)))
        await daemon.stream.write(READY)
        while relay.pool._takers:  # noqa: ASYNC110  the very moment in which it is given
            await asyncio.sleep(0)
        taking.cancel()
        await asyncio.wait({taking})
        assert taking.cancelled()
        assert relay.pool.idle(DIALER) == 1
        daemon.close(0)
        await asyncio.sleep(0.01)
        assert relay.pool.idle(DIALER) == 0

    with_relay(test)


@pytest.mark.parametrize("back", [True, False])
def test_idle_streams_outlive_the_control_connection_by_60_s(back: bool) -> None:
    async def test(relay: Relay) -> None:
        idle, in_use = await relay.arrive(), await relay.arrive()
        await relay.take()
        relay.control.connected = False
        relay.pool.wake(DIALER)
        await asyncio.sleep(59)
        assert idle.end is None
        if back:
            relay.control.connected = True
            relay.pool.wake(DIALER)
        await asyncio.sleep(2)
        assert idle.end == (None if back else 0)
        assert in_use.end is None  # SP-28

    with_relay(test)


def test_a_node_that_stops_closes_every_stream_with_6_and_turns_visitors_away() -> None:
    async def test(relay: Relay) -> None:
        idle, in_use = await relay.arrive(), await relay.arrive()
        await relay.take()
        await relay.take()
        visitor = relay.take()
        await asyncio.sleep(0.01)
        relay.pool.close(CloseCode.SHUTTING_DOWN, "shutting down")
        with pytest.raises(SniStreamUnavailable, match="shutting down"):
            await visitor
        assert idle.end == in_use.end == 6

    with_relay(test)


@pytest.mark.parametrize("closes", [True, False])
def test_after_both_ends_the_relay_leaves_the_daemon_5_s_to_close(closes: bool) -> None:
    async def test(relay: Relay) -> None:
        daemon = await relay.arrive()
        stream = await relay.take()
        await stream.finish()
        await daemon.stream.finish()
        assert await stream.read() == b""
        ending = asyncio.create_task(stream.aclose())
        await asyncio.sleep(4.9)
        assert daemon.end is None
        if closes:
            daemon.close(0, "by the daemon")
        await ending
        assert daemon.link.closed is not None
        assert daemon.link.closed[1:] == ((0, "by the daemon") if closes else (0, ""))

    with_relay(test)
