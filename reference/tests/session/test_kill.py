"""Nodes that are killed or frozen as processes, at many moments of every flow, and what the other one does.

GATE_KILL_ROUNDS: how often, 1 by default; from the second round on the moments are random. A peer that dies
without a word is found out by silence: on a control stream after `LIMITS`, on a data connection by the
time-out of QUIC, 30 s, for which this test waits once a round.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gate_p2p.core import GateError
from gate_p2p.session import P2PSession
from gate_p2p.transport import TransportError

from .victim import LIMITS, QUICK, STUCK, VALUE, StuckHandler, StuckRegistrar, drip

pytestmark = [
    pytest.mark.iroh,
    pytest.mark.kill,
    pytest.mark.timeout(150 * int(os.environ.get("GATE_KILL_ROUNDS", "1"))),
]

ROUNDS = int(os.environ.get("GATE_KILL_ROUNDS", "1"))
WAIT = 4.0  # seconds for an answer of DNS: as long is the silence of the peer forgiven (LV-09)
FAILED_WITHIN = max(LIMITS.dead_after, WAIT) + 4.0  # seconds: silence, the farewell, and a busy machine
QUIC_IDLE = 36.0
# seconds from the victim's first line, which it prints just before it dials
MOMENTS = (0.0, 0.005, 0.02, 0.06, 1.0)

PROGRAM = Path(__file__).parent / "victim.py"
PACKAGES = Path(__file__).parents[2]


class Victim:
    """A process with one identity and one port, which may be started again."""

    def __init__(self, survivor: P2PSession, *, dials: bool, moment: float, freeze: bool = False) -> None:
        self.survivor = survivor
        self.dials = dials
        self.moment = moment
        self.freeze = freeze
        self.key = secrets.token_hex(32)
        self.listen = "127.0.0.1:0"
        self.address = ""
        self.process: asyncio.subprocess.Process | None = None

    @property
    def node_id(self) -> str:
        return self.address.partition("@")[0]

    async def start(self) -> None:
        arguments = [self.key, self.listen, *([str(self.survivor.node_addr())] if self.dials else [])]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            PROGRAM,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # KeyboardInterrupt
            env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        )
        assert self.process.stdout is not None
        self.address = (await self.process.stdout.readline()).decode().strip()
        assert self.address, "the victim did not start"
        self.listen = self.address.partition("@")[2]
        if not self.dials:
            await self.survivor.add_peer(self.address)

    async def die(self) -> None:
        """At the moment: be frozen, or be gone."""
        assert self.process is not None
        await asyncio.sleep(self.moment)
        if self.freeze:
            self.process.send_signal(signal.SIGSTOP)
        else:
            await self.kill()

    async def come_back(self) -> None:
        assert self.process is not None
        if self.freeze:
            self.process.send_signal(signal.SIGCONT)
        else:
            await self.start()

    async def leave(self) -> None:
        """End in order, so that nobody has to wait for silence."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            await self.process.communicate()

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.communicate()


class Calls:
    """What the survivor asks of its peers, and how each call ended."""

    def __init__(self, session: P2PSession) -> None:
        self.session = session
        self.sni_proxy = session.take_sni_proxy_handle()
        self.pending: dict[asyncio.Task[object], str] = {}

    def ask_everything(self, peer_id: str) -> None:
        """Calls that the peer never answers, or streams for ever; each ends with the peer, or is a fault."""
        session = self.session

        async def infer() -> None:
            async with session.infer(peer_id, {"model": "any", "stream": True}) as frames:
                async for _ in frames:
                    pass

        async def visit() -> None:
            assert self.sni_proxy is not None
            stream = await self.sni_proxy.open(peer_id, QUICK)
            try:
                while True:
                    await stream.write(b"hello")
                    if not await stream.read():
                        raise TransportError("the stream ended")
            finally:
                stream.abort()

        self._ask(peer_id, session.request_dns_challenge_create(peer_id, STUCK, VALUE, WAIT))
        self._ask(peer_id, session.request_dns_challenge_cleanup(peer_id, STUCK, VALUE, WAIT))
        self._ask(peer_id, session.request_domain_registration(peer_id, WAIT))
        self._ask(peer_id, session.ping(peer_id, FAILED_WITHIN))
        self._ask("data", infer())
        self._ask("data", visit())

    def _ask(self, peer_id: str, call: Awaitable[object]) -> None:
        self.pending[asyncio.ensure_future(call)] = peer_id

    async def all_failed(self, peer_ids: set[str], within: float) -> None:
        calls = {task for task, peer_id in self.pending.items() if peer_id in peer_ids}
        if not calls:
            return
        done, hanging = await asyncio.wait(calls, timeout=within)
        assert not hanging, f"{len(hanging)} calls did not fail within {within} s"
        for task in done:
            del self.pending[task]
            error = task.exception()
            if error is not None or not isinstance(task.result(), float):  # a Pong that came in time
                assert isinstance(error, GateError), repr(error)
                assert str(error)


