"""Standard input and output as a control transport.

Non-blocking: a thread in `os.read(0)` would hold up the exit.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import stat
import sys

from gate_p2p.cli.failure import Failure
from gate_p2p.cli.options import Names
from gate_p2p.dns.memory import MemoryDnsHandler
from gate_p2p.session.policy import NamePolicy
from gate_p2p.session.single import run_stream
from gate_p2p.transport import ConnectionLost

_log = logging.getLogger("gate_p2p.cli")

READ_CHUNK = 65536


def gone() -> ConnectionLost:
    """The other side has closed its end of our standard output."""
    return ConnectionLost(None, True, "nobody reads our output any more")


class _Writer(asyncio.Protocol):
    """Follows the output pipe: whether it takes more, and when it is gone."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.gone = asyncio.Event()
        self.error: Exception | None = None

    def pause_writing(self) -> None:
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        if exc is not None:  # not our own doing: wake the link, which would notice only at its next write
            self._reader.set_exception(gone())
        self.gone.set()
        self.may_write.set()


class PipeTransport:
    """A ControlTransport; made by `open_pipes`."""

    def __init__(
        self,
        remote_id: str,
        reader: asyncio.StreamReader,
        source: asyncio.ReadTransport,
        sink: asyncio.WriteTransport,
        writer: _Writer,
    ) -> None:
        self.remote_id = remote_id
        self._reader = reader
        self._source = source
        self._sink = sink
        self._writer = writer

    async def read(self) -> bytes:
        return await self._reader.read(READ_CHUNK)

    async def write(self, data: bytes) -> None:
        if not self._sink.is_closing():
            self._sink.write(data)
            await self._writer.may_write.wait()
        if self._sink.is_closing():  # at once after a failed write, where connection_lost comes a turn later
            raise gone()

    async def finish(self) -> None:
        self._sink.close()  # writes out what is buffered first

    async def wait_delivered(self, timeout: float = 1.0) -> bool:
        try:
            async with asyncio.timeout(timeout):
                await self._writer.gone.wait()
        except TimeoutError:
            return False
        return self._writer.error is None

    def close(self, code: int, reason: str = "") -> None:
        if not self._source.is_closing():
            _log.info("closed with code %d%s", code, f": {reason}" if reason else "")
        self._source.close()
        if not self._writer.gone.is_set():
            self._sink.abort()
        if not self._reader.at_eof():
            self._reader.feed_eof()


async def open_pipes(remote_id: str) -> PipeTransport:
    """Take over standard input and output; raises Failure unless they are pipes, sockets or terminals."""
    for name, stream in (("input", sys.stdin), ("output", sys.stdout)):
        mode = os.fstat(stream.fileno()).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stream.isatty()):
            raise Failure(f"standard {name} has to be a pipe, a socket or a terminal, not a file")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(READ_CHUNK)
    source, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    sink, writer = await loop.connect_write_pipe(lambda: _Writer(reader), sys.stdout.buffer)
    return PipeTransport(remote_id, reader, source, sink, writer)


async def speak(role: str, peer_id: str, names: Names) -> None:
    """Run one control stream on the standard streams until it is over or a signal comes."""
    transport = await open_pipes(peer_id)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, transport.close, 6, "a signal came")
    terminated = await run_stream(
        transport,
        role=role,
        node_id=secrets.token_hex(32),
        dns=MemoryDnsHandler(delays=names.delays),
        names=NamePolicy(names.suffix, names.allowed),
    )
    _log.info("over: %s (code %d)", terminated.reason, terminated.code)
