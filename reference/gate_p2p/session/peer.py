"""A peer that this node dials, and dials again when the connection is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gate_p2p.address import NodeAddress
from gate_p2p.session.backoff import Backoff
from gate_p2p.transport import TransportError

_log = logging.getLogger("gate_p2p.session")

STEADY = 10.0  # seconds that a connection lasts before its loss is dialled again without the pauses of before

Connect = Callable[[NodeAddress, Callable[[bool], None]], Awaitable[str]]
"""`connect(address, connected)` dials and speaks, and returns why the connection ended.

It calls `connected(True)` after the handshake, `connected(False)` when the conversation is over. Raises
TransportError when there was no connection, or it was lost before the stream was open.
"""


class Peer:
    """The handle that `P2PSession.add_peer` returns: a peer that is dialled until it is removed.

    `node_id`: the peer's id, 64 lowercase hex.
    """

    def __init__(
        self,
        address: NodeAddress,
        connect: Connect,
        on_failed: Callable[[str, float], None],
        backoff: Backoff | None = None,
        *,
        keep_trying: bool = True,
    ) -> None:
        """`on_failed(reason, retry_in)` hears of each end after which a dial follows, in `retry_in` seconds.

        Without `keep_trying` a first dial that fails is the last.
        """
        self._address = address
        self._moved = asyncio.Event()  # there is an address that has not been dialled yet
        self.node_id = address.node_id
        self._connect = connect
        self._on_failed = on_failed
        self._backoff = backoff or Backoff()
        self._keep_trying = keep_trying
        self._removed = False
        self._connected = asyncio.Event()
        self._since = 0.0
        self._loop = asyncio.get_running_loop()
        self._first: asyncio.Future[TransportError | None] = self._loop.create_future()
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._over)

    @property
    def address(self) -> NodeAddress:
        """Where the next dial goes; setting another one ends the pause before it."""
        return self._address

    @address.setter
    def address(self, address: NodeAddress) -> None:
        if address != self._address:
            self._address = address
            self._moved.set()

    def keep_trying(self) -> None:
        """Let a dial that fails not be the last."""
        self._keep_trying = True

    @property
    def given_up(self) -> bool:
        """Whether no more dials follow."""
        return self._task.done()

    @property
    def connected(self) -> bool:
        """Whether a connection that we dialled is established at this moment."""
        return self._connected.is_set()

    async def wait_connected(self) -> None:
        """Wait until the handshake is done, however many dials it takes. Cancelling is safe.

        Raises TransportError when no more dials follow: the peer was removed, the session closed, or the
        first dial failed and was to be the last.
        """
        if not self._connected.is_set():
            connected = self._loop.create_task(self._connected.wait())
            try:
                await asyncio.wait({connected, self._task}, return_when=asyncio.FIRST_COMPLETED)
                if connected.done():
                    return
            finally:
                connected.cancel()
            await self.first_attempt()
            raise self._no_more()

    async def first_attempt(self) -> None:
        """Wait for the first dial; raises its TransportError when it failed."""
        error = await asyncio.shield(self._first)
        if error is not None:
            raise error.with_traceback(None)

    async def _run(self) -> None:
        while not self._removed:
            self._moved.clear()
            try:
                reason = await self._connect(self._address, self._is_connected)
            except TransportError as error:
                reason = str(error)
                self._settle_first(error)
            self._is_connected(False)
            self._settle_first(TransportError(f"{self._address} ended the handshake: {reason}"))
            moved = self._moved.is_set()
            if not (self._keep_trying or moved) or self._removed:
                return
            delay = 0.0 if moved else self._backoff.next_delay()
            self._on_failed(reason, delay)
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._moved.wait()
                    self._backoff.reset()  # what failed was the old address

    def _is_connected(self, now: bool) -> None:
        if now:
            self._since = self._loop.time()
            self._keep_trying = True
            self._connected.set()
            self._settle_first(None)
        elif self._connected.is_set():
            self._connected.clear()
            # one that is gone at once, again and again, is not dialled every half second for ever
            if self._loop.time() - self._since >= STEADY:
                self._backoff.reset()

    def _settle_first(self, error: TransportError | None) -> None:
        if not self._first.done():
            if error is not None:
                error.__traceback__ = None  # it would keep the frames of the dial for as long as this handle
            self._first.set_result(error)

    def _no_more(self) -> TransportError:
        return TransportError(f"{self._address} is not dialled any more")

    def _over(self, task: asyncio.Task[None]) -> None:
        self._connected.clear()
        self._settle_first(self._no_more())
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s: dialling ended in an unexpected way", self.address, exc_info=error)

    def dial_no_more(self) -> None:
        """Let the connection that there is, or the dial under way, be the last."""
        self._removed = True

    async def aclose(self) -> None:
        """Dial no more, and end the dial or the connection that there is."""
        self._removed = True
        self._task.cancel()
        await asyncio.wait({self._task})
