"""The clock that jumps."""

from __future__ import annotations

import asyncio
import time

from gate_conformance.virtual_time import VirtualLoop, run_virtual, shut_down


def test_an_hour_takes_no_time() -> None:
    async def work() -> float:
        start = asyncio.get_running_loop().time()
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time() - start

    real = time.monotonic()
    assert 3600 <= run_virtual(work()) < 3600.1
    assert time.monotonic() - real < 5


def test_timers_fire_in_order_at_their_times() -> None:
    fired: list[tuple[str, float]] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append((name, round(asyncio.get_running_loop().time(), 1)))

    async def work() -> None:
        await asyncio.gather(wait("late", 45), wait("early", 5), wait("middle", 15.5))

    run_virtual(work())
    assert fired == [("early", 5.0), ("middle", 15.5), ("late", 45.0)]


def test_a_task_that_never_waits_does_not_stop_the_clock() -> None:
    async def spin() -> None:
        while True:  # noqa: ASYNC110 - the point of the test
            await asyncio.sleep(0)

    async def work() -> bool:
        task = asyncio.create_task(spin())
        await asyncio.sleep(0.05)
        task.cancel()
        return True

    assert run_virtual(work())


def test_what_is_left_over_is_cancelled() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def work() -> None:
        asyncio.get_running_loop().create_task(forever())
        await asyncio.sleep(1)

    run_virtual(work())
    assert ended == ["cancelled"]


def test_time_stands_still_between_runs() -> None:
    loop = VirtualLoop()
    loop.run_until_complete(asyncio.sleep(2))
    first = loop.time()
    assert loop.time() == first
    shut_down(loop)
