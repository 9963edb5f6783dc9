"""Faults in reading messages: unknown members and types, ill-typed members, identifiers, repeats."""

from __future__ import annotations

import json
import re
from typing import Any

from ..node import Node
from ..protocol import MEMBERS, VIOLATION, Crash, Message
from ..registry import fault


@fault("unknown-member-ignores-message", "MS-01")
class UnknownMemberIgnoresMessage(Node):
    """Takes a message with a member that it does not know for malformed."""

    async def on_message(self, message: Message) -> None:
        if set(message) <= {"type", *MEMBERS[message["type"]]}:
            await super().on_message(message)


@fault("unknown-member-closes", "MS-01")
class UnknownMemberCloses(Node):
    """Closes over a member that it does not know."""

    async def on_message(self, message: Message) -> None:
        if set(message) <= {"type", *MEMBERS[message["type"]]}:
            await super().on_message(message)
        else:
            self.end(VIOLATION, "an unknown member")


@fault("unknown-member-must-be-scalar", "MS-01")
class UnknownMemberMustBeScalar(Node):
    """Takes a message for malformed when an unknown member holds an object or an array."""

    async def on_message(self, message: Message) -> None:
        known = {"type", *MEMBERS[message["type"]]}
        if not any(isinstance(value, dict | list) for name, value in message.items() if name not in known):
            await super().on_message(message)


@fault("null-member-refused", "MS-01", "MS-10")
class NullMemberRefused(Node):
    """Takes any member that is null for malformed, unknown and optional ones too."""

    async def on_message(self, message: Message) -> None:
        if message["type"].startswith("DnsChallenge") or None not in message.values():
            await super().on_message(message)


@fault("inner-object-dispatched", "MS-01")
class InnerObjectDispatched(Node):
    """Acts on every object of a document that has a known type, however deep."""

    async def on_value(self, value: object) -> None:
        await super().on_value(value)
        if isinstance(value, dict):
            for member in value.values():
                await self.on_value(member)


@fault("unknown-type-closes", "MS-02")
class UnknownTypeCloses(Node):
    """Closes over a type that it does not know."""

    async def on_value(self, value: object) -> None:
        await super().on_value(value)
        if isinstance(value, dict) and isinstance(value.get("type"), str) and value["type"] not in MEMBERS:
            self.end(VIOLATION, "an unknown type")


@fault("missing-type-closes", "MS-02")
class MissingTypeCloses(Node):
    """Closes over an object without type."""

    async def on_value(self, value: object) -> None:
        await super().on_value(value)
        if isinstance(value, dict) and "type" not in value:
            self.end(VIOLATION, "no type")


@fault("type-no-string-closes", "MS-02")
class TypeNoStringCloses(Node):
    """Closes over a type that is no string."""

    async def on_value(self, value: object) -> None:
        await super().on_value(value)
        if isinstance(value, dict) and not isinstance(value.get("type", ""), str):
            self.end(VIOLATION, "type is no string")


@fault("type-unhashable-crashes", "TR-05", "MS-02")
class TypeUnhashableCrashes(Node):
    """Looks an array or object up in its table of types."""

    async def on_value(self, value: object) -> None:
        if isinstance(value, dict) and isinstance(value.get("type"), list | dict):
            raise Crash("unhashable type")
        await super().on_value(value)


@fault("unknown-type-answered", "MS-02")
class UnknownTypeAnswered(Node):
    """Answers a type that it does not know with an error message."""

    async def on_value(self, value: object) -> None:
        await super().on_value(value)
        if isinstance(value, dict) and self.message_in(value) is None:
            await self.send({"type": "Error", "error": "unknown type"})


@fault("type-in-any-case", "MS-02")
class TypeInAnyCase(Node):
    """Compares type without regard to case."""

    def message_in(self, value: Any) -> Message | None:
        if isinstance(value, dict) and isinstance(value.get("type"), str):
            for kind in MEMBERS:
                if kind.lower() == value["type"].lower():
                    return {**value, "type": kind}
        return super().message_in(value)


@fault("type-trimmed", "MS-02")
class TypeTrimmed(Node):
    """Trims white space around type."""

    def message_in(self, value: Any) -> Message | None:
        if isinstance(value, dict) and isinstance(value.get("type"), str):
            value = {**value, "type": value["type"].strip()}
        return super().message_in(value)


@fault("type-by-prefix", "MS-02")
class TypeByPrefix(Node):
    """Takes a type that begins with a known one for that one."""

    def message_in(self, value: Any) -> Message | None:
        if isinstance(value, dict) and isinstance(value.get("type"), str) and value["type"] not in MEMBERS:
            for kind in MEMBERS:
                if value["type"].startswith(kind):
                    return {**value, "type": kind}
        return super().message_in(value)


@fault("type-guessed", "MS-02")
class TypeGuessed(Node):
    """Takes an object without type for a Ping when it has an id."""

    def message_in(self, value: Any) -> Message | None:
        if isinstance(value, dict) and "type" not in value and "id" in value:
            return {**value, "type": "Ping"}
        return super().message_in(value)


@fault("no-object-closes", "MS-03")
class NoObjectCloses(Node):
    """Closes over JSON that is no object."""

    async def on_value(self, value: object) -> None:
        await super().on_value(value)
        if not isinstance(value, dict):
            self.end(VIOLATION, "no object")


@fault("no-object-crashes", "TR-05", "MS-03")
class NoObjectCrashes(Node):
    """Asks JSON that is no object for its type."""

    async def on_value(self, value: object) -> None:
        if not isinstance(value, dict):
            raise Crash("no attribute 'get'")
        await super().on_value(value)


