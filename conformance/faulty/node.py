"""The correct node: one control stream from its opening to its close, in either role."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass

from .front import Front, Splice
from .inference import Responder
from .protocol import (
    DONE,
    HANDSHAKE_FAILED,
    RESPONSE_TO,
    RESPONSES,
    SHUTTING_DOWN,
    TIMED_OUT,
    Message,
    Stream,
    Violation,
)
from .requests import Requests
from .sni import Relay, Supply
from .world import STRANGER, World

LOST = (OSError, EOFError)


@dataclass(frozen=True)
class Ending:
    """Why and with which code the connection ends; `lost` when there is nothing left to close."""

    code: int
    reason: str
    lost: bool = False


class Node(Requests):
    """One control stream. Every fault is a subclass of this, with one thing changed."""

    capabilities: tuple[str, ...] = ("inference", "sni_proxy", "dns_challenge")
    responder: type[Responder] = Responder  # serves inference connections, where there are any
    relay: type[Relay] = Relay  # takes SNI-proxy connections, where there are any
    supplier: type[Supply] = Supply  # opens them, as a dialer whose stream can dial
    front: type[Front] = Front  # takes visitors, where the world has a place for them
    splice: type[Splice] = Splice
    done_code = DONE
    handshake_code = HANDSHAKE_FAILED
    timeout_code = TIMED_OUT
    refused_code = HANDSHAKE_FAILED
    goodbye_wait = 0.0  # between the end of its own direction and the close
    stop_code = SHUTTING_DOWN  # at SIGTERM; read by the Iroh runner
    handshake_wait = 5.0  # the dialer, for HandshakeResponse
    first_handshake_wait = 10.0  # the acceptor, for Handshake
    refused_wait = 1.0  # the acceptor, for the dialer that it has refused to close
    ping_after = 15.0
    dead_after = 45.0
    linger = 1.0  # for answers that are nearly ready, before a close
    violation_delay = 0.0
    second_stream = "refuse"  # "refuse", "ignore", "serve" or "close"; read by the Iroh runner
    dialled_streams = 1  # read by the Iroh runner
    stream_of_acceptor = "ignore"  # or "serve", "close": what the Iroh runner does with one
    beside = ""  # "serve" or "close" and "datagram" or "unidirectional stream": what the Iroh runner does
    more_alpns: tuple[str, ...] = ()  # served like the control ALPN by the Iroh runner
    watches_stop = True  # read by the Iroh runner: notices that the peer stops the stream before a write does
    read_size = 65536

    def __init__(self, stream: Stream, *, role: str, peer_id: str, world: World) -> None:
        super().__init__(world, peer_id)
        self.stream = stream
        self.role = role
        self.acting = True
        self.over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.writing = asyncio.Lock()
        self.opened = self.last_received = self.last_ping = self.now()
        self.next_ping_id = 1
        self.asked: dict[str, Message] = {}
        self.responses_awaited = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.supply: Supply | None = None

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    # -- life of the stream

    async def run(self) -> None:
        """Runs until the connection is closed; raises what a crash raises."""
        if self.world.dead:
            raise ConnectionError("the node is no longer there")
        self.world.connections.append(self)
        try:
            self.go(self.read_on())
            self.go(self.keep_time())
            self.go(self.start())
            await self.wind_up(await self.over)
        finally:
            self.world.connections.remove(self)
            await self.drop_tasks()

    def go(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        self.watch(task)

    def watch(self, task: asyncio.Task[None]) -> None:
        task.add_done_callback(self.on_task_done)

    def on_task_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, LOST):
            self.lose(str(error))
        elif error is not None and not self.over.done():
            self.world.dead = True
            self.over.set_exception(error)

    async def drop_tasks(self) -> None:
        left = [task for task in self.tasks | self.handlers if not task.done()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def end(self, code: int, reason: str) -> None:
        self.acting = False
        if not self.over.done():
            self.over.set_result(Ending(code, reason))

    def lose(self, reason: str) -> None:
        self.acting = False
        if not self.over.done():
            self.over.set_result(Ending(self.done_code, reason, lost=True))

    async def wind_up(self, ending: Ending) -> None:
        """Answers ready within 1 s, the end of our direction, its delivery, the close with its code."""
        if not ending.lost:
            with contextlib.suppress(
                *LOST
            ):  # the peer may be gone, and then there is nobody to say goodbye to
                await self.farewell()
                await asyncio.sleep(self.goodbye_wait)
        self.stream.close(ending.code, ending.reason)

    async def farewell(self) -> None:
        if self.handlers and self.linger:
            await asyncio.wait(set(self.handlers), timeout=self.linger)
        for task in self.handlers:
            task.cancel()
        try:
            await asyncio.wait_for(self.writing.acquire(), 1.0)
        except TimeoutError:
            return  # the peer does not read; the close has to do
        await self.stream.finish()
        await self.stream.wait_delivered(1.0)

    async def read_on(self) -> None:
        while True:
            data = await self.stream.read(self.read_size)
            self.last_received = self.now()
            if not data:
                await self.on_end_of_stream()
                return
            if self.acting:
                await self.on_data(data)

    async def on_data(self, data: bytes) -> None:
        try:
            for body in self.bodies(data):
                await self.on_body(body)
                if not self.acting:
                    return
        except Violation as violation:
            await self.on_violation(violation)

    async def on_violation(self, violation: Violation) -> None:
        self.acting = False
        if self.violation_delay:
            await asyncio.sleep(self.violation_delay)
        self.end(violation.code, violation.reason)

    async def on_end_of_stream(self) -> None:
        if self.buffer and self.acting:
            await self.on_violation(Violation("the stream ended inside a frame", self.violation_code))
        else:
            self.end(self.done_code, "the peer finished the stream")

    # -- messages

    async def on_body(self, body: bytes) -> None:
        await self.on_value(self.parse(body))

    async def on_value(self, value: object) -> None:
        message = self.message_in(value)
        if message is not None:
            await self.on_message(message)

    async def on_message(self, message: Message) -> None:
        kind = message["type"]
        if kind in RESPONSE_TO:
            await self.on_request(message)
        elif problem := self.problem_in(message):
            await self.on_malformed(message, problem)
        elif kind == "Handshake":
            await self.on_handshake(message)
        elif kind == "HandshakeResponse":
            await self.on_handshake_response(message)
        elif kind == "Ping":
            await self.on_ping(message)
        elif kind == "Pong":
            await self.on_pong(message)
        elif kind in RESPONSES:
            await self.on_response(message)

    async def on_malformed(self, message: Message, problem: str) -> None:
        """MS-04: not acted on, and the stream stays open."""

    async def on_ping(self, message: Message) -> None:
        await self.send({"type": "Pong", "id": message["id"]})

    async def on_pong(self, message: Message) -> None:
        """LV-04: an unasked one is ignored; of our own the bytes count, and nothing else."""

    async def on_response(self, message: Message) -> None:
        """RQ-06: a response to no request is ignored."""
        self.asked.pop(message["request_id"], None)
        if not message.get("stream_accepted", True):
            self.world.refused.add(message["request_id"])

    def sni_stream(self, message: Message) -> Message:
        """ST-04: a dialer that has data connections opens one."""
        if self.supply is None or not self.supply.allowed:
            return super().sni_stream(message)
        self.supply.open_one()
        return self.success(message)

    # -- handshake

    async def start(self) -> None:
        if self.role == "dialer":
            await self.send(self.handshake())

    def handshake(self) -> Message:
        self.responses_awaited += 1
        return {"type": "Handshake", "node_id": self.world.node_id, "capabilities": list(self.capabilities)}

    def admits_peer(self) -> bool:
        return self.role == "dialer" or self.peer_id != STRANGER

    async def turn_away(self) -> None:
        """HS-17."""
        self.acting = False
        await self.send({"type": "HandshakeResponse", "accepted": False, "capabilities": []})
        await asyncio.sleep(self.refused_wait)
        self.end(self.refused_code, "not admitted")

    async def on_handshake(self, message: Message) -> None:
        if not self.admits_peer():
            await self.turn_away()
            return
        self.peer_node_id = message["node_id"]
        self.peer_capabilities = message["capabilities"]
        if self.supply is not None:
            self.supply.changed.set()
        await self.send(self.handshake_response(message))
        if self.role == "acceptor":
            await self.establish()

    def handshake_response(self, message: Message) -> Message:
        return {"type": "HandshakeResponse", "accepted": True, "capabilities": list(self.capabilities)}

    async def on_handshake_response(self, message: Message) -> None:
        if self.responses_awaited == 0:
            await self.on_unasked_handshake_response(message)
            return
        self.responses_awaited -= 1
        if not message["accepted"]:
            await self.on_refused()
            return
        self.peer_capabilities = message["capabilities"]
        await self.establish()

    async def on_unasked_handshake_response(self, message: Message) -> None:
        """HS-13: ignored, whatever it says."""

    async def on_refused(self) -> None:
        self.end(self.handshake_code, "the peer refused the handshake")

    async def establish(self) -> None:
        if not self.established:
            self.established = True
            if self.role == "dialer" and hasattr(self.stream, "dial"):
                self.supply = self.supplier(self)
                self.go(self.supply.run())
            self.last_received = self.last_ping = self.now()
            await self.on_established()

    async def on_established(self) -> None:
        """Here a node may start to ask for things; this one asks for nothing."""

    async def ask(self, message: Message) -> None:
        """A request of our own."""
        self.asked[message["request_id"]] = message
        await self.send(message)

    # -- time

    async def keep_time(self) -> None:
        """Looks at the deadlines when the next is due, and at least twice a second as they change."""
        while True:
            due = [at for at in (self.deadline(), self.ping_due()) if at is not None]
            await asyncio.sleep(max(0.0, min([at - self.now() for at in due] + [0.5])))
            if not self.acting:
                return
            deadline, ping_due = self.deadline(), self.ping_due()
            if deadline is not None and self.now() >= deadline:
                await self.on_deadline()
            elif ping_due is not None and self.now() >= ping_due:
                self.last_ping = self.now()
                self.go(self.send(self.ping()))

    def deadline(self) -> float | None:
        if self.established:
            return self.last_received + self.dead_after
        if self.role == "dialer":
            return self.opened + self.handshake_wait
        return self.opened + self.first_handshake_wait

    async def on_deadline(self) -> None:
        if self.established:
            self.end(self.timeout_code, f"no bytes for {self.dead_after:g} s")
        else:
            self.end(self.handshake_code, "no handshake in time")

    def ping_due(self) -> float | None:
        if not self.established:
            return None
        return max(self.last_received, self.last_ping) + self.ping_after

    def ping(self) -> Message:
        self.next_ping_id += 1
        return {"type": "Ping", "id": self.next_ping_id}

    # -- writing

    async def send(self, message: Message) -> None:
        await self.write(self.frame(self.body_of(message)))

    async def write(self, data: bytes) -> None:
        async with self.writing:
            await self.stream.write(data)
