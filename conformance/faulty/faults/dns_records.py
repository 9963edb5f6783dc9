"""Faults in what becomes of the records: only a look into the zone (`--dns`) shows them."""

from __future__ import annotations

import asyncio

from ..node import Node
from ..protocol import Message, Refused
from ..registrar import Registrar
from ..registry import ACCEPTOR, fault

DNS = "dns"


@fault("success-before-published", "DC-13", over=DNS)
class SuccessBeforePublished(Node):
    """Answers success, and publishes nothing."""

    async def create(self, message: Message) -> Message:
        return self.success(message)


@fault("success-long-before-published", "DC-13", over=DNS)
class SuccessLongBeforePublished(Node):
    """Answers success, and publishes 3 s later."""

    async def create(self, message: Message) -> Message:
        wanted = (message["domain"], message["txt_value"], self.peer_id)
        asyncio.get_running_loop().call_later(3.0, self.world.create, *wanted)
        return self.success(message)


@fault("prefix-twice", "DC-13", over=DNS)
class PrefixTwice(Node):
    """Publishes under _acme-challenge._acme-challenge."""

    async def create(self, message: Message) -> Message:
        return await super().create({**message, "domain": f"_acme-challenge.{message['domain']}"})


@fault("value-published-in-lower-case", "DC-13", over=DNS)
class ValuePublishedInLowerCase(Node):
    """Publishes the value in lower case, like a name."""

    async def create(self, message: Message) -> Message:
        return await super().create({**message, "txt_value": message["txt_value"].lower()})


@fault("second-value-replaces-first", "DC-08", over=DNS)
class SecondValueReplacesFirst(Node):
    """Keeps one value under a name, the latest."""

    async def create(self, message: Message) -> Message:
        self.world.cleanup(message["domain"], None, self.peer_id)
        return await super().create(message)


@fault("second-value-not-published", "DC-08", over=DNS)
class SecondValueNotPublished(Node):
    """Keeps one value under a name, the first."""

    async def create(self, message: Message) -> Message:
        if self.world.values(message["domain"]):
            return self.success(message)
        return await super().create(message)


@fault("records-counted", "DC-09", over=DNS)
class RecordsCounted(Node):
    """Counts each Create, so that one Cleanup does not remove what was created twice."""

    def holders(self) -> list[tuple[str, str]]:
        held: list[tuple[str, str]] = self.world.__dict__.setdefault("held", [])
        return held

    async def create(self, message: Message) -> Message:
        self.holders().append((message["domain"].lower(), message["txt_value"]))
        return await super().create(message)

    async def cleanup(self, message: Message) -> Message:
        key = (message["domain"].lower(), message.get("txt_value", ""))
        if key in self.holders():
            self.holders().remove(key)
        return self.success(message) if key in self.holders() else await super().cleanup(message)


@fault("cleanup-removes-nothing", "DC-02", "DC-11", over=DNS)
class CleanupRemovesNothing(Node):
    """Answers success to Cleanup, and keeps the records."""

    async def cleanup(self, message: Message) -> Message:
        return self.success(message)


@fault("cleanup-of-value-removes-all", "DC-11", over=DNS)
class CleanupOfValueRemovesAll(Node):
    """Removes every value of the name, as 0.1.0 does, which knows no txt_value there."""

    async def cleanup(self, message: Message) -> Message:
        return await super().cleanup({**message, "txt_value": None})


@fault("cleanup-of-unknown-value-removes-all", "DC-11", "DC-10", over=DNS)
class CleanupOfUnknownValueRemovesAll(Node):
    """Removes every value of the name when the one that is meant is not there."""

    async def cleanup(self, message: Message) -> Message:
        known = message.get("txt_value") in self.world.values(message["domain"])
        return await super().cleanup(message if known else {**message, "txt_value": None})


@fault("cleanup-of-name-removes-nothing", "DC-11", over=DNS)
class CleanupOfNameRemovesNothing(Node):
    """Looks for the value null in a Cleanup without txt_value, and finds none."""

    async def cleanup(self, message: Message) -> Message:
        if message.get("txt_value") is None:
            return self.success(message)
        return await super().cleanup(message)


@fault("cleanup-of-name-removes-one", "DC-11", over=DNS)
class CleanupOfNameRemovesOne(Node):
    """Removes one value in a Cleanup without txt_value."""

    async def cleanup(self, message: Message) -> Message:
        first = [*self.world.values(message["domain"]), None][0]
        wanted = message.get("txt_value")
        return await super().cleanup({**message, "txt_value": first if wanted is None else wanted})


@fault("cleanup-of-null-removes-nothing", "DC-11", "MS-10", over=DNS)
class CleanupOfNullRemovesNothing(Node):
    """Takes `txt_value: null` for a value that is not there."""

    async def cleanup(self, message: Message) -> Message:
        if message.get("txt_value", "") is None:
            return self.success(message)
        return await super().cleanup(message)


@fault("refused-create-acts", "DC-06", over=DNS)
class RefusedCreateActs(Node):
    """Publishes before it looks at the form of the value."""

    def check_form(self, message: Message) -> None:
        try:
            super().check_form(message)
        except Refused:
            if message["type"] == "DnsChallengeCreate" and not self.problem_in(message):
                self.world.create(message["domain"], message["txt_value"], self.peer_id)
            raise


