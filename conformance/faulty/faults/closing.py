"""Faults in closing: codes, what is sent before it, what ends when."""

from __future__ import annotations

import asyncio

from ..node import Node
from ..protocol import NOT_AUTHORISED, VIOLATION, Crash
from ..registry import ACCEPTOR, DIALER, fault, variant
from .transport import OverReset, OverStop

HERE = "closing"

variant(
    HERE,
    "violation-closed-with-0",
    "CL-01",
    does="Closes with 0 after a violation, as 0.1.0 does.",
    violation_code=0,
    too_large_code=0,
)
variant(
    HERE, "too-large-closed-with-1", "CL-01", does="Closes with 1 over a length too large.", too_large_code=1
)
variant(HERE, "violation-closed-with-2", "CL-01", does="Closes with 2 over any violation.", violation_code=2)
variant(HERE, "violation-closed-with-3", "CL-01", does="Closes with 3 over a violation.", violation_code=3)
variant(HERE, "end-closed-with-1", "CL-02", does="Closes with 1 after a clean end.", done_code=1)
variant(HERE, "end-closed-with-6", "CL-02", does="Closes with 6 after a clean end.", done_code=6)
variant(
    HERE,
    "end-drops-answers",
    "CL-02",
    "FR-10",
    does="Closes at once, whatever is nearly ready.",
    linger=0.0,
    answer_delay=0.05,
)
variant(
    HERE,
    "stop-closed-with-0",
    "CL-04",
    does="Closes with 0 at SIGTERM.",
    roles=DIALER,
    over="iroh",
    stop_code=0,
)
variant(
    HERE,
    "goodbye-without-close",
    "CL-13",
    "CL-04",
    does="Ends its direction at SIGTERM, and leaves it to the peer to close.",
    roles=DIALER,
    over="iroh",
    goodbye_wait=8.0,
)
variant(HERE, "end-waits-for-all", "CL-02", does="Waits for every request before it closes.", linger=60.0)


@fault("reset-with-0-stays-open", "CL-10")
class ResetWith0StaysOpen(OverReset):
    """Takes a reset with code 0 for no error, and keeps the connection."""

    async def over_reset(self, error: ConnectionResetError) -> None:
        if getattr(error, "code", None) != 0:
            self.lose(str(error))


@fault("reset-with-unknown-code-stays-open", "CL-10", "TR-12")
class ResetWithUnknownCodeStaysOpen(OverReset):
    """Looks the code of a reset up among those that it knows."""

    async def over_reset(self, error: ConnectionResetError) -> None:
        if getattr(error, "code", 0) <= 6:
            self.lose(str(error))


@fault("stop-with-0-stays-open", "CL-10")
class StopWith0StaysOpen(OverStop):
    """Takes a stop with code 0 for the wish to hear nothing, and keeps the connection."""

    def ignores(self, error: ConnectionResetError) -> bool:
        return getattr(error, "code", None) == 0


@fault("end-stays-open", "CL-02")
class EndStaysOpen(Node):
    """Leaves the connection open after a clean end."""

    async def on_end_of_stream(self) -> None:
        if self.buffer:
            await super().on_end_of_stream()


@fault("end-closes-late", "CL-02")
class EndClosesLate(Node):
    """Closes 10 s after a clean end."""

    async def on_end_of_stream(self) -> None:
        if not self.buffer:
            await asyncio.sleep(10.0)
        await super().on_end_of_stream()


@fault("end-crashes", "TR-05", "CL-02")
class EndCrashes(Node):
    """Does not expect the end of the stream."""

    async def on_end_of_stream(self) -> None:
        raise Crash("unexpected end of file")


@fault("end-is-a-violation", "CL-02")
class EndIsAViolation(Node):
    """Takes a clean end for a violation."""

    async def on_end_of_stream(self) -> None:
        self.end(VIOLATION, "the stream ended")


@fault("end-drops-all-answers", "CL-02")
class EndDropsAllAnswers(Node):
    """Ends every request at a clean end."""

    answer_delay = 0.05

    async def on_end_of_stream(self) -> None:
        for task in self.handlers:
            task.cancel()
        await super().on_end_of_stream()


@fault("violation-aborts", "FR-09", "FR-10", "CL-01")
class ViolationAborts(Node):
    """Closes the connection at a violation before what it wrote is delivered."""

    answer_delay = 0.05

    async def farewell(self) -> None:
        for task in self.handlers:
            task.cancel()


class OverCode(Node):
    """Does something over the code that the peer closed with."""

    async def read_on(self) -> None:
        try:
            await super().read_on()
        except ConnectionError as error:
            self.on_code(getattr(error, "code", 0))
            raise

    def on_code(self, code: int) -> None:
        raise NotImplementedError


@fault("unknown-code-crashes", "TR-05", "CL-03", roles=ACCEPTOR)
class UnknownCodeCrashes(OverCode):
    """Looks a code up among those that it knows."""

    def on_code(self, code: int) -> None:
        if code > 6:
            raise Crash(f"no close code {code}")


@fault("large-code-crashes", "TR-05", "CL-03", roles=ACCEPTOR)
class LargeCodeCrashes(OverCode):
    """Keeps a code in 32 bits."""

    def on_code(self, code: int) -> None:
        if code >= 2**32:
            raise Crash("integer out of range")


class BearsAGrudge(OverCode):
    """Serves no peer any more that closed with one of these codes."""

    codes: tuple[int, ...] = ()

    def on_code(self, code: int) -> None:
        if code in self.codes:
            self.world.banned.add(self.peer_id)

    async def start(self) -> None:
        if self.peer_id in self.world.banned:
            self.end(NOT_AUTHORISED, "you left in anger")
        await super().start()


@fault("violation-code-bans", "CL-03", roles=ACCEPTOR)
class ViolationCodeBans(BearsAGrudge):
    """Serves a peer no more that called it a violator."""

    codes = (1, 2)


@fault("code-5-bans", "CL-03", roles=ACCEPTOR)
class Code5Bans(BearsAGrudge):
    """Serves a peer no more that would not have it."""

    codes = (5,)


@fault("unknown-code-bans", "CL-03", roles=ACCEPTOR)
class UnknownCodeBans(BearsAGrudge):
    """Takes an unknown code for an attack."""

    codes = (7, 255, 65536, 2**32, 2**62 - 1)