@fault("null-crashes", "TR-05", "MS-03")
class NullCrashes(Node):
    """Asks null for its type."""

    async def on_value(self, value: object) -> None:
        if value is None:
            raise Crash("null pointer")
        await super().on_value(value)


@fault("array-is-a-batch", "MS-03")
class ArrayIsABatch(Node):
    """Acts on each message of an array."""

    async def on_value(self, value: object) -> None:
        for item in value if isinstance(value, list) else [value]:
            await super().on_value(item)


@fault("string-read-again", "MS-03")
class StringReadAgain(Node):
    """Reads a string that holds JSON as JSON."""

    async def on_value(self, value: object) -> None:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return
        await super().on_value(value)


@fault("malformed-closes", "MS-04", "MS-07", "HS-15")
class MalformedCloses(Node):
    """Closes over a malformed message."""

    async def on_malformed(self, message: Message, problem: str) -> None:
        self.end(VIOLATION, problem)


@fault("malformed-answered", "MS-04", "MS-07", "MS-02", "FR-01")
class MalformedAnswered(Node):
    """Answers a malformed Ping with an error message."""

    async def on_malformed(self, message: Message, problem: str) -> None:
        if message["type"] == "Ping":
            await self.send({"type": "Pong", "id": 0, "error": problem})


@fault("malformed-crashes", "TR-05", "MS-04", "MS-07")
class MalformedCrashes(Node):
    """Does not catch a missing member."""

    async def on_malformed(self, message: Message, problem: str) -> None:
        if problem.endswith("missing"):
            raise Crash(problem)


@fault("type-must-come-first", "MS-05")
class TypeMustComeFirst(Node):
    """Ignores a message whose type is not its first member."""

    def message_in(self, value: Any) -> Message | None:
        if isinstance(value, dict) and next(iter(value), None) != "type":
            return None
        return super().message_in(value)


@fault("type-must-come-last", "MS-05", "HS-02", "LV-01")
class TypeMustComeLast(Node):
    """Ignores a message whose type is not its last member."""

    def message_in(self, value: Any) -> Message | None:
        if isinstance(value, dict) and next(iter(reversed(value)), None) != "type":
            return None
        return super().message_in(value)


class TextMatters(Node):
    """Ignores messages over how their text looks."""

    def readable(self, text: str) -> bool:
        return True

    async def on_body(self, body: bytes) -> None:
        value = self.parse(body)
        if self.readable(body.decode("utf-8", "replace")):
            await self.on_value(value)


@fault("white-space-refused", "MS-05")
class WhiteSpaceRefused(TextMatters):
    """Finds no message where there is white space before the first token."""

    def readable(self, text: str) -> bool:
        return text.startswith("{")


@fault("white-space-at-end-refused", "MS-05")
class WhiteSpaceAtEndRefused(TextMatters):
    """Finds no message where there is white space behind the last token."""

    def readable(self, text: str) -> bool:
        return text.endswith("}")


@fault("type-searched-in-text", "MS-05")
class TypeSearchedInText(TextMatters):
    """Searches the text for `"type":"`, and so wants it written compact."""

    def readable(self, text: str) -> bool:
        return '"type"' not in text.replace('"type":"', "")


@fault("escaped-name-not-read", "MS-05")
class EscapedNameNotRead(TextMatters):
    """Does not decode escapes in member names."""

    def readable(self, text: str) -> bool:
        return not re.search(r'"[^"]*\\u[^"]*"\s*:', text)


@fault("escaped-type-not-read", "MS-05")
class EscapedTypeNotRead(TextMatters):
    """Does not decode escapes in the value of type."""

    def readable(self, text: str) -> bool:
        return not re.search(r'"type"\s*:\s*"[^"]*\\u', text)


@fault("escaped-string-not-read", "MS-05", "RQ-02", "HS-05")
class EscapedStringNotRead(Node):
    """Leaves escapes in the values of members as they are."""

    def load(self, text: str) -> Any:
        return super().load(re.sub(r'("request_id"\s*:\s*"[^"]*?)\\u', r"\1\\\\u", text))


@fault("null-is-not-absent", "MS-10")
class NullIsNotAbsent(Node):
    """Takes a cleanup whose txt_value is null for malformed."""

    def problem_in(self, message: Message) -> str | None:
        if message["type"] == "DnsChallengeCleanup" and message.get("txt_value", "") is None:
            return "txt_value is no text"
        return super().problem_in(message)


@fault("null-error-closes", "MS-10")
class NullErrorCloses(Node):
    """Closes over a response whose error is null."""

    async def on_response(self, message: Message) -> None:
        if message.get("error", "") is None:
            self.end(VIOLATION, "error is no text")


@fault("first-of-repeated", "MS-11")
class FirstOfRepeated(Node):
    """Takes the first value of a repeated member."""

    def members(self, pairs: list[tuple[str, Any]]) -> Any:
        return dict(reversed(pairs))


@fault("first-type-of-repeated", "MS-11")
class FirstTypeOfRepeated(Node):
    """Takes the first value of a repeated type."""

    def members(self, pairs: list[tuple[str, Any]]) -> Any:
        first = [value for name, value in pairs if name == "type"][:1]
        return dict(pairs) | ({"type": first[0]} if first else {})


@fault("text-members-coerced", "MS-04", "RQ-04", "RQ-01", "RQ-02")
class TextMembersCoerced(Node):
    """Turns numbers into text where text is asked for."""

    async def on_request(self, message: Message) -> None:
        for name in ("request_id", "domain", "txt_value"):
            if isinstance(message.get(name), int):
                message = {**message, name: str(message[name])}
        await super().on_request(message)
