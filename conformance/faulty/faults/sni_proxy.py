"""Faults in SNI-proxy streams, of relays and of daemons."""

from __future__ import annotations

import asyncio
import contextlib

from ..protocol import NOT_AUTHORISED, READY, VIOLATION, DataStream
from ..sni import LOST, Relay, Supply
from .on_data import relay_fault, supply_fault

# -- relays


@relay_fault("ready-in-one-read", "SP-04")
class ReadyInOneRead(Relay):
    """Wants READY in one piece."""

    async def ready(self) -> bool:
        return await self.stream.read(len(READY)) == READY


@relay_fault("ready-as-frame", "SP-04")
class ReadyAsFrame(Relay):
    """Wants the length of READY in one piece and its body in another, as it writes them itself."""

    async def ready(self) -> bool:
        return await self.stream.read(4) == READY[:4] and await self.stream.read(5) == READY[4:]


@relay_fault("ready-not-awaited", "SP-05")
class ReadyNotAwaited(Relay):
    """Takes every stream for idle."""

    async def ready(self) -> bool:
        return True

    async def on_speech(self, data: bytes) -> None:
        await self.stream.wait_closed()

    async def on_end(self) -> None:
        await self.stream.wait_closed()


@relay_fault("ready-without-time", "SP-05")
class ReadyWithoutTime(Relay):
    """Waits for READY without end."""

    ready_within = 1000.0


@relay_fault("any-nine-bytes-are-ready", "SP-05")
class AnyNineBytes(Relay):
    """Counts nine bytes, whatever they are."""

    async def ready(self) -> bool:
        received = b""
        while len(received) < len(READY):
            data = await self.stream.read(len(READY) - len(received))
            if not data:
                return False
            received += data
        return True

    async def on_speech(self, data: bytes) -> None:
        await self.stream.wait_closed()


@relay_fault("early-reset-ignored", "SP-05")
class EarlyResetIgnored(Relay):
    """Keeps a connection whose stream is reset before READY."""

    async def on_early_reset(self, error: Exception) -> None:
        await self.stream.wait_closed()


@relay_fault("late-ready-with-1", "SP-06")
class LateReadyWith1(Relay):
    """Closes with code 1 when READY does not come in time."""

    late_code = VIOLATION


@relay_fault("wrong-ready-with-5", "SP-06")
class WrongReadyWith5(Relay):
    """Closes with code 5 over what is not READY."""

    wrong_code = NOT_AUTHORISED


@relay_fault("ready-impatient", "SP-06", "SP-04")
class ReadyImpatient(Relay):
    """Waits half a second for READY."""

    ready_within = 0.5


@relay_fault("idle-end-unseen", "SP-08")
class IdleEndUnseen(Relay):
    """Does not watch idle streams."""

    async def on_idle(self) -> None:
        await self.stream.wait_closed()


@relay_fault("idle-speech-with-0", "SP-08")
class IdleSpeechWith0(Relay):
    """Closes with code 0 when an idle stream speaks."""

    spoke_code = 0


@relay_fault("idle-end-with-1", "SP-08")
class IdleEndWith1(Relay):
    """Closes with code 1 when an idle stream ends."""

    ended_code = VIOLATION


@relay_fault("four-idle", "SP-24")
class FourIdle(Relay):
    """Keeps four idle streams."""

    most_idle = 4


@relay_fault("sni-second-stream-closes", "SP-31")
class SniSecondStreamCloses(Relay):
    """Closes over a second stream."""

    async def surplus(self) -> None:
        await self.stream.accept()
        self.stream.close(VIOLATION)


@relay_fault("sni-second-stream-answered", "SP-31")
class SniSecondStreamAnswered(Relay):
    """Answers on a second stream."""

    async def surplus(self) -> None:
        while True:
            other = await self.stream.accept()
            await other.write(await other.read())


@relay_fault("sni-datagram-closes", "SP-31")
class SniDatagramCloses(Relay):
    """Takes a datagram for a byte of the stream."""

    async def surplus(self) -> None:
        await self.stream.receive_beside()
        self.stream.close(VIOLATION)


@relay_fault("sni-reset-code-matters", "CL-10", "SP-08")
class SniResetCodeMatters(Relay):
    """Keeps an idle stream that is reset with a code that it does not know."""

    async def on_reset(self, error: Exception) -> None:
        if getattr(error, "code", 0) > 6:
            await self.stream.wait_closed()
        await super().on_reset(error)


