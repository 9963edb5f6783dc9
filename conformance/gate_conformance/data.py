"""One stream on a data connection, as cases drive it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gate_conformance import codec
from gate_conformance.channel import Channel, ChannelLost, ChannelReset, CloseReport
from gate_conformance.verdicts import CaseFailed

if TYPE_CHECKING:
    from gate_conformance.trial import Trial

INFERENCE_ALPN = "gate/inference/1.0"
SNI_ALPN = "gate/sni-proxy/1.0"

CODE_WAIT = 2.5
WRITE_LIMIT = 20.0


@dataclass(frozen=True)
class DataEnd:
    """How the target's direction ended: "finished", "reset" or "lost"; ``at``: when, on the trial's clock."""

    kind: str
    code: int | None
    at: float

    def __str__(self) -> str:
        words = {"finished": "ended its direction", "reset": "reset it", "lost": "closed the connection"}
        return words[self.kind] + ("" if self.code is None else f" with code {self.code}")


class DataStream:
    """``received``: all bytes of the target; ``ended``: how its direction ended, None while it is open.

    ``opened_at``: when the connection was there.
    """

    def __init__(self, trial: Trial, channel: Channel, alpn: str, opened_at: float) -> None:
        self.trial = trial
        self.channel = channel
        self.name = f"{alpn.removeprefix('gate/').partition('/')[0]} stream {len(trial.streams) + 1}"
        self.received = bytearray()
        self.ended: DataEnd | None = None
        self.opened_at = opened_at
        self.first_at: float | None = None
        self.not_taken = False
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._writes: set[asyncio.Task[None]] = set()
        self._frames = codec.FrameReader()
        self._bodies: list[bytes] = []
        self._cut = 0
        self._closed = False

    def _note(self, source: str, data: bytes = b"", note: str = "") -> None:
        words = self.name + (f": {note}" if note else "")
        self.trial.transcript.add(source, data, words)

    # -- reading

    def read_on(self) -> None:
        """Begin to read."""
        if self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        try:
            while data := await self.channel.read():
                if self.first_at is None:
                    self.first_at = self.trial.now()
                self._note("target", data)
                self.received += data
                self._wake()
            self._end("finished", None)
        except ChannelReset as error:
            self._end("reset", error.code)
        except ChannelLost as error:
            self.trial.note_close(error.code if error.by_target else None)
            self._end("lost", error.code)

    def _end(self, kind: str, code: int | None) -> None:
        self.ended = DataEnd(kind, code, self.trial.now())
        if not self._closed:
            self._note("target", note=str(self.ended))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, done: Callable[[], bool], within: float) -> bool:
        """Wait until ``done`` or so many seconds; whether it is done."""
        limit = self.trial.now() + within
        while not done():
            left = limit - self.trial.now()
            if left <= 0:
                return False
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait({changed}, timeout=left)
            changed.cancel()
        return True

    def bodies(self) -> list[bytes]:
        """The bodies of the frames that are whole so far. Raises CaseFailed for a bad length (IN-04)."""
        try:
            new, self._cut = bytes(self.received[self._cut :]), len(self.received)
            while bodies := self._frames.feed(new):
                self._bodies += bodies
                new = b""
        except codec.FrameError as error:
            raise CaseFailed("frames of 1 to 10,485,760 bytes", str(error), "IN-04") from None
        return self._bodies

    # -- sending

    async def send(self, data: bytes, within: float = WRITE_LIMIT) -> bool:
        """Whether the target has taken the bytes in so many seconds; a refusal is no error: the end tells."""
        self._note("suite", data)
        task = asyncio.get_running_loop().create_task(self._quietly(self.channel.write(data)))
        self._writes.add(task)  # never cancelled: it ends with the connection
        task.add_done_callback(self._writes.discard)
        await asyncio.wait({task}, timeout=within)
        return task.done()

    async def finish(self) -> None:
        """End the suite's direction."""
        self._note("suite", note="end of the suite's direction")
        await asyncio.wait(
            {asyncio.get_running_loop().create_task(self._quietly(self.channel.finish()))}, timeout=5.0
        )

    async def _quietly(self, work: Any) -> None:
        try:
            await work
        except (ChannelReset, ChannelLost) as error:
            self.not_taken = True
            self._note("suite", note=f"not taken by the target: {error}")

    def reset(self, code: int = 0) -> None:
        """Reset the suite's direction."""
        self._note("suite", note=f"resets its direction with code {code}")
        self.channel.reset(code)

    def stop(self, code: int = 0) -> None:
        """Take no more of the target's direction; only where nothing was read."""
        self._note("suite", note=f"stops the target's direction with code {code}")
        self.channel.stop(code)

    def close(self, code: int = 0) -> None:
        """Close the connection."""
        if not self._closed:
            self._closed = True
            self._note("suite", note=f"closes the connection with code {code}")
            self.channel.close(code)

    # -- the end

    async def code(self, within: float = CODE_WAIT) -> int | None:
        """The code with which the target closes the connection in so many seconds; None when it does not."""
        if self.ended is not None and self.ended.kind == "lost" and self.ended.code is not None:
            return self.ended.code
        return (await self.channel.wait_closed(within)).code

    async def release(self) -> CloseReport:
        """Close, and wait until nothing of this stream is left."""
        self._closed = True
        report = await self.channel.release()
        left = {task for task in (self._reader, *self._writes) if task is not None and not task.done()}
        if left:
            await asyncio.wait(left, timeout=2.0)
        return report


__all__ = ["DataEnd", "DataStream"]
