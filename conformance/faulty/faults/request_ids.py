"""Faults in the form of `request_id`, in its echo, and in ids that are in flight already."""

from __future__ import annotations

import asyncio
import re
import uuid

from ..node import Node
from ..protocol import VIOLATION, Crash, Message, Refused
from ..registry import ACCEPTOR, fault, variant
from .requests import OtherResponse

HERE = "request_ids"

variant(
    HERE,
    "id-of-127-characters",
    "RQ-03",
    does="Refuses a request_id of 128 characters.",
    longest_request_id=127,
)
variant(HERE, "id-of-64-characters", "RQ-03", does="Refuses a request_id above 64.", longest_request_id=64)
variant(HERE, "id-of-36-characters", "RQ-03", does="Refuses a request_id above 36.", longest_request_id=36)
variant(HERE, "id-of-129-characters", "RQ-03", does="Accepts a request_id of 129.", longest_request_id=129)
variant(
    HERE, "id-of-any-length", "RQ-03", does="Accepts a request_id of any length.", longest_request_id=10**9
)


class OtherId(OtherResponse):
    """Changes the request_id of responses."""

    def written(self, request_id: str) -> str:
        return request_id

    def changed(self, message: Message, response: Message) -> list[Message]:
        return [{**response, "request_id": self.written(response["request_id"])}]


@fault("response-id-lower-case", "RQ-02", "RQ-01")
class ResponseIdLowerCase(OtherId):
    """Writes request_id in lower case."""

    def written(self, request_id: str) -> str:
        return request_id.lower()


@fault("response-id-trimmed", "RQ-02", "RQ-03", "RQ-01")
class ResponseIdTrimmed(OtherId):
    """Trims white space from request_id."""

    def written(self, request_id: str) -> str:
        return request_id.strip()


@fault("response-id-cut", "RQ-02", "RQ-03", "RQ-01")
class ResponseIdCut(OtherId):
    """Cuts request_id after 64 characters."""

    def written(self, request_id: str) -> str:
        return request_id[:64]


@fault("response-id-cut-at-128", "RQ-02", "RQ-03")
class ResponseIdCutAt128(OtherId):
    """Cuts an illegal request_id after 128 characters."""

    def written(self, request_id: str) -> str:
        return request_id[:128]


@fault("response-id-emptied", "RQ-02", "RQ-03")
class ResponseIdEmptied(OtherId):
    """Answers a request with an illegal request_id with an empty one."""

    def written(self, request_id: str) -> str:
        return "" if self.request_id_problem(request_id) else request_id


@fault("response-id-cleaned", "RQ-02", "RQ-03")
class ResponseIdCleaned(OtherId):
    """Replaces what is no printable ASCII in request_id."""

    def written(self, request_id: str) -> str:
        return re.sub("[^!-~]", "?", request_id)


@fault("response-id-html-escaped", "RQ-02", "RQ-01")
class ResponseIdEscaped(OtherId):
    """Escapes `<`, `>` and `&` in request_id."""

    def written(self, request_id: str) -> str:
        return request_id.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@fault("response-id-its-own", "RQ-02", "RQ-01", "HS-07")
class ResponseIdItsOwn(OtherId):
    """Answers with an id of its own."""

    def written(self, request_id: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, request_id))


@fault("response-id-of-the-last", "RQ-02", "RQ-01", "RQ-09")
class ResponseIdOfTheLast(Node):
    """Answers with the id of the latest request."""

    latest = ""

    async def on_request(self, message: Message) -> None:
        self.latest = str(message.get("request_id"))
        await super().on_request(message)

    async def respond(self, message: Message, response: Message) -> None:
        await super().respond(message, {**response, "request_id": self.latest})


class OtherIdForm(Node):
    """Has its own idea of a legal request_id."""

    legal = re.compile("[!-~]{1,128}")

    def request_id_problem(self, text: str) -> str | None:
        return None if self.legal.fullmatch(text) else "an illegal request_id"


@fault("id-with-space", "RQ-03")
class IdWithSpace(OtherIdForm):
    """Accepts a space in request_id."""

    legal = re.compile("[ -~]{1,128}")


@fault("id-empty", "RQ-03")
class IdEmpty(OtherIdForm):
    """Accepts an empty request_id."""

    legal = re.compile("[!-~]{0,128}")


@fault("id-with-delete", "RQ-03")
class IdWithDelete(OtherIdForm):
    """Accepts U+007F in request_id."""

    legal = re.compile("[!-\x7f]{1,128}")


@fault("id-with-newline-at-end", "RQ-03")
class IdWithNewlineAtEnd(OtherIdForm):
    """Accepts a newline at the end of request_id, as `$` does."""

    legal = re.compile("[!-~]{1,128}\n?")


@fault("id-with-control-characters", "RQ-03")
class IdWithControlCharacters(OtherIdForm):
    """Accepts control characters in request_id."""

    legal = re.compile("[\x00-\x1f!-~]{1,128}")


@fault("id-not-ascii", "RQ-03")
class IdNotAscii(OtherIdForm):
    """Accepts letters of all scripts in request_id."""

    legal = re.compile(r"[^\x00-\x20\x7f]{1,128}")


@fault("id-without-tilde", "RQ-03")
class IdWithoutTilde(OtherIdForm):
    """Refuses the last legal character, `~`."""

    legal = re.compile("[!-}]{1,128}")


