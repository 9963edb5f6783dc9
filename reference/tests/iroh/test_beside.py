"""Unidirectional streams: refused as they come, or received where an endpoint is told so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gate_p2p.iroh import ALPN_CONTROL
from gate_p2p.iroh.beside import receive_unidirectional, send_unidirectional

from .conftest import Bind, Connect

pytestmark = pytest.mark.iroh


async def test_those_of_a_peer_are_stopped_without_being_read(connect: Connect) -> None:
    dialled, accepted = await connect()
    for ours in (dialled, accepted):
        raw: Any = ours.raw
        for _ in range(3):
            stream = await raw._connection.open_uni()
            await stream.write_all(b"x")
            assert await stream.stopped() == 1
    assert not dialled.closed
    assert not accepted.closed


async def test_an_endpoint_that_is_told_so_receives_them(bind: Bind) -> None:
    dialer, acceptor = await bind(), await bind(unidirectional=True)
    accepting = asyncio.create_task(acceptor.accept())
    dialled = await dialer.dial(acceptor.address, ALPN_CONTROL)
    accepted = await accepting
    assert accepted is not None
    assert await send_unidirectional(dialled, b"hello")
    assert await receive_unidirectional(accepted) == b"hello"
