"""The link over a stream in memory, in virtual time."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gate_p2p.core import (
    CloseCode,
    DnsChallengeCreate,
    Established,
    Event,
    LocalProtocolError,
    PingReceived,
    PongReceived,
    Request,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    Terminated,
)
from gate_p2p.core.messages import DnsChallengeResponse
from gate_p2p.session.errors import RequestError
from gate_p2p.session.link import Answer

from .memory import Peer, run, stream_pair
from .one_link import VALUE, connected, create, start


def test_two_links_shake_hands_and_a_request_gets_its_answer() -> None:
    async def main() -> None:
        seen: list[Request] = []

        async def handle(request: Request) -> Answer:
            seen.append(request)
            return Answer()

        left, right = stream_pair()
        dialer, dialling = start(left, role="dialer")
        _, accepting = start(right, handle=handle)
        assert await dialer.wait_established()
        await dialer.request_dns_challenge_create("a.example", VALUE)
        await dialer.request_dns_challenge_cleanup("a.example")
        assert [type(request).__name__ for request in seen] == ["DnsChallengeCreate", "DnsChallengeCleanup"]
        dialer.close()
        assert (await dialling).code == CloseCode.DONE
        assert (await accepting).code == CloseCode.DONE

    run(main())


def test_a_ping_tells_the_time_until_its_pong() -> None:
    async def main() -> None:
        link, running, peer = await connected()
        pinging = asyncio.create_task(link.ping())
        await asyncio.sleep(0.25)
        await peer.until(PingReceived)
        assert await pinging == 0.25
        link.close()
        await running
        with pytest.raises(LocalProtocolError):
            await link.ping()

    run(main())


def test_a_refusal_raises_with_its_code_and_text() -> None:
    async def main() -> None:
        async def refuse(request: Request) -> Answer:
            return Answer("not that one", "not_authorised")

        left, right = stream_pair()
        dialer, dialling = start(left, role="dialer")
        _, accepting = start(right, handle=refuse)
        await dialer.wait_established()
        with pytest.raises(RequestError, match="not that one") as caught:
            await dialer.request_dns_challenge_create("a.example", VALUE)
        assert caught.value.code == "not_authorised"
        dialer.close()
        await asyncio.wait({dialling, accepting})

    run(main())


def test_a_response_without_a_code_means_failed() -> None:
    async def main() -> None:
        link, running, peer = await connected()
        asking = asyncio.create_task(link.request_dns_challenge_create("a.example", VALUE))
        received = await peer.until(RequestReceived)
        assert isinstance(received, RequestReceived)
        request_id = received.request.request_id
        await peer.send(DnsChallengeResponse(request_id=request_id, success=False))
        with pytest.raises(RequestError) as caught:
            await asking
        assert caught.value.code == "failed"
        link.close()
        await running

    run(main())


def test_a_handler_that_raises_is_a_failure_response_and_a_log_entry(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        async def broken(request: Request) -> Answer:
            raise ValueError("secret detail")

        link, running, peer = await connected(broken)
        await peer.send(create("r1"))
        peer.core._pending.add(create("r1"), 1e9)
        response = await peer.until(ResponseReceived)
        assert isinstance(response, ResponseReceived)
        assert isinstance(response.response, DnsChallengeResponse)
        assert not response.response.success
        assert "secret" not in (response.response.error or "")
        assert link.connection.established
        link.close()
        await running

    with caplog.at_level(logging.ERROR):
        run(main())
    assert "secret detail" in caplog.text
    assert "the handler of DnsChallengeCreate 'r1' failed" in caplog.text
    assert VALUE not in caplog.text  # a request may be long


@pytest.mark.parametrize("answer", [Answer(domain="a.example"), Answer("no", code="\ud800"), None])
def test_whatever_a_handler_says_the_request_is_answered(answer: Answer | None) -> None:
    """An answer that cannot be sent, and the end of something that the handler waited for."""

    async def main() -> None:
        async def odd(request: Request) -> Answer:
            if answer is not None:
                return answer
            inner: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            inner.cancel()
            return await inner

        link, running, peer = await connected(odd)
        peer.core.request_dns_challenge_create("a.example", VALUE, 0.0)
        await peer.flush()
        response = await peer.until(ResponseReceived)
        assert isinstance(response, ResponseReceived)
        assert isinstance(response.response, DnsChallengeResponse)
        assert not response.response.success
        assert link.connection.in_flight == 0
        link.close()
        await running

    run(main())


def test_ping_is_answered_while_a_handler_works() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def slow(request: Request) -> Answer:
            await asyncio.sleep(6.5)
            return Answer()

        link, running, peer = await connected(slow)
        asked = loop.time()
        peer.core.request_dns_challenge_create("a.example", VALUE, asked)
        peer.core.ping(asked)
        await peer.flush()
        await peer.until(PongReceived)
        assert loop.time() == asked
        await peer.until(ResponseReceived)
        assert loop.time() == asked + 6.5
        link.close()
        await running

    run(main())


def test_slow_requests_run_side_by_side() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def by_name(request: Request) -> Answer:
            assert isinstance(request, DnsChallengeCreate)
            await asyncio.sleep(3 if request.domain == "slow.example" else 0)
            return Answer()

        link, running, peer = await connected(by_name)
        peer.core.request_dns_challenge_create("slow.example", VALUE, loop.time())
        fast = peer.core.request_dns_challenge_create("fast.example", VALUE, loop.time())
        await peer.flush()
        first = await peer.until(ResponseReceived)
        assert isinstance(first, ResponseReceived)
        assert first.request_id == fast
        assert loop.time() == 0
        await peer.until(ResponseReceived)
        assert loop.time() == 3
        link.close()
        await running

    run(main())


def test_a_request_without_an_answer_times_out_and_its_late_answer_is_swallowed() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        link, running, peer = await connected()
        asking = asyncio.create_task(link.request_dns_challenge_create("a.example", VALUE, timeout=2))
        received = await peer.until(RequestReceived)
        assert isinstance(received, RequestReceived)
        with pytest.raises(RequestError) as caught:
            await asking
        assert caught.value.code == "timed_out"
        assert loop.time() == 2
        peer.core.answer_success(received.request.request_id, loop.time())
        peer.core.ping(loop.time())
        await peer.flush()
        await peer.until(PongReceived)
        assert not link._futures
        link.close()
        await running

    run(main())


def test_cancelling_a_waiter_leaves_nothing_and_harms_nobody() -> None:
    async def main() -> None:
        link, running, peer = await connected()
        asking = asyncio.create_task(link.request_dns_challenge_create("a.example", VALUE))
        received = await peer.until(RequestReceived)
        assert isinstance(received, RequestReceived)
        asking.cancel()
        await asyncio.wait({asking})
        assert not link._futures
        assert link.connection.pending == 0
        peer.core.answer_success(received.request.request_id, 0.0)
        peer.core.ping(0.0)
        await peer.flush()
        await peer.until(PongReceived)
        link.close()
        await running

    run(main())


def test_events_reach_the_subscriber_in_order() -> None:
    async def main() -> None:
        events: list[Event] = []
        ours, theirs = stream_pair()[::-1]
        link, running = start(ours, on_event=events.append)
        peer = Peer(theirs)
        await peer.flush()
        await peer.until(Established)
        asking = asyncio.create_task(link.request_dns_challenge_create("a.example", VALUE))
        await peer.until(RequestReceived)
        link.close()
        await asyncio.wait({running, asking})
        assert isinstance(asking.exception(), RequestError)
        assert [type(event) for event in events] == [Established, RequestFailed, Terminated]

    run(main())


def test_a_handler_that_never_answers_is_ended_after_300_s_with_timed_out() -> None:
    async def main() -> None:
        async def stuck(request: Request) -> Answer:
            await asyncio.Event().wait()
            return Answer()

        link, running, peer = await connected(stuck)
        peer.core.request_dns_challenge_create("a.example", VALUE, 0.0)
        await peer.flush()
        response = await peer.until(ResponseReceived)
        assert isinstance(response, ResponseReceived)
        assert isinstance(response.response, DnsChallengeResponse)
        assert (response.response.success, response.response.code) == (False, "timed_out")
        assert asyncio.get_running_loop().time() == 300
        assert not link._handlers
        link.close()
        await running

    run(main())
