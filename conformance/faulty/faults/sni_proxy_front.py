"""Faults of relays that take visitors, and of whoever passes bytes between a stream and a TCP connection."""

from __future__ import annotations

import asyncio
import contextlib

from ..front import LOST, Front, Splice
from ..node import Node
from ..protocol import DONE, VIOLATION
from ..registry import ACCEPTOR, DIALER, fault
from ..sni import Relay
from ..world import PEER_NAME
from .on_data import front_fault, splice_fault


@splice_fault("proxy-drops-zero-bytes", "SP-13", "SP-14")
class DropsZeroBytes(Splice):
    """Loses bytes that are zero."""

    def changed(self, data: bytes) -> bytes:
        return data.replace(b"\0", b"")


@splice_fault("proxy-tcp-end-closes", "SP-14")
class TcpEndCloses(Splice):
    """Closes everything when the TCP connection ends its direction."""

    async def on_tcp_end(self) -> None:
        raise ConnectionError("the visitor has ended")


@splice_fault("proxy-tcp-end-unseen", "SP-14")
class TcpEndUnseen(Splice):
    """Does not pass on the end of the TCP connection's direction."""

    async def on_tcp_end(self) -> None:
        """The stream stays open."""


@splice_fault("proxy-stream-end-closes", "SP-14")
class StreamEndCloses(Splice):
    """Closes everything when the stream's direction ends."""

    async def on_stream_end(self) -> None:
        self.writer.close()


@splice_fault("proxy-cut-as-end", "SP-15")
class CutAsEnd(Splice):
    """Passes a TCP connection that was cut off on as one that has ended."""

    async def up(self) -> None:
        with contextlib.suppress(*LOST):
            while data := await self.reader.read(65536):
                await self.stream.write(data)
        await self.stream.finish()


@splice_fault("proxy-stream-cut-unseen", "SP-15")
class StreamCutUnseen(Splice):
    """Keeps the TCP connection of a stream that was reset."""

    async def down(self, reading: asyncio.Task[bytes]) -> None:
        try:
            await super().down(reading)
        except LOST:
            await asyncio.Event().wait()


@splice_fault("proxy-cut-with-1", "SP-16")
class CutWith1(Splice):
    """Resets with code 1 when TCP is lost."""

    lost_code = VIOLATION


@splice_fault("proxy-cut-late", "SP-16")
class CutLate(Splice):
    """Resets 4 s after TCP is lost."""

    async def cut(self) -> None:
        await asyncio.sleep(4.0)
        await super().cut()


@splice_fault("proxy-reads-ahead-of-stream", "SP-17")
class ReadsAheadOfStream(Splice):
    """Reads from TCP whatever comes."""

    async def up(self) -> None:
        parts: asyncio.Queue[bytes] = asyncio.Queue()

        async def write() -> None:
            while True:
                await self.stream.write(await parts.get())

        writing = asyncio.create_task(write())
        try:
            while part := await self.reader.read(65536):
                parts.put_nowait(part)
            await self.stream.finish()
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


@splice_fault("proxy-reads-ahead-of-tcp", "SP-17")
class ReadsAheadOfTcp(Splice):
    """Reads from the stream whatever comes."""

    async def down(self, reading: asyncio.Task[bytes]) -> None:
        data = await reading
        while data:
            self.writer.write(data)
            data = await self.stream.read()
        self.writer.write_eof()


@splice_fault("proxy-needs-control", "SP-28")
class NeedsControl(Splice):
    """Cuts a stream in use when the control connections have ended."""

    async def up(self) -> None:
        watch = asyncio.create_task(self.watch())
        try:
            await super().up()
        finally:
            watch.cancel()

    async def watch(self) -> None:
        while self.world.connections:  # noqa: ASYNC110 - a fault needs no elegance
            await asyncio.sleep(0.1)
        await self.cut()


@splice_fault("proxy-daemon-never-closes", "CL-07", roles=DIALER)
class DaemonNeverCloses(Splice):
    """Leaves the close to the relay."""

    async def wind_up(self) -> None:
        await self.stream.wait_closed()


