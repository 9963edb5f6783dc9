"""iroh 1.x behind the generation protocols."""

from __future__ import annotations

from collections.abc import Sequence

import iroh

from gate_p2p.iroh.raw import Connection, first_line
from gate_p2p.iroh.words import bind_error, check_key, dial_error
from gate_p2p.transport import DialError, TransportError

NO_ANSWER = (
    "is the node running, the port right and UDP let through? "
    "Or it may speak Iroh 0.35, which answers no Iroh 1.x dialer: install iroh==0.35.0 here for such peers"
)


def _connection(connection: iroh.Connection, *, fast_io: bool) -> Connection:
    return Connection(connection, str(connection.remote_id()), bytes(connection.alpn()), fast_io=fast_io)


class Incoming:
    def __init__(self, incoming: iroh.Incoming, *, fast_io: bool) -> None:
        self._incoming = incoming
        self._fast_io = fast_io

    async def establish(self) -> Connection:
        try:
            accepting = await self._incoming.accept()
            return _connection(await accepting.connect(), fast_io=self._fast_io)
        except iroh.IrohError as error:
            raise TransportError(f"an incoming connection failed: {first_line(error)}") from None

    async def refuse(self) -> None:
        try:
            await self._incoming.refuse()
        except iroh.IrohError as error:
            raise TransportError(
                f"an incoming connection could not be refused: {first_line(error)}"
            ) from None

    async def validated(self) -> bool:
        try:
            return await self._incoming.remote_addr_validated()
        except iroh.IrohError as error:
            raise TransportError(f"an incoming connection is gone: {first_line(error)}") from None

    async def retry(self) -> None:
        try:
            await self._incoming.retry()
        except iroh.IrohError as error:
            raise TransportError(f"an incoming connection was not asked again: {first_line(error)}") from None


class Endpoint:
    no_answer = NO_ANSWER

    def __init__(self, endpoint: iroh.Endpoint, *, fast_io: bool) -> None:
        self._endpoint: iroh.Endpoint | None = endpoint
        self._fast_io = fast_io
        self.node_id = str(endpoint.id())
        self.socket_addresses = tuple(endpoint.bound_sockets())

    async def connect(self, node_id: str, socket_addresses: Sequence[str], alpn: str) -> Connection:
        if self._endpoint is None:
            raise DialError("the endpoint is closed", "closed")
        try:
            address = iroh.EndpointAddr(iroh.EndpointId.from_string(node_id), None, list(socket_addresses))
            return _connection(await self._endpoint.connect(address, alpn.encode()), fast_io=self._fast_io)
        except iroh.IrohError as error:
            raise dial_error(error.message(), alpn, NO_ANSWER) from None

    async def accept_next(self) -> Incoming | None:
        if self._endpoint is None:
            return None
        try:
            incoming = await self._endpoint.accept_next()
        except iroh.IrohError as error:
            raise TransportError(f"the endpoint accepts no more: {first_line(error)}") from None
        return None if incoming is None else Incoming(incoming, fast_io=self._fast_io)

    async def close(self) -> None:
        if self._endpoint is None:
            return
        try:
            await self._endpoint.close()
        except iroh.IrohError as error:
            raise TransportError(f"the endpoint was not closed in order: {first_line(error)}") from None
        finally:
            self._endpoint = None  # the port stays taken until the object is collected


def node_id_of(secret_key: bytes) -> str:
    """The id that belongs to 32 bytes of secret key."""
    return str(iroh.SecretKey.from_bytes(secret_key).public())


async def bind(
    secret_key: bytes | None, socket_addresses: Sequence[str], alpns: Sequence[str], *, fast_io: bool
) -> Endpoint:
    """Bind exactly these socket addresses, with no relay and no discovery."""
    check_key(secret_key)
    builder = iroh.EndpointBuilder()  # type: ignore[no-untyped-call]  # the stub forgot to annotate it
    builder.apply_minimal()
    builder.relay_mode(iroh.RelayMode.disabled())
    builder.alpns([alpn.encode() for alpn in alpns])
    try:
        if secret_key is not None:
            builder.secret_key(secret_key)
        for address in socket_addresses:
            builder.bind_addr(address)
        return Endpoint(await builder.bind(), fast_io=fast_io)
    except iroh.IrohError as error:
        raise bind_error(socket_addresses, first_line(error)) from None
