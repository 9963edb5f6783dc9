"""A node for the time of one request: dial, ask, print, leave."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from gate_p2p.address import NodeAddress
from gate_p2p.cli.failure import FAILED, UNREACHABLE, Failure
from gate_p2p.cli.keyfile import load_or_create
from gate_p2p.cli.options import listen_for
from gate_p2p.core import GateError, LocalProtocolError, MissingCapabilityError
from gate_p2p.session.session import P2PSession
from gate_p2p.transport import ConnectionLost, TransportError

NOTHING_CAME = "nothing of the answer had come; nodes of version 0.1.0 lose answers so"
NO_INFERENCE = "the node serves no inference: it does not advertise it"
READER_GONE = 141  # what a shell reports of a command that SIGPIPE ended


Call = Callable[[P2PSession, str], Awaitable[None]]


def ask(address: str, key: Path | None, call: Call, *, lacks: str) -> None:
    """Connect to `address` and run `call(session, peer_id)`.

    `lacks`: the words for a node that does not advertise what is asked for.
    Raises Failure: status 1 when the call fails, 2 for a bad address or request, 3 when the node cannot be
    reached. Exits with 128 and the number of the signal that came.
    """
    try:
        peer = NodeAddress.parse(address)
    except ValueError as error:
        raise Failure(str(error)) from None
    secret_key = None if key is None else load_or_create(key)
    status = asyncio.run(_until_signal(_ask(peer, secret_key, call, lacks)))
    if status:
        raise SystemExit(status)


async def _until_signal(work: Awaitable[None]) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    status = 0

    def interrupt(number: int) -> None:
        nonlocal status
        status = 128 + number
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt, number)
    try:
        await task
    except asyncio.CancelledError:
        if not status:
            raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at the exit
        return READER_GONE
    return status


async def _ask(peer: NodeAddress, secret_key: bytes | None, call: Call, lacks: str) -> None:
    session = P2PSession(listen=listen_for(peer), secret_key=secret_key)
    try:
        try:
            await session.start()
            handle = await session.add_peer(peer, keep_trying=False)
            await handle.first_attempt()
        except TransportError as error:
            raise Failure(str(error), UNREACHABLE) from None
        try:
            await call(session, peer.node_id)
        except MissingCapabilityError:
            raise Failure(lacks, FAILED) from None
        except LocalProtocolError as error:
            raise Failure(str(error)) from None
        except ConnectionLost as error:
            raise Failure(f"{error}; {NOTHING_CAME}", FAILED) from None
        except GateError as error:
            raise Failure(str(error), FAILED) from None
    finally:
        await session.aclose()


def write(text: str) -> None:
    """Print a piece of text at once. On a terminal what does not print is escaped: a peer chose the text."""
    if sys.stdout.isatty():
        text = "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text)
    with suppress(AttributeError):
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout.write(text)
    sys.stdout.flush()
