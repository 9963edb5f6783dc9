"""A node as a process: bind, print the address, run until a signal, close in order."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from typing import Any

from gate_p2p.address import NodeAddress
from gate_p2p.cli.failure import FAILED, UNREACHABLE, Failure
from gate_p2p.cli.output import Output
from gate_p2p.cli.registration import registering
from gate_p2p.core import CloseCode
from gate_p2p.session.session import P2PSession
from gate_p2p.transport import BindError, TransportError

_log = logging.getLogger("gate_p2p.cli")

Beside = Callable[[P2PSession], AbstractAsyncContextManager[Mapping[str, str]]]
"""What runs beside a session, and what the first line of --json says of it."""


def run_node(
    config: Mapping[str, Any],
    *,
    as_json: bool,
    relay: NodeAddress | None = None,
    keep_trying: bool = False,
    register: bool = False,
    beside: Sequence[Beside] = (),
    within: AbstractAsyncContextManager[object] | None = None,
) -> None:
    """Run a session with these arguments of P2PSession. Raises Failure (status 3: bind, unreachable).

    `register`: ask the relay for a domain after each handshake. `beside`: each entered once the session runs,
    left before it closes. `within`: entered before the session starts, left when it is closed.
    """

    async def run() -> None:
        async with within or nullcontext():
            await _run(config, as_json, relay, keep_trying, register, beside)

    asyncio.run(run())


async def _run(
    config: Mapping[str, Any],
    as_json: bool,
    relay: NodeAddress | None,
    keep_trying: bool,
    register: bool,
    beside: Sequence[Beside],
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    output = Output(as_json=as_json, on_gone=stop.set)
    session = P2PSession(**config)
    session.subscribe(output.event)
    try:
        await session.start()
    except BindError as error:
        raise Failure(str(error), UNREACHABLE) from None
    try:
        async with AsyncExitStack() as stack:
            more: dict[str, str] = {}
            for enter in beside:
                more |= await stack.enter_async_context(enter(session))
            output.listening(session.node_addr(), more)
            if relay is not None:
                if register:
                    asking = registering(session, relay.node_id, output.registered)
                    await stack.enter_async_context(asking)
                peer = await session.add_peer(relay, keep_trying=keep_trying)
                if not keep_trying:
                    await _first_attempt(peer.first_attempt(), stop)
            await stop.wait()
            _log.info("shutting down")
    finally:
        await session.aclose(CloseCode.SHUTTING_DOWN)
    if output.failure is not None:
        raise Failure(output.failure, FAILED)


async def _first_attempt(attempt: Any, stop: asyncio.Event) -> None:
    first = asyncio.ensure_future(attempt)
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({first, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not first.done():
        first.cancel()
        return
    try:
        first.result()
    except TransportError as error:
        raise Failure(f"{error} (--keep-trying dials on)", UNREACHABLE) from None
