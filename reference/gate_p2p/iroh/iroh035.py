"""iroh 0.35 behind the generation protocols: for peers that speak nothing newer.

What differs from 1.x and cannot be helped from Python:

* It accepts by calling back, on one event loop of the process; a second loop at the same time is a BindError.
* A connection is established before this side is asked, so refusing one means closing it (code 5), and the
  handshakes under way are iroh's own affair: no sender is asked to prove its address (QUIC's Retry).
* It hears nothing of a wrong id: that is no answer, after 30 s, as for a dead port.
* Its relays cannot be disabled: it looks for them and for a gateway. It serves its own protocols (blobs) too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from gate_p2p.iroh.ed25519 import public_key
from gate_p2p.iroh.raw import Connection, first_line
from gate_p2p.iroh.words import bind_error, check_key, dial_error, port_in_use
from gate_p2p.transport import BindError, DialError, TransportError

iroh: Any = import_module("iroh")  # the types of 1.x would be wrong here

NO_ANSWER = "is the node running, its id and its port right, and UDP let through?"
MAX_WAITING = 256  # connections that nobody has taken yet; the next are closed
REFUSED = 5  # close code: a connection that the peer may not have


class CallbackLoop:
    """The loop of the process that iroh calls back on, and how many endpoints are open on it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = 0

    def enter(self) -> None:
        """An endpoint is about to be bound on the running loop; raises BindError when that cannot be."""
        running = asyncio.get_running_loop()
        if self._loop is not running:
            if self._loop is not None and not self._loop.is_closed():
                raise BindError("iroh 0.35 serves one event loop: an endpoint is still open on another one")
            self._loop, self._open = running, 0
            iroh.iroh_ffi.uniffi_set_event_loop(running)
        self._open += 1

    def leave(self) -> None:
        """An endpoint of the running loop is closed."""
        self._open -= 1
        if not self._open:
            self._loop = None
            iroh.iroh_ffi.uniffi_set_event_loop(None)


callback_loop = CallbackLoop()


class Incoming:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def establish(self) -> Connection:
        return self._connection

    async def refuse(self) -> None:
        self._connection.close(REFUSED, b"too many connections")

    async def validated(self) -> bool:
        """Who has finished a handshake receives where it sends from."""
        return True

    async def retry(self) -> None:
        """Never called."""


class Acceptor:
    """What iroh calls back: the creator of a protocol's handler, and that handler."""

    def __init__(self, *, fast_io: bool) -> None:
        self._fast_io = fast_io
        self._waiting: asyncio.Queue[Connection | None] = asyncio.Queue()  # see MAX_WAITING
        self._ended = False

    def create(self, endpoint: Any) -> Acceptor:
        return self

    async def accept(self, connection: Any) -> None:
        accepted = _connection(connection, fast_io=self._fast_io)
        if self._ended or self._waiting.qsize() >= MAX_WAITING:
            accepted.close(REFUSED, b"nobody accepts")
        else:
            self._waiting.put_nowait(accepted)  # kept: without a reference the connection would end

    async def shutdown(self) -> None:
        self.end()

    def end(self) -> None:
        self._ended = True
        self._waiting.put_nowait(None)

    async def next(self) -> Connection | None:
        connection = await self._waiting.get()
        if connection is None:
            self._waiting.put_nowait(None)
        return connection


class Endpoint:
    no_answer = NO_ANSWER

    def __init__(
        self, node: Any, socket_addresses: Sequence[str], acceptor: Acceptor, *, fast_io: bool
    ) -> None:
        self._node = node
        self._endpoint = node.node().endpoint()
        self._acceptor = acceptor
        self._fast_io = fast_io
        self.node_id: str = self._endpoint.node_id()
        self.socket_addresses = tuple(socket_addresses)

    async def connect(self, node_id: str, socket_addresses: Sequence[str], alpn: str) -> Connection:
        if self._node is None:
            raise DialError("the endpoint is closed", "closed")
        try:
            address = iroh.NodeAddr(iroh.PublicKey.from_string(node_id), None, list(socket_addresses))
            connection = await self._endpoint.connect(address, alpn.encode())
            return _connection(connection, fast_io=self._fast_io)
        except iroh.IrohError as error:
            raise dial_error(error.message(), alpn, NO_ANSWER) from None

    async def accept_next(self) -> Incoming | None:
        connection = await self._acceptor.next()
        return None if connection is None else Incoming(connection)

    async def close(self) -> None:
        if self._node is None:
            return
        node, self._node = self._node, None
        self._acceptor.end()
        try:
            await node.node().shutdown()
        except iroh.IrohError as error:
            raise TransportError(f"the endpoint was not closed in order: {first_line(error)}") from None
        finally:
            self._endpoint = None  # the port stays taken until these objects are collected
            callback_loop.leave()


def _connection(connection: Any, *, fast_io: bool) -> Connection:
    return Connection(connection, connection.remote_node_id(), connection.alpn() or b"", fast_io=fast_io)


def node_id_of(secret_key: bytes) -> str:
    """The id that belongs to 32 bytes of secret key; this iroh's package cannot tell it."""
    return public_key(secret_key).hex()


async def bind(
    secret_key: bytes | None, socket_addresses: Sequence[str], alpns: Sequence[str], *, fast_io: bool
) -> Endpoint:
    """Bind these socket addresses, with no discovery."""
    check_key(secret_key)
    callback_loop.enter()
    acceptor = Acceptor(fast_io=fast_io)
    options = iroh.NodeOptions(
        node_discovery=iroh.NodeDiscoveryConfig.NONE,
        ipv4_addr=next((address for address in socket_addresses if not address.startswith("[")), None),
        ipv6_addr=next((address for address in socket_addresses if address.startswith("[")), None),
        secret_key=secret_key,
        protocols={alpn.encode(): acceptor for alpn in alpns},
    )
    try:
        node = await iroh.Iroh.memory_with_options(options)
        bound = (await node.node().status()).listen_addrs()
    except iroh.IrohError as error:
        callback_loop.leave()
        raise bind_error(socket_addresses, first_line(error)) from None
    endpoint = Endpoint(node, bound, acceptor, fast_io=fast_io)
    for address in socket_addresses:  # a port in use: this iroh takes another one and says nothing
        if not address.endswith(":0") and address not in bound:
            with suppress(TransportError):
                await endpoint.close()
            raise port_in_use(address)
    return endpoint
