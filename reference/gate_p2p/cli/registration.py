"""The daemon's --register: it asks its relay for a domain after each handshake."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from gate_p2p.core import FailureCode, GateError
from gate_p2p.session.backoff import Backoff
from gate_p2p.session.errors import RequestError
from gate_p2p.session.events import PeerCapabilities, PeerConnected, SessionEvent
from gate_p2p.session.session import P2PSession

_log = logging.getLogger("gate_p2p.cli")

# The same question gets the same answer until the relay is another one, or has changed (RQ-08).
FINAL: Final = frozenset({FailureCode.MALFORMED, FailureCode.NOT_AUTHORISED, FailureCode.UNSUPPORTED})
FIRST_RETRY: Final = 2.0  # seconds, and twice as long each time
LONGEST_RETRY: Final = 600.0


@asynccontextmanager
async def registering(
    session: P2PSession, relay_id: str, registered: Callable[[str, str], None]
) -> AsyncIterator[None]:
    """Ask whenever the relay is connected anew, and again when that fails; `registered(relay_id, domain)`."""
    ready = asyncio.Event()

    def on_event(event: SessionEvent) -> None:
        if isinstance(event, PeerConnected | PeerCapabilities) and event.peer_id == relay_id:
            ready.set()

    async def ask_for_ever() -> None:
        while True:
            await ready.wait()
            ready.clear()
            backoff = Backoff(FIRST_RETRY, LONGEST_RETRY)
            while relay_id in session.list_peers():  # without it, the next handshake is waited for
                try:
                    domain = await session.request_domain_registration(relay_id)
                except GateError as error:
                    code = error.code if isinstance(error, RequestError) else FailureCode.FAILED
                    if code in FINAL:
                        _log.warning("the relay gives this node no domain: %s (%s)", error, code)
                        break
                    delay = backoff.next_delay()
                    _log.warning("no domain yet: %s (%s); asking again in %.0f s", error, code, delay)
                    try:
                        async with asyncio.timeout(delay):
                            await ready.wait()
                        break
                    except TimeoutError:
                        continue
                _log.info("registered as %s", domain)
                registered(relay_id, domain)
                break

    unsubscribe = session.subscribe(on_event)
    asking = asyncio.get_running_loop().create_task(ask_for_ever())
    try:
        yield
    finally:
        unsubscribe()
        asking.cancel()
        await asyncio.wait({asking})
