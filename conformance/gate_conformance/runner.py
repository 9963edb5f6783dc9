"""Running many cases against one target, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gate_conformance.case import Case
from gate_conformance.execute import Context, gone_result, run_plain
from gate_conformance.generated import GivenState, run_given
from gate_conformance.load import STARVED, LoadMonitor
from gate_conformance.targets.base import Target
from gate_conformance.trial import Health, Options
from gate_conformance.verdicts import Result, TargetGone, Verdict
from gate_conformance.virtual_time import VirtualLoop, shut_down

SMOKE = ("handshake.answered", "liveness.ping")
_LONG = 8.0  # cases that mostly wait: they take no place from the others
_CLOSE_WITHIN = 10.0


class Observer:
    """Told what happens; the terminal report is one."""

    def started(self, total: int) -> None:
        """The target was reached, so many cases will run."""

    def case_started(self, case: Case) -> None:
        """A case runs now."""

    def case_finished(self, case: Case, result: Result) -> None:
        """A case is over."""


@dataclass(frozen=True)
class Settings:
    """How to run. ``jobs``: cases side by side."""

    jobs: int = 8
    seed: int = 0
    examples_scale: float = 1.0


@dataclass
class Report:
    """All results, in the order of the specification; ``must_seconds``: when the last MUST case was over.

    ``interrupted``: the user stopped the run, and the cases that had not ended are missing.
    """

    target: str
    role: str
    seed: int
    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0
    must_seconds: float = 0.0
    gone: str | None = None
    interrupted: bool = False

    @property
    def summary(self) -> dict[str, int]:
        return {verdict.value: sum(one.verdict is verdict for one in self.results) for verdict in Verdict}

    @property
    def exit_status(self) -> int:
        """0 nothing failed, 1 the target failed, 3 nothing was tested, 4 the suite itself failed."""
        counts = self.summary
        if counts["harness_error"]:
            return 4
        if counts["fail"]:
            return 1
        return 0 if counts["pass"] or counts["warn"] else 3


class Runner:
    """One run; ``run()`` from synchronous code.

    Raises TargetGone when the target is never reached, KeyboardInterrupt after SIGINT and SIGTERM.
    """

    def __init__(
        self,
        target: Target,
        cases: Sequence[Case],
        options: Options,
        settings: Settings | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._target = target
        self._settings = settings or Settings()
        self._cases = [case for case in cases if target.role in case.roles]
        self._observer = observer or Observer()
        self._health = Health()
        self._context = Context(
            target, target.role, options, self._health, self._settings.seed, self._settings.examples_scale
        )
        self._results: dict[str, Result] = {}
        self._gone: TargetGone | None = None
        self._gone_event = asyncio.Event()
        self._given_lock = asyncio.Lock()
        self._confirm_lock = asyncio.Lock()
        self._started = 0.0
        self._load = LoadMonitor()
        self._again: list[Case] = []

    @property
    def cases(self) -> list[Case]:
        """Those that apply to the target's role."""
        return list(self._cases)

    def run(self) -> Report:
        if self._target.virtual:
            self._run_virtual()
        else:
            try:
                asyncio.run(self._run_real())
            except asyncio.CancelledError:
                raise KeyboardInterrupt from None
        return self.report()

    def report(self) -> Report:
        """What is known so far: all results after ``run()``, some after an interrupt."""
        order = {case.id: index for index, case in enumerate(self._cases)}
        results = sorted(self._results.values(), key=lambda one: order[one.id])
        must = [one.finished_at for one in results if one.case_level == "MUST"]
        return Report(
            self._target.text,
            self._target.role,
            self._settings.seed,
            results,
            time.monotonic() - self._started,
            max(must, default=self._started) - self._started,
            self._gone.reason if self._gone is not None else None,
        )

    # -- order

    def _plan(self) -> tuple[list[Case], list[Case], list[Case], list[Case], list[Case]]:
        """Smoke cases, idle, long, the rest (MUST first, then long before short), exclusive ones."""
        smoke = sorted((one for one in self._cases if one.id in SMOKE), key=lambda one: SMOKE.index(one.id))
        rest = [one for one in self._cases if one.id not in SMOKE]
        exclusive = [one for one in rest if one.exclusive]
        idle = sorted((one for one in rest if one.idle), key=lambda one: -one.seconds)
        ranked = sorted(
            (one for one in rest if not one.exclusive and not one.idle),
            key=lambda one: (one.level != "MUST", -one.seconds),
        )
        long = sorted((one for one in ranked if one.seconds >= _LONG), key=lambda one: -one.seconds)
        return smoke, idle, long, [one for one in ranked if one.seconds < _LONG], exclusive

    def _record(self, case: Case, result: Result) -> None:
        self._results[case.id] = result
        if case.id in SMOKE and result.verdict is Verdict.FAIL:
            self._health.failed.setdefault(result.requirement, case.id)
        self._observer.case_finished(case, result)

    # -- virtual time: one case after the other, each on a loop of its own

    def _run_virtual(self) -> None:
        self._started = time.monotonic()
        self._observer.started(len(self._cases))
        for case in [one for group in self._plan() for one in group]:
            self._observer.case_started(case)
            loop = VirtualLoop()
            try:
                if case.given:
                    result = run_given(case, self._context, loop.run_until_complete, GivenState())
                else:
                    result = loop.run_until_complete(run_plain(case, self._context))
            except TargetGone as gone:
                result = gone_result(case, gone)
            finally:
                shut_down(loop)
            self._record(case, result)

    # -- real time

    async def _run_real(self) -> None:
        task = asyncio.current_task()
        if task is not None and threading.current_thread() is threading.main_thread():
            # in order, as for SIGINT, so that no process of the suite's is left behind
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            await self._target.start()
            self._started = time.monotonic()
            self._observer.started(len(self._cases))
            self._load.start()
            smoke, idle, long, rest, exclusive = self._plan()
            for case in smoke:
                await self._run_one(case, alone=True)
            jobs = max(1, min(self._settings.jobs, self._target.limit or self._settings.jobs))
            if jobs == 1:
                await self._pool([*idle, *long, *rest, *exclusive], 1)
            else:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pool(idle, max(jobs, 8)))
                    await asyncio.gather(self._pool(long, max(jobs, 8)), self._pool(rest, jobs))
                    await self._pool(exclusive, 1)
            again, self._again = self._again, []
            await self._pool(again, 1)
        finally:
            await self._load.stop()
            await self._health.tls_server.aclose()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._target.aclose(), _CLOSE_WITHIN)

    async def _pool(self, cases: list[Case], jobs: int) -> None:
        """Run cases from the front of the list, so many side by side."""
        queue = list(reversed(cases))

        async def work(may_generate: bool) -> None:
            while queue:
                # One worker takes the generated cases, which run one at a time; the others step over them.
                places = range(len(queue) - 1, -1, -1)
                index = next((i for i in places if may_generate or not queue[i].given), None)
                if index is None:
                    return
                await self._run_one(queue.pop(index), alone=jobs == 1)

        workers = [asyncio.create_task(work(number == 0)) for number in range(max(1, jobs))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()

    async def _run_one(self, case: Case, alone: bool = False) -> None:
        if not alone:
            await self._load.calm(patience=3.0)
        if (gone := self._known_gone()) is not None:
            self._record(case, gone_result(case, gone))
            return
        self._observer.case_started(case)
        started = time.monotonic()
        running = asyncio.create_task(self._attempt(case))
        watching = asyncio.create_task(self._gone_event.wait())
        try:
            await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await asyncio.wait({running}, timeout=1.0)
        finally:
            watching.cancel()
            if not running.done():
                running.cancel()
                await asyncio.wait({running}, timeout=_CLOSE_WITHIN)
        if running.done() and not running.cancelled():
            result = running.result()
        else:
            gone = self._known_gone()
            assert gone is not None
            result = gone_result(case, gone, time.monotonic() - started)
        if (
            not alone
            and self._known_gone() is None
            and result.verdict in (Verdict.FAIL, Verdict.WARN)
            # the suite came late, or the target has no more connections for it: nothing about the case
            and (self._load.worst_since(started) > STARVED or self._health.full_at >= started)
        ):
            self._again.append(case)
            return
        self._record(case, result)

    def _known_gone(self) -> TargetGone | None:
        """A method, because the answer changes while a case waits, which type checkers do not expect."""
        return self._gone

    async def _attempt(self, case: Case) -> Result:
        started = time.monotonic()
        try:
            return await self._execute(case)
        except TargetGone as gone:
            confirmed = await self._confirm(gone)
            if confirmed is not None:
                return gone_result(case, confirmed, time.monotonic() - started)
        try:
            return await self._execute(case)  # it is there after all
        except TargetGone as gone:
            return gone_result(case, gone, time.monotonic() - started)

    async def _confirm(self, gone: TargetGone) -> TargetGone | None:
        """One confirming look; when the target is gone, every other case is told."""
        async with self._confirm_lock:
            if self._gone is None and await self._target.confirm_gone() is not None:
                self._gone = gone
                self._gone_event.set()
        return self._gone

    async def _execute(self, case: Case) -> Result:
        if not case.given:
            return await run_plain(case, self._context)
        async with self._given_lock:
            loop, state = asyncio.get_running_loop(), GivenState()

            def run(work: Any) -> Any:
                state.current = asyncio.run_coroutine_threadsafe(work, loop)
                return state.current.result()

            try:
                return await asyncio.to_thread(run_given, case, self._context, run, state)
            except asyncio.CancelledError as cancelled:
                state.stop(cancelled)
                raise
