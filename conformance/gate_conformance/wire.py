"""The bytes of one control stream: sending, reading, and waiting for what comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gate_conformance import codec
from gate_conformance.audit import Audit
from gate_conformance.channel import Channel, ChannelLost, ChannelReset, CloseReport
from gate_conformance.verdicts import CaseFailed, Deviation

if TYPE_CHECKING:
    from gate_conformance.trial import Trial

WRITE_LIMIT = 40.0
PROMPT_PONGS = 64  # a target that pings at every Pong must not keep the suite from everything else
PONG_PAUSE = 0.05
Message = dict[str, Any]


@dataclass(frozen=True)
class End:
    """How the target's direction ended; ``seconds`` counts from when the case began to wait."""

    kind: str  # finished, reset, lost, exit
    code: int | None
    status: int | None
    seconds: float

    def __str__(self) -> str:
        words = {
            "finished": "ended its direction cleanly",
            "reset": "reset the stream",
            "lost": "closed the connection",
            "exit": "ended its output",
        }
        code = f" with code {self.code}" if self.code is not None else ""
        status = f" (exit status {self.status})" if self.status else ""
        return words[self.kind] + code + status


class Wire:
    """One control stream. Messages wait in ``inbox``; ``received`` keeps all of them, Pings included."""

    def __init__(self, trial: Trial, channel: Channel) -> None:
        self.trial = trial
        self.channel = channel
        self.inbox: list[Message] = []
        self.received: list[Message] = []
        self.received_at: list[float] = []
        self.auto_pong = True
        self.auto_consent = True  # to a Handshake of the target after the first exchange (HS-12)
        self.peer_handshake: Message | None = None
        self.peer_capabilities: tuple[str, ...] = ()
        self.audit = Audit(trial.role)
        self.ended: End | None = None
        self.last_bytes_at: float | None = None
        self.broken: Deviation | None = None
        self._frames = codec.FrameReader()
        self._write_lock = asyncio.Lock()
        self._waiters: set[asyncio.Future[None]] = set()
        self._owed: list[Message] = []
        self._paid = 0
        self.opened_at = trial.now()
        self.transport_error: str | None = None  # the connection failed by no doing of either node
        self._finished = self._closed = False
        self._released: CloseReport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader = asyncio.get_running_loop().create_task(self._read())

    # -- what the cases look at

    @property
    def transcript(self) -> list[Message]:
        return self.trial.transcript.records()

    def fresh_id(self) -> int:
        return self.trial.fresh_id()

    def fresh_request_id(self) -> str:
        return f"suite-{self.trial.fresh_id()}"

    def tolerate_pong(self, ping_id: int) -> None:
        """A Pong of this id is allowed, and not needed."""
        self.audit.tolerate("Pong", ping_id)

    def tolerate_response(self, request_id: str) -> None:
        """Responses to this id, of any type, are allowed, and not needed."""
        for kind in codec.SUCCESS_MEMBER:
            self.audit.tolerate(kind, request_id)

    # -- sending

    async def send(self, message: Message) -> None:
        await self.send_raw(codec.encode(message))

    async def send_text(self, text: str) -> None:
        """One frame with this body."""
        await self.send_body(text.encode("utf-8", "surrogatepass"))

    async def send_body(self, body: bytes) -> None:
        await self.send_raw(codec.frame(body))

    async def send_raw(self, data: bytes) -> None:
        """These bytes, in one write. A target that takes none any more is no error here: the end tells."""
        await self._write(data)
        self._pay()

    async def send_chunks(self, chunks: Iterable[bytes], pause: float = 0.0) -> None:
        """Each chunk in a write of its own, with ``pause`` seconds between them."""
        for index, chunk in enumerate(chunks):
            if index:
                await asyncio.sleep(pause)
            await self._write(chunk)
        self._pay()

    async def finish(self) -> None:
        """End our direction of the stream."""
        if not self._finished:
            self._finished = True
            self.trial.transcript.add("suite", note="end of the suite's direction")
            await self._bounded(self._finish(), "end of stream")

    def close(self, code: int = 0, reason: str = "") -> None:
        """Close the connection at once."""
        if not self._closed:
            self._closed = self._finished = True
            self.trial.transcript.add("suite", note=f"closes the connection with code {code}")
            self.channel.close(code, reason)

    def reset(self, code: int = 0) -> bool:
        """Reset our direction of the stream; false where the transport has no resets."""
        self._finished = True
        self.trial.transcript.add("suite", note=f"resets its direction of the stream with code {code}")
        return self.channel.reset(code)

    def stop(self, code: int = 0) -> bool | None:
        """Stop the target's direction of the stream, see ``Channel.stop``."""
        self.trial.transcript.add(
            "suite", note=f"stops the target's direction of the stream with code {code}"
        )
        return self.channel.stop(code)

    async def _finish(self) -> None:
        async with self._write_lock:
            try:
                await self.channel.finish()
            except (ChannelReset, ChannelLost) as error:
                self.trial.transcript.add("suite", note=f"end of stream not taken: {error}")

    async def _write(self, data: bytes) -> None:
        self.audit.sent(data)
        await self._bounded(self._write_now(data), f"write of {len(data)} bytes")

    async def _write_now(self, data: bytes) -> None:
        async with self._write_lock:
            if self._closed:
                return
            self.trial.transcript.add("suite", data)
            try:
                await self.channel.write(data)
            except (ChannelReset, ChannelLost) as error:
                self.trial.transcript.add("suite", note=f"not taken by the target: {error}")

    async def _bounded(self, work: Any, what: str) -> None:
        """Run a write as a task that is never cancelled, and stop waiting when the target stops reading."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        limit = self.trial.now() + WRITE_LIMIT
        while not task.done():
            waiter = self._waiter()
            left = limit - self.trial.now()
            await asyncio.wait({task, waiter}, timeout=left, return_when="FIRST_COMPLETED")
            self._waiters.discard(waiter)
            if not task.done() and self.ended is not None:
                await asyncio.wait({task}, timeout=1.0)
                if not task.done():
                    self.trial.transcript.add("suite", note=f"{what}: the target does not take it any more")
                return
            if not task.done() and self.trial.now() >= limit:
                raise CaseFailed(
                    "the target reads what it is sent", f"a {what} still waits after {WRITE_LIMIT:g} s"
                )
        task.result()

    # -- reading

    async def _read(self) -> None:
        try:
            while data := await self.channel.read():
                self.last_bytes_at = self.trial.now()
                self.trial.transcript.add("target", data)
                self._take(data)
                self._wake()
            kind = "exit" if self.channel.kind == "exit" else "finished"
            self._end(End(kind, None, None, self.trial.now()))
        except ChannelReset as error:
            self._end(End("reset", error.code, None, self.trial.now()))
        except ChannelLost as error:
            self.trial.note_close(error.code if error.by_target else None)
            if not error.by_target and not self._closed and "internal error" in error.reason:
                self.transport_error = error.reason
            if error.by_target or self._closed:
                self._end(End("lost", error.code, None, self.trial.now()))
            else:
                self._end(End("lost", None, None, self.trial.now()), str(error))

    def _end(self, end: End, note: str = "") -> None:
        self.ended = end
        if self._frames.pending and end.kind in ("finished", "exit") and self.broken is None:
            self.broken = Deviation(
                "FR-01", "whole frames", f"a stream that ends with {self._frames.pending} bytes of a frame"
            )
        if not self._closed:  # what follows the suite's own close is no doing of the target's
            self.trial.transcript.add("target", note=note or str(end))
        self._wake()

    def _take(self, data: bytes) -> None:
        try:
            while bodies := self._frames.feed(data):
                data = b""
                for body in bodies:
                    self._take_body(body)
        except codec.FrameError as error:
            self._frames = codec.FrameReader()
            if self.broken is None:
                self.broken = Deviation("FR-01", "frames of 1 to 10,485,760 bytes", str(error))

    def _take_body(self, body: bytes) -> None:
        if self.broken is None and (problem := codec.check_sent(body)) is not None:
            self.broken = Deviation(problem.requirement, "well-formed messages from the target", problem.text)
        judgement = codec.judge(body)
        if judgement.verdict not in ("accept", "choice", "ignore") or judgement.message is None:
            return
        message = judgement.message
        self.received.append(message)
        self.received_at.append(self.trial.now())
        if judgement.verdict != "ignore":
            self.audit.received(message)
        if judgement.verdict != "ignore" and message["type"] in ("Handshake", "HandshakeResponse"):
            self._greet(message)
        if judgement.verdict != "ignore" and (answer := self._answer_to(message)) is not None:
            self._owed.append(answer)
            self._pay()
        else:
            self.inbox.append(message)

    def _greet(self, message: Message) -> None:
        if message["type"] == "Handshake" and self.peer_handshake is None:
            self.peer_handshake = message
        self.peer_capabilities = tuple(message["capabilities"])

    def _answer_to(self, message: Message) -> Message | None:
        """What every peer answers: a Pong, and consent to a renewal (never to the first Handshake)."""
        if message["type"] == "Ping" and self.auto_pong:
            return {"type": "Pong", "id": message["id"]}
        renewal = self.trial.role == "acceptor" or message is not self.peer_handshake
        if message["type"] == "Handshake" and renewal and self.auto_consent and self.audit.handshake_done:
            listed = list(self.audit.capabilities)
            return {"type": "HandshakeResponse", "accepted": True, "capabilities": listed}
        return None

    def _pay(self) -> None:
        if self._finished or self.audit.mid_frame or not self._owed:
            return
        owed, self._owed = self._owed, []
        data = b"".join(codec.encode(message) for message in owed)
        self._paid += len(owed)
        pause = PONG_PAUSE if self._paid > PROMPT_PONGS else 0.0
        task = asyncio.get_running_loop().create_task(self._write_later(data, pause))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_later(self, data: bytes, pause: float) -> None:
        if pause:
            await asyncio.sleep(pause)
        if not self._finished and not self.audit.mid_frame:
            await self._write_now(data)

    def _waiter(self) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        return waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, done: Callable[[], bool], within: float, graceful: bool = True) -> bool:
        """Wait until ``done`` or so many seconds; True when done. Raises when the target sent bad bytes."""
        start = self.trial.now()
        while True:
            if done():
                return True
            if self.broken is not None:
                self.raise_broken()
            grace = self.channel.grace if graceful and self.last_bytes_at is None else 0.0
            left = start + within + grace - self.trial.now()
            if left <= 0:
                return False
            waiter = self._waiter()
            await asyncio.wait({waiter}, timeout=left)
            self._waiters.discard(waiter)

    def raise_broken(self) -> None:
        assert self.broken is not None
        broken, self.broken = self.broken, None
        raise CaseFailed(broken.expected, broken.actual, broken.requirement)

    # -- for the runner

    def check_audit(self) -> None:
        """Raise for what the target sent and should not have."""
        if self.broken is not None:
            self.raise_broken()
        if self.audit.problems:
            problem = self.audit.problems.pop(0)
            raise CaseFailed(problem.expected, problem.actual, problem.requirement)

    async def release(self) -> CloseReport:
        """Close, and wait for everything of this link to be over."""
        if self._released is None:
            if not self._closed and self.ended is None:
                self.trial.transcript.add("suite", note="closes the connection: the case is over")
            self._closed = self._finished = True
            self.trial.health.links.discard(self)
            self._released = await self.channel.release()
            for task in [self._reader, *self._tasks]:
                if not task.done():
                    await asyncio.wait({task}, timeout=2.0)
        return self._released
