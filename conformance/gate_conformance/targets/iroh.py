"""``iroh:<id>@<ip:port>``: a node that the suite dials, one connection per control stream."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING

from gate_conformance.channel import Channel, ChannelLost, ChannelReset, CloseReport
from gate_conformance.identity import Identity
from gate_conformance.targets.base import Target, TargetOptions
from gate_conformance.verdicts import TargetGone, UsageError

if TYPE_CHECKING:
    from gate_p2p.iroh import Endpoint, IrohConnection, IrohStream, NodeAddress

_FIRST_DIAL = 30.0
_NEXT_DIAL = 6.0
_BESIDE_WITHIN = 2.0
_HINT = "is the node running, is its id right, and does it listen on that ip:port (UDP) for gate/control/1.0?"


class _Never:
    """In the place of a stream on a connection that was closed before one could be opened."""

    def __init__(self, connection: IrohConnection) -> None:
        self._connection = connection

    async def read(self) -> bytes:
        await self._connection.wait_closed()
        raise self._connection.lost()

    async def write(self, data: bytes) -> None:
        raise self._connection.lost()

    async def finish(self) -> None:
        raise self._connection.lost()

    def reset(self, code: int) -> None:
        """There is nothing to reset."""

    def stop(self, code: int) -> None:
        """There is nothing to stop."""


class IrohChannel:
    """One stream on one Iroh connection."""

    grace = 0.0
    slack = 0.5
    kind = "stream"

    def __init__(self, connection: IrohConnection, stream: IrohStream | _Never, owner: bool = True) -> None:
        self.remote_id = connection.remote_id
        self._connection, self.stream = connection, stream
        self._owner = owner

    async def read(self) -> bytes:
        from gate_p2p.iroh import ConnectionLost, StreamReset, TransportError

        try:
            return await self.stream.read()
        except StreamReset as error:
            raise ChannelReset(error.code) from None
        except ConnectionLost as error:
            raise ChannelLost(error.code, error.by_peer, error.reason) from None
        except TransportError as error:  # the suite itself has stopped the stream
            raise ChannelLost(None, False, str(error)) from None

    async def write(self, data: bytes) -> None:
        await self._quietly(self.stream.write(data))

    async def finish(self) -> None:
        await self._quietly(self.stream.finish())

    async def _quietly(self, work: object) -> None:
        from gate_p2p.iroh import ConnectionLost, StreamReset, TransportError

        try:
            await work  # type: ignore[misc]
        except StreamReset as error:
            raise ChannelReset(error.code) from None
        except ConnectionLost as error:
            raise ChannelLost(error.code, error.by_peer, error.reason) from None
        except TransportError as error:
            raise ChannelLost(None, False, str(error)) from None

    def close(self, code: int = 0, reason: str = "") -> None:
        self._connection.close(code, reason)

    async def wait_closed(self, within: float) -> CloseReport:
        try:
            info = await asyncio.wait_for(self._connection.wait_closed(), within)
        except TimeoutError:
            return CloseReport()
        return CloseReport(code=info.code if info.by_peer else None)

    async def release(self) -> CloseReport:
        if self._owner:
            self._connection.close(0)
        return CloseReport()

    async def open_second(self) -> Channel | None:
        from gate_p2p.iroh import TransportError

        try:
            stream = await self._connection.open_stream()
        except TransportError as error:
            raise ChannelLost(None, True, str(error)) from None
        return IrohChannel(self._connection, stream, owner=False)

    async def accept_second(self, within: float) -> bool | None:
        from gate_p2p.iroh import TransportError

        try:
            await asyncio.wait_for(self._connection.accept_stream(), within)
        except (TimeoutError, TransportError):
            return False
        return True

    def reset(self, code: int) -> bool:
        self.stream.reset(code)
        return True

    def stop(self, code: int) -> bool | None:
        self.stream.stop(code)
        return True

    def end_target(self) -> bool:
        return False

    async def send_beside(self, way: str, data: bytes) -> bool | None:
        from gate_p2p.iroh import TransportError
        from gate_p2p.iroh.beside import send_datagram, send_unidirectional

        send = {"unidirectional stream": send_unidirectional, "datagram": send_datagram}[way]
        # never cancelled: a call that waits for room ends with the connection, and nobody looks at it then
        sending = asyncio.ensure_future(send(self._connection, data))
        await asyncio.wait({sending}, timeout=_BESIDE_WITHIN)
        if not sending.done():
            sending.add_done_callback(lambda done: done.cancelled() or done.exception())
            return False
        try:
            return sending.result()
        except TransportError as error:
            if self._connection.closed:
                raise ChannelLost(None, True, str(error)) from None
            return False


def parse_address(text: str) -> NodeAddress:
    """The address, or UsageError in the words of the adapter."""
    from gate_p2p.iroh import NodeAddress

    try:
        return NodeAddress.parse(text)
    except ValueError as error:
        raise UsageError(f"iroh:{text} is no target: {error}") from None


def local_for(socket_address: str) -> str:
    """Where to bind for dialling that address: the loopback interface when that is enough."""
    host = socket_address.rpartition(":")[0].strip("[]")
    address = ipaddress.ip_address(host)
    if address.is_loopback:
        return "[::1]:0" if address.version == 6 else "127.0.0.1:0"
    return "[::]:0" if address.version == 6 else "0.0.0.0:0"


class IrohTarget(Target):
    """One endpoint; each stream is a new connection."""

    persistent = True
    has_data = True

    def __init__(self, text: str, rest: str, options: TargetOptions) -> None:
        super().__init__(text, "acceptor")
        self._address = parse_address(rest)
        self._options = options
        self._endpoint: Endpoint | None = None
        self._others: dict[Identity, asyncio.Task[Endpoint]] = {}

    async def start(self) -> None:
        self._endpoint = await self._bind(self._options.key)
        connection = await self._dial(_FIRST_DIAL)
        connection.close(0)

    async def _bind(self, key: bytes) -> Endpoint:
        from gate_p2p.iroh import BindError, Endpoint

        try:
            return await Endpoint.bind(key, listen=local_for(self._address.socket_addresses[0]))
        except BindError as error:
            raise TargetGone(f"cannot open an Iroh endpoint: {error}") from None

    async def _dial(self, timeout: float, endpoint: Endpoint | None = None) -> IrohConnection:
        from gate_p2p.iroh import ALPN_CONTROL, DialError

        endpoint = endpoint or self._endpoint
        assert endpoint is not None
        try:
            return await endpoint.dial(self._address, ALPN_CONTROL, timeout=timeout)
        except DialError as error:
            raise TargetGone(" ".join(str(error).split()), _HINT) from None

    async def open(self) -> Channel:
        return await self._open(self._endpoint)

    async def open_as(self, identity: Identity) -> Channel | None:
        if identity not in self._others:
            self._others[identity] = asyncio.ensure_future(self._bind(identity.key))
        return await self._open(await asyncio.shield(self._others[identity]))

    async def _open(self, endpoint: Endpoint | None) -> Channel:
        from gate_p2p.iroh import TransportError

        connection = await self._dial(_NEXT_DIAL, endpoint)
        try:
            return IrohChannel(connection, await connection.open_stream())
        except TransportError as error:
            if endpoint is not self._endpoint and connection.closed:
                return IrohChannel(connection, _Never(connection))  # closed at once: so may a stranger be
            connection.close(0)
            code = connection.lost().code
            raise TargetGone(f"no stream on a new connection: {error}", code=code) from None

    async def dial(self, alpn: str) -> Channel | None:
        from gate_p2p.iroh import DialError, TransportError

        assert self._endpoint is not None
        try:
            connection = await self._endpoint.dial(self._address, alpn, timeout=_NEXT_DIAL)
        except DialError as error:
            if error.kind == "unknown_alpn":
                raise ChannelLost(None, True, "the connection was refused in the TLS handshake") from None
            raise TargetGone(" ".join(str(error).split()), _HINT) from None
        try:
            return IrohChannel(connection, await connection.open_stream())
        except TransportError as error:
            info = connection.lost()
            raise ChannelLost(info.code, info.by_peer, str(error)) from None

    async def offer(self, alpn: str) -> str | None:
        from gate_p2p.iroh import DialError

        assert self._endpoint is not None
        try:
            connection = await self._endpoint.dial(self._address, alpn, timeout=_NEXT_DIAL)
        except DialError as error:
            return "refused" if error.kind == "unknown_alpn" else " ".join(str(error).split())
        connection.close(0)
        return "accepted"

    async def confirm_gone(self) -> TargetGone | None:
        try:
            connection = await self._dial(_NEXT_DIAL)
        except TargetGone as gone:
            return gone
        connection.close(0)
        return None

    async def aclose(self) -> None:
        others = await asyncio.gather(*self._others.values(), return_exceptions=True)
        for endpoint in (self._endpoint, *others):
            if endpoint is not None and not isinstance(endpoint, BaseException):
                await endpoint.aclose()
