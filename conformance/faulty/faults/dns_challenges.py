"""Faults in DNS challenges: the forms of name and value, and what a handler answers."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from .. import forms
from ..node import Node
from ..protocol import VIOLATION, Crash, Message, Refused
from ..registry import fault


def value(name: str, does: str, judge: Callable[[str], bool], *breaks: str) -> None:
    """Registers another judgement over txt_value."""

    def txt_value_problem(self: Node, text: str) -> str | None:
        return None if judge(text) else "a bad txt_value"

    members: dict[str, Any] = {
        "__doc__": does,
        "__module__": __name__,
        "txt_value_problem": txt_value_problem,
    }
    fault(name, *breaks)(type(name, (Node,), members))


def matches(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text) is not None


def canonical(text: str) -> bool:
    """Whether decoding and encoding gives the same text."""
    if not forms.TXT_VALUE.fullmatch(text):
        return False
    return base64.urlsafe_b64encode(base64.urlsafe_b64decode(text + "=")).decode().rstrip("=") == text


value("value-unchecked", "Accepts any txt_value.", lambda text: True, "DC-06")
value("value-not-empty", "Accepts any txt_value but an empty one.", bool, "DC-06")
value("value-of-42", "Accepts 42 characters.", matches("[A-Za-z0-9_-]{42,43}"), "DC-06")
value("value-of-44", "Accepts 44 characters.", matches("[A-Za-z0-9_-]{43,44}"), "DC-06")
value("value-up-to-255", "Accepts up to 255 characters.", matches("[A-Za-z0-9_-]{1,255}"), "DC-06")
value("value-with-padding", "Accepts padding.", matches("[A-Za-z0-9_-]{43}=?"), "DC-06")
value("value-of-standard-base64", "Accepts + and / too.", matches("[A-Za-z0-9_+/-]{43}"), "DC-06")
value(
    "value-without-url-alphabet",
    "Wants + and / for - and _.",
    matches("[A-Za-z0-9+/]{43}"),
    "DC-06",
    "DC-01",
    "DC-07",
)
value("value-with-newline-at-end", "Accepts a newline at the end.", matches("[A-Za-z0-9_-]{43}\n?"), "DC-06")
value("value-of-any-43", "Counts to 43, and looks no further.", lambda text: len(text) == 43, "DC-06")
value("value-of-letters-of-all-scripts", "Accepts letters of all scripts.", matches(r"[\w-]{43}"), "DC-06")
value("value-with-dot", "Accepts dots.", matches("[A-Za-z0-9._-]{43}"), "DC-06")
value(
    "value-in-hexadecimal",
    "Wants 64 hexadecimal characters.",
    matches("[0-9a-f]{64}"),
    "DC-01",
    "DC-06",
    "DC-02",
)
value("spare-bits-checked", "Refuses spare bits that are not 0.", canonical, "DC-07", "DC-01")
value(
    "value-must-not-begin-with-hyphen",
    "Refuses a hyphen in front.",
    matches("[A-Za-z0-9_][A-Za-z0-9_-]{42}"),
    "DC-06",
    "DC-01",
    "DC-07",
)


@fault("value-trimmed", "DC-06")
class ValueTrimmed(Node):
    """Takes white space around txt_value away."""

    def txt_value_problem(self, text: str) -> str | None:
        return super().txt_value_problem(text.strip())


@fault("value-in-quotes", "DC-06")
class ValueInQuotes(Node):
    """Takes quotes around txt_value away, as zone files have them."""

    def txt_value_problem(self, text: str) -> str | None:
        return super().txt_value_problem(text.strip('"'))


@fault("value-of-cleanup-unchecked", "DC-06")
class ValueOfCleanupUnchecked(Node):
    """Does not check txt_value in Cleanup."""

    def txt_form_problem(self, message: Message) -> str | None:
        return None if message["type"] == "DnsChallengeCleanup" else super().txt_form_problem(message)


@fault("value-of-create-unchecked", "DC-06")
class ValueOfCreateUnchecked(Node):
    """Checks txt_value in Cleanup alone."""

    def txt_form_problem(self, message: Message) -> str | None:
        return None if message["type"] == "DnsChallengeCreate" else super().txt_form_problem(message)


@fault("create-fails", "DC-01")
class CreateFails(Node):
    """Fails every Create."""

    async def create(self, message: Message) -> Message:
        raise Refused("failed", "the zone could not be changed")


@fault("create-fails-upper-case", "DC-04", "AU-02")
class CreateFailsUpperCase(Node):
    """Fails a Create for a name in upper case."""

    async def create(self, message: Message) -> Message:
        if message["domain"] != message["domain"].lower():
            raise Refused("failed", "no such zone")
        return await super().create(message)


@fault("create-says-false", "RQ-01", "DC-01", "RQ-07", "MS-12")
class CreateSaysFalse(Node):
    """Creates the record, and answers `success: false` without a reason."""

    async def create(self, message: Message) -> Message:
        return {**await super().create(message), "success": False}


@fault("cleanup-fails", "DC-02", "DC-10")
class CleanupFails(Node):
    """Fails every Cleanup."""

    async def cleanup(self, message: Message) -> Message:
        raise Refused("failed", "the zone could not be changed")


@fault("cleanup-not-answered", "RQ-01", "DC-02", "DC-10")
class CleanupNotAnswered(Node):
    """Carries Cleanup out and says nothing."""

    async def respond(self, message: Message, response: Message) -> None:
        if message["type"] != "DnsChallengeCleanup":
            await super().respond(message, response)


@fault("cleanup-of-nothing-fails", "DC-10")
class CleanupOfNothingFails(Node):
    """Fails a Cleanup of what is not there."""

    async def cleanup(self, message: Message) -> Message:
        values = self.world.values(message["domain"])
        if not values or message.get("txt_value") not in (None, *values):
            raise Refused("failed", "no such record")
        return await super().cleanup(message)


@fault("cleanup-of-unknown-value-fails", "DC-10")
class CleanupOfUnknownValueFails(Node):
    """Fails a Cleanup of a value that is not there."""

    async def cleanup(self, message: Message) -> Message:
        wanted = message.get("txt_value")
        if wanted is not None and wanted not in self.world.values(message["domain"]):
            raise Refused("failed", "no such record")
        return await super().cleanup(message)


@fault("cleanup-needs-value", "DC-11", "DC-02", "DC-10", "MS-10")
class CleanupNeedsValue(Node):
    """Refuses a Cleanup without txt_value."""

    async def cleanup(self, message: Message) -> Message:
        if message.get("txt_value") is None:
            raise Refused("failed", "no txt_value")
        return await super().cleanup(message)


@fault("cleanup-knows-no-value", "DC-11", "DC-02", "DC-10", "MS-10")
class CleanupKnowsNoValue(Node):
    """Refuses a Cleanup with txt_value."""

    async def cleanup(self, message: Message) -> Message:
        if message.get("txt_value") is not None:
            raise Refused("failed", "one record at a time")
        return await super().cleanup(message)


@fault("one-value-a-name", "DC-08")
class OneValueAName(Node):
    """Refuses a second value under a name."""

    async def create(self, message: Message) -> Message:
        if set(self.world.values(message["domain"])) - {message["txt_value"]}:
            raise Refused("failed", "there is a record of this name")
        return await super().create(message)


@fault("create-again-fails", "DC-09")
class CreateAgainFails(Node):
    """Refuses a value that stands already."""

    async def create(self, message: Message) -> Message:
        if message["txt_value"] in self.world.values(message["domain"]):
            raise Refused("failed", "the record exists")
        return await super().create(message)


@fault("create-after-cleanup-fails", "DC-01", "DC-02", "DC-09")
class CreateAfterCleanupFails(Node):
    """Refuses a name that was cleaned up once."""

    async def create(self, message: Message) -> Message:
        if ("cleaned " + message["domain"].lower(), "") in self.world.records:
            raise Refused("failed", "the name was given up")
        return await super().create(message)

    async def cleanup(self, message: Message) -> Message:
        self.world.create("cleaned " + message["domain"], "", self.peer_id)
        return await super().cleanup(message)


class WithoutHandler(Node):
    """A node without DNS challenge handler."""

    capabilities = ("inference",)
    has_handler = False


@fault("no-handler-ignores", "DC-12", "RQ-01")
class NoHandlerIgnores(WithoutHandler):
    """Without a handler ignores DNS challenges."""

    async def on_request(self, message: Message) -> None:
        if not message["type"].startswith("DnsChallenge"):
            await super().on_request(message)


@fault("no-handler-closes", "DC-12", "RQ-01")
class NoHandlerCloses(WithoutHandler):
    """Without a handler closes over DNS challenges."""

    async def create(self, message: Message) -> Message:
        self.end(VIOLATION, "no handler")
        return await super().create(message)


@fault("no-handler-crashes", "DC-12", "TR-05")
class NoHandlerCrashes(WithoutHandler):
    """Without a handler calls it all the same."""

    async def create(self, message: Message) -> Message:
        raise Crash("None is not callable")


@fault("no-handler-says-failed", "RQ-08")
class NoHandlerSaysFailed(WithoutHandler):
    """Without a handler answers with code `failed` instead of `unsupported`."""

    async def create(self, message: Message) -> Message:
        raise Refused("failed", "no handler")
