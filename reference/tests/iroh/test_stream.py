"""Streams over real Iroh."""

from __future__ import annotations

import asyncio

import pytest

from gate_p2p.iroh import ConnectionLost, StreamReset, StreamStopped, TransportError

from .conftest import Connect, Streams

pytestmark = [
    pytest.mark.iroh,
    pytest.mark.parametrize("fast_io", [True, False], ids=["fast", "as the package does"]),
]


async def read_all(stream: object, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = await stream.read()  # type: ignore[attr-defined]
        assert chunk
        data += chunk
    return data


async def test_big_data_arrives_whole_both_ways_at_once(streams: Streams) -> None:
    left, right = await streams()
    blob = bytes(range(256)) * 2000
    results = await asyncio.gather(
        left.write(blob), right.write(blob[::-1]), read_all(right, len(blob)), read_all(left, len(blob))
    )
    assert results[2] == blob
    assert results[3] == blob[::-1]


async def test_small_reads_get_every_byte_in_order(streams: Streams) -> None:
    left, right = await streams()
    await left.write(b"abcdef")
    assert [await right.read(1) for _ in range(4)] == [b"a", b"b", b"c", b"d"]
    assert await right.read(65536) == b"ef"
    with pytest.raises(ValueError, match="at least 1"):
        await right.read(0)


async def test_writers_side_by_side_do_not_interleave(streams: Streams) -> None:
    left, right = await streams()
    parts = [bytes([65 + index]) * 40_000 for index in range(8)]
    await asyncio.gather(
        *(left.write(part) for part in parts), read := asyncio.create_task(read_all(right, 320_000))
    )
    assert read.result() == b"".join(parts)


async def test_a_cancelled_read_loses_nothing(streams: Streams) -> None:
    left, right = await streams()
    total = b""
    for number in range(300):
        await left.write(bytes([number % 256]))
        reading = asyncio.create_task(right.read())
        # zero, one or two turns of the loop: also in the very turn in which the bytes are ready
        for _ in range(number % 3):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
        if not reading.cancelled():
            total += reading.result()
    while len(total) < 300:
        total += await right.read()
    assert total == bytes(number % 256 for number in range(300))


async def test_a_cancelled_write_is_sent_all_the_same(streams: Streams) -> None:
    left, right = await streams()
    blob = bytes(3_000_000)  # more than the flow-control window takes at once
    writing = asyncio.create_task(left.write(blob))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait({writing})
    after = asyncio.create_task(left.write(b"end"))
    assert await read_all(right, len(blob) + 3) == blob + b"end"
    await after


async def test_two_readers_at_once_are_refused(streams: Streams) -> None:
    left, right = await streams()
    first = asyncio.create_task(right.read())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already"):
        await right.read()
    await left.write(b"x")
    assert await first == b"x"


async def test_the_clean_end_stays_the_clean_end(streams: Streams) -> None:
    left, right = await streams()
    await left.write(b"last")
    await left.finish()
    await left.finish()
    assert await right.read() == b"last"
    assert await right.read() == b""
    assert await right.read() == b""
    assert await left.wait_delivered(5.0)
    with pytest.raises(TransportError, match="ended"):
        await left.write(b"more")
    await right.write(b"the other direction is open")
    assert await left.read() == b"the other direction is open"


async def test_delivery_needs_no_reader_and_survives_the_close(connect: Connect) -> None:
    dialled, accepted = await connect()
    stream = await dialled.open_stream()
    await stream.write(b"x" * 10_000)
    await stream.finish()
    assert await stream.wait_delivered(5.0)
    dialled.close(1, "done")
    other = await accepted.accept_stream()
    assert await read_all(other, 10_000) == b"x" * 10_000
    assert (await accepted.wait_closed()).code == 1


async def test_delivery_to_a_peer_that_does_not_take_it_times_out(streams: Streams) -> None:
    left, _ = await streams()
    blocked = asyncio.create_task(left.write(bytes(10_000_000)))
    await asyncio.sleep(0)
    assert not await left.wait_delivered(0.05)
    blocked.cancel()
    await asyncio.wait({blocked})


async def test_a_reset_is_seen_with_its_code_by_every_later_read(streams: Streams) -> None:
    left, right = await streams()
    left.reset(7)
    for _ in range(2):
        with pytest.raises(StreamReset, match="code 7") as caught:
            await right.read()
        assert caught.value.code == 7
    with pytest.raises(TransportError, match="reset"):
        await left.write(b"x")


async def test_a_stop_is_seen_by_the_writer(streams: Streams) -> None:
    left, right = await streams()

    async def write_on() -> None:
        while True:
            await right.write(bytes(1000))

    # never read on the opener's side, so that no read holds the lock of its receiving half
    left.stop(9)
    with pytest.raises(StreamStopped) as caught:
        await write_on()
    assert caught.value.code == 9
    with pytest.raises(TransportError):
        await left.read()


@pytest.mark.parametrize(
    ("code", "reason"),
    [(0, ""), (5, ""), (42, "bye"), (1, "it says (code 7) here"), (2**62 - 1, "é\n")],
)
async def test_a_close_is_seen_with_code_and_reason_everywhere(
    connect: Connect, code: int, reason: str
) -> None:
    dialled, accepted = await connect()
    stream = await dialled.open_stream()
    await stream.write(b"x")
    other = await accepted.accept_stream()
    await other.read()
    waiting = [
        asyncio.create_task(call)
        for call in (other.read(), accepted.accept_stream(), other.write(bytes(5_000_000)))
    ]
    await asyncio.sleep(0)
    dialled.close(code, reason)
    await asyncio.wait(waiting)
    for task in waiting:
        error = task.exception()
        assert isinstance(error, ConnectionLost)
        assert (error.code, error.by_peer, error.reason) == (code, True, reason)
    info = await accepted.wait_closed()
    assert (info.code, info.by_peer, info.reason) == (code, True, reason)
    own = await dialled.wait_closed()
    assert (own.code, own.by_peer, own.reason) == (code, False, reason)
    with pytest.raises(ConnectionLost):
        await accepted.open_stream()


async def test_accepting_a_stream_may_be_cancelled(connect: Connect) -> None:
    dialled, accepted = await connect()
    for number in range(5):
        accepting = asyncio.create_task(accepted.accept_stream())
        await asyncio.sleep(0)
        accepting.cancel()
        await asyncio.wait({accepting})
        stream = await dialled.open_stream()
        await stream.write(bytes([number]))
        assert await (await accepted.accept_stream()).read() == bytes([number])


async def test_a_second_close_changes_nothing(connect: Connect) -> None:
    dialled, accepted = await connect()
    dialled.close(3, "first")
    dialled.close(4, "second")
    assert dialled.closed
    assert (await accepted.wait_closed()).code == 3
    accepted.close(9, "too late")
    assert (await accepted.wait_closed()).reason == "first"


async def test_a_stop_is_noticed_without_a_write(connect: Connect) -> None:
    dialled, accepted = await connect()
    left = await dialled.open_stream()
    await left.write(b"x")
    right = await accepted.accept_stream()
    waiting = asyncio.create_task(left.wait_stopped())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await left.write(b"y")  # not held up by the waiting
    right.stop(9)
    await asyncio.wait_for(waiting, 5)
    with pytest.raises(StreamStopped) as caught:
        await left.write(b"z")
    assert caught.value.code == 9
    await asyncio.wait_for(left.wait_stopped(), 5)


@pytest.mark.parametrize("how", ["reset", "finish", "close", "closed by the peer"])
async def test_waiting_for_a_stop_ends_with_the_stream(connect: Connect, how: str) -> None:
    dialled, accepted = await connect()
    stream = await dialled.open_stream()
    await stream.write(b"x")
    waiting = asyncio.create_task(stream.wait_stopped())
    await asyncio.sleep(0)
    if how == "reset":
        stream.reset(1)
    elif how == "finish":
        await stream.finish()
    else:
        (dialled if how == "close" else accepted).close(0)
    await asyncio.wait_for(waiting, 5)


async def test_waiting_for_a_stop_may_be_cancelled(streams: Streams) -> None:
    left, right = await streams()
    for turns in range(20):
        waiting = asyncio.create_task(left.wait_stopped())
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        await left.write(b"x")
        assert await right.read() == b"x"


async def test_a_stop_is_seen_without_a_write_and_writes_go_on_until_then(streams: Streams) -> None:
    opener, other = await streams()
    watch = asyncio.create_task(opener.wait_stopped())
    await asyncio.sleep(0.1)
    await opener.write(b"still taken")
    assert await other.read() == b"still taken"
    assert not watch.done()
    opener, other = await streams()
    watch.cancel()
    watch = asyncio.create_task(other.wait_stopped())
    await asyncio.sleep(0.1)
    opener.stop(7)
    async with asyncio.timeout(5):
        await watch
    with pytest.raises(StreamStopped):
        await other.write(b"too late")
