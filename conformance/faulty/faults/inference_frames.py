"""Faults in the frames of inference streams: their reading, and what follows the request."""

from __future__ import annotations

import json
from typing import Any

from ..inference import Responder
from ..protocol import VIOLATION, Message, Violation
from ..wire import Wire
from .on_data import responder_fault

# -- frames


@responder_fault("inference-one-read", "IN-04", "IN-10")
class OneRead(Responder):
    """Takes what one read brings for the whole request."""

    async def request(self) -> Any:
        bodies = list(self.reader.bodies(await self.stream.read()))
        if not bodies:
            raise Violation("no whole frame", VIOLATION)
        return self.reader.parse(bodies[0])


@responder_fault("inference-error-as-bare-text", "IN-04", "IN-20")
class ErrorAsBareText(Responder):
    """Writes an error as a JSON text."""

    def error(self, text: str, kind: str = "request_error") -> Any:
        return text


class Skips(Wire):
    def check_length(self, length: int) -> None:
        if length:
            super().check_length(length)

    def next_body(self) -> bytes | None:
        while self.buffer[:4] == bytes(4):
            del self.buffer[:4]
        return super().next_body()


@responder_fault("inference-zero-length-skipped", "IN-05")
class ZeroLengthSkipped(Responder):
    """Skips frames of length 0."""

    wire = Skips


class Generous(Wire):
    max_body = 2**32


@responder_fault("inference-length-unchecked", "IN-05")
class LengthUnchecked(Responder):
    """Waits for a body of any length."""

    wire = Generous


class Mends(Wire):
    def load(self, text: str) -> Any:
        try:
            return super().load(text)
        except ValueError:
            return super().load(text + "}")


@responder_fault("inference-json-mended", "IN-05")
class JsonMended(Responder):
    """Mends JSON that breaks off."""

    wire = Mends


class FirstValue(Wire):
    def load(self, text: str) -> Any:
        return json.JSONDecoder().raw_decode(text.lstrip())[0]


@responder_fault("inference-trailing-ignored", "IN-05")
class TrailingIgnored(Responder):
    """Reads the first JSON value of a body."""

    wire = FirstValue


class Replaces(Wire):
    utf8_errors = "replace"


@responder_fault("inference-utf-8-replaced", "IN-05")
class Utf8Replaced(Responder):
    """Replaces what is no UTF-8."""

    wire = Replaces


class Strips(Wire):
    def decode(self, body: bytes) -> str:
        return super().decode(body.removeprefix(b"\xef\xbb\xbf"))


@responder_fault("inference-bom-skipped", "IN-05")
class BomSkipped(Responder):
    """Skips a byte order mark."""

    wire = Strips


@responder_fault("inference-violation-stays", "IN-05")
class ViolationStays(Responder):
    """Stops reading after a framing violation, and keeps the connection."""

    async def on_violation(self, violation: Violation) -> None:
        await self.stream.wait_closed()


@responder_fault("inference-end-in-frame-waits", "IN-05")
class EndInFrameWaits(Responder):
    """Waits on when the stream ends inside the request."""

    async def on_violation(self, violation: Violation) -> None:
        if "ended" in violation.reason:
            await self.stream.wait_closed()
        await super().on_violation(violation)


@responder_fault("inference-end-in-prefix-waits", "IN-05")
class EndInPrefixWaits(Responder):
    """Waits on when the stream ends inside the length of the request."""

    async def on_violation(self, violation: Violation) -> None:
        if "ended" in violation.reason and 0 < len(self.reader.buffer) < 4:
            await self.stream.wait_closed()
        await super().on_violation(violation)


@responder_fault("inference-violation-closes-all", "CL-11", "IN-25")
class ViolationClosesAll(Responder):
    """Closes every connection of the peer over a framing violation."""

    async def on_violation(self, violation: Violation) -> None:
        for node in self.world.connections:
            node.end(violation.code, violation.reason)
        for other in self.world.responders:
            other.stream.close(violation.code)


# -- what follows the request


@responder_fault("inference-serves-what-follows", "IN-06", "IN-11")
class ServesWhatFollows(Responder):
    """Serves every request on the stream."""

    async def respond(self, value: Any) -> None:
        values = [value, *map(self.reader.parse, self.reader.bodies(b""))]
        for one in values:
            async for document in self.documents(one):
                await self.send(document)
        await self.finish()


@responder_fault("inference-judges-what-follows", "IN-06")
class JudgesWhatFollows(Responder):
    """Takes what is wrong behind the request for a framing violation."""

    async def request(self) -> Any:
        value = await super().request()
        for body in self.reader.bodies(b""):
            self.reader.parse(body)
        return value


@responder_fault("inference-part-that-follows", "IN-06")
class PartThatFollows(Responder):
    """Takes a part of a frame behind the request for an end inside it."""

    async def request(self) -> Any:
        value = await super().request()
        if self.reader.buffer:
            raise Violation("bytes behind the request", VIOLATION)
        return value


@responder_fault("inference-waits-for-end", "IN-08")
class WaitsForEnd(Responder):
    """Serves a request when the requester has ended its direction."""

    async def request(self) -> Any:
        value = await super().request()
        while await self.stream.read():
            pass
        return value


@responder_fault("inference-end-cancels", "IN-08", "IN-33", "IN-25")
class EndCancels(Responder):
    """Takes the clean end of the requester's direction for a cancellation."""

    async def on_clean_end(self) -> None:
        """Returning is what cancels."""


# -- members


class FirstOfRepeated(Wire):
    def members(self, pairs: list[tuple[str, Any]]) -> Any:
        return dict(reversed(pairs))


@responder_fault("inference-first-of-repeated", "IN-36")
class ReadsFirstOfRepeated(Responder):
    """Takes the first value of a repeated member."""

    wire = FirstOfRepeated


@responder_fault("inference-unknown-members-refused", "IN-36", "IN-04")
class UnknownMembersRefused(Responder):
    """Refuses a list request with members that it does not know."""

    def action_of(self, value: Message) -> Any:
        known = set(value) <= {"action", "model", "messages", "stream"}
        return value.get("action") if known else "unknown members"


class SearchesText(Wire):
    def load(self, text: str) -> Any:
        value = super().load(text)
        found = '"action":"list_models"' in text or not isinstance(value, dict)
        return value if found or value.get("action") != "list_models" else {"action": "?"}


@responder_fault("inference-escapes-unread", "IN-36")
class EscapesUnread(Responder):
    """Looks for list_models in the text of the request."""

    wire = SearchesText


@responder_fault("inference-null-members-refused", "IN-36")
class NullMembersRefused(Responder):
    """Refuses a member that is null."""

    def action_of(self, value: Message) -> Any:
        return "null" if None in value.values() else value.get("action")
