"""A TCP connection that goes through the target: shared by the cases of relays and of daemons."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gate_conformance.cases._data import READY, served
from gate_conformance.cases._sni import asked_for, idle_stream, ready, supplied
from gate_conformance.tcp import Tcp, client_hello

if TYPE_CHECKING:
    from gate_conformance.data import DataStream
    from gate_conformance.link import Link
    from gate_conformance.trial import Trial

PASSED_WITHIN = 5.0


@dataclass
class Proxied:
    """One stream, and the TCP connection that the target has joined to it. ``hello`` went through already."""

    link: Link
    stream: DataStream
    tcp: Tcp
    hello: bytes

    @property
    def from_tcp(self) -> bytes:
        """What came out of the stream behind the hello."""
        return bytes(self.stream.received)[len(self.hello) if self.toward_stream else len(READY) :]

    @property
    def from_stream(self) -> bytes:
        """What came out of the TCP connection behind the hello."""
        return bytes(self.tcp.received)[0 if self.toward_stream else len(self.hello) :]

    @property
    def toward_stream(self) -> bool:
        """Whether the hello went from TCP to the stream: the target is a relay."""
        return self.stream.trial.role == "acceptor"


def https_of(t: Trial) -> tuple[str, str]:
    """Where the relay takes visitors, and a name that leads to the suite."""
    if t.options.https is None or t.options.https_name is None:
        t.not_testable("needs --https and --https-name, where visitors come in and a name of the suite's")
    return t.options.https, t.options.https_name


@contextlib.asynccontextmanager
async def front(t: Trial) -> AsyncIterator[Link]:
    """A relay that takes visitors, and at which no other case has idle streams."""
    link = await served(t, "sni_proxy")
    https_of(t)
    async with t.alone_in_pool(link):
        yield link


async def visit(t: Trial, data: bytes, *, reading: bool = True) -> Tcp:
    """A visitor who begins with these bytes; closed with the case."""
    address = https_of(t)[0]
    try:
        tcp = await Tcp.connect(address)
    except OSError as error:
        t.inconclusive(f"nobody takes visitors at {address}: {error.strerror or error}")
    t.tcp.append(tcp)
    if reading:
        tcp.read_on()
    if data:
        t.note_tcp(f"a visitor sends {len(data)} bytes", data)
        await tcp.send(data)
    return tcp


async def arrives(t: Trial, stream: DataStream, data: bytes, requirement: str | None = None) -> None:
    """The relay gives the stream these bytes, and no others."""
    whole = await stream.until(
        lambda: len(stream.received) >= len(data) or stream.ended is not None, PASSED_WITHIN
    )
    came = bytes(stream.received)
    if not whole or came != data:
        end = f", and {stream.ended}" if stream.ended is not None else ""
        t.fail(
            f"the {len(data)} bytes of the visitor on the idle stream",
            f"{len(came)} bytes, {came[:24]!r}{end}",
            requirement or "SP-09",
        )


@contextlib.asynccontextmanager
async def proxied(
    t: Trial, *, stream_reading: bool = True, tcp_reading: bool = True
) -> AsyncIterator[Proxied]:
    """A visitor with a stream, in front of a relay or behind a daemon."""
    if t.role == "acceptor":
        async with front(t) as link:
            stream = await idle_stream(t, reading=stream_reading)
            await link.settle(0.3)
            hello = client_hello(https_of(t)[1])
            tcp = await visit(t, hello, reading=tcp_reading)
            if stream_reading:
                await arrives(t, stream, hello)
            yield Proxied(link, stream, tcp, hello)
        return
    if t.options.https_target is None:
        t.not_testable("needs --https-target, where the target's streams lead to")
    try:
        await t.health.tls_server.start(t.options.https_target)
    except OSError as error:
        t.inconclusive(f"the suite cannot listen at {t.options.https_target}: {error.strerror or error}")
    async with supplied(t) as link:
        stream = await asked_for(t, link, reading=stream_reading)
        if stream_reading:
            await ready(t, stream)
        hello = client_hello("conformance.test")
        await stream.send(hello)
        found = await t.health.tls_server.expect(hello, 2 * PASSED_WITHIN)
        if found is None:
            t.fail("a TCP connection with the first bytes of the stream", "none", "SP-13")
        t.tcp.append(found)
        yield Proxied(link, stream, found, hello)
