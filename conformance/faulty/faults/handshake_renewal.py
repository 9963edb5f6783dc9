"""Faults in what comes after the first handshake, and in malformed Handshakes."""

from __future__ import annotations

import asyncio
from typing import Any

from ..node import Node
from ..protocol import VIOLATION, Crash, Message
from ..registry import fault


@fault("renewal-ignored", "HS-12", "HS-02")
class RenewalIgnored(Node):
    """Ignores a Handshake after the first exchange."""

    async def on_handshake(self, message: Message) -> None:
        if not self.established:
            await super().on_handshake(message)


@fault("renewal-closes", "HS-12", "HS-02")
class RenewalCloses(Node):
    """Closes over a Handshake after the first exchange."""

    async def on_handshake(self, message: Message) -> None:
        if self.established:
            self.end(VIOLATION, "a second handshake")
        else:
            await super().on_handshake(message)


@fault("renewal-drops-requests", "RQ-01", "HS-12")
class RenewalDropsRequests(Node):
    """Drops the requests in flight at a renewal."""

    async def on_handshake(self, message: Message) -> None:
        for task in self.handlers:
            task.cancel()
        await super().on_handshake(message)


@fault("renewal-answered-after-requests", "HS-02", "HS-12")
class RenewalAnsweredAfterRequests(Node):
    """Answers a renewal when no request is in flight any more."""

    async def on_handshake(self, message: Message) -> None:
        async def later() -> None:
            if self.handlers:
                await asyncio.wait(set(self.handlers))
            await super(RenewalAnsweredAfterRequests, self).on_handshake(message)

        self.go(later())


@fault("one-renewal-only", "HS-12", "HS-02")
class OneRenewalOnly(Node):
    """Answers two Handshakes, and no more."""

    answered = 0

    async def on_handshake(self, message: Message) -> None:
        self.answered += 1
        if self.answered <= 2:
            await super().on_handshake(message)


@fault("unasked-response-closes", "HS-13")
class UnaskedResponseCloses(Node):
    """Closes over a HandshakeResponse that it did not ask for."""

    async def on_unasked_handshake_response(self, message: Message) -> None:
        self.end(VIOLATION, "nobody asked")


@fault("unasked-refusal-closes", "HS-13")
class UnaskedRefusalCloses(Node):
    """Closes over `accepted: false` that it did not ask for."""

    async def on_unasked_handshake_response(self, message: Message) -> None:
        if not message["accepted"]:
            await self.on_refused()


@fault("unasked-refusal-unestablishes", "HS-13")
class UnaskedRefusalUnestablishes(Node):
    """Goes back to before the handshake at `accepted: false` that it did not ask for."""

    async def on_unasked_handshake_response(self, message: Message) -> None:
        if not message["accepted"]:
            self.established = False
            self.opened = self.now()


@fault("unasked-response-crashes", "TR-05", "HS-13")
class UnaskedResponseCrashes(Node):
    """Sets the result of a future that is already done."""

    async def on_unasked_handshake_response(self, message: Message) -> None:
        raise Crash("invalid state")


class MalformedTaken(Node):
    """Acts on some malformed Handshakes."""

    def mended(self, message: Message) -> Any:
        return message

    async def on_message(self, message: Message) -> None:
        if message["type"] == "Handshake" and self.problem_in(message):
            message = self.mended(message)
        await super().on_message(message)


@fault("missing-capabilities-taken", "HS-15", "MS-04")
class MissingCapabilitiesTaken(MalformedTaken):
    """Takes a Handshake without capabilities for one with none."""

    def mended(self, message: Message) -> Message:
        return {"capabilities": [], **message}


@fault("null-capabilities-taken", "HS-15", "MS-04")
class NullCapabilitiesTaken(MalformedTaken):
    """Takes null for an empty list of capabilities."""

    def mended(self, message: Message) -> Message:
        return {**message, "capabilities": message.get("capabilities", 0) or []}


@fault("text-capabilities-taken", "HS-15", "MS-04")
class TextCapabilitiesTaken(MalformedTaken):
    """Takes one text for a list of capabilities."""

    def mended(self, message: Message) -> Message:
        names = message.get("capabilities")
        return {**message, "capabilities": [names] if isinstance(names, str) else names}


@fault("mixed-capabilities-taken", "HS-15", "MS-04")
class MixedCapabilitiesTaken(MalformedTaken):
    """Leaves out what is no text in capabilities."""

    def mended(self, message: Message) -> Message:
        names = message.get("capabilities")
        if isinstance(names, list):
            names = [name for name in names if isinstance(name, str)]
        return {**message, "capabilities": names}


@fault("missing-node-id-taken", "HS-15", "MS-04")
class MissingNodeIdTaken(MalformedTaken):
    """Takes a Handshake without node_id."""

    def mended(self, message: Message) -> Message:
        return {"node_id": "", **message}


@fault("number-as-node-id-taken", "HS-15", "MS-04")
class NumberAsNodeIdTaken(MalformedTaken):
    """Takes a node_id of any type."""

    def mended(self, message: Message) -> Message:
        return {**message, "node_id": str(message["node_id"])} if "node_id" in message else message


@fault("malformed-handshake-completes", "HS-15", "HS-07", "HS-11")
class MalformedHandshakeCompletes(Node):
    """Does not answer a malformed Handshake, but takes the handshake for finished."""

    async def on_malformed(self, message: Message, problem: str) -> None:
        if message["type"] == "Handshake":
            await self.establish()


@fault("malformed-handshake-closes", "HS-15", "MS-04")
class MalformedHandshakeCloses(Node):
    """Closes over a malformed Handshake."""

    async def on_malformed(self, message: Message, problem: str) -> None:
        if message["type"] == "Handshake":
            self.end(self.handshake_code, problem)