@fault("refused-cleanup-acts", "DC-06", over=DNS)
class RefusedCleanupActs(Node):
    """Removes all values of the name when it refuses a Cleanup for its form."""

    def check_form(self, message: Message) -> None:
        try:
            super().check_form(message)
        except Refused:
            if message["type"] == "DnsChallengeCleanup" and not self.problem_in(message):
                self.world.cleanup(message["domain"], None, self.peer_id)
            raise


@fault("malformed-cleanup-acts", "MS-04", over=DNS)
class MalformedCleanupActs(Node):
    """Takes a txt_value of another type for none, and removes all values before it says no."""

    def check_form(self, message: Message) -> None:
        if message["type"] == "DnsChallengeCleanup" and not isinstance(message.get("txt_value", ""), str):
            self.world.cleanup(message["domain"], None, self.peer_id)
        super().check_form(message)


@fault("unauthorised-create-acts", "AU-01", over=DNS)
class UnauthorisedCreateActs(Node):
    """Publishes before it looks at the peer's authority."""

    def check_authority(self, message: Message) -> None:
        if message["type"] == "DnsChallengeCreate":
            self.world.create(message["domain"], message["txt_value"], self.peer_id)
        super().check_authority(message)


@fault("early-create-acts", "HS-07", over=DNS)
class EarlyCreateActs(Node):
    """Refuses a Create before the handshake, and publishes all the same."""

    def check_handshake(self, message: Message) -> None:
        if not self.established and message["type"] == "DnsChallengeCreate":
            self.world.create(message["domain"], message["txt_value"], self.peer_id)
        super().check_handshake(message)


@fault("upper-case-is-another-record", "DC-04", over=DNS)
class UpperCaseIsAnotherRecord(Node):
    """Keeps records under the name as it was written."""

    async def create(self, message: Message) -> Message:
        key = (message["domain"], message["txt_value"])
        self.world.records.setdefault(key, set()).add(self.peer_id)
        return self.success(message)


@fault("cleanup-compares-case", "DC-04", over=DNS)
class CleanupComparesCase(Node):
    """Removes in a Cleanup what was created in the same case alone."""

    def written(self) -> dict[str, str]:
        spelt: dict[str, str] = self.world.__dict__.setdefault("spelt", {})
        return spelt

    async def create(self, message: Message) -> Message:
        self.written()[message["txt_value"]] = message["domain"]
        return await super().create(message)

    async def cleanup(self, message: Message) -> Message:
        wanted = message.get("txt_value")
        if wanted is not None and self.written().get(wanted, message["domain"]) != message["domain"]:
            return self.success(message)
        return await super().cleanup(message)


@fault("cleanup-of-another-peers-value", "DC-22", "DC-11", roles=ACCEPTOR, over=DNS)
class CleanupOfAnotherPeersValue(Node):
    """Removes values that another peer created; it takes two identities to see."""

    async def cleanup(self, message: Message) -> Message:
        name, wanted = message["domain"].lower(), message.get("txt_value")
        for key in [key for key in self.world.records if key[0] == name and wanted in (None, key[1])]:
            del self.world.records[key]
        return self.success(message)


@fault("cleanup-forgets-the-other-creator", "DC-22", roles=ACCEPTOR, over=DNS)
class CleanupForgetsTheOtherCreator(Node):
    """Removes a value that two peers created with the first of them."""

    async def cleanup(self, message: Message) -> Message:
        for (name, value), creators in list(self.world.records.items()):
            same = name == message["domain"].lower() and message.get("txt_value") in (None, value)
            if same and self.peer_id in creators:
                del self.world.records[name, value]
        return self.success(message)


@fault("cleanup-of-another-peers-value-fails", "DC-22", roles=ACCEPTOR, over=DNS)
class CleanupOfAnotherPeersValueFails(Node):
    """Answers a Cleanup of what another peer created with a failure."""

    async def cleanup(self, message: Message) -> Message:
        key = (message["domain"].lower(), str(message.get("txt_value")))
        if key in self.world.records and self.peer_id not in self.world.records[key]:
            raise Refused("not_authorised", "the value is another peer's")
        return await super().cleanup(message)


@fault("value-in-two-strings", "DC-19", over=DNS)
class ValueInTwoStrings(Node):
    """Publishes a value as two character-strings."""

    async def create(self, message: Message) -> Message:
        self.world.pieces = 2
        return await super().create(message)


@fault("ttl-of-an-hour", "DC-20", over=DNS)
class TtlOfAnHour(Node):
    """Publishes with the TTL that its zone has for everything."""

    async def create(self, message: Message) -> Message:
        self.world.ttl = 3600
        return await super().create(message)


@fault("ttl-of-0", "DC-20", over=DNS)
class TtlOf0(Node):
    """Publishes with a TTL of 0."""

    async def create(self, message: Message) -> Message:
        self.world.ttl = 0
        return await super().create(message)


@fault("registered-without-address", "DR-03", over=DNS)
class RegisteredWithoutAddress(Registrar):
    """Registers a name, and publishes nothing."""

    def publish(self, name: str) -> None:
        pass


@fault("registered-under-wildcard", "DR-03", over=DNS)
class RegisteredUnderWildcard(Registrar):
    """Registers a name, and leaves its address to a wildcard."""

    def publish(self, name: str) -> None:
        self.world.wildcard = self.address
