"""The DNS challenge handler over any DNS service: ownership, quotas, leases and idempotency in one place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from gate_p2p.dns.backend import CHALLENGE_PREFIX, TxtBackend
from gate_p2p.dns.errors import DnsRefused
from gate_p2p.dns.expiry import Expiry
from gate_p2p.dns.handler import DnsChallengeError
from gate_p2p.dns.journal import Journal
from gate_p2p.dns.leases import Leases, TxtRecord
from gate_p2p.dns.locks import Locks

_log = logging.getLogger("gate_p2p.dns")

FAREWELL: Final = 10.0
"""Seconds that `aclose` takes at most to remove what is left."""
KIND: Final = "TXT"
"""The first word of what stands in the journal; domain, owner and value follow."""


class LeasingHandler:
    """A `DnsChallengeHandler` that keeps the books, and has `backend` make the changes (DC-08 to DC-16).

    Every value belongs to the peers that created it. It leaves the zone when the last of them cleans it up,
    when their leases have run out, or when the handler is closed. A change that was cut short (the peer went
    away, the service did not answer) is covered by the lease too: a value is noted before it is added, and
    forgotten after it is deleted.

    `journal`: keeps all that past the end of the process. What it holds belongs to its owners again, and
    leaves with its lease, which begins with `async with`, or with the first call. It is not closed here.
    """

    def __init__(
        self, backend: TxtBackend, leases: Leases | None = None, *, journal: Journal | None = None
    ) -> None:
        self._backend = backend
        self._leases = Leases() if leases is None else leases
        self._journal = journal
        # one change of one value at a time, so that a delete never overtakes the add that follows it
        self._locks = Locks[tuple[str, str]]()
        self._spreading: dict[tuple[str, str, str], set[asyncio.Timeout]] = {}
        self._expiry = Expiry(self._leases.clock, self._leases.next_expiry, self._remove_expired)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        for kind, *rest in () if journal is None else journal.entries:
            if kind == KIND and len(rest) == 3:
                domain, owner, value = rest
                self._leases.restore(owner, domain, value)

    async def __aenter__(self) -> LeasingHandler:
        """Let the leases of what the journal held begin to run."""
        if count := len(self._leases):
            _log.info("TXT: %d values of an earlier run are still there, each for its lease", count)
        self._expiry.arm()
        return self

    async def __aexit__(self, *_: object) -> None:
        """See `aclose`."""
        await self.aclose()

    @property
    def records(self) -> tuple[TxtRecord, ...]:
        """Every value that a peer has now, or that could not be removed yet."""
        return tuple(self._leases)

    async def create(self, peer_id: str, domain: str, txt_value: str) -> None:
        """Put the value there, wait until it is visible; again renews the lease. Raises DnsChallengeError."""
        domain = domain.lower()
        async with self._locks.of((domain, txt_value)):
            if self._closed:
                raise DnsChallengeError("this node is shutting down")
            new = self._take(peer_id, domain, txt_value)
            self._arm()
            try:
                await self._backend.add(domain, txt_value)
            except DnsRefused:
                if new:
                    self._release(peer_id, domain, txt_value)
                raise
        what = "created" if new else "renewed"
        level = logging.INFO if new else logging.DEBUG
        _log.log(level, "TXT %s%s: %s %s by %s", CHALLENGE_PREFIX, domain, txt_value, what, peer_id)
        await self._spread(peer_id, domain, txt_value)

    async def _spread(self, owner: str, domain: str, txt_value: str) -> None:
        """Wait until the value is visible, but no longer than it is there. Raises DnsChallengeError."""
        key = (owner, domain, txt_value)
        wait = asyncio.timeout(None)  # `_release` lets it run out
        try:
            async with wait:
                self._spreading.setdefault(key, set()).add(wait)
                try:
                    await self._backend.wait(domain, txt_value)
                finally:
                    waiting = self._spreading.get(key, set())
                    waiting.discard(wait)
                    if not waiting:
                        self._spreading.pop(key, None)
        except TimeoutError:
            if not wait.expired():
                raise
        if wait.expired() or not self._leases.owned(owner, domain, txt_value):
            raise DnsChallengeError("the challenge was cleaned up before it was visible")

    async def cleanup(self, peer_id: str, domain: str, txt_value: str | None) -> None:
        """Remove the value where `peer_id` created it, or with None all that it created under the name.

        Raises DnsChallengeError; what could not be removed is tried again by the next cleanup, or when its
        lease has run out.
        """
        domain = domain.lower()
        removals = [
            self._spawn(self._remove(peer_id, domain, value, "removed"))
            for value in self._leases.owned(peer_id, domain, txt_value)
        ]
        if removals:  # in tasks of their own: a peer that goes away meanwhile ends none of them
            outcomes = await asyncio.shield(asyncio.gather(*removals, return_exceptions=True))
            for outcome in outcomes:
                if outcome is not None:
                    raise outcome

    def peer_connected(self, peer_id: str) -> None:
        """See `WatchesPeers`: while it is here, what it created stays."""
        self._leases.set_connected(peer_id, connected=True)
        self._arm()

    def peer_gone(self, peer_id: str) -> None:
        """See `WatchesPeers`: from now on its leases run (DC-15)."""
        self._leases.set_connected(peer_id, connected=False)
        self._arm()

    async def aclose(self) -> None:
        """Remove every value that is left, within 10 s, and let go of the DNS service."""
        self._closed = True
        await self._expiry.aclose()
        for record in self._leases:
            self._spawn(self._remove(record.owner, record.domain, record.value, "removed at the end"))
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=FAREWELL)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        for record in self._leases:
            _log.warning("TXT %s%s: %s is left behind", CHALLENGE_PREFIX, record.domain, record.value)
        await self._backend.aclose()

    # -- one change

    def _take(self, owner: str, domain: str, txt_value: str) -> bool:
        """Note the value, before it is added; whether it is new. Raises DnsChallengeError."""
        new = self._leases.take(owner, domain, txt_value)
        if new and self._journal is not None:
            try:
                self._journal.add((KIND, domain, owner, txt_value))
            except OSError as error:
                _log.error("the DNS journal cannot be written: %s", error.strerror)
                self._leases.release(owner, domain, txt_value)
                raise DnsChallengeError("this node cannot note what it would have to remove") from None
        return new

    def _release(self, owner: str, domain: str, txt_value: str) -> None:
        """Forget the value, after it is deleted; who waits for it to be visible waits in vain."""
        self._leases.release(owner, domain, txt_value)
        if self._journal is not None:
            self._journal.remove((KIND, domain, owner, txt_value))
        for wait in self._spreading.pop((owner, domain, txt_value), ()):
            wait.reschedule(0)

    async def _remove(
        self, owner: str, domain: str, txt_value: str, what: str, expired: TxtRecord | None = None
    ) -> None:
        async with self._locks.of((domain, txt_value)):
            if expired is not None and not self._leases.is_expired(expired):
                return  # renewed or removed while we waited
            if not self._leases.owned(owner, domain, txt_value):
                return
            if self._leases.holders(domain, txt_value) == 1:
                await self._backend.delete(domain, txt_value)
            self._release(owner, domain, txt_value)
        self._log_removal(domain, txt_value, owner, what)

    def _log_removal(self, domain: str, txt_value: str, owner: str, what: str) -> None:
        _log.info("TXT %s%s: %s %s by %s", CHALLENGE_PREFIX, domain, txt_value, what, owner)

    def _spawn(self, call: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            unexpected = None if isinstance(error, DnsChallengeError) else error
            _log.warning("a TXT record was not removed: %s", error, exc_info=unexpected)

    # -- leases

    def _arm(self) -> None:
        self._expiry.arm()

    async def _remove_expired(self) -> None:
        removals = [
            self._spawn(self._remove(one.owner, one.domain, one.value, "expired, created", one))
            for one in self._leases.expired()
        ]
        if removals:
            await asyncio.wait(removals)
