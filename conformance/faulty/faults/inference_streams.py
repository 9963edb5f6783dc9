"""Faults in inference connections: side by side, cancelled, in time, and at their end."""

from __future__ import annotations

import asyncio
from typing import Any

from ..inference import LOST, Responder
from ..node import Node
from ..protocol import NOT_AUTHORISED, VIOLATION
from ..registry import ACCEPTOR, fault
from .on_data import responder_fault

# -- other streams


@responder_fault("inference-second-stream-served", "IN-35")
class SecondStreamServed(Responder):
    """Serves every stream of an inference connection."""

    async def surplus(self) -> None:
        while True:
            other = await self.stream.accept()
            self.go(type(self)(other, self.peer_id, self.world).run())


@responder_fault("inference-second-stream-closes", "IN-35")
class SecondStreamCloses(Responder):
    """Closes an inference connection over a second stream."""

    async def surplus(self) -> None:
        await self.stream.accept()
        self.stream.close(VIOLATION)


@responder_fault("inference-beside-served", "IN-35")
class BesideServed(Responder):
    """Reads the request from wherever it comes."""

    async def request(self) -> Any:
        usual = asyncio.create_task(super().request())
        other = asyncio.create_task(self.stream.receive_beside())
        await asyncio.wait({usual, other}, return_when=asyncio.FIRST_COMPLETED)
        other.cancel()
        if usual.done():
            return usual.result()
        usual.cancel()
        await asyncio.gather(usual, return_exceptions=True)
        return next(map(self.wire().parse, self.wire().bodies(other.result())))


@responder_fault("inference-beside-closes", "IN-35")
class BesideCloses(Responder):
    """Closes an inference connection over a datagram."""

    async def surplus(self) -> None:
        await self.stream.receive_beside()
        self.stream.close(VIOLATION)


# -- cancellation


@responder_fault("inference-reset-cancels-all", "IN-25")
class ResetCancelsAll(Responder):
    """Gives up every request of the peer when one is reset."""

    async def on_lost(self, error: Exception) -> None:
        for other in list(self.world.responders):
            other.stream.close(0, "a request was cancelled")


@responder_fault("inference-cancels-all-in-work", "IN-25")
class CancelsAllInWork(Responder):
    """Gives up all that it works on when one request is cancelled."""

    async def until_done(self, work: asyncio.Task[None], gone: list[asyncio.Task[None]]) -> None:
        await super().until_done(work, gone)
        if not work.done():
            for other in list(self.world.responders):
                other.stream.close(0, "a request was cancelled")


@responder_fault("inference-reset-ignored", "IN-25", "IN-26")
class ResetIgnored(Responder):
    """Answers a request that was reset."""

    async def watch_input(self) -> None:
        await asyncio.Event().wait()


@responder_fault("inference-reset-code-matters", "CL-10")
class ResetCodeMatters(Responder):
    """Takes a reset for the end of the request when its code is 0, and waits on otherwise."""

    async def on_lost(self, error: Exception) -> None:
        if getattr(error, "code", 0) != 0 and "reset" in str(error):
            await self.stream.wait_closed()
        await super().on_lost(error)


# -- time, and the end


@responder_fault("inference-waits-for-ever", "IN-29")
class WaitsForEver(Responder):
    """Waits for a request without end."""

    silence = 1000.0


@responder_fault("inference-impatient", "IN-29")
class Impatient(Responder):
    """Waits 10 s for a request."""

    silence = 10.0


@responder_fault("inference-time-out-with-1", "IN-29")
class TimeOutWith1(Responder):
    """Closes with code 1 when a request does not come in time."""

    timeout_code = VIOLATION


@responder_fault("inference-one-at-a-time", "IN-32", "IN-10", "IN-25", "IN-13")
class OneAtATime(Responder):
    """Serves the connections of a peer one after the other."""

    async def connection(self) -> None:
        while self.world.responders[0] is not self:  # noqa: ASYNC110 - a fault needs no elegance
            await asyncio.sleep(0.1)
        await super().connection()


@responder_fault("inference-needs-control", "IN-33")
class NeedsControl(Responder):
    """Gives up a request when the control connection ends."""

    async def watch_output(self) -> None:
        waited = asyncio.ensure_future(super().watch_output())
        try:
            while self.world.connections and not waited.done():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.1)
        finally:
            waited.cancel()


@responder_fault("inference-never-closes", "CL-08")
class NeverCloses(Responder):
    """Leaves the close to the requester."""

    close_after = 1000.0


@responder_fault("inference-grants-and-refuses", "ST-05", "IN-10")
class GrantsAndRefuses(Responder):
    """Grants inference streams, and serves none."""

    async def run(self) -> None:
        self.stream.close(NOT_AUTHORISED, "no room")


@responder_fault("inference-end-closes-control", "CL-11")
class EndClosesControl(Responder):
    """Closes the control connections of a peer whose inference connection is lost."""

    async def on_lost(self, error: Exception) -> None:
        for node in self.world.connections:
            node.end(0, "the peer is gone")
        await super().on_lost(error)


# -- control connections


@fault("control-end-closes-others", "CL-11", "TR-04", roles=ACCEPTOR)
class ControlEndClosesOthers(Node):
    """Ends every connection of a peer when it loses one."""

    def lose(self, reason: str) -> None:
        for node in self.world.connections:
            node.end(self.done_code, "the peer is gone")
        super().lose(reason)


@fault("reset-code-matters", "CL-10", "TR-12")
class ControlResetCodeMatters(Node):
    """Takes a reset with a code that it does not know for nothing."""

    async def read_on(self) -> None:
        try:
            await super().read_on()
        except LOST as error:
            if getattr(error, "code", 0) <= 6 or "reset" not in str(error):
                raise
