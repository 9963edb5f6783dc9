"""Streams and connections behind the generation protocols: what iroh 1.x and iroh 0.35 have in common."""

from __future__ import annotations

import iroh

from gate_p2p.iroh.call import Calls, CoroutineCall, Done
from gate_p2p.iroh.fast_io import FastIO, find
from gate_p2p.iroh.words import close_info, stream_error
from gate_p2p.transport import CloseInfo, ConnectionLost, TransportError

# Bytes of one call. Measured on loopback: 16 KiB 93 MB/s, 64 KiB 200, 256 KiB 280, 1 MiB 250.
# Where the package copies byte by byte, 16 KiB stall the loop for 2 ms, 1 MiB for 120 ms.
FAST_WRITE = 262144
SLOW_WRITE = 16384


def first_line(error: iroh.IrohError) -> str:
    """iroh's words without causes, build paths and stack traces."""
    return error.message().partition("\n")[0]


def connection_error(error: iroh.IrohError, connection: iroh.Connection) -> TransportError:
    """The error of a call on a connection, or on a stream of it."""
    reason = connection.close_reason()
    if reason is None:
        return TransportError(first_line(error))
    info = close_info(reason)
    return ConnectionLost(info.code, info.by_peer, info.reason)


class Stream:
    def __init__(self, connection: iroh.Connection, stream: iroh.BiStream, fast_io: FastIO | None) -> None:
        # The connection and both halves are kept: what is collected early ends for the peer.
        self._connection = connection
        self._stream = stream
        self._recv = stream.recv()
        self._send = stream.send()
        self._fast_io = fast_io
        self.write_size = SLOW_WRITE if fast_io is None else FAST_WRITE

    def _error(self, error: iroh.IrohError) -> TransportError:
        return stream_error(error.message()) or connection_error(error, self._connection)

    def read(self, max_bytes: int, done: Done[bytes], under_way: Calls) -> None:
        if self._fast_io is None:
            CoroutineCall(self._read(max_bytes), done, under_way)
        else:
            self._fast_io.read(self._recv, max_bytes, done, under_way, self._error)

    async def _read(self, max_bytes: int) -> bytes:
        try:
            return await self._recv.read(max_bytes)
        except iroh.IrohError as error:
            raise self._error(error) from None

    def write(self, data: bytes, done: Done[None], under_way: Calls) -> None:
        if self._fast_io is None:
            CoroutineCall(self._write(data), done, under_way)
        else:
            self._fast_io.write(self._send, data, done, under_way, self._error)

    async def _write(self, data: bytes) -> None:
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

    async def probe(self) -> None:
        try:
            await self._send.write(b"")
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
    def __init__(self, connection: iroh.Connection, remote_id: str, alpn: bytes, *, fast_io: bool) -> None:
        self._connection = connection
        self.remote_id = remote_id
        self.alpn = alpn.decode("utf-8", "replace")
        self._fast_io = find() if fast_io else None
        self._kept: list[iroh.SendStream] = []

    async def open_stream(self) -> Stream:
        try:
            return Stream(self._connection, await self._connection.open_bi(), self._fast_io)
        except iroh.IrohError as error:
            raise connection_error(error, self._connection) from None

    async def accept_stream(self) -> Stream:
        try:
            return Stream(self._connection, await self._connection.accept_bi(), self._fast_io)
        except iroh.IrohError as error:
            raise connection_error(error, self._connection) from None

    def close(self, code: int, reason: bytes) -> None:
        self._connection.close(code, reason)

    async def closed(self) -> CloseInfo:
        try:
            return close_info(await self._connection.closed())
        except iroh.IrohError as error:
            return CloseInfo(None, False, first_line(error))

    # -- what Gate does not use: see `beside`

    async def refuse_unidirectional(self, code: int) -> None:
        """Stop each that the peer opens, until the connection is over: unread it would keep up to 1.25 MB."""
        try:
            while True:
                stream = await self._connection.accept_uni()
                try:
                    await stream.stop(code)
                except iroh.IrohError:
                    continue  # it has ended already
        except iroh.IrohError as error:
            raise connection_error(error, self._connection) from None

    async def send_unidirectional(self, data: bytes) -> None:
        try:
            stream = await self._connection.open_uni()
            self._kept.append(stream)  # collected before the peer has everything, it would lose the rest
            await stream.write_all(data)
            await stream.finish()
        except iroh.IrohError as error:
            raise connection_error(error, self._connection) from None

    async def receive_unidirectional(self, max_bytes: int) -> bytes:
        try:
            return await (await self._connection.accept_uni()).read_to_end(max_bytes)
        except iroh.IrohError as error:
            raise connection_error(error, self._connection) from None

    async def send_datagram(self, data: bytes) -> bool:
        largest = self._connection.max_datagram_size()
        if largest is None or len(data) > largest:
            return False
        try:
            self._connection.send_datagram(data)
        except iroh.IrohError as error:
            raise connection_error(error, self._connection) from None
        return True

    async def receive_datagram(self) -> bytes:
        try:
            return await self._connection.read_datagram()
        except iroh.IrohError as error:
            raise connection_error(error, self._connection) from None
