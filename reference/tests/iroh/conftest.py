"""Endpoints on the loopback interface, closed after each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gate_p2p.iroh import ALPN_CONTROL, Endpoint, IrohConnection, IrohStream

Bind = Callable[..., Awaitable[Endpoint]]
Connect = Callable[[], Awaitable[tuple[IrohConnection, IrohConnection]]]
Streams = Callable[[], Awaitable[tuple[IrohStream, IrohStream]]]


@pytest.fixture
def fast_io() -> bool:
    """Whether endpoints read and write past the package's own calls; parametrised where both are tested."""
    return True


@pytest.fixture
async def bind(fast_io: bool) -> AsyncIterator[Bind]:
    """Binds endpoints; at the end of the test no task and no complaint of the loop may be left."""
    endpoints: list[Endpoint] = []
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
    before = asyncio.all_tasks()

    async def bind_one(**options: object) -> Endpoint:
        endpoint = await Endpoint.bind(**{"fast_io": fast_io, **options})  # type: ignore[arg-type]
        endpoints.append(endpoint)
        return endpoint

    yield bind_one
    for endpoint in endpoints:
        await endpoint.aclose()
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if not task.done()} - {asyncio.current_task()}
    assert not left
    assert not complaints


@pytest.fixture
def connect(bind: Bind) -> Connect:
    """A connection, seen from its dialer and from its acceptor."""

    async def connect_two() -> tuple[IrohConnection, IrohConnection]:
        dialer, acceptor = await bind(), await bind()
        accepting = asyncio.create_task(acceptor.accept())
        dialled = await dialer.dial(acceptor.address, ALPN_CONTROL)
        accepted = await accepting
        assert accepted is not None
        return dialled, accepted

    return connect_two


@pytest.fixture
def streams(connect: Connect) -> Streams:
    """A stream, seen from its opener and from its acceptor; one byte has gone over it."""

    async def open_one() -> tuple[IrohStream, IrohStream]:
        dialled, accepted = await connect()
        opener = await dialled.open_stream()
        await opener.write(b"!")
        other = await accepted.accept_stream()
        assert await other.read() == b"!"
        return opener, other

    return open_one
