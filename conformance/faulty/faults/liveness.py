"""Faults in Ping, Pong, keep-alive and giving up."""

from __future__ import annotations

import asyncio

from ..node import Node
from ..protocol import VIOLATION, Crash, Message
from ..registry import fault, variant

HERE = "liveness"

variant(HERE, "no-keep-alive", "LV-05", does="Sends no Pings of its own.", ping_after=1e9)
variant(HERE, "keep-alive-after-25", "LV-05", does="Sends a Ping after 25 s without bytes.", ping_after=25.0)
variant(HERE, "keep-alive-after-40", "LV-05", does="Sends a Ping after 40 s without bytes.", ping_after=40.0)
variant(HERE, "never-dead", "LV-06", does="Never gives a silent peer up.", dead_after=1e9)
variant(HERE, "dead-after-90", "LV-06", does="Gives a silent peer up after 90 s.", dead_after=90.0)
variant(
    HERE,
    "dead-after-20",
    "LV-06",
    "LV-05",
    "LV-07",
    does="Gives a silent peer up after 20 s.",
    dead_after=20.0,
)
variant(HERE, "dead-after-30", "LV-06", "LV-07", does="Gives a silent peer up after 30 s.", dead_after=30.0)
variant(HERE, "dead-closed-with-0", "LV-06", does="Closes with 0 when the peer is silent.", timeout_code=0)
variant(HERE, "dead-closed-with-1", "LV-06", does="Closes with 1 when the peer is silent.", timeout_code=1)


class OtherPong(Node):
    """Answers Pings in its own way."""

    def pong_id(self, number: int) -> int:
        return number

    async def on_ping(self, message: Message) -> None:
        await self.send({"type": "Pong", "id": self.pong_id(message["id"])})


@fault("ping-not-answered", "LV-01", "MS-06", "HS-10")
class PingNotAnswered(Node):
    """Never answers a Ping."""

    async def on_ping(self, message: Message) -> None:
        return


@fault("pong-with-next-id", "LV-01", "MS-06")
class PongWithNextId(OtherPong):
    """Answers with the id plus one."""

    def pong_id(self, number: int) -> int:
        return (number + 1) % 2**64


@fault("pong-with-zero", "LV-01", "MS-06")
class PongWithZero(OtherPong):
    """Answers every Ping with id 0."""

    def pong_id(self, number: int) -> int:
        return 0


@fault("pong-with-own-count", "LV-01", "MS-06")
class PongWithOwnCount(OtherPong):
    """Counts its Pongs itself."""

    count = 0

    def pong_id(self, number: int) -> int:
        self.count += 1
        return self.count


@fault("pong-twice", "LV-01")
class PongTwice(Node):
    """Answers each Ping twice."""

    async def on_ping(self, message: Message) -> None:
        await super().on_ping(message)
        await super().on_ping(message)


@fault("pong-late", "LV-01")
class PongLate(Node):
    """Answers a Ping after 6 s."""

    async def on_ping(self, message: Message) -> None:
        async def later() -> None:
            await asyncio.sleep(6.0)
            await super(PongLate, self).on_ping(message)

        self.go(later())


@fault("ping-answered-with-ping", "LV-01")
class PingAnsweredWithPing(Node):
    """Answers a Ping with a Ping."""

    async def on_ping(self, message: Message) -> None:
        await self.send({"type": "Ping", "id": message["id"]})


@fault("every-other-ping", "LV-01", "LV-03")
class EveryOtherPing(Node):
    """Answers every other Ping."""

    count = 0

    async def on_ping(self, message: Message) -> None:
        self.count += 1
        if self.count % 2:
            await super().on_ping(message)


@fault("first-ping-only", "LV-01", "LV-03")
class FirstPingOnly(Node):
    """Answers one Ping a connection."""

    answered = False

    async def on_ping(self, message: Message) -> None:
        if not self.answered:
            self.answered = True
            await super().on_ping(message)