async def until(condition: Callable[[], bool], within: float, what: str) -> None:
    try:
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110  most of what is waited for tells nobody
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"not within {within:g} s: {what}")


def held() -> tuple[int, int]:
    """Open file descriptors and tasks of this process."""
    return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())


async def one_round(session: P2PSession, moments: tuple[float, ...]) -> None:
    before = held()
    victims = [
        *(Victim(session, dials=dials, moment=moment) for dials in (True, False) for moment in moments),
        *(Victim(session, dials=dials, moment=1.0, freeze=True) for dials in (True, False)),
    ]
    calls = Calls(session)

    async def live_and_die(victim: Victim) -> None:
        await victim.start()
        asking = asyncio.create_task(ask_when_connected(victim))
        await victim.die()
        asking.cancel()
        await asyncio.wait({asking})

    async def ask_when_connected(victim: Victim) -> None:
        await until(lambda: victim.node_id in session.list_peers(), 30, "the victim is connected")
        calls.ask_everything(victim.node_id)

    try:
        await asyncio.gather(*(live_and_die(victim) for victim in victims))
        ids = {victim.node_id for victim in victims}
        await calls.all_failed(ids, FAILED_WITHIN)
        await until(lambda: not session.list_peers(), FAILED_WITHIN, "every peer is found to be gone")
        await until(lambda: not session._control._links, 5, "what was kept of their connections is gone")
        await asyncio.gather(*(victim.come_back() for victim in victims))
        # a dial that was under way when its peer died lasts until it is given up
        await until(lambda: set(session.list_peers()) == ids, 45, "every peer is back")
        for victim in victims:
            await session.request_dns_challenge_create(victim.node_id, QUICK, VALUE, 20)
            await session.request_dns_challenge_cleanup(victim.node_id, QUICK, VALUE, 20)
        await asyncio.gather(*(victim.leave() for victim in victims))
    finally:
        await asyncio.gather(*(victim.kill() for victim in victims))
    await until(lambda: not session.list_peers(), FAILED_WITHIN, "every peer is gone again")
    await asyncio.gather(*(session.remove_peer(peer_id) for peer_id in ids))
    await calls.all_failed({"data"}, QUIC_IDLE)
    await until(lambda: held() <= before, QUIC_IDLE, f"descriptors and tasks are as before: {before}")
    assert not session._control._links
    assert not session._services.tasks
    assert session._budget.held == 0
    assert {alpn: len(service.admission) for alpn, service in session._services.items()} == dict.fromkeys(
        session._services, 0
    )


async def test_a_node_outlives_peers_that_are_killed_or_frozen_and_keeps_nothing_of_them() -> None:
    async with P2PSession(
        inference=True,
        sni_proxy=True,
        dns_challenge_handler=StuckHandler(),
        registrar=StuckRegistrar(),
        allowed={"*": [STUCK, QUICK]},
        limits=LIMITS,
    ) as session:
        inference = session.take_inference_handle()
        assert inference is not None
        serving = asyncio.create_task(inference.serve(drip))
        await asyncio.sleep(0)
        for number in range(ROUNDS):
            later = tuple(sorted(random.expovariate(5) for _ in MOMENTS))
            await one_round(session, MOMENTS if number == 0 else later)
        serving.cancel()
        await asyncio.wait({serving})
