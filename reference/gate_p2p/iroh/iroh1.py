"""iroh 1.x behind the generation protocols. The only place where iroh's texts are read.

Close codes exist in iroh's Python package only as text; `str(IrohError)` is empty, `.message()` is not.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Sequence

import iroh

from gate_p2p.transport import (
    BindError,
    CloseInfo,
    ConnectionLost,
    DialError,
    StreamReset,
    StreamStopped,
    TransportError,
)

_RESET = re.compile(r"Reset\((\d+)\)")
_STOPPED = re.compile(r"Stopped\((\d+)\)")
_BY_PEER = "closed by peer: "
_WITH_REASON = re.compile(r"(?s)(.*) \(code (\d+)\)")


def close_info(text: str | None) -> CloseInfo:
    """Read `closed()` or `close_reason()`: `closed by peer: bye (code 42)`, `closed by peer: 0`, `closed`."""
    if text is None:
        return CloseInfo(None, False, "")
    if text == "closed":
        return CloseInfo(None, False, "closed here")
    if not text.startswith(_BY_PEER):
        return CloseInfo(None, False, text)
    rest = text[len(_BY_PEER) :]
    if match := _WITH_REASON.fullmatch(rest):
        return CloseInfo(int(match[2]), True, match[1])
    return CloseInfo(int(rest) if rest.isascii() and rest.isdigit() else None, True, "")


def _first_line(error: iroh.IrohError) -> str:
    return error.message().partition("\n")[0]


def _connection_error(error: iroh.IrohError, connection: iroh.Connection) -> TransportError:
    reason = connection.close_reason()
    if reason is None:
        return TransportError(_first_line(error))
    info = close_info(reason)
    return ConnectionLost(info.code, info.by_peer, info.reason)


class Stream:
    def __init__(self, connection: iroh.Connection, stream: iroh.BiStream) -> None:
        # The connection and both halves are kept: what is collected early ends for the peer.
        self._connection = connection
        self._stream = stream
        self._recv = stream.recv()
        self._send = stream.send()

    def _error(self, error: iroh.IrohError) -> TransportError:
        text = error.message()
        if match := _RESET.match(text):
            return StreamReset(int(match[1]))
        if match := _STOPPED.match(text):
            return StreamStopped(int(match[1]))
        return _connection_error(error, self._connection)

    async def read(self, max_bytes: int) -> bytes:
        try:
            return await self._recv.read(max_bytes)
        except iroh.IrohError as error:
            raise self._error(error) from None

    async def write(self, data: bytes) -> None:
        try:
            await self._send.write_all(data)
        except iroh.IrohError as error:
            raise self._error(error) from None

    async def finish(self) -> None:
        try:
            await self._send.finish()
        except iroh.IrohError as error:
            raise self._error(error) from None

    async def stopped(self) -> int | None:
        try:
            return await self._send.stopped()
        except iroh.IrohError as error:
            raise self._error(error) from None

    async def reset(self, code: int) -> None:
        try:
            await self._send.reset(code)
        except iroh.IrohError as error:
            raise self._error(error) from None

    async def stop(self, code: int) -> None:
        try:
            await self._recv.stop(code)
        except iroh.IrohError as error:
            raise self._error(error) from None


class Connection:
    def __init__(self, connection: iroh.Connection) -> None:
        self._connection = connection
        self.remote_id = str(connection.remote_id())
        self.alpn = connection.alpn().decode("utf-8", "replace")

    async def open_stream(self) -> Stream:
        try:
            return Stream(self._connection, await self._connection.open_bi())
        except iroh.IrohError as error:
            raise _connection_error(error, self._connection) from None

    async def accept_stream(self) -> Stream:
        try:
            return Stream(self._connection, await self._connection.accept_bi())
        except iroh.IrohError as error:
            raise _connection_error(error, self._connection) from None

    def close(self, code: int, reason: bytes) -> None:
        self._connection.close(code, reason)

    async def closed(self) -> CloseInfo:
        try:
            return close_info(await self._connection.closed())
        except iroh.IrohError as error:
            return CloseInfo(None, False, _first_line(error))


class Incoming:
    def __init__(self, incoming: iroh.Incoming) -> None:
        self._incoming = incoming

    async def establish(self) -> Connection:
        try:
            accepting = await self._incoming.accept()
            return Connection(await accepting.connect())
        except iroh.IrohError as error:
            raise TransportError(f"an incoming connection failed: {_first_line(error)}") from None

    async def refuse(self) -> None:
        try:
            await self._incoming.refuse()
        except iroh.IrohError as error:
            raise TransportError(
                f"an incoming connection could not be refused: {_first_line(error)}"
            ) from None


# What stands in iroh's text, what kind of failure it is, and the words for people.
_DIAL_FAILURES = (
    (
        "known protocol",
        "unknown_alpn",
        "the peer does not speak {alpn} (it is another kind of node, or of another version)",
    ),
    (
        "invalid peer certificate",
        "wrong_id",
        "another node answers at this address: check the node id (has the peer a new key?)",
    ),
    ("refused to accept", "refused", "the peer refuses new connections at the moment: try again later"),
    ("No addressing information", "no_address", "no address is known for this node: give <id>@<ip:port>"),
    ("Connecting to ourself", "own_id", "this is this node's own id"),
    ("Endpoint is closed", "closed", "the endpoint is closed"),
    (
        "timed out",
        "no_answer",
        "no answer: is the node running, the port right and UDP let through? "
        "(a node on iroh 0.35 does not answer an iroh 1.x dialer either)",
    ),
)


def dial_error(text: str, alpn: str) -> DialError:
    """One line and a kind for the text of a failed `connect`."""
    for sign, kind, words in _DIAL_FAILURES:
        if sign in text:
            return DialError(words.format(alpn=alpn), kind)
    return DialError(text.rpartition("\n")[2].strip() or "the connection failed")


class Endpoint:
    def __init__(self, endpoint: iroh.Endpoint) -> None:
        self._endpoint: iroh.Endpoint | None = endpoint
        self.node_id = str(endpoint.id())
        self.socket_addresses = tuple(endpoint.bound_sockets())

    async def connect(self, node_id: str, socket_addresses: Sequence[str], alpn: str) -> Connection:
        if self._endpoint is None:
            raise DialError("the endpoint is closed", "closed")
        try:
            address = iroh.EndpointAddr(iroh.EndpointId.from_string(node_id), None, list(socket_addresses))
            return Connection(await self._endpoint.connect(address, alpn.encode()))
        except iroh.IrohError as error:
            raise dial_error(error.message(), alpn) from None

    async def accept_next(self) -> Incoming | None:
        if self._endpoint is None:
            return None
        try:
            incoming = await self._endpoint.accept_next()
        except iroh.IrohError as error:
            raise TransportError(f"the endpoint accepts no more: {_first_line(error)}") from None
        return None if incoming is None else Incoming(incoming)

    async def close(self) -> None:
        if self._endpoint is not None:
            await self._endpoint.close()
            self._endpoint = None  # the port stays taken until the object is collected


def node_id_of(secret_key: bytes) -> str:
    """The id that belongs to 32 bytes of secret key."""
    return str(iroh.SecretKey.from_bytes(secret_key).public())


async def bind(secret_key: bytes | None, socket_addresses: Sequence[str], alpns: Sequence[str]) -> Endpoint:
    """Bind exactly these socket addresses, with no relay and no discovery."""
    if secret_key is not None and len(secret_key) != 32:
        raise BindError(f"a secret key has 32 bytes, this one has {len(secret_key)}")
    builder = iroh.EndpointBuilder()  # type: ignore[no-untyped-call]  # the stub forgot to annotate it
    builder.apply_minimal()
    builder.relay_mode(iroh.RelayMode.disabled())
    builder.alpns([alpn.encode() for alpn in alpns])
    try:
        if secret_key is not None:
            builder.secret_key(secret_key)
        for address in socket_addresses:
            builder.bind_addr(address)
        return Endpoint(await builder.bind())
    except iroh.IrohError as error:
        raise bind_error(socket_addresses, _first_line(error)) from None


def bind_error(socket_addresses: Sequence[str], text: str) -> BindError:
    """iroh says no more than that binding failed: ask the system for the address that fails, and why."""
    for address in socket_addresses:
        host, _, port = address.rpartition(":")
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return BindError(
                    f"cannot listen on {address}: the port is in use, choose another (0: any free one)"
                )
            return BindError(
                f"cannot listen on {address}: {error.strerror} (is it an address of this machine?)"
            )
    return BindError(f"cannot listen on {', '.join(socket_addresses)}: {text}")