@fault("same-id-answered-once", "LV-01", "LV-03")
class SameIdAnsweredOnce(Node):
    """Takes a Ping with an id that was there before for a repeat, and ignores it."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self.seen: set[int] = set()

    async def on_ping(self, message: Message) -> None:
        if message["id"] not in self.seen:
            self.seen.add(message["id"])
            await super().on_ping(message)


@fault("smaller-ids-ignored", "LV-01", "MS-06", "LV-03")
class SmallerIdsIgnored(Node):
    """Takes a Ping with an id below the last one for an old one."""

    largest = -1

    async def on_ping(self, message: Message) -> None:
        if message["id"] >= self.largest:
            self.largest = message["id"]
            await super().on_ping(message)


@fault("pings-coalesced", "LV-03", "LV-01")
class PingsCoalesced(Node):
    """Answers the last Ping of each read alone."""

    waiting: Message | None = None

    async def on_data(self, data: bytes) -> None:
        await super().on_data(data)
        if self.waiting is not None:
            waiting, self.waiting = self.waiting, None
            await super().on_ping(waiting)

    async def on_ping(self, message: Message) -> None:
        self.waiting = message


class RateLimited(Node):
    """Answers a number of Pings a second."""

    rate = 100
    second = -1
    count = 0

    def within_rate(self) -> bool:
        if int(self.now()) != self.second:
            self.second, self.count = int(self.now()), 0
        self.count += 1
        return self.count <= self.rate

    async def on_ping(self, message: Message) -> None:
        if self.within_rate():
            await super().on_ping(message)


@fault("pings-dropped-past-100", "LV-03")
class PingsDroppedPast100(RateLimited):
    """Drops Pings past 100 a second."""


@fault("pings-dropped-past-1000", "LV-03")
class PingsDroppedPast1000(RateLimited):
    """Drops Pings past 1,000 a second."""

    rate = 1000


@fault("ping-flood-closes", "LV-03")
class PingFloodCloses(RateLimited):
    """Closes over more than 100 Pings a second."""

    async def on_ping(self, message: Message) -> None:
        if self.within_rate():
            await Node.on_ping(self, message)
        else:
            self.end(VIOLATION, "a flood")


@fault("pings-wait-for-requests", "LV-02", "RQ-09", "LV-01")
class PingsWaitForRequests(Node):
    """Answers a Ping when no request is in flight any more."""

    async def on_ping(self, message: Message) -> None:
        async def later() -> None:
            if self.handlers:
                await asyncio.wait(set(self.handlers))
            await super(PingsWaitForRequests, self).on_ping(message)

        if self.handlers:
            self.go(later())
        else:
            await super().on_ping(message)


@fault("pings-dropped-while-busy", "LV-02", "LV-01")
class PingsDroppedWhileBusy(Node):
    """Ignores Pings while a request is in flight."""

    async def on_ping(self, message: Message) -> None:
        if not self.handlers:
            await super().on_ping(message)


@fault("unasked-pong-closes", "LV-04")
class UnaskedPongCloses(Node):
    """Closes over a Pong that it did not ask for."""

    async def on_pong(self, message: Message) -> None:
        if message["id"] > self.next_ping_id or message["id"] < 2:
            self.end(VIOLATION, "nobody asked")


@fault("unasked-pong-crashes", "TR-05", "LV-04")
class UnaskedPongCrashes(Node):
    """Looks an unasked Pong up in its table."""

    async def on_pong(self, message: Message) -> None:
        if message["id"] > self.next_ping_id:
            raise Crash("no such id")


@fault("pong-answered", "LV-04", "LV-01")
class PongAnswered(Node):
    """Answers a Pong with a Pong."""

    async def on_pong(self, message: Message) -> None:
        await self.send(message)


@fault("keep-alive-once", "LV-05")
class KeepAliveOnce(Node):
    """Sends one keep-alive Ping a connection, and no other."""

    def ping_due(self) -> float | None:
        return super().ping_due() if self.next_ping_id == 1 else None


@fault("keep-alive-needs-a-ping-first", "LV-05")
class KeepAliveAfterTrafficOnly(Node):
    """Starts keep-alive with the first Ping of the peer."""

    pinged = False

    async def on_ping(self, message: Message) -> None:
        self.pinged = True
        await super().on_ping(message)

    def ping_due(self) -> float | None:
        return super().ping_due() if self.pinged else None


@fault("any-pong-stops-keep-alive", "LV-05")
class AnyPongStopsKeepAlive(Node):
    """Sends no keep-alive Ping any more after a Pong."""

    async def on_pong(self, message: Message) -> None:
        self.ping_after = 1e9


class OtherClock(Node):
    """Counts something else than received bytes for signs of life."""

    last_sign = 0.0

    async def establish(self) -> None:
        await super().establish()
        self.last_sign = self.now()

    def sign(self) -> None:
        self.last_sign = self.now()

    def deadline(self) -> float | None:
        if not self.established:
            return super().deadline()
        return max(self.last_sign, self.opened) + self.dead_after


@fault("age-ends-connection", "LV-07")
class AgeEndsConnection(OtherClock):
    """Closes 45 s after the handshake, whatever arrives."""


@fault("only-pings-are-life", "LV-07")
class OnlyPingsAreLife(OtherClock):
    """Counts Pings alone as a sign of life."""

    async def on_ping(self, message: Message) -> None:
        self.sign()
        await super().on_ping(message)


@fault("only-pongs-are-life", "LV-07")
class OnlyPongsAreLife(OtherClock):
    """Counts Pongs alone as a sign of life."""

    async def on_pong(self, message: Message) -> None:
        self.sign()


@fault("only-messages-are-life", "LV-07")
class OnlyMessagesAreLife(OtherClock):
    """Counts complete known messages alone as a sign of life, not the bytes of a frame."""

    async def on_message(self, message: Message) -> None:
        self.sign()
        await super().on_message(message)


@fault("pongs-are-no-life", "LV-07")
class PongsAreNoLife(OtherClock):
    """Does not count Pongs as a sign of life."""

    async def on_message(self, message: Message) -> None:
        if message["type"] != "Pong":
            self.sign()
        await super().on_message(message)


@fault("own-pings-must-be-answered", "LV-07")
class OwnPingsMustBeAnswered(Node):
    """Gives the connection up when its own Ping has no Pong within 10 s, whatever else arrives."""

    pinged_at: float | None = None

    def ping(self) -> Message:
        self.pinged_at = self.pinged_at or self.now()
        return super().ping()

    async def on_pong(self, message: Message) -> None:
        self.pinged_at = None

    def deadline(self) -> float | None:
        usual = super().deadline()
        if self.pinged_at is None or usual is None:
            return usual
        return min(usual, self.pinged_at + 10.0)