@relay_fault("sni-violation-closes-all", "CL-11", "SP-05")
class SniViolationClosesAll(Relay):
    """Closes every connection of a peer that sends something else than READY."""

    async def end(self, code: int) -> None:
        if code == self.wrong_code:
            for node in self.world.connections:
                node.end(code, "not READY")
        await super().end(code)


@relay_fault("sni-end-empties-pool", "CL-11", "SP-31")
class SniEndEmptiesPool(Relay):
    """Drops all idle streams of a peer when one ends."""

    async def end(self, code: int) -> None:
        for other in list(self.world.idle):
            other.stream.close(0)
        await super().end(code)


@relay_fault("ready-answered", "SP-04", "SP-31", "CL-11")
class ReadyAnswered(Relay):
    """Sends READY back."""

    async def on_idle(self) -> None:
        await self.stream.write(READY)
        await super().on_idle()


# -- daemons


@supply_fault("sni-two-streams", "SP-01")
class SniTwoStreams(Supply):
    """Opens two streams on each SNI-proxy connection."""

    streams = 2


@supply_fault("sni-opened-to-anybody", "SP-02")
class SniOpenedToAnybody(Supply):
    """Opens SNI-proxy connections to peers that do not take any."""

    @property
    def allowed(self) -> bool:
        return True


@supply_fault("ready-late", "SP-03", "ST-04")
class ReadyLate(Supply):
    """Sends READY 3.5 s after it has connected."""

    ready_delay = 3.5


@supply_fault("ready-without-length", "SP-03", "SP-01", "ST-04")
class ReadyWithoutLength(Supply):
    """Sends the word READY alone."""

    greeting = READY[4:]


@supply_fault("ready-not-sent", "SP-03", "SP-01", "ST-04")
class ReadyNotSent(Supply):
    """Waits for the relay to speak first."""

    streams = 0


@supply_fault("ready-twice", "SP-07")
class ReadyTwice(Supply):
    """Repeats READY each second."""

    async def open(self, stream: DataStream) -> None:
        await super().open(stream)
        self.go(self.repeat(stream))

    async def repeat(self, stream: DataStream) -> None:
        with contextlib.suppress(*LOST):
            while True:
                await asyncio.sleep(1.0)
                await stream.write(READY)


@supply_fault("ready-and-end", "SP-07")
class ReadyAndEnd(Supply):
    """Ends its direction behind READY."""

    async def open(self, stream: DataStream) -> None:
        await super().open(stream)
        await stream.finish()


@supply_fault("none-ahead", "SP-23")
class NoneAhead(Supply):
    """Keeps no stream ahead."""

    ahead = 0


@supply_fault("twelve-ahead", "SP-23")
class TwelveAhead(Supply):
    """Keeps twelve streams ahead."""

    ahead = 12


@supply_fault("reopens-at-once", "SP-25")
class ReopensAtOnce(Supply):
    """Opens another stream at once when one is lost."""

    pause = 0.0


@supply_fault("sni-streams-of-relay-answered", "SP-31")
class StreamsOfRelayAnswered(Supply):
    """Answers on a stream that the relay opens."""

    async def surplus(self, stream: DataStream) -> None:
        while True:
            other = await stream.accept()
            await other.write(await other.read())


@supply_fault("sni-streams-of-relay-close", "SP-31")
class StreamsOfRelayClose(Supply):
    """Closes over a stream that the relay opens."""

    async def surplus(self, stream: DataStream) -> None:
        await stream.accept()
        stream.close(VIOLATION)


@supply_fault("sni-accepted-without-stream", "ST-04")
class AcceptedWithoutStream(Supply):
    """Accepts RequestSniStream, and opens nothing."""

    def open_one(self) -> None:
        """Nothing is opened."""

    ahead = 0


@supply_fault("sni-one-for-all", "ST-04")
class OneForAll(Supply):
    """Opens one stream for all requests of a moment."""

    last = -10.0

    def open_one(self) -> None:
        if self.node.now() - self.last > 0.2:
            self.last = self.node.now()
            super().open_one()


@supply_fault("sni-loss-ends-control", "CL-11")
class LossEndsControl(Supply):
    """Takes the loss of an SNI-proxy stream for the loss of the relay."""

    async def on_early_end(self) -> None:
        self.node.end(0, "the relay is gone")