@fault("id-without-exclamation-mark", "RQ-03")
class IdWithoutExclamationMark(OtherIdForm):
    """Refuses the first legal character, `!`."""

    legal = re.compile('["-~]{1,128}')


@fault("id-alphanumeric", "RQ-03", "RQ-02")
class IdAlphanumeric(OtherIdForm):
    """Refuses all but letters, digits, `-` and `_` in request_id."""

    legal = re.compile("[A-Za-z0-9_-]{1,128}")


@fault("id-a-uuid", "RQ-03", "RQ-02", "RQ-01", "DC-01", "ST-02")
class IdAUuid(OtherIdForm):
    """Refuses a request_id that is no UUID."""

    legal = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@fault("illegal-id-ignored", "RQ-03", "RQ-01")
class IllegalIdIgnored(Node):
    """Ignores a request with an illegal request_id."""

    async def on_request(self, message: Message) -> None:
        request_id = message.get("request_id")
        if not isinstance(request_id, str) or not self.request_id_problem(request_id):
            await super().on_request(message)


@fault("illegal-id-closes", "RQ-03")
class IllegalIdCloses(Node):
    """Closes over an illegal request_id."""

    async def on_request(self, message: Message) -> None:
        request_id = message.get("request_id")
        if isinstance(request_id, str) and self.request_id_problem(request_id):
            self.end(VIOLATION, "an illegal request_id")
        else:
            await super().on_request(message)


@fault("duplicate-handled", "RQ-05", "RQ-01")
class DuplicateHandled(Node):
    """Handles a second request with an id in flight like any other."""

    def is_in_flight(self, request_id: str) -> bool:
        return False


@fault("duplicate-refused", "RQ-05", "RQ-01")
class DuplicateRefused(Node):
    """Refuses a second request with an id in flight."""

    async def on_duplicate(self, message: Message) -> None:
        await self.refuse(message, Refused("malformed", "request_id is in flight"))


@fault("duplicate-closes", "RQ-05")
class DuplicateCloses(Node):
    """Closes over a second request with an id in flight."""

    async def on_duplicate(self, message: Message) -> None:
        self.end(VIOLATION, "request_id is in flight")


@fault("duplicate-crashes", "TR-05", "RQ-05")
class DuplicateCrashes(Node):
    """Falls over a second request with an id in flight."""

    async def on_duplicate(self, message: Message) -> None:
        raise Crash("duplicate key")


@fault("duplicate-of-another-type-handled", "RQ-05", "RQ-01")
class DuplicateOfAnotherTypeHandled(Node):
    """Keeps one table of ids for each type of request."""

    async def on_duplicate(self, message: Message) -> None:
        if self.in_flight[message["request_id"]]["type"] != message["type"]:
            await self.on_fresh(message)


@fault("malformed-duplicate-refused", "RQ-05", "RQ-01")
class MalformedDuplicateRefused(Node):
    """Looks at the form of a request before it looks whether its id is in flight."""

    async def on_duplicate(self, message: Message) -> None:
        try:
            self.check_form(message)
        except Refused as refusal:
            await self.refuse(message, refusal)


@fault("unauthorised-duplicate-refused", "RQ-05", "RQ-01")
class UnauthorisedDuplicateRefused(Node):
    """Looks at the authority for a name before it looks whether the id is in flight."""

    async def on_duplicate(self, message: Message) -> None:
        try:
            self.check_form(message)
        except Refused:
            return
        try:
            self.check_authority(message)
        except Refused as refusal:
            await self.refuse(message, refusal)


@fault("duplicate-replaces-first", "RQ-05", "RQ-01")
class DuplicateReplacesFirst(Node):
    """Ends the first request when a second with its id comes, and handles that."""

    async def on_duplicate(self, message: Message) -> None:
        for task in self.handlers:
            task.cancel()
        self.release(message["request_id"])
        await asyncio.sleep(0)
        await self.on_fresh(message)


@fault("id-used-once", "RQ-05", "RQ-01")
class IdUsedOnce(Node):
    """Ignores a request with an id that was ever used on the connection."""

    def release(self, request_id: str) -> None:
        return


@fault("id-free-too-late", "RQ-05", "RQ-01")
class IdFreeTooLate(Node):
    """Keeps an id for 10 s after its response."""

    def release(self, request_id: str) -> None:
        asyncio.get_running_loop().call_later(10.0, super().release, request_id)


@fault("ids-shared-by-connections", "RQ-01", "TR-04", "RQ-05", roles=ACCEPTOR)
class IdsSharedByConnections(Node):
    """Ignores a request whose id is in flight on another connection."""

    def is_in_flight(self, request_id: str) -> bool:
        return any(request_id in node.in_flight for node in self.world.connections)


@fault("ids-in-flight-without-case", "RQ-05", "RQ-01", "RQ-02")
class IdsInFlightWithoutCase(Node):
    """Takes ids in flight for the same that differ in case alone."""

    def is_in_flight(self, request_id: str) -> bool:
        return request_id.lower() in {name.lower() for name in self.in_flight}


@fault("slow-request-given-up", "RQ-01", "DC-01")
class SlowRequestGivenUp(Node):
    """Gives a handler 2 s, and says nothing when they are over."""

    async def handle(self, message: Message) -> None:
        if self.delay_for(message) > 2.0:
            await asyncio.sleep(2.0)
            self.world.in_flight[self.peer_id] -= 1
            self.release(message["request_id"])
        else:
            await super().handle(message)
