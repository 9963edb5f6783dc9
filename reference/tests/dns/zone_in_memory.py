"""A zone in memory that can be slow or fail, and a handler over it in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gate_p2p.dns import DnsChallengeError
from gate_p2p.dns.journal import Journal
from gate_p2p.dns.leases import Leases
from gate_p2p.dns.leasing import LeasingHandler

from ..session.memory import run

ONE, TWO = "1" * 64, "2" * 64
A, B, C = "a" * 43, "b" * 43, "c" * 43
DOMAIN = "x.example"


class Backend:
    """A zone in memory. `failing`: what the next changes raise; `seconds`: what each change takes."""

    def __init__(self) -> None:
        self.zone: set[tuple[str, str]] = set()
        self.changes: list[str] = []
        self.failing: list[DnsChallengeError | None] = []
        self.seconds = 0.0
        self.visible_after = 0.0
        self.closed = False

    async def _change(self, what: str, carry_out: Callable[[], None]) -> None:
        self.changes.append(what)
        await asyncio.sleep(self.seconds)
        if self.failing and (error := self.failing.pop(0)) is not None:
            raise error
        carry_out()

    async def add(self, domain: str, txt_value: str) -> None:
        await self._change(f"+{txt_value[0]}", lambda: self.zone.add((domain, txt_value)))

    async def delete(self, domain: str, txt_value: str) -> None:
        await self._change(f"-{txt_value[0]}", lambda: self.zone.discard((domain, txt_value)))

    async def wait(self, domain: str, txt_value: str) -> None:
        await asyncio.sleep(self.visible_after)

    async def aclose(self) -> None:
        self.closed = True


def scenario(
    play: Callable[[Backend, LeasingHandler], Awaitable[None]],
    *,
    lease: float = 900,
    max_values: int = 16,
    journal: Journal | None = None,
    backend: Backend | None = None,
) -> Backend:
    """Play on a new handler whose leases run on the loop's virtual clock."""
    backend = backend or Backend()

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        leases = Leases(lease=lease, max_values=max_values, clock=clock)
        await play(backend, LeasingHandler(backend, leases, journal=journal))

    run(main())
    return backend
