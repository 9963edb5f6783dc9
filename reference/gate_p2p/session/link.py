"""One control stream at work: a core `Connection` driven over a `ControlTransport`.

One reader, which reads on only when what it caused is written, so that a peer that does not read is not read
from; one timer at `next_deadline()`; request futures; a task per request of the peer. State is the core's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from gate_p2p.address import NodeAddress
from gate_p2p.core import (
    CloseCode,
    Connection,
    DnsChallengeResponse,
    DomainRegistrationResponse,
    Established,
    Event,
    FailureCode,
    NodeAddr,
    PongReceived,
    Request,
    RequestFailed,
    RequestReceived,
    RequestRefused,
    Response,
    ResponseReceived,
    StreamReady,
    Terminated,
)
from gate_p2p.session.errors import RequestError
from gate_p2p.transport import ControlTransport, EagerTransport, TransportError

_log = logging.getLogger("gate_p2p.session")

WRITE_CHUNK = 131072  # bytes taken from the core at once: the answers to all that was read leave in one write
DELIVERY = 1.0  # seconds the peer gets to have our last bytes before the connection is closed
ANSWER_WITHIN = 300.0  # seconds that a handler has for its answer (RQ-14)
PONG_WITHIN = 5.0  # seconds that a peer has for its Pong (LV-01)
HANDLER_END = 5.0  # seconds a cancelled handler may take to clean up before the link gives up waiting for it


class Answer(NamedTuple):
    """What a handler says: success (`error` None; `domain` for a registration alone) or a failure."""

    error: str | None = None
    code: str = FailureCode.FAILED
    domain: str | None = None


Handler = Callable[[Request], Awaitable[Answer]]


class ControlLink:
    """Call `run()` once; it returns when the stream is over and the transport is closed.

    `handle` carries out the peer's requests, side by side; `on_event` sees the events of the core, in order,
    but for PingReceived;
    `on_read` is called whenever the core has taken bytes of the peer.
    """

    def __init__(
        self,
        connection: Connection,
        transport: ControlTransport,
        *,
        handle: Handler,
        on_event: Callable[[Event], None] | None = None,
        on_read: Callable[[], None] | None = None,
    ) -> None:
        self.connection = connection
        connection.report_pings = False
        self.transport = transport
        self._eager = transport if isinstance(transport, EagerTransport) else None
        self._handle = handle
        self._on_event = on_event
        self._on_read = on_read
        self._loop = asyncio.get_running_loop()
        self._futures: dict[str, asyncio.Future[Response]] = {}
        self._pongs: dict[int, asyncio.Future[None]] = {}
        self._handlers: set[asyncio.Task[None]] = set()
        self._flushes: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: float | None = None
        self._lost = False
        self._reading = False
        self._over = asyncio.Event()
        self._established = asyncio.Event()
        self._ended = asyncio.Event()
        self.terminated: Terminated | None = None

    # -- the life of the link

    async def run(self) -> Terminated:
        """Drive the stream to its end; returns why it ended. Closes the transport in every case."""
        reader = self._loop.create_task(self._read())
        reader.add_done_callback(self._reader_done)
        self._after([])
        try:
            await self._over.wait()
            await self._say_goodbye()
        finally:
            if self.terminated is None:  # this coroutine itself was cancelled
                self._after(self.connection.close(self._loop.time(), CloseCode.SHUTTING_DOWN, "cancelled"))
            self._disarm()
            code = self.connection.close_code
            self.transport.close(code if code is not None else CloseCode.DONE, self.connection.close_reason)
            try:
                await self._wind_up(reader)
            finally:  # cancelled once more: whoever waits for the end has waited long enough
                self._ended.set()
        assert self.terminated is not None
        return self.terminated

    def close(self, code: CloseCode = CloseCode.DONE, reason: str = "closed here") -> None:
        """Say goodbye; `run()` then finishes the stream and closes the transport within about a second."""
        self._after(self.connection.close(self._loop.time(), code, reason))

    async def wait_ended(self) -> None:
        """Wait until `run()` is through."""
        await self._ended.wait()

    async def wait_established(self) -> bool:
        """Wait for the handshake; False when the link ends without it."""
        waits = [self._loop.create_task(event.wait()) for event in (self._established, self._over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return self._established.is_set()

    async def _read(self) -> None:
        while not self.connection.finished:
            self._reading = True
            try:
                data = await self.transport.read()
            except (TransportError, OSError) as error:
                self._lose(error)
                return
            finally:
                self._reading = False
            now = self._loop.time()
            if not data:
                self._after(self.connection.receive_eof(now), flush=False)
                await self._flush()
                return
            self._after(self.connection.receive_data(data, now), flush=False)
            if self._on_read is not None:
                self._on_read()
            if not self._push():
                await self._flush()

    def _reader_done(self, reader: asyncio.Task[None]) -> None:
        self._lose_if_broken(reader, "reading")

    def _flushed(self, flush: asyncio.Task[None]) -> None:
        self._flushes.discard(flush)
        self._lose_if_broken(flush, "writing")

    def _lose_if_broken(self, task: asyncio.Task[None], what: str) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s: %s failed in an unexpected way", self.transport.remote_id, what, exc_info=error)
            self._lose(Exception(f"{what} failed: {error!r}"))

    def _lose(self, error: Exception) -> None:
        self._lost = True
        self._after(self.connection.connection_lost(self._loop.time(), str(error)))
        self._over.set()

    def _after(self, events: list[Event], *, flush: bool = True) -> None:
        """The rest of the canonical loop: handle events, re-arm, flush, end when the core has finished."""
        for event in events:
            self._dispatch(event)
        self._arm()
        if flush and not self._writing.locked() and not self._push():  # who writes takes the new bytes along
            task = self._loop.create_task(self._flush())
            self._flushes.add(task)
            task.add_done_callback(self._flushed)
        if self.connection.finished:
            self._over.set()

    def _push(self) -> bool:
        """Hand over everything that is to be sent, where the transport takes that at once; else False."""
        eager = self._eager
        if eager is None or self._lost or self._writing.locked():
            return False
        while eager.has_room:
            if not (out := self.connection.data_to_send(WRITE_CHUNK)):
                return True
            eager.write_soon(out, self._lose)
        return False

    async def _flush(self) -> None:
        if self._lost:
            return
        async with self._writing:
            try:
                while out := self.connection.data_to_send(WRITE_CHUNK):
                    await self.transport.write(out)
            except (TransportError, OSError) as error:
                self._lose(error)

    def _arm(self) -> None:
        deadline = self.connection.next_deadline()
        if self._armed_for is not None and deadline is not None and self._armed_for <= deadline:
            return  # every message moves the deadline; a timer that comes early finds nothing due
        self._disarm()
        if deadline is not None:
            self._armed_for = deadline
            self._timer = self._loop.call_at(deadline, self._time_out, deadline)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._armed_for = None

    def _time_out(self, deadline: float) -> None:
        self._timer = self._armed_for = None
        # max: a loop may call a hair too early
        self._after(self.connection.handle_timeout(max(deadline, self._loop.time())))

    async def _say_goodbye(self) -> None:
        """Flush, finish, wait for delivery: a second in all, since the peer may not be reading."""
        if self._lost:
            return
        goodbye = self._loop.create_task(self._finish_stream())
        self._flushes.add(goodbye)  # never cancelled: closing the transport ends it
        goodbye.add_done_callback(self._flushed)
        await asyncio.wait({goodbye}, timeout=DELIVERY)

    async def _finish_stream(self) -> None:
        await self._flush()
        try:
            await self.transport.finish()
            if not await self.transport.wait_delivered(DELIVERY):
                _log.debug("%s: the peer may not have our last bytes", self.transport.remote_id)
        except (TransportError, OSError) as error:
            _log.debug("%s: the stream could not be finished: %s", self.transport.remote_id, error)

    async def _wind_up(self, reader: asyncio.Task[None]) -> None:
        if self._reading:  # a write is left to end by itself: the transport is closed
            reader.cancel()
        for task in self._handlers:
            task.cancel()
        rest = {reader, *self._handlers, *self._flushes}
        _, stuck = await asyncio.wait(rest, timeout=HANDLER_END)
        if stuck:
            _log.error("%s: %d tasks did not end with their stream", self.transport.remote_id, len(stuck))

    # -- events

    def _dispatch(self, event: Event) -> None:
        match event:
            case RequestReceived(request=request):
                task = self._loop.create_task(self._carry_out(request))
                self._handlers.add(task)
                task.add_done_callback(self._handlers.discard)
            case ResponseReceived(request_id=request_id, response=response):
                future = self._futures.pop(request_id, None)
                if future is not None and not future.done():
                    future.set_result(response)
            case RequestFailed(request_id=request_id, code=code, reason=reason):
                future = self._futures.pop(request_id, None)
                if future is not None and not future.done():
                    future.set_exception(RequestError(reason, code))
            case RequestRefused(request_id=request_id, code=code, error=text):
                # debug: a peer can send thousands of them a second
                _log.debug(
                    "%s: request %r refused: %s (%s)", self.transport.remote_id, request_id[:128], text, code
                )
            case Established():
                self._established.set()
            case PongReceived(id=ping_id):
                pong = self._pongs.pop(ping_id, None)
                if pong is not None and not pong.done():
                    pong.set_result(None)
            case Terminated(reason=reason):
                self.terminated = event
                for pong in self._pongs.values():
                    if not pong.done():
                        pong.set_exception(RequestError(reason))
            case _:
                pass  # Pings are answered by the core; the rest is for `on_event`
        if self._on_event is not None:
            self._on_event(event)

    async def _carry_out(self, request: Request) -> None:
        patience = asyncio.timeout(ANSWER_WITHIN)
        try:
            async with patience:
                answer = await self._handle(request)
            self._answer(request, answer)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            if isinstance(error, TimeoutError) and patience.expired():
                late = Answer(f"not done within {ANSWER_WITHIN:g} s", FailureCode.TIMED_OUT)
                self._answer(request, late)
                return
            # whatever a handler raises, or says that cannot be sent, must neither end the stream nor stay
            # unanswered; a CancelledError here comes from something that the handler waited for
            kind, request_id = type(request).__name__, request.request_id  # the rest may be long
            _log.exception("%s: the handler of %s %r failed", self.transport.remote_id, kind, request_id)
            self._answer(request, Answer("the handler failed"))

    def _answer(self, request: Request, answer: Answer) -> None:
        now = self._loop.time()
        if answer.error is None:
            self.connection.answer_success(request.request_id, now, domain=answer.domain)
        else:
            self.connection.answer_failure(request.request_id, now, error=answer.error, code=answer.code)
        self._after([])

    # -- our requests

    async def ping(self, timeout: float = PONG_WITHIN) -> float:
        """Send a Ping; the seconds until its Pong came. Raises RequestError (LV-01), LocalProtocolError."""
        sent = self._loop.time()
        ping_id = self.connection.ping(sent)
        pong: asyncio.Future[None] = self._loop.create_future()
        self._pongs[ping_id] = pong
        self._after([])
        try:
            async with asyncio.timeout(timeout):
                await pong
        except TimeoutError:
            raise RequestError(f"no Pong within {timeout:g} s", FailureCode.TIMED_OUT) from None
        finally:
            self._pongs.pop(ping_id, None)
        return self._loop.time() - sent

    async def request_dns_challenge_create(
        self, domain: str, txt_value: str, timeout: float | None = None
    ) -> None:
        """Have the peer set a TXT record (DC-01). Raises RequestError, at once LocalProtocolError (DC-14)."""
        await self._ask(
            self.connection.request_dns_challenge_create(domain, txt_value, self._loop.time(), timeout)
        )

    async def request_dns_challenge_cleanup(
        self, domain: str, txt_value: str | None = None, timeout: float | None = None
    ) -> None:
        """Have the peer remove one value, or all of ours (DC-11). Raises as the create does."""
        await self._ask(
            self.connection.request_dns_challenge_cleanup(domain, self._loop.time(), txt_value, timeout)
        )

    async def request_sni_stream(self, domain: str, timeout: float | None = None) -> None:
        """Ask the peer for one more SNI-proxy stream (ST-01). Raises RequestError when it will not."""
        await self._ask(self.connection.request_sni_stream(domain, self._loop.time(), timeout))

    async def request_inference_stream(self, timeout: float | None = None) -> None:
        """Ask the peer to expect an inference stream (ST-02). Raises RequestError when it will not."""
        await self._ask(self.connection.request_inference_stream(self._loop.time(), timeout))

    async def request_domain_registration(self, address: NodeAddress, timeout: float | None = None) -> str:
        """Ask the peer for a domain that leads to us, at `address` (DR-01). Raises RequestError."""
        node_addr = NodeAddr(
            id=tuple(bytes.fromhex(address.node_id)), direct_addresses=address.socket_addresses
        )
        response = await self._ask(
            self.connection.request_domain_registration(node_addr, self._loop.time(), timeout)
        )
        assert isinstance(response, DomainRegistrationResponse)
        assert response.domain is not None  # without it, success is malformed (DR-06)
        return response.domain

    async def _ask(self, request_id: str) -> Response:
        future: asyncio.Future[Response] = self._loop.create_future()
        self._futures[request_id] = future
        self._after([])
        try:
            response = await future
        finally:
            if self._futures.pop(request_id, None) is not None:  # the caller was cancelled
                self.connection.cancel_request(request_id)
                self._arm()
        check_response(response)
        return response


def check_response(response: Response) -> None:
    """Raise RequestError when the response says no. No `code` means `failed` (RQ-08)."""
    match response:
        case StreamReady(stream_accepted=good, error=error, code=code):
            pass
        case DnsChallengeResponse(success=good, error=error, code=code):
            pass
        case DomainRegistrationResponse(success=good, error=error, code=code):
            pass
    if not good:
        raise RequestError(error or "the peer gave no reason", code or FailureCode.FAILED)
