"""``listen[:<ip:port>]``: a node that dials the suite, by itself or started for each case."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from gate_conformance.channel import Channel, CloseReport
from gate_conformance.process import Process, split_command
from gate_conformance.targets.arrivals import Arrival, Arrivals
from gate_conformance.targets.base import Target, TargetOptions
from gate_conformance.targets.iroh import IrohChannel
from gate_conformance.verdicts import CaseFailed, TargetGone, UsageError

if TYPE_CHECKING:
    from gate_p2p.iroh import Endpoint, IrohConnection, IrohStream

DIAL_WAIT = 30.0
STREAM_WAIT = 10.0
_STALE = 1.0
_HINT = "start the target with the address printed first, and let it dial again after each case"


def check_listen(rest: str) -> str:
    """The address to bind. Raises UsageError."""
    from gate_p2p.iroh import check_socket_address

    if not rest:
        return "127.0.0.1:0"
    try:
        return check_socket_address(rest, port_zero=True)
    except ValueError as error:
        raise UsageError(f"listen:{rest} is no target: {error}") from None


async def bind(key: bytes, listen: str) -> Endpoint:
    """An endpoint of the suite's. Raises TargetGone when the address cannot be had."""
    from gate_p2p.iroh import ALPN_CONTROL, ALPN_SNI_PROXY, BindError, Endpoint

    try:
        return await Endpoint.bind(key, listen=listen, alpns=(ALPN_CONTROL, ALPN_SNI_PROXY))
    except BindError as error:
        raise TargetGone(str(error)) from None


async def control_stream(connection: IrohConnection) -> IrohChannel:
    """The stream that the dialer opens; a dialer that opens none has sent no Handshake (HS-01)."""
    from gate_p2p.iroh import TransportError

    task = _stream_of(connection)
    await asyncio.wait({task}, timeout=STREAM_WAIT)
    if not task.done():
        late = f"no stream within {STREAM_WAIT:g} s of dialling"
        raise CaseFailed("a control stream with a Handshake on it", late, "HS-01")
    try:
        return IrohChannel(connection, task.result())
    except TransportError as error:
        raise CaseFailed("a control stream with a Handshake on it", str(error), "HS-01") from None


def _stream_of(connection: IrohConnection) -> asyncio.Task[IrohStream]:
    task = asyncio.get_running_loop().create_task(connection.accept_stream())
    # The loop reports errors that nobody has looked at, and after a time-out nobody does.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