@splice_fault("proxy-relay-never-closes", "CL-08", roles=ACCEPTOR)
class RelayNeverCloses(Splice):
    """Leaves the close to the daemon."""

    close_after = 1000.0


# -- the front


@front_fault("front-drops-hello", "SP-09")
class DropsHello(Front):
    """Passes on what follows the ClientHello."""

    def first(self, hello: bytes) -> bytes:
        return hello[5 + int.from_bytes(hello[3:5], "big") :]


@front_fault("front-adds-address", "SP-09")
class AddsAddress(Front):
    """Tells the daemon the visitor's address before the bytes."""

    def first(self, hello: bytes) -> bytes:
        return b"PROXY TCP4 127.0.0.1 127.0.0.1 1 443\r\n" + hello


@front_fault("front-exact-names", "SP-10")
class ExactNames(Front):
    """Does not lead names below a peer's name to it."""

    def leads_here(self, name: str) -> bool:
        return name == PEER_NAME


@front_fault("front-names-as-suffixes", "SP-10", "SP-11")
class NamesAsSuffixes(Front):
    """Leads every name that ends alike to the peer."""

    def leads_here(self, name: str) -> bool:
        return name.endswith(PEER_NAME)


@front_fault("front-nameless-to-anybody", "SP-11")
class NamelessToAnybody(Front):
    """Leads visitors without a server name to whoever is there."""

    def leads_here(self, name: str) -> bool:
        return not name or super().leads_here(name)


@front_fault("front-keeps-strangers", "SP-11", "SP-10")
class KeepsStrangers(Front):
    """Leaves the TCP connections of visitors open whom it leads nowhere."""

    async def turn_away(self, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()


@front_fault("front-waits-for-hello", "SP-12")
class WaitsForHello(Front):
    """Waits for a ClientHello without end."""

    hello_within = 1000.0


@front_fault("front-first-record", "SP-12")
class FirstRecord(Front):
    """Wants the ClientHello in one TLS record."""

    def name_in(self, data: bytes) -> str | None:
        name = super().name_in(data)
        return name if name is not None or len(data) < 5 + int.from_bytes(data[3:5], "big") else ""


@front_fault("front-oldest-first", "SP-18")
class OldestFirst(Front):
    """Gives a visitor the stream that has been idle for longest."""

    newest = 0


@front_fault("front-asks-nobody", "SP-21")
class AsksNobody(Front):
    """Turns visitors away for whom no stream is idle."""

    most_asked = 0


@front_fault("front-asks-for-all", "ST-09")
class AsksForAll(Front):
    """Asks for a stream for each visitor at once."""

    most_asked = 1000


class Watchless(Relay):
    """Does not watch idle streams, and gives them away dead."""

    async def on_early_reset(self, error: Exception) -> None:
        await self.on_idle()

    async def watched(self) -> None:
        await self.taken.wait()


@fault("front-dead-streams", "SP-19", "SP-18", roles=ACCEPTOR, over="front")
class DeadStreams(Node):
    """Gives visitors streams that have ended."""

    relay = Watchless


class Hasty(Relay):
    """Takes a stream for idle when it is there."""

    async def connection(self) -> None:
        await self.on_idle()

    async def watched(self) -> None:
        await self.taken.wait()


@fault("front-stream-before-ready", "SP-04", roles=ACCEPTOR, over="front")
class BeforeReady(Node):
    """Gives visitors streams before READY has come."""

    relay = Hasty


class OnlyAsked(Relay):
    """Takes no stream that it has not asked for."""

    async def on_idle(self) -> None:
        if self.world.front is None or not self.world.front.asked:
            await self.end(DONE)
        else:
            await super().on_idle()


@fault("front-unasked-refused", "SP-22", roles=ACCEPTOR, over="front")
class UnaskedRefused(Node):
    """Closes SNI-proxy connections that it did not ask for."""

    relay = OnlyAsked
