"""An endpoint: one identity, one pair of UDP sockets, any number of connections in both directions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from gate_p2p.address import NodeAddress, check_socket_address, is_unspecified
from gate_p2p.iroh.call import to_its_end
from gate_p2p.iroh.connection import IrohConnection, close_late
from gate_p2p.iroh.fast_io import wanted
from gate_p2p.iroh.generation import Generation, RawConnection, RawEndpoint, RawIncoming, load
from gate_p2p.transport import ALPN_CONTROL, BindError, DialError, TransportError

_log = logging.getLogger("gate_p2p.iroh")

# Handshakes under way and connections not yet taken by accept(): each may cost a task for 30 s.
# The first packet of a handshake may carry somebody else's address, and 256 of them would shut everybody out:
# past this number a sender has to show that it receives there (QUIC's Retry: a round trip, and nothing kept).
RETRY_HALF_OPEN = 32
# Past this one a flood is refused; about the burst of peers that come back after a restart.
MAX_HALF_OPEN = 256
CLOSE_WITHIN = 5.0  # seconds for iroh's own farewell; a peer that is gone must not hold up an exit


class Endpoint:
    """Made by `await Endpoint.bind(...)`; ended by `await aclose()`, which leaves no task behind."""

    def __init__(
        self, raw: RawEndpoint, alpns: Sequence[str], listen: str, *, unidirectional: bool = False
    ) -> None:
        self._raw = raw
        self._unidirectional = unidirectional
        self.node_id = raw.node_id
        # iroh lists its sockets in an order of its own: the asked-for IP family first
        six = listen.startswith("[")
        self._socket_addresses = sorted(raw.socket_addresses, key=lambda bound: bound.startswith("[") != six)
        self._alpns = tuple(alpns)
        self._connections: set[IrohConnection] = set()
        self._all: WeakSet[IrohConnection] = WeakSet()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._half_open = 0
        self._ready: asyncio.Queue[IrohConnection | None] = asyncio.Queue()  # see MAX_HALF_OPEN
        self._acceptor: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def bind(
        cls,
        secret_key: bytes | None = None,
        listen: str = "127.0.0.1:0",
        alpns: Sequence[str] = (ALPN_CONTROL,),
        *,
        fast_io: bool | None = None,
        unidirectional: bool = False,
        generation: Generation | None = None,
    ) -> Endpoint:
        """Bind `listen` (`ip:port`, port 0 takes a free one) and, in the other IP family, loopback alone.

        `secret_key`: 32 bytes, a new one when None. `fast_io`: whether `gate_p2p.iroh.fast_io` may be
        used; None: unless GATE_P2P_FAST_IO=0. `unidirectional`: whether streams of this kind wait for
        `beside.receive_unidirectional`; they are refused otherwise. Raises BindError (port in use, bad
        address, wrong key).
        """
        try:
            listen = check_socket_address(listen, port_zero=True)
        except ValueError as error:
            raise BindError(str(error)) from None
        generation = generation or load()
        fast_io = wanted() if fast_io is None else fast_io
        binding = asyncio.get_running_loop().create_task(
            _bind(generation, secret_key, listen, alpns, fast_io=fast_io)
        )
        try:
            raw = await to_its_end(binding)
        except asyncio.CancelledError:
            if not binding.cancelled() and binding.exception() is None:
                with suppress(TransportError):
                    await to_its_end(asyncio.get_running_loop().create_task(binding.result().close()))
            raise
        finally:
            del binding  # an error would hold this frame, and this frame the error, and with it the port
        return cls(raw, alpns, listen, unidirectional=unidirectional)

    @property
    def address(self) -> NodeAddress:
        """Where this endpoint can be dialled; a wildcard stands as the loopback address."""
        first = self._socket_addresses[0]
        if is_unspecified(first):
            port = first.rpartition(":")[2]
            first = f"[::1]:{port}" if first.startswith("[") else f"127.0.0.1:{port}"
        return NodeAddress(self.node_id, (first,))

    # -- dialling

    async def dial(self, address: NodeAddress, alpn: str, timeout: float = 30.0) -> IrohConnection:
        """Connect; raises DialError with a hint. `timeout` in seconds; iroh itself gives up after 30.

        Neither the time-out nor a cancelled caller cancels the connect: what comes late is closed.
        """
        if self._closing is not None:
            raise DialError("the endpoint is closed", "closed")
        connecting: asyncio.Task[RawConnection] = asyncio.get_running_loop().create_task(
            self._raw.connect(address.node_id, address.socket_addresses, alpn)
        )
        self._tasks.add(connecting)
        connecting.add_done_callback(self._tasks.discard)
        try:
            done, _ = await asyncio.wait({connecting}, timeout=timeout)
        except asyncio.CancelledError:
            connecting.add_done_callback(close_late)
            raise
        if not done:
            connecting.add_done_callback(close_late)
            raise DialError(
                f"cannot reach {address}: no answer in {timeout:g} s: {self._raw.no_answer}",
                "no_answer",
            )
        try:
            return self._connection(connecting.result())
        except DialError as error:
            raise DialError(f"cannot reach {address}: {error}", error.kind) from None
        finally:
            del connecting  # an error would hold this frame, and this frame the error, and with it the port

    def _connection(self, raw: RawConnection) -> IrohConnection:
        connection = IrohConnection(raw, unidirectional=self._unidirectional)
        self._connections.add(connection)
        self._all.add(connection)
        connection.on_idle(self._connections.discard)
        if self._closing is not None:
            connection.close(0)
        return connection

    # -- accepting

    async def accept(self) -> IrohConnection | None:
        """The next established connection, of any of the endpoint's ALPNs; None once the endpoint is closed.

        The first call starts accepting; cancelling loses no connection.
        """
        if self._closing is not None:
            return None
        if self._acceptor is None:
            self._acceptor = asyncio.get_running_loop().create_task(self._accept_on())
        connection = await self._ready.get()
        if connection is None:
            self._offer_end()  # another caller of accept() may be waiting too
        return connection

    async def _accept_on(self) -> None:
        while True:
            try:
                incoming = await self._raw.accept_next()
            except TransportError as error:
                _log.error("accepting ended: %s", error)
                break
            if incoming is None:
                break
            self._half_open += 1
            task = asyncio.get_running_loop().create_task(self._admit(incoming))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._offer_end()

    async def _admit(self, incoming: RawIncoming) -> None:
        try:
            waiting = self._half_open + self._ready.qsize()
            if waiting > RETRY_HALF_OPEN and not await incoming.validated():
                await incoming.retry()
                return
            if waiting > MAX_HALF_OPEN:
                _log.debug("an incoming connection was refused: %d wait already", MAX_HALF_OPEN)
                await incoming.refuse()
                return
            connection = self._connection(await incoming.establish())
            if not connection.closed:
                self._ready.put_nowait(connection)
        except TransportError as error:
            _log.debug("%s", error)
        finally:
            self._half_open -= 1

    def _offer_end(self) -> None:
        self._ready.put_nowait(None)

    # -- the end

    async def aclose(self) -> None:
        """Close every connection (code 0) and the endpoint, and wait until no iroh call is under way.

        Connections that deserve another code are closed by their owners before. Again waits for the same end;
        when the caller is cancelled, closing goes on without it.
        """
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        for connection in tuple(self._connections):
            connection.close(0)
        try:
            await self._raw.close()
        except TransportError as error:
            _log.error("%s", error)
        self._offer_end()
        while pending := self._pending():
            done, _ = await asyncio.wait(pending, timeout=CLOSE_WITHIN)
            if not done:
                _log.error("%d iroh calls did not end within %g s", len(pending), CLOSE_WITHIN)
                break
        for connection in self._all:
            connection.release()

    def _pending(self) -> set[asyncio.Future[Any]]:
        """What to wait for until no iroh call is under way."""
        acceptor: set[asyncio.Future[Any]] = (
            set() if self._acceptor is None or self._acceptor.done() else {self._acceptor}
        )
        return acceptor.union(self._tasks, *(connection.pending() for connection in self._connections))


async def _bind(
    generation: Generation, secret_key: bytes | None, listen: str, alpns: Sequence[str], *, fast_io: bool
) -> RawEndpoint:
    # Left to itself iroh takes the wildcard of the family that is not named.
    other = "127.0.0.1:0" if listen.startswith("[") else "[::1]:0"
    try:
        return await generation.bind(secret_key, (listen, other), alpns, fast_io=fast_io)
    except BindError as error:
        try:  # a machine without the other family
            raw = await generation.bind(secret_key, (listen,), alpns, fast_io=fast_io)
        except BindError as alone:
            raise alone from None
        if any(is_unspecified(bound) for bound in raw.socket_addresses) and not is_unspecified(listen):
            with suppress(TransportError):
                await raw.close()
            raise error from None
        return raw
