"""How a link ends, over a stream in memory, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from gate_p2p.core import (
    CloseCode,
    LocalProtocolError,
    Ping,
    PingReceived,
    Request,
    RequestReceived,
    ResponseReceived,
)
from gate_p2p.session.errors import RequestError
from gate_p2p.session.link import Answer

from .memory import ACCEPTOR, DIALER, MemoryStream, run, stream_pair
from .one_link import VALUE, connected, create, start


def test_a_ping_without_a_pong_ends_at_its_timeout_or_with_the_connection() -> None:
    async def main() -> None:
        link, running, peer = await connected()
        with pytest.raises(RequestError, match="no Pong within 5 s") as caught:
            await link.ping()
        assert caught.value.code == "timed_out"
        pinging = asyncio.create_task(link.ping(60.0))
        await peer.until(PingReceived)
        peer.stream.close(4, "gone")
        with pytest.raises(RequestError, match="gone"):
            await pinging
        assert not link._pongs
        await running

    run(main())


def test_loss_of_the_connection_fails_what_is_pending() -> None:
    async def main() -> None:
        link, running, peer = await connected()
        asking = asyncio.create_task(link.request_dns_challenge_create("a.example", VALUE))
        await peer.until(RequestReceived)
        peer.stream.close(4, "gone")
        with pytest.raises(RequestError, match="gone"):
            await asking
        await running
        with pytest.raises(LocalProtocolError):
            await link.request_dns_challenge_create("a.example", VALUE)

    run(main())


def test_the_handler_of_a_lost_connection_is_cancelled() -> None:
    async def main() -> None:
        cancelled = asyncio.Event()

        async def endless(request: Request) -> Answer:
            try:
                await asyncio.sleep(1e6)
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return Answer()

        _, running, peer = await connected(endless)
        await peer.send(create("r1"))
        await asyncio.sleep(1)
        peer.stream.close(0)
        await running
        assert cancelled.is_set()

    run(main())


def test_after_a_violation_ready_answers_are_sent_then_the_code() -> None:
    async def main() -> None:
        async def soon(request: Request) -> Answer:
            await asyncio.sleep(0.5)
            return Answer()

        _, running, peer = await connected(soon)
        peer.core.request_dns_challenge_create("a.example", VALUE, 0.0)
        await peer.flush()
        await peer.stream.write(b"\0\0\0\0")
        await peer.until(ResponseReceived)
        assert await peer.stream.read() == b""
        assert (await running).code == CloseCode.PROTOCOL_VIOLATION
        assert peer.stream.closed is not None
        assert peer.stream.closed[:2] == (ACCEPTOR, CloseCode.PROTOCOL_VIOLATION)

    run(main())


def test_a_slow_answer_is_dropped_after_a_second_of_draining() -> None:
    async def main() -> None:
        async def slow(request: Request) -> Answer:
            await asyncio.sleep(30)
            return Answer()

        _, running, peer = await connected(slow)
        await peer.send(create("r1"))
        await peer.stream.finish()
        assert (await running).code == CloseCode.DONE
        assert asyncio.get_running_loop().time() == 1.0

    run(main())


def test_a_peer_that_does_not_read_is_not_read_from() -> None:
    async def main() -> None:
        link, running, peer = await connected()
        peer.stream.capacity = 20_000
        peer.stream.other.capacity = 100_000
        frame = b'{"type":"Ping","id":1}'
        flood = (len(frame).to_bytes(4, "big") + frame) * 20_000
        flooding = asyncio.create_task(peer.stream.write(flood))
        await asyncio.sleep(1)
        reads = peer.stream.other.reads
        await asyncio.sleep(1)
        assert peer.stream.other.reads == reads <= 2
        assert not flooding.done()
        # once it reads again, no Pong is missing (LV-03)
        received = bytearray()
        pong = b'{"type":"Pong","id":1}'
        while len(received) < 20_000 * (4 + len(pong)):
            received += await peer.stream.read()
        assert received == (len(pong).to_bytes(4, "big") + pong) * 20_000
        await flooding
        link.close()
        await running

    run(main())


def test_a_dead_peer_is_given_up_although_a_write_is_blocked() -> None:
    async def main() -> None:
        _, running, peer = await connected()
        peer.stream.capacity = 0
        await peer.send(Ping(id=1))
        terminated = await running
        assert terminated.code == CloseCode.TIMEOUT
        # 45 s of silence, and the second that the farewell gets
        assert asyncio.get_running_loop().time() == 46.0
        assert peer.stream.closed is not None
        assert peer.stream.closed[1] == CloseCode.TIMEOUT

    run(main())


def test_a_silent_peer_is_pinged() -> None:
    async def main() -> None:
        link, running, peer = await connected()
        await peer.take()
        assert asyncio.get_running_loop().time() == 15.0
        link.close()
        await running

    run(main())


def test_no_handshake_ends_the_link_with_code_3() -> None:
    async def main() -> None:
        ours, _ = stream_pair()[::-1]
        link, running = start(ours)
        assert not await link.wait_established()
        assert (await running).code == CloseCode.HANDSHAKE_FAILED
        assert asyncio.get_running_loop().time() == 10.0

    run(main())


def test_our_goodbye_finishes_the_stream_before_it_closes() -> None:
    async def main() -> None:
        link, running, peer = await connected()
        link.close(CloseCode.SHUTTING_DOWN, "bye")
        assert await peer.stream.read() == b""
        await running
        assert peer.stream.closed == (ACCEPTOR, CloseCode.SHUTTING_DOWN, "bye")

    run(main())


def test_a_cancelled_link_closes_its_transport() -> None:
    async def main() -> None:
        _, running, peer = await connected()
        running.cancel()
        await asyncio.wait({running})
        assert peer.stream.closed is not None
        assert peer.stream.closed[1] == CloseCode.SHUTTING_DOWN

    run(main())


def test_an_unexpected_error_of_the_transport_ends_the_link_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(MemoryStream):
        async def read(self, max_bytes: int = 65536) -> bytes:
            raise ZeroDivisionError("a bug")

    async def main() -> None:
        ours, theirs = stream_pair()[::-1]
        broken = Broken(ours._wire, ACCEPTOR, DIALER)
        broken.other = theirs
        _, running = start(broken)
        assert "a bug" in (await running).reason

    run(main())
    assert "unexpected" in caplog.text
