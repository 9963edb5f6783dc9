"""Permitted choices that leave undone what a SHOULD asks for: a judge may warn, and fails none of them."""

from __future__ import annotations

import asyncio

from .node import Node
from .protocol import Message, Refused, Violation
from .registrar import Registrar
from .registry import choice


@choice("lenient-codes")
class LenientCodes(Node):
    """Closes with 0 whatever happened, and gives failures no code, as 0.1.0 does."""

    violation_code = too_large_code = handshake_code = timeout_code = 0

    def failure(self, message: Message, refusal: Refused) -> Message:
        return {name: value for name, value in super().failure(message, refusal).items() if name != "code"}


@choice("lenient-clock")
class LenientClock(Node):
    """Sends no keep-alive Pings, gives nobody up, and waits for Handshake for ever."""

    ping_after = dead_after = first_handshake_wait = 1e9


@choice("lenient-requests")
class LenientRequests(Node):
    """Handles one request at a time, and ignores requests with missing or ill-typed members."""

    turns: asyncio.Lock | None = None

    async def on_request(self, message: Message) -> None:
        if not self.problem_in(message):
            await super().on_request(message)

    async def outcome(self, message: Message) -> Message:
        self.turns = self.turns or asyncio.Lock()
        async with self.turns:
            return await super().outcome(message)


@choice("lenient-names")
class LenientNames(Registrar):
    """Registers a name of its own choice, another one each time."""

    names_given = 0

    def label_of(self, octets: bytes) -> str:
        type(self).names_given += 1
        return f"node-{self.names_given}"

    def may_act_for(self, domain: str) -> bool:
        return self.canonical(domain) in self.world.hosts or super().may_act_for(domain)


@choice("lenient-close")
class LenientClose(Node):
    """Drops at once what is not answered yet when the stream ends or a violation comes."""

    linger = 0.0

    async def on_violation(self, violation: Violation) -> None:
        for task in self.handlers:
            task.cancel()
        await super().on_violation(violation)