class Doorkeeper:
    """Accepts what is dialled to one endpoint: control connections one by one, the others for who asks."""

    def __init__(self, endpoint: Endpoint, control: Callable[[IrohConnection], None]) -> None:
        self.arrivals = Arrivals()
        self._endpoint = endpoint
        self._control = control
        self._tasks: set[asyncio.Task[None]] = set()
        self._go(self._accept())

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        from gate_p2p.iroh import ALPN_CONTROL

        while (connection := await self._endpoint.accept()) is not None:
            if connection.alpn == ALPN_CONTROL:
                self._control(connection)
            else:
                self._go(self._data(connection, asyncio.get_running_loop().time()))

    async def _data(self, connection: IrohConnection, at: float) -> None:
        task = _stream_of(connection)
        await asyncio.wait({task}, timeout=STREAM_WAIT)
        opened = task.done() and task.exception() is None
        channel = IrohChannel(connection, task.result()) if opened else None
        if channel is None:
            if connection.closed:
                return  # its dialer has given it up
            connection.close(4)
        self.arrivals.add(connection.remote_id, Arrival(channel, connection.alpn, at))

    async def aclose(self) -> None:
        """After the end of the endpoint: wait until nothing is left."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)


class _Counted(IrohChannel):
    """Tells the target when the case is over."""

    owner_target: ListenTarget
    released = False

    async def release(self) -> CloseReport:
        report = await super().release()
        if not self.released:
            self.released = True
            self.owner_target.case_over()
        return report


class ListenTarget(Target):
    """Waits for a node that dials by itself; each connection goes to the case that has waited longest."""

    has_data = True

    def __init__(self, text: str, rest: str, options: TargetOptions) -> None:
        super().__init__(text, "dialer")
        self._listen = check_listen(rest)
        self._options = options
        self._endpoint: Endpoint | None = None
        self._waiting: deque[asyncio.Future[IrohConnection]] = deque()
        self._early: deque[tuple[float, IrohConnection]] = deque(maxlen=16)
        self._door: Doorkeeper | None = None
        self._busy = 0
        self._quiet_since = 0.0
        self._ever = False

    async def start(self) -> None:
        self._endpoint = await bind(self._options.key, self._listen)
        self._options.announce(str(self._endpoint.address))
        self._door = Doorkeeper(self._endpoint, self._take)
        self._quiet_since = self._now()
        connection = await self._next()
        # Only to see that somebody dials; the first case gets this very connection.
        self._early.append((self._now(), connection))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _take(self, connection: IrohConnection) -> None:
        self._ever = True
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if self._waiting:
            self._waiting.popleft().set_result(connection)
        else:
            if len(self._early) == self._early.maxlen:
                self._early.popleft()[1].close(0)
            self._early.append((self._now(), connection))

    async def _next(self) -> IrohConnection:
        while self._early:
            arrived, connection = self._early.popleft()
            if not connection.closed and self._now() - arrived < _STALE:
                return connection
            connection.close(0)
        place: asyncio.Future[IrohConnection] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        asked = self._now()
        try:
            while not place.done():
                since = max(asked, self._quiet_since)
                left = since + DIAL_WAIT - self._now() if not self._busy else 1.0
                if left <= 0:
                    break
                await asyncio.wait({place}, timeout=min(left, 1.0))
        except asyncio.CancelledError:
            if not place.cancel():
                place.result().close(0)  # it came, and nobody is there for it any more
            raise
        if place.done():
            return place.result()
        place.cancel()
        if not self._ever:
            raise TargetGone(f"nobody dialled within {DIAL_WAIT:g} s", _HINT)
        raise TargetGone(
            f"the target did not dial again within {DIAL_WAIT:g} s",
            "a target of listen dials once a case; or let the suite start it: --dialer 'CMD {address}'",
        )

    async def open(self) -> Channel:
        connection = await self._next()
        self._busy += 1
        try:
            channel = await control_stream(connection)
        except BaseException:  # cancelled or failed: nothing of this case stays behind
            connection.close(0)
            self.case_over()
            raise
        counted = _Counted(connection, channel.stream)
        counted.owner_target = self
        return counted

    async def dialled(self, control: Channel, since: float, within: float) -> Arrival | None:
        assert self._door is not None
        return await self._door.arrivals.next(control.remote_id, since, within)

    def case_over(self) -> None:
        self._busy -= 1
        self._quiet_since = self._now()

    async def confirm_gone(self) -> TargetGone | None:
        if self._early or self._busy:
            return None
        return TargetGone("the target did not dial again")

    async def aclose(self) -> None:
        if self._endpoint is not None:
            await self._endpoint.aclose()
        if self._door is not None:
            await self._door.aclose()


class _DialerChannel(IrohChannel):
    """Ends the process and the endpoint of its case."""

    process: Process
    endpoint: Endpoint
    door: Doorkeeper
    done: CloseReport | None = None

    def end_target(self) -> bool:
        self.process.terminate()
        return True

    async def release(self) -> CloseReport:
        if self.done is None:
            self.done = await release_dialer(self.process, self.endpoint)
            await self.door.aclose()
        return self.done


async def release_dialer(process: Process, endpoint: Endpoint) -> CloseReport:
    """End the process first, so that it does not dial an endpoint that is going away."""
    own_end = process.status
    try:
        status = await process.stop(3.0, politely=True)
    finally:
        await endpoint.aclose()
    status = own_end if own_end is not None else status
    return CloseReport(None, status, process.crash(status, every_status=False), process.stderr_tail)


class DialerTarget(Target):
    """Starts a dialer per case, each with an endpoint of its own, so that none lands in another's case."""

    has_data = True

    def __init__(self, text: str, rest: str, options: TargetOptions) -> None:
        super().__init__(text, "dialer")
        self._listen = check_listen(rest)
        self._options = options
        assert options.dialer is not None
        if "{address}" not in options.dialer:
            raise UsageError("--dialer: the command has no {address} in it")
        self._words = split_command(options.dialer, "--dialer:")
        if rest and not rest.endswith(":0"):
            self.limit = 1  # one address, one case at a time
        # Starting costs the most: many at once would starve the cases that run.
        self._starting = asyncio.Semaphore(max(2, os.cpu_count() or 2))

    async def start(self) -> None:
        try:
            channel = await self.open()
        except CaseFailed:
            return  # it dials, so it is there; what it did wrong is for the cases to say
        await channel.release()

    async def open(self) -> Channel:
        async with self._starting:
            return await self._open()

    async def _open(self) -> Channel:
        endpoint = await bind(self._options.key, self._listen)
        process: Process | None = None
        dialled: asyncio.Queue[IrohConnection] = asyncio.Queue()
        door = Doorkeeper(endpoint, dialled.put_nowait)
        try:
            address = str(endpoint.address)
            words = [word.replace("{address}", address) for word in self._words]
            process = await Process.start(words, {"GATE_PEER_ID": self._options.peer_id}, pipes=False)
            connection = await self._dialled(dialled, process)
            opened = await control_stream(connection)
        except BaseException:  # cancelled or failed: nothing of this case stays behind
            if process is not None:
                await release_dialer(process, endpoint)
            else:
                await endpoint.aclose()
            raise
        channel = _DialerChannel(connection, opened.stream)
        channel.process, channel.endpoint, channel.door = process, endpoint, door
        return channel

    async def dialled(self, control: Channel, since: float, within: float) -> Arrival | None:
        assert isinstance(control, _DialerChannel)
        return await control.door.arrivals.next(control.remote_id, since, within)

    async def _dialled(self, dialled: asyncio.Queue[IrohConnection], process: Process) -> IrohConnection:
        loop = asyncio.get_running_loop()
        accepting = loop.create_task(dialled.get())
        exited = loop.create_task(process.raw.wait())
        try:
            await asyncio.wait({accepting, exited}, timeout=DIAL_WAIT, return_when="FIRST_COMPLETED")
            if not accepting.done() and exited.done():
                await asyncio.wait({accepting}, timeout=2.0)  # it may have left a child that dials
            if accepting.done():
                return accepting.result()
        finally:
            accepting.cancel()
            exited.cancel()
        tail = f"; it said: {process.stderr_tail[-300:]}" if process.stderr_tail else ""
        if process.status is not None:
            raise TargetGone(f"the dialer exited with status {process.status} before it dialled{tail}")
        raise TargetGone(f"the dialer did not dial within {DIAL_WAIT:g} s{tail}", "does it use {address}?")
