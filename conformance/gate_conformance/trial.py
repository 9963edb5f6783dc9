"""Trial: one execution of one case against the target."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, Protocol

from gate_conformance import spec
from gate_conformance.channel import Channel, ChannelLost, CloseReport
from gate_conformance.data import INFERENCE_ALPN, DataStream
from gate_conformance.identity import Identity
from gate_conformance.link import End, Link
from gate_conformance.tcp import Tcp, TcpServer
from gate_conformance.transcript import Transcript
from gate_conformance.verdicts import (
    CaseFailed,
    CaseInconclusive,
    CaseNotTestable,
    CaseUnsupported,
    Deviation,
    TargetGone,
)

if TYPE_CHECKING:
    from gate_conformance.case import Case
    from gate_conformance.targets.arrivals import Arrival
    from gate_conformance.wire import Wire

CAPABILITIES = ("inference", "sni_proxy", "dns_challenge")
_ids = itertools.count(1000)


@dataclass(frozen=True)
class Options:
    """What the user said about the target; ``peer_id`` is the suite's own id.

    ``domain_given``: the user named the domain, so the target's policy allows it. ``other``: a second
    identity, which may do what the first may; ``refused``: one that the target does not admit.
    """

    domain: str = "conformance.test"
    refused_domain: str | None = None
    slow_domain: str | None = None
    dns: str | None = None
    model: str | None = None
    slow_model: str | None = None
    https: str | None = None
    https_name: str | None = None
    https_target: str | None = None
    peer_id: str = "0" * 64
    domain_given: bool = False
    other: Identity | None = None
    refused: Identity | None = None


class Opener(Protocol):
    """The part of a target that a trial uses."""

    persistent: bool  # a node that goes on when a stream ends: an Iroh node, no process of our own

    async def open(self) -> Channel: ...

    async def open_as(self, identity: Identity) -> Channel | None: ...

    async def offer(self, alpn: str) -> str | None: ...

    has_data: bool  # data connections can be had

    async def dial(self, alpn: str) -> Channel | None: ...

    async def dialled(self, control: Channel, since: float, within: float) -> Arrival | None: ...


INFERENCE_SLOTS = 3  # a case has up to five inference connections, and a node may keep few of one peer
SLOW_SLOTS = 4  # a node may keep few values under one name: so many cases use the slow domain at a time


@dataclass
class Health:
    """What the cases of one run share. ``failed``: requirement id -> case id, for each failed smoke case."""

    failed: dict[str, str] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)  # the types of request that had an answer
    unanswered: Counter[str] = field(default_factory=Counter)  # how often a type had none
    links: set[Wire] = field(default_factory=set)  # those that are not released yet, of all cases
    slow_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SLOW_SLOTS))
    inference_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(INFERENCE_SLOTS))
    full_at: float = -math.inf  # when the target last closed a connection with code 5: it has enough (LM-02)
    no_supply: set[str] = field(default_factory=set)  # daemons, by id, that open no SNI-proxy streams
    tls_server: TcpServer = field(default_factory=TcpServer)
    pools: dict[str, asyncio.Lock] = field(default_factory=dict)  # of idle streams, by the target's id

    def patience(self, request_type: str, within: float) -> float:
        """Seconds to wait for an answer: few for a type that this target has never answered."""
        return min(within, 2.0) if self.never_answers(request_type) and within <= 10.0 else within

    def never_answers(self, request_type: str) -> bool:
        """Whether this target has left every request of the type without an answer, of three at least."""
        return self.unanswered[request_type] >= 3 and request_type not in self.answered


class Trial:
    """What a case works with. ``role`` is the role of the target."""

    def __init__(
        self, case: Case, target: Opener, role: str, options: Options, health: Health | None = None
    ) -> None:
        self.case = case
        self.role = role
        self.options = options
        self.health = health or Health()
        self.warnings: list[Deviation] = []
        self.notes: list[str] = []
        self.links: list[Link] = []
        self.streams: list[DataStream] = []
        self.tcp: list[Tcp] = []
        self._data_reports: list[CloseReport] = []
        self.transcript = Transcript(self.now)
        self._target = target
        self.shared: Link | None = None
        self._slots: list[asyncio.Semaphore] = []
        self.time_limit: asyncio.Timeout | None = None
        self._answered = False

    def now(self) -> float:
        """Seconds on the loop's clock, which is virtual for ``py:`` targets."""
        return asyncio.get_running_loop().time()

    def fresh_id(self) -> int:
        """A number that no other Ping or request of this run has."""
        return next(_ids)

    async def slow_domain(self) -> str:
        """The domain with the slow handler, once few enough other cases use it; not testable without one."""
        if not self.options.slow_domain:
            self.not_testable("needs --slow-domain, a name whose handler takes at least 6 s")
        await self._take(self.health.slow_slots)
        return self.options.slow_domain

    async def _take(self, slots: asyncio.Semaphore) -> None:
        """One of these slots, kept until the case is over."""
        if slots not in self._slots:
            with self._untimed():
                await slots.acquire()
            self._slots.append(slots)

    def release_slots(self) -> None:
        """Make room for other cases."""
        while self._slots:
            self._slots.pop().release()

    @contextlib.asynccontextmanager
    async def alone_in_pool(self, link: Link) -> AsyncIterator[None]:
        """No other case has to do with idle streams between the suite and this node meanwhile."""
        lock = self.health.pools.setdefault(link.channel.remote_id, asyncio.Lock())
        with self._untimed():
            await lock.acquire()
        try:
            yield
        finally:
            try:
                await self.release_data()
                await asyncio.sleep(0.2)  # the target sees that they are gone before the next case begins
            finally:
                lock.release()

    async def release_data(self) -> list[CloseReport]:
        """Close all data connections and TCP connections of this trial; a crash is in the reports."""
        tcp, self.tcp = self.tcp, []
        for one in tcp:
            await one.aclose()
        streams, self.streams = self.streams, []
        reports = await asyncio.gather(*(stream.release() for stream in streams))
        self._data_reports += reports
        return self._data_reports

    # -- links

    async def connect(self, identity: Identity | None = None) -> Link:
        """A fresh control stream on which we have sent nothing; the target as dialer has opened it.

        ``identity``: as another peer than the suite is else; not testable where the target dials.
        """
        with self._untimed():
            try:
                channel = await (self._target.open() if identity is None else self._open_as(identity))
            except TargetGone as gone:
                self.note_close(gone.code)
                raise
        link = Link(self, channel)
        self.links.append(link)
        self.health.links.add(link)
        return link

    async def _open_as(self, identity: Identity) -> Channel:
        try:
            channel = await self._target.open_as(identity)
        except TargetGone as gone:
            self.inconclusive(f"no connection as {identity.peer_id}: {gone.reason}")
        if channel is None:
            self.not_testable("the target chooses whom it dials")
        return channel

    async def dial(self, alpn: str, *, reading: bool = True) -> DataStream:
        """A stream on a data connection of its own, to a target that serves this ALPN (TR-06).

        ``reading``: whether what comes is read; `DataStream.read_on` begins to.
        """
        if alpn == INFERENCE_ALPN:
            await self._take(self.health.inference_slots)
        try:
            channel = await self._target.dial(alpn)
        except ChannelLost as lost:
            self.note_close(lost.code)
            self.fail(f"a connection with the ALPN {alpn} for what is advertised", str(lost), "HS-21")
        if channel is None:
            self.not_testable("this kind of target has no data connections")
        return self._data(DataStream(self, channel, alpn, self.now()), reading)

    async def dialled(
        self, link: Link, since: float, within: float, *, reading: bool = True
    ) -> DataStream | None:
        """The first SNI-proxy stream that the node behind ``link`` opened at or after ``since``.

        Waits for it so many seconds.
        """
        arrival = await self._target.dialled(link.channel, since, within + link.channel.slack)
        if arrival is None:
            return None
        if arrival.channel is None:
            self.fail("a stream on the SNI-proxy connection", "none was opened", "SP-01")
        return self._data(DataStream(self, arrival.channel, arrival.alpn, arrival.at), reading)

    def _data(self, stream: DataStream, reading: bool) -> DataStream:
        self.streams.append(stream)
        if reading:
            stream.read_on()
        return stream

    def note_close(self, code: int | None) -> None:
        """The target has closed a connection; after code 5, which says "enough", cases run again alone."""
        if code == 5:
            self.health.full_at = time.monotonic()

    def note_tcp(self, what: str, data: bytes = b"") -> None:
        """Put something that happens on a TCP connection into the transcript."""
        self.transcript.add("suite", data, f"TCP: {what}")

    @property
    def has_data(self) -> bool:
        """Whether this kind of target has data connections."""
        return self._target.has_data

    async def offer(self, alpn: str) -> str | None:
        """What comes of a connection with this ALPN, see ``Target.offer``."""
        return await self._target.offer(alpn)

    @contextlib.contextmanager
    def _untimed(self) -> Iterator[None]:
        """Waiting for a turn does not count against the case's time limit."""
        limit = self.time_limit
        when = None if limit is None else limit.when()
        if limit is None or when is None:
            yield
            return
        left = when - self.now()
        limit.reschedule(None)
        try:
            yield
        finally:
            limit.reschedule(self.now() + left)

    async def established(
        self,
        capabilities: tuple[str, ...] | list[str] = CAPABILITIES,
        node_id: str | None = None,
        identity: Identity | None = None,
    ) -> Link:
        """A link with the handshake done, in either role; ``identity`` as for ``connect``."""
        link = await self.connect(identity)
        wanted = list(capabilities)
        within = 1.5 if {"HS-01", "HS-02"} & set(self.health.failed) else 5.0
        if self.role == "acceptor":
            own = (identity.peer_id if identity else self.options.peer_id) if node_id is None else node_id
            await link.send({"type": "Handshake", "node_id": own, "capabilities": wanted})
            answer = await link.expect("HandshakeResponse", within, "HS-02")
            if answer["accepted"] is not True:
                self.inconclusive("the target refuses the suite's Handshake: is its key allowed there?")
        else:
            await link.expect("Handshake", within, "HS-01")
            await link.send({"type": "HandshakeResponse", "accepted": True, "capabilities": wanted})
        return link

    async def shared_link(self) -> Link:
        """An established link that the examples of one case share; a new one when the last has ended."""
        link = self.shared
        if link is None or link.ended is not None or link.audit.mid_frame:
            self.shared = link = await self.established()
        return link

    def drop_shared(self) -> None:
        """The next example begins on a new link."""
        self.shared = None

    async def expect_violation(self, link: Link, within: float = 5.0, code: int | None = None) -> End:
        """The target ends the connection in time, and serves on; another close ``code`` warns (CL-01)."""
        end = await link.expect_end(within)
        if code is not None and end.code is not None and end.code != code:
            self.warn(f"close code {code}", f"{end.code}", "CL-01")
        await self.still_serving()
        return end

    async def still_serving(self) -> None:
        """A new connection is served: handshake and Ping (TR-05).

        Not repeated where each stream has a process of its own, and one has answered in this case.
        """
        answered = self._answered or any(link.audit.answered for link in self.links)
        if self.role != "acceptor" or (answered and not self._target.persistent):
            return
        for requirement, case_id in self.health.failed.items():
            self.inconclusive(
                f"cannot tell whether the target still serves: {case_id} failed ({requirement})"
            )
        try:
            link = await self.established()
            await link.barrier()
        except CaseFailed as failure:
            raise CaseFailed("the target still serves a new connection", failure.actual, "TR-05") from failure
        except TargetGone as gone:
            raise CaseFailed("the target still serves a new connection", str(gone), "TR-05") from gone
        await self.forget(link)

    async def forget(self, link: Link) -> None:
        """Release a link before the end of the case; a crash fails it (TR-05)."""
        if link in self.links:
            self.links.remove(link)
        self._answered |= link.audit.answered
        report = await link.release()
        if report.crash is not None:
            raise crash_failure(report)

    # -- verdicts

    def fail(self, expected: str, actual: str, requirement: str | None = None) -> NoReturn:
        """End the case: the target broke ``requirement`` (the case's own when None)."""
        raise CaseFailed(expected, actual, requirement)

    def warn(self, expected: str, actual: str, requirement: str | None = None) -> None:
        """Record that a SHOULD was not met, and go on. Raises ValueError for a MUST."""
        broken = requirement or self.case.requirement
        if spec.requirement(broken).level == "MUST":
            raise ValueError(f"{self.case.id} warns about {broken}, which is a MUST")
        deviation = Deviation(broken, expected, actual)
        if deviation not in self.warnings and len(self.warnings) < 20:
            self.warnings.append(deviation)

    def check(self, condition: object, expected: str, actual: str, requirement: str | None = None) -> None:
        """Unless the condition holds, fail() for a MUST and warn() for a SHOULD or MAY."""
        if condition:
            return
        if spec.requirement(requirement or self.case.requirement).level == "MUST":
            self.fail(expected, actual, requirement)
        self.warn(expected, actual, requirement)

    def unsupported(self, reason: str) -> NoReturn:
        raise CaseUnsupported(reason)

    def not_testable(self, reason: str) -> NoReturn:
        raise CaseNotTestable(reason)

    def inconclusive(self, reason: str) -> NoReturn:
        raise CaseInconclusive(reason)

    def note(self, text: str) -> None:
        """Goes into the message of a pass."""
        if text not in self.notes:
            self.notes.append(text)


def crash_failure(report: CloseReport, seen: str = "") -> CaseFailed:
    words = str(report.crash)
    if report.diagnostics:
        words += f"; the last it said: {report.diagnostics[-600:]}"
    if seen:
        words += f"; the case saw: {seen}"
    return CaseFailed("the target stays up, and ends without an error", words, "TR-05")


__all__ = ["CAPABILITIES", "Health", "Opener", "Options", "Trial", "crash_failure"]
