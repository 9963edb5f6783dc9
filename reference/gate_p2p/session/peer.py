"""A peer that this node dials, and dials again when the connection is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gate_p2p.address import NodeAddress
from gate_p2p.session.backoff import Backoff
from gate_p2p.transport import TransportError


class Peer:
    """The handle that `P2PSession.add_peer` returns.

    `connect(address, established)` dials, calls `established` after the handshake, and returns why the
    connection ended; it raises TransportError when there was none. `on_failed(error, retry_in)` hears of it.
    Without `keep_trying` a first dial that fails is the last.
    """

    def __init__(
        self,
        address: NodeAddress,
        connect: Callable[[NodeAddress, Callable[[], None]], Awaitable[str]],
        on_failed: Callable[[str, float], None],
        backoff: Backoff | None = None,
        *,
        keep_trying: bool = True,
    ) -> None:
        self.address = address
        self.node_id = address.node_id
        self._connect = connect
        self._on_failed = on_failed
        self._backoff = backoff or Backoff()
        self._keep_trying = keep_trying
        self._removed = False
        self._connected = asyncio.Event()
        self._first: asyncio.Future[TransportError | None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def given_up(self) -> bool:
        """Whether no more dials follow."""
        return self._task.done()

    @property
    def connected(self) -> bool:
        """Whether the handshake on this peer's current connection is done."""
        return self._connected.is_set()

    async def wait_connected(self) -> None:
        """Wait until the handshake is done, however many dials it takes. Cancelling is safe.

        Raises TransportError when no more dials follow: the peer was removed, the session closed, or the
        first dial failed and was to be the last.
        """
        connected = asyncio.get_running_loop().create_task(self._connected.wait())
        try:
            await asyncio.wait({connected, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            connected.cancel()
        if not self._connected.is_set():
            await self.first_attempt()
            raise TransportError(f"{self.address} is not dialled any more")

    async def first_attempt(self) -> None:
        """Wait for the first dial; raises its TransportError when it failed."""
        error = await asyncio.shield(self._first)
        if error is not None:
            raise error

    async def _run(self) -> None:
        while True:
            try:
                reason = await self._connect(self.address, self._established)
            except TransportError as error:
                reason = str(error)
                self._settle_first(error)
            if self._connected.is_set():
                self._connected.clear()
            else:
                self._settle_first(TransportError(f"{self.address} ended the handshake: {reason}"))
            if self._removed or not self._keep_trying:
                return
            delay = self._backoff.next_delay()
            self._on_failed(reason, delay)
            await asyncio.sleep(delay)

    def _established(self) -> None:
        self._connected.set()
        self._backoff.reset()
        self._keep_trying = True
        self._settle_first(None)

    def _settle_first(self, error: TransportError | None) -> None:
        if not self._first.done():
            self._first.set_result(error)

    def dial_no_more(self) -> None:
        """Let the connection that there is, or the dial under way, be the last."""
        self._removed = True

    async def aclose(self) -> None:
        """Dial no more. The connection, if there is one, is closed by the session before."""
        self._removed = True
        self._task.cancel()
        await asyncio.wait({self._task})
        self._settle_first(TransportError(f"{self.address} is not dialled any more"))
