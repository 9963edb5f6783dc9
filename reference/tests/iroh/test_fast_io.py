"""Fast reads and writes: the same bytes, given up for anything that is not known, and nothing leaked."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import sys
import types
from importlib import metadata
from typing import Any

import iroh.iroh_ffi as ffi
import pytest

from gate_p2p.iroh import ALPN_CONTROL, IrohStream, TransportError
from gate_p2p.iroh import stream as stream_module
from gate_p2p.iroh.fast_io import KNOWN, SWITCH, Library, Readable, build, check, find, lowering, wanted
from gate_p2p.iroh.raw import FAST_WRITE, SLOW_WRITE, Stream

from .conftest import Bind, Streams

pytestmark = pytest.mark.iroh

VERSION = metadata.version("iroh")
MIB = 1024 * 1024
BLOB = bytes(range(256)) * (10 * MIB // 256 + 1)

DATA: dict[str, bytes | bytearray | memoryview] = {
    "empty": b"",
    "one byte": b"\x80",
    "bytes": BLOB[:1000],
    "a bytearray": bytearray(BLOB[:70_001]),
    "a view": memoryview(BLOB)[5:70_000],
    "a view with gaps": memoryview(BLOB)[:1000:3],
    "a view backwards": memoryview(BLOB)[:1000][::-1],
    "a view of wide elements": memoryview(BLOB[:1024]).cast("I"),
    "10 MiB": BLOB[: 10 * MIB],
}


def raw(stream: IrohStream) -> Stream:
    assert isinstance(stream._raw, Stream)
    return stream._raw


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096


async def write(stream: IrohStream, data: bytes) -> None:
    """One call of the library, past what the stream itself checks."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(_: None, error: TransportError | None) -> None:
        if error is None:
            over.set_result(None)
        else:
            over.set_exception(error)

    raw(stream).write(data, done, stream._calls)
    await over


