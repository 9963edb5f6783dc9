"""Faults in framing: lengths, cuts, and what a violation leads to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from ..node import Node
from ..protocol import Violation
from ..registry import fault, variant

HERE = "framing"

variant(
    HERE, "limit-one-low", "FR-02", does="Refuses a body of exactly 10,485,760 bytes.", max_body=10_485_759
)
variant(HERE, "limit-one-high", "FR-03", does="Accepts a body of 10,485,761 bytes.", max_body=10_485_761)
variant(HERE, "limit-64-kib", "FR-02", does="Refuses bodies above 64 KiB.", max_body=65_536)
variant(HERE, "limit-1-mib", "FR-02", does="Refuses bodies above 1 MiB.", max_body=1 << 20)
variant(
    HERE, "limit-10-megabytes", "FR-02", does="Takes the limit for 10,000,000 bytes.", max_body=10_000_000
)
variant(HERE, "limit-16-mib", "FR-03", does="Accepts bodies up to 16 MiB.", max_body=1 << 24)
variant(
    HERE, "limit-of-ready-frames", "FR-03", does="Uses the 100 MiB limit of READY frames.", max_body=100 << 20
)
variant(HERE, "no-limit", "FR-03", does="Takes any length and waits for the body.", max_body=1 << 40)


@fault("reads-little-endian", "FR-02", "HS-02", "HS-08", "FR-01", "FR-05")
class ReadsLittleEndian(Node):
    """Reads the length as little-endian."""

    def read_length(self, prefix: bytes) -> int:
        return int.from_bytes(prefix, "little")


@fault("signed-length", "FR-03")
class SignedLength(Node):
    """Reads the length as signed: from 2^31 on it is below the limit, and waited for."""

    def check_length(self, length: int) -> None:
        if length < 2**31:
            super().check_length(length)


@fault("length-of-24-bits", "FR-03")
class LengthOf24Bits(Node):
    """Uses the lower three bytes of the length alone."""

    def read_length(self, prefix: bytes) -> int:
        return int.from_bytes(prefix[1:], "big")


@fault("zero-length-skipped", "FR-04")
class ZeroLengthSkipped(Node):
    """Takes a frame of length 0 for a keep-alive and skips it."""

    def bodies(self, data: bytes) -> Iterator[bytes]:
        self.buffer += data
        while True:
            while self.buffer[:4] == bytes(4):
                del self.buffer[:4]
            body = self.next_body()
            if body is None:
                return
            yield body


@fault("zero-length-stalls", "FR-04", "FR-08")
class ZeroLengthStalls(Node):
    """Stops reading at a frame of length 0, and neither answers nor closes any more."""

    def next_body(self) -> bytes | None:
        return None if self.buffer[:4] == bytes(4) else super().next_body()


@fault("oversized-judged-late", "FR-03")
class OversizedJudgedLate(Node):
    """Collects the whole body before it looks at its length."""

    def check_length(self, length: int) -> None:
        if len(self.buffer) >= 4 + length:
            super().check_length(length)


@fault("oversized-skipped", "FR-03")
class OversizedSkipped(Node):
    """Reads over the body of a frame that is too large, and goes on with the next one."""

    to_skip = 0

    def bodies(self, data: bytes) -> Iterator[bytes]:
        skipped = min(self.to_skip, len(data))
        self.to_skip -= skipped
        try:
            yield from super().bodies(data[skipped:])
        except Violation as violation:
            if violation.code != self.too_large_code:
                raise
            length = self.read_length(bytes(self.buffer[:4]))
            self.to_skip = max(0, length + 4 - len(self.buffer))
            del self.buffer[: length + 4]


@fault("oversized-stalls", "FR-03", "FR-08")
class OversizedStalls(Node):
    """Only logs a length above the limit, and reads nothing more."""

    def check_length(self, length: int) -> None:
        if 0 < length <= self.max_body:
            return
        super().check_length(0) if length == 0 else None


@fault("read-is-a-frame", "FR-05")
class ReadIsAFrame(Node):
    """Takes what one read gives for whole frames, and forgets an incomplete rest."""

    def bodies(self, data: bytes) -> Iterator[bytes]:
        yield from super().bodies(data)
        self.buffer.clear()


@fault("one-frame-a-read", "FR-05")
class OneFrameARead(Node):
    """Takes the first frame of a read, and drops the others."""

    def bodies(self, data: bytes) -> Iterator[bytes]:
        self.buffer += data
        body = self.next_body()
        if body is not None:
            self.buffer.clear()
            yield body


@fault("next-frame-waits-for-a-read", "FR-05", "LV-01")
class NextFrameWaits(Node):
    """Handles one frame a read; the second of two comes with the next read."""

    def bodies(self, data: bytes) -> Iterator[bytes]:
        self.buffer += data
        body = self.next_body()
        if body is not None:
            yield body


@fault("prefix-in-one-read", "FR-05")
class PrefixInOneRead(Node):
    """Throws a prefix away when it comes in parts."""

    def next_body(self) -> bytes | None:
        if len(self.buffer) < 4:
            self.buffer.clear()
        return super().next_body()


@fault("short-prefix-is-a-violation", "FR-05")
class ShortPrefixIsAViolation(Node):
    """Calls a prefix that comes in parts a framing violation."""

    def next_body(self) -> bytes | None:
        if 0 < len(self.buffer) < 4:
            raise Violation("a short prefix")
        return super().next_body()


@fault("body-in-one-read", "FR-05", "FR-02")
class BodyInOneRead(Node):
    """Decodes as much of a body as the read gave."""

    def next_body(self) -> bytes | None:
        body = super().next_body()
        if body is None and len(self.buffer) > 4:
            body = bytes(self.buffer[4:])
            self.buffer.clear()
        return body


@fault("eight-reads-a-frame", "FR-05", "FR-02")
class EightReadsAFrame(Node):
    """Gives up on a frame that is not complete after 8 reads."""

    reads = 0

    def bodies(self, data: bytes) -> Iterator[bytes]:
        for body in super().bodies(data):
            self.reads = 0
            yield body
        self.reads = self.reads + 1 if self.buffer else 0
        if self.reads > 8 and len(self.buffer) < 65_536:
            raise Violation("too many reads for a frame")


@fault("frame-has-two-seconds", "FR-05", "LV-07")
class FrameHasTwoSeconds(Node):
    """Drops a frame that is not complete within 2 s."""

    since = 0.0

    def bodies(self, data: bytes) -> Iterator[bytes]:
        if self.buffer and self.now() - self.since > 2.0:
            self.buffer.clear()
        if not self.buffer:
            self.since = self.now()
        yield from super().bodies(data)


@fault("violation-stays-open", "FR-08", "FR-03", "FR-04", "FR-06", "FR-07")
class ViolationStaysOpen(Node):
    """Stops acting after a violation, but leaves the connection open."""

    async def on_violation(self, violation: Violation) -> None:
        self.acting = False


variant(
    HERE,
    "violation-closes-late",
    "FR-08",
    "FR-03",
    "FR-04",
    "FR-06",
    "FR-07",
    does="Closes 8 s after a violation.",
    violation_delay=8.0,
)


@fault("acts-on-the-next-frame", "FR-08")
class ActsOnTheNextFrame(Node):
    """Closes after a violation, but first acts on the frames that were read with it."""

    async def on_violation(self, violation: Violation) -> None:
        try:
            while (body := self.next_body()) is not None:
                await self.on_body(body)
        except Violation:
            self.buffer.clear()
        await super().on_violation(violation)


@fault("acts-until-closed", "FR-08")
class ActsUntilClosed(Node):
    """Closes 1 s after a violation, and acts on all that comes in between."""

    async def on_violation(self, violation: Violation) -> None:
        async def close_later() -> None:
            await asyncio.sleep(1.0)
            self.end(violation.code, violation.reason)

        self.go(close_later())


@fault("violation-drops-earlier-frames", "FR-09", "FR-10")
class ViolationDropsEarlierFrames(Node):
    """Decodes all that a read gave before it acts on any of it; a violation throws the good frames away."""

    async def on_data(self, data: bytes) -> None:
        try:
            values = [self.parse(body) for body in self.bodies(data)]
        except Violation as violation:
            await self.on_violation(violation)
            return
        for value in values:
            await self.on_value(value)


@fault("violation-drops-answers", "FR-10", "FR-09")
class ViolationDropsAnswers(Node):
    """Throws away, at a violation, the answers of requests that are being handled."""

    answer_delay = 0.05

    async def on_violation(self, violation: Violation) -> None:
        for task in self.handlers:
            task.cancel()
        await super().on_violation(violation)


@fault("part-of-a-frame-acted-on", "FR-11")
class PartOfAFrameActedOn(Node):
    """At the end of the stream acts on what there is of the last frame."""

    async def on_end_of_stream(self) -> None:
        body = bytes(self.buffer[4:])
        try:
            if body:
                await self.on_body(body)
        except Violation:
            self.buffer.clear()
        await super().on_end_of_stream()


@fault("end-inside-a-frame-stalls", "FR-11", "FR-08")
class EndInsideAFrameStalls(Node):
    """Waits for the rest of a frame after the end of the stream."""

    async def on_end_of_stream(self) -> None:
        if not self.buffer:
            await super().on_end_of_stream()


@fault("end-inside-a-prefix-stalls", "FR-11", "FR-08")
class EndInsideAPrefixStalls(Node):
    """Waits for the rest of a prefix after the end of the stream."""

    async def on_end_of_stream(self) -> None:
        if not 0 < len(self.buffer) < 4:
            await super().on_end_of_stream()


@fault("end-inside-a-frame-is-clean", "CL-01", "FR-11")
class EndInsideAFrameIsClean(Node):
    """Takes the end of the stream inside a frame for a goodbye, and closes with 0."""

    async def on_end_of_stream(self) -> None:
        self.end(self.done_code, "the peer finished the stream")
