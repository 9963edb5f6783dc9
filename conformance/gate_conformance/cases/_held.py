"""A channel that can be read later: a peer that does not read for a while."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gate_conformance.channel import Channel, CloseReport


class Held:
    """Another channel whose bytes stay where they are until ``let_go()``."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._open = asyncio.Event()
        self.remote_id = channel.remote_id
        self.grace, self.slack, self.kind = channel.grace, channel.slack, channel.kind

    def let_go(self) -> None:
        """Read on."""
        self._open.set()

    async def read(self) -> bytes:
        await self._open.wait()
        return await self._channel.read()

    async def write(self, data: bytes) -> None:
        await self._channel.write(data)

    async def finish(self) -> None:
        await self._channel.finish()

    def close(self, code: int = 0, reason: str = "") -> None:
        self._open.set()
        self._channel.close(code, reason)

    async def wait_closed(self, within: float) -> CloseReport:
        return await self._channel.wait_closed(within)

    async def release(self) -> CloseReport:
        self._open.set()
        return await self._channel.release()

    async def open_second(self) -> Channel | None:
        return await self._channel.open_second()

    async def accept_second(self, within: float) -> bool | None:
        return await self._channel.accept_second(within)

    def reset(self, code: int) -> bool:
        return self._channel.reset(code)

    def stop(self, code: int) -> bool:
        return self._channel.stop(code)

    async def send_beside(self, way: str, data: bytes) -> bool | None:
        return await self._channel.send_beside(way, data)
