"""200 daemons at one relay on this machine: all connect, then all ping it and ask for DNS challenges at once.

The relay is a process of its own (`bench_many_daemons.py relay`), the daemons are sessions of this one.
Anchors: what one daemon alone gets with 64 requests on their way, in time and for the relay's CPU, and bounds
that an operator may count on: 1 MiB of the relay's memory for each daemon, 30 s until all are connected.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from pathlib import Path

from gate_p2p.dns.memory import MemoryDnsHandler
from gate_p2p.session import P2PSession
from gate_p2p.session.peer import Peer
from measure import Result

DAEMONS = 200
CHALLENGES = 10  # of each daemon, one after another: a create and a cleanup, with a Ping under way meanwhile
AT_ONCE = 32  # daemons that begin to dial at the same time: a relay refuses past 256 handshakes under way
NAME = "bench.private.example"
VALUE = "x" * 43


async def serve() -> None:
    """The relay: prints its address, and for each line on standard input its CPU seconds and resident KiB."""
    dns = MemoryDnsHandler(max_values=DAEMONS)
    async with P2PSession(dns_challenge_handler=dns, allowed={"*": [NAME]}) as session:
        print(session.node_addr(), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(cpu_seconds(), resident(), len(session.list_peers()), flush=True)


def cpu_seconds() -> float:
    """User and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident() -> int:
    """Memory of this process in KiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0])


class Relay:
    """The relay's process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "relay"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._ask, self._answers = self._process.stdin, self._process.stdout
        self.address = self._answers.readline().strip()

    def measure(self) -> tuple[float, int, int]:
        """CPU seconds so far, resident KiB, connected peers."""
        self._ask.write("\n")
        self._ask.flush()
        cpu, resident, peers = self._answers.readline().split()
        return float(cpu), int(resident), int(peers)

    def close(self) -> None:
        """End it by the end of its standard input."""
        self._process.communicate(timeout=60)


async def challenges(session: P2PSession, relay_id: str, number: int) -> None:
    """So many creates and cleanups, one after another, each pair beside a Ping."""

    async def challenge() -> None:
        await session.request_dns_challenge_create(relay_id, NAME, VALUE)
        await session.request_dns_challenge_cleanup(relay_id, NAME, VALUE)

    for _ in range(number):
        await asyncio.gather(session.ping(relay_id), challenge())


async def connect(sessions: list[P2PSession], address: str) -> float:
    """Have all sessions connected to the relay; the seconds that took."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(session: P2PSession) -> None:
        await session.start()
        async with gate:
            peer: Peer = await session.add_peer(address)
            await peer.wait_connected()

    began = time.perf_counter()
    await asyncio.gather(*(one(session) for session in sessions))
    return time.perf_counter() - began


async def measure(relay: Relay) -> list[Result]:
    """Connect, ask alone, ask all together."""
    relay_id = relay.address.partition("@")[0]
    sessions = [P2PSession() for _ in range(DAEMONS)]
    cpu_before, memory_before, _ = relay.measure()
    try:
        connecting = await connect(sessions, relay.address)
        cpu_connected, memory, peers = relay.measure()
        if peers != DAEMONS:
            raise AssertionError(f"{peers} of {DAEMONS} daemons are connected")
        began = time.perf_counter()
        await asyncio.gather(*(challenges(sessions[0], relay_id, CHALLENGES) for _ in range(64)))
        alone = 64 * CHALLENGES / (time.perf_counter() - began)
        cpu_alone, _, _ = relay.measure()
        began = time.perf_counter()
        await asyncio.gather(*(challenges(session, relay_id, CHALLENGES) for session in sessions))
        together = DAEMONS * CHALLENGES / (time.perf_counter() - began)
        cpu, memory_after, _ = relay.measure()
    finally:
        await asyncio.gather(*(session.aclose() for session in sessions))
    print(
        f"{DAEMONS} daemons: connected in {connecting:.1f} s, {together:.0f} challenges/s and as many Pings, "
        f"the relay used {cpu - cpu_before:.1f} s of CPU and "
        f"{(memory_after - memory_before) / DAEMONS:.0f} KiB for each"
    )
    per_daemon = (memory - memory_before) / DAEMONS
    return [
        Result(
            "200 daemons: connecting", DAEMONS / connecting, "daemons/s", "all in 30 s", DAEMONS / 30, 1.0
        ),
        Result("200 daemons: challenges", together, "challenges/s", "one daemon, 64 at once", alone, 0.3),
        Result(
            "200 daemons: relay's CPU",
            DAEMONS * CHALLENGES / (cpu - cpu_alone),
            "challenges/CPU s",
            "one daemon, 64 at once",
            64 * CHALLENGES / (cpu_alone - cpu_connected),
            0.3,
        ),
        Result(
            "200 daemons: relay's memory", 1024 / per_daemon, "daemons/MiB", "1 MiB for each", 1.0, goal=1.0
        ),
    ]


def run() -> list[Result]:
    """About 20 s."""
    relay = Relay()
    try:
        return asyncio.run(measure(relay))
    finally:
        relay.close()


if __name__ == "__main__":
    asyncio.run(serve())