async def read_all(stream: IrohStream, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = await stream.read()
        assert chunk
        data += chunk
    return bytes(data)


def test_the_installed_version_is_known() -> None:
    assert VERSION in KNOWN
    assert find() is not None


@pytest.mark.parametrize("name", DATA)
def test_the_buffer_is_the_one_that_the_package_makes(name: str) -> None:
    data = DATA[name]
    lower = lowering(ffi)
    found = []
    for buffer in (
        lower(data),
        # the package itself takes no views with gaps or wide elements, and takes half a minute for 10 MiB
        getattr(ffi, KNOWN[VERSION][0]).lower(bytes(data)[:100_000]),
    ):
        found.append(ctypes.string_at(buffer.data, buffer.len))
        buffer.free()
    ours, theirs = found
    assert ours == len(bytes(data)).to_bytes(4, "big") + bytes(data)
    assert theirs == ours or len(data) > 100_000


@pytest.mark.parametrize("name", DATA)
async def test_the_same_bytes_arrive(streams: Streams, name: str) -> None:
    left, right = await streams()
    data = DATA[name]
    fast_io = find()
    assert fast_io is not None
    reading = asyncio.create_task(read_all(right, len(bytes(data)) + 1))
    await fast_io.write_all(raw(left)._send, data)
    await fast_io.write_all(raw(left)._send, b".")
    assert await reading == bytes(data) + b"."


async def test_a_stream_takes_views_too(streams: Streams) -> None:
    left, right = await streams()
    for name in ("a bytearray", "a view with gaps", "a view of wide elements"):
        data: Any = DATA[name]
        expected = bytes(data)
        await left.write(data)
        assert await read_all(right, len(expected)) == expected


async def test_what_is_written_may_change_afterwards(streams: Streams) -> None:
    left, right = await streams()
    data: Any = bytearray(b"before")
    writing = asyncio.create_task(left.write(data))
    await asyncio.sleep(0)
    data[:] = b"after!"
    await writing
    assert await read_all(right, 6) == b"before"


@pytest.mark.parametrize("version", ["1.2.1", "1.3.0", "2.0.0", "0.35.1", "0.34.0", ""])
def test_a_version_that_is_not_known_is_left_alone(version: str) -> None:
    assert build(version, ffi) is None


def bindings(**changes: Any) -> types.ModuleType:
    """A copy of the bindings with other members; None takes one away."""
    copy = types.ModuleType("copy")
    copy.__dict__.update({**vars(ffi), **changes})
    for name, value in changes.items():
        if value is None:
            delattr(copy, name)
    return copy


class OtherFields(ctypes.Structure):
    _fields_ = [("len", ctypes.c_uint64), ("data", ctypes.POINTER(ctypes.c_char))]


class OtherBytes:
    @staticmethod
    def lower(data: bytes) -> Any:
        return lowering(ffi)(data + b"!")


@pytest.mark.parametrize(
    "changes",
    [
        {"_UniffiLib": None},
        {"_UniffiRustBuffer": None},
        {"_UniffiRustBuffer": OtherFields},
        {"_uniffi_rust_call": None},
        {"_uniffi_rust_call_async": None},
        {"_uniffi_rust_call_with_error": None},
        {"_uniffi_continuation_callback": None},
        {"_UniffiContinuationHandleMap": None},
        {"_UNIFFI_RUST_FUTURE_POLL_READY": None},
        {"IrohError": None},
        {"SendStream": object},
        {"RecvStream": object},
        {KNOWN[VERSION][0]: None},
        {KNOWN[VERSION][0]: OtherBytes},
        {KNOWN[VERSION][1]: None},
    ],
    ids=str,
)
def test_bindings_that_are_not_as_they_were_are_left_alone(
    changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert build(VERSION, bindings(**changes)) is None
    assert "no fast reads and writes" in caplog.text


def test_a_buffer_of_another_size_is_given_back() -> None:
    freed: list[object] = []

    class Buffer:
        len = 3

        def free(self) -> None:
            freed.append(self)

    lower = lowering(bindings(_uniffi_rust_call=lambda *_: Buffer()))
    with pytest.raises(MemoryError):
        lower(b"abc")
    assert len(freed) == 1


def test_the_check_frees_what_it_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    freed: list[object] = []

    class Counting:
        @staticmethod
        def lower(data: Readable) -> Any:
            buffer = lowering(ffi)(data)
            free = type(buffer).free
            made.append(buffer)
            monkeypatch.setattr(buffer, "free", lambda: freed.append(free(buffer)))
            return buffer

    check(Counting.lower, Counting)
    assert len(made) == len(freed) > 0


@pytest.mark.parametrize("switch", ["off", "environment"])
async def test_it_can_be_turned_off(bind: Bind, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    options: dict[str, Any] = {"fast_io": False if switch == "off" else None}
    if switch == "environment":
        monkeypatch.setenv(SWITCH, "0")
        assert not wanted()
    slow, fast = await bind(**options), await bind(fast_io=True)
    accepting = asyncio.create_task(fast.accept())
    dialled = await slow.dial(fast.address, ALPN_CONTROL)
    accepted = await accepting
    assert accepted is not None
    left = await dialled.open_stream()
    data = BLOB[:40_000]
    await left.write(data)
    right = await accepted.accept_stream()
    assert (raw(left).write_size, raw(right).write_size) == (SLOW_WRITE, FAST_WRITE)
    assert await read_all(right, len(data)) == data
    await right.write(data[::-1])
    assert await read_all(left, len(data)) == data[::-1]


async def test_no_memory_is_lost_with_many_writes(streams: Streams) -> None:
    left, right = await streams()
    piece = bytes(FAST_WRITE)

    async def send(number: int) -> None:
        reading = asyncio.create_task(read_all(right, len(piece)))
        for _ in range(number):
            await left.write(piece)
            await reading
            reading = asyncio.create_task(read_all(right, len(piece)))
        reading.cancel()

    await send(20)
    before = resident()
    await send(400)  # 100 MiB
    assert resident() - before < 25 * MIB


async def test_no_memory_is_lost_with_writes_that_fail(streams: Streams) -> None:
    left, _ = await streams()
    await left.finish()
    piece = bytes(MIB)

    async def fail(number: int) -> None:
        for _ in range(number):
            with pytest.raises(TransportError):
                await write(left, piece)

    await fail(5)
    before = resident()
    await fail(100)
    assert resident() - before < 25 * MIB


async def test_calls_that_are_over_at_once_do_not_recurse(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "READ_LEAST", 1)
    monkeypatch.setattr(stream_module, "READ_MOST", 1)
    left, right = await streams()
    raw(left).write_size = 1
    data = BLOB[: 3 * sys.getrecursionlimit()]
    await left.write(data)
    assert await read_all(right, len(data)) == data


async def test_a_copy_at_full_speed_lets_others_run(streams: Streams) -> None:
    left, right = await streams()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    reading = asyncio.create_task(read_all(right, 200 * 1000))
    for number in range(200):
        before = turns
        await left.write(BLOB[:1000])
        assert turns > before, number
    await reading
    before = turns
    await left.write(b"ab")
    while not right._chunks:
        await left.write(b"c")
    before = turns
    await right.read(1)
    await right.read(1)
    assert turns >= before + 2
    running.cancel()


async def test_an_error_that_nobody_expected_is_an_error_of_the_transport(
    streams: Streams, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left, right = await streams()
    fast_io = find()
    assert fast_io is not None

    def broken(buffer: Any) -> bytes:
        buffer.free()
        raise ValueError("junk")

    monkeypatch.setattr(fast_io, "_bytes", fast_io._bytes._replace(lift=broken))
    await left.write(b"x")
    assert await right.read() == b"x"  # by the call that was under way already
    await left.write(b"y")
    with pytest.raises(TransportError, match="junk"):
        await right.read()
    assert "unexpected" in caplog.text


async def test_threads_that_poll_elsewhere_wake_the_loop(streams: Streams) -> None:
    left, right = await streams()
    for number in range(200):
        reading = asyncio.create_task(right.read())
        await asyncio.sleep(0)
        await left.write(bytes([number]))
        assert await asyncio.wait_for(reading, 5) == bytes([number])


async def test_every_future_of_the_library_is_given_back(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = await streams()
    fast_io = find()
    assert fast_io is not None
    begun: list[int] = []
    freed: list[int] = []

    def counting(library: Library) -> Library:
        def free(future: int) -> None:
            freed.append(future)
            library.free(future)

        return library._replace(free=free)

    def begin(start: Any) -> Any:
        def started(*arguments: Any) -> int:
            future: int = start(*arguments)
            begun.append(future)
            return future

        return started

    for name in ("_nothing", "_bytes"):
        monkeypatch.setattr(fast_io, name, counting(getattr(fast_io, name)))
    for name in ("_start_write", "_start_read"):
        monkeypatch.setattr(fast_io, name, begin(getattr(fast_io, name)))
    for number in range(20):
        await left.write(bytes([number]))
        assert await right.read() == bytes([number])
    await left.finish()
    assert await right.read() == b""
    with pytest.raises(TransportError):
        await write(left, b"x")
    assert len(begun) > 40
    assert sorted(begun) == sorted(freed)
