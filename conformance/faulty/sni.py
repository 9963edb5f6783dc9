"""The correct ends of SNI-proxy streams: a relay that takes them, and a daemon that keeps some ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from .protocol import DONE, NOT_AUTHORISED, READY, SNI_ALPN, TIMED_OUT, VIOLATION, DataStream
from .world import World

if TYPE_CHECKING:
    from .node import Node

LOST = (OSError, EOFError)


class Relay:
    """One connection of a daemon. Every fault is a subclass of this, with one thing changed."""

    ready_within = 2.0
    most_idle = 32
    wrong_code = VIOLATION
    late_code = TIMED_OUT
    spoke_code = VIOLATION
    ended_code = DONE

    def __init__(self, stream: DataStream, peer_id: str, world: World) -> None:
        self.stream = stream
        self.peer_id = peer_id
        self.world = world
        self.taken = asyncio.Event()  # by a visitor
        self.over = asyncio.Event()  # and the visit is over
        self.reading: asyncio.Task[bytes] | None = None

    def take(self) -> asyncio.Task[bytes]:
        """For a visitor: the stream is idle no more; gives the read that is under way."""
        self.taken.set()
        if self.reading is None:
            self.reading = asyncio.create_task(self.stream.read())
        return self.reading

    async def run(self) -> None:
        """Until the connection is closed."""
        surplus = asyncio.get_running_loop().create_task(self.surplus())
        try:
            await self.connection()
        finally:
            surplus.cancel()
            await asyncio.gather(surplus, return_exceptions=True)

    async def connection(self) -> None:
        try:
            async with asyncio.timeout(self.ready_within):
                right = await self.ready()
        except TimeoutError:
            await self.end(self.late_code)
            return
        except LOST as error:
            await self.on_early_reset(error)
            return
        if not right:
            await self.end(self.wrong_code)
        elif len(self.world.idle) >= self.most_idle:
            await self.end(NOT_AUTHORISED)
        else:
            await self.on_idle()

    async def ready(self) -> bool:
        """Reads READY; whether it came."""
        received = b""
        while received != READY:
            data = await self.stream.read(len(READY) - len(received))
            received += data
            if not data or not READY.startswith(received):
                return False
        return True

    async def on_idle(self) -> None:
        self.world.idle.append(self)
        try:
            await self.watched()
        finally:
            if self in self.world.idle:
                self.world.idle.remove(self)
        if self.taken.is_set():
            await self.over.wait()

    async def watched(self) -> None:
        """Sees the stream speak or end, until a visitor takes it."""
        self.reading = asyncio.create_task(self.stream.read(65536))
        taken = asyncio.create_task(self.taken.wait())
        try:
            await asyncio.wait({self.reading, taken}, return_when=asyncio.FIRST_COMPLETED)
            if self.taken.is_set():
                return
            data = self.reading.result()
        except LOST as error:
            await self.on_reset(error)
        else:
            await (self.on_speech(data) if data else self.on_end())
        finally:
            taken.cancel()
            if not self.taken.is_set():
                self.reading.cancel()

    async def on_early_reset(self, error: Exception) -> None:
        await self.end(self.wrong_code)

    async def on_reset(self, error: Exception) -> None:
        await self.end(self.ended_code)

    async def on_speech(self, data: bytes) -> None:
        await self.end(self.spoke_code)

    async def on_end(self) -> None:
        await self.end(self.ended_code)

    async def end(self, code: int) -> None:
        self.stream.close(code)

    async def surplus(self) -> None:
        """Refuses every other stream."""
        while True:
            other = await self.stream.accept()
            other.reset(VIOLATION)
            other.stop(VIOLATION)


class Supply:
    """The streams of one daemon at its relay. Every fault is a subclass of this, with one thing changed."""

    ahead = 2
    pause = 1.0  # after an early end
    streams = 1  # on each connection
    greeting = READY
    ready_delay = 0.0

    def __init__(self, node: Node) -> None:
        self.node = node
        self.idle = 0
        self.opening = 0
        self.retry_at = 0.0
        self.changed = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def allowed(self) -> bool:
        """SP-02."""
        return "sni_proxy" in self.node.peer_capabilities

    def go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def run(self) -> None:
        """Keep streams ready until the node ends, and with it all of them."""
        try:
            while True:
                self.changed.clear()
                wait = None
                if self.allowed and (wait := self.retry_at - self.node.now()) <= 0:
                    wait = None
                    while self.idle + self.opening < self.ahead:
                        self.opening += 1
                        self.go(self.one(ahead=True))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), wait)
        finally:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)

    def open_one(self) -> None:
        """ST-04: one more, because the relay asks for it."""
        self.go(self.one(ahead=False))

    async def one(self, ahead: bool) -> None:
        stream: DataStream = await cast(Any, self.node.stream).dial(SNI_ALPN)
        await asyncio.sleep(self.ready_delay)
        self.opening -= ahead
        self.idle += 1
        surplus = asyncio.get_running_loop().create_task(self.surplus(stream))
        try:
            await self.open(stream)
            first = await stream.read()
        except LOST:
            first = b""
        finally:
            self.idle -= 1
            surplus.cancel()
            self.changed.set()
        if first and self.node.world.tls_target is not None:
            self.retry_at = 0.0
            task = asyncio.create_task(self.lead_on(stream, first))
            self.node.world.tasks.add(task)  # SP-28: no matter of the control connection's
            task.add_done_callback(self.node.world.tasks.discard)
            return
        if first:
            await self.use(stream)
        else:
            await self.on_early_end()
        stream.close(DONE)

    async def lead_on(self, stream: DataStream, first: bytes) -> None:
        """To the TLS server, until the visit is over."""
        host, port = self.node.world.tls_target or ("", 0)
        reader, writer = await asyncio.open_connection(host, port, limit=65536)

        async def begin() -> bytes:
            return first

        splice = self.node.splice(stream, reader, writer, dialled=True)
        splice.world = self.node.world
        await splice.run(asyncio.create_task(begin()))

    async def open(self, stream: DataStream) -> None:
        if self.streams:
            await stream.write(self.greeting)
        for _ in range(self.streams - 1):
            await (await stream.open()).write(self.greeting)

    async def use(self, stream: DataStream) -> None:
        """There is no TLS server behind this daemon: the visit ends here (SP-16)."""
        self.retry_at = 0.0
        stream.reset(DONE)
        stream.stop(DONE)

    async def on_early_end(self) -> None:
        self.retry_at = self.node.now() + self.pause

    async def surplus(self, stream: DataStream) -> None:
        """Refuses the streams of the relay."""
        while True:
            other = await stream.accept()
            other.reset(VIOLATION)
            other.stop(VIOLATION)
