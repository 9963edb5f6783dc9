"""Permitted choices: the correct node with the other of two allowed behaviours; no judge fails them."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any

from .faults.json_reading import depth_of
from .node import Node
from .protocol import NOT_AUTHORISED, RESPONSES, Message, Refused
from .registrar import Registrar
from .registry import ACCEPTOR, CHOICES, DIALER, Choice, choice

# -- reading


@choice("integral-floats-are-ids")
class IntegralFloatsAreIds(Node):
    """Reads an id written 1.0 or 1e0 as 1."""

    def is_id(self, value: Any) -> bool:
        whole = isinstance(value, float) and value.is_integer() and 0 <= value < 2**64
        return whole or super().is_id(value)

    async def on_ping(self, message: Message) -> None:
        await super().on_ping({**message, "id": int(message["id"])})


@choice("minus-zero-is-no-id")
class MinusZeroIsNoId(Node):
    """Takes an id of -0 for malformed."""

    def load(self, text: str) -> Any:
        return super().load(re.sub(r":(\s*)-0(?=\s*[,}])", r":\g<1>-0.5", text))


@choice("deep-nesting-is-a-violation")
class DeepNestingIsAViolation(Node):
    """Closes over more than 64 levels."""

    def load(self, text: str) -> Any:
        if depth_of(text) > 64:
            raise ValueError("nested too deeply")
        return super().load(text)


@choice("lone-surrogates-read")
class LoneSurrogatesRead(Node):
    """Reads lone surrogate escapes, and writes a text that holds one with escapes."""

    def check_strings(self, text: str, value: Any) -> Any:
        return value

    def body_of(self, message: Message) -> bytes:
        try:
            return super().body_of(message)
        except UnicodeEncodeError:
            return json.dumps(message).encode()


@choice("numbers-beyond-double-refused")
class NumbersBeyondDoubleRefused(Node):
    """Closes over a number beyond a double."""

    def load(self, text: str) -> Any:
        value = super().load(text)
        self.look_for_infinity(value)
        return value

    def look_for_infinity(self, value: Any) -> None:
        if isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                self.look_for_infinity(item)
        elif isinstance(value, int | float) and abs(value) > sys.float_info.max:
            raise ValueError("a number beyond a double")


class Repeated(dict[str, Any]):
    """An object in which a member was repeated."""


@choice("repeated-member-is-malformed")
class RepeatedMemberIsMalformed(Node):
    """Takes a message with a repeated member for malformed."""

    def members(self, pairs: list[tuple[str, Any]]) -> Any:
        value = dict(pairs)
        return Repeated(value) if len(value) < len(pairs) else value

    def problem_in(self, message: Message) -> str | None:
        return "a member is repeated" if isinstance(message, Repeated) else super().problem_in(message)


@choice("handshake-fails-at-once", roles=DIALER)
class HandshakeFailsAtOnce(Node):
    """Fails at once over a wrong message or a malformed response in the handshake."""

    async def on_malformed(self, message: Message, problem: str) -> None:
        if self.role == "dialer" and not self.established and message["type"] not in ("Ping", "Handshake"):
            self.end(self.handshake_code, "not the message that was waited for")

    async def on_message(self, message: Message) -> None:
        await super().on_message(message)
        if self.role == "dialer" and not self.established and message["type"] in {"Pong", *RESPONSES}:
            self.end(self.handshake_code, "not the message that was waited for")


# -- writing


@choice("extra-members")
class ExtraMembers(Node):
    """Adds members that nobody knows to every message."""

    def body_of(self, message: Message) -> bytes:
        more = {"x-vendor": {"type": "Ping", "id": 1, "load": [0.5, None]}, "x-note": "ärger"}
        return super().body_of({**more, **message})


@choice("sends-unknown-types")
class SendsUnknownTypes(Node):
    """Sends messages of types that nobody knows: after the handshake, and in front of every answer."""

    async def send(self, message: Message) -> None:
        if self.established and message["type"] != "Telemetry":
            await super().send({"type": "Telemetry", "id": 1, "request_id": "own", "load": 0.5})
        await super().send(message)


@choice("members-sorted")
class MembersSorted(Node):
    """Writes members sorted by name."""

    def body_of(self, message: Message) -> bytes:
        return super().body_of(dict(sorted(message.items())))


@choice("pretty-printed")
class PrettyPrinted(Node):
    """Writes JSON with white space and a newline at its end."""

    def body_of(self, message: Message) -> bytes:
        return (json.dumps(json.loads(super().body_of(message)), indent=2) + "\n").encode()


@choice("nulls-written")
class NullsWritten(Node):
    """Writes null for optional members that have no value."""

    def success(self, message: Message) -> Message:
        return {"error": None, "code": None, **super().success(message)}


@choice("one-byte-a-write")
class OneByteAWrite(Node):
    """Writes each of the first bytes of a frame on its own, and the rest at once."""

    async def write(self, data: bytes) -> None:
        async with self.writing:
            for byte in data[:8]:
                await self.stream.write(bytes([byte]))
            await self.stream.write(data[8:])


@choice("long-foreign-errors")
class LongForeignErrors(Node):
    """Writes long errors that are no ASCII."""

    def failure(self, message: Message, refusal: Refused) -> Message:
        return super().failure(message, Refused(refusal.code, f"nicht möglich 🙅: {refusal.error} " * 40))


# -- handshake, liveness


@choice("pings-every-second")
class PingsEverySecond(Node):
    """Sends a Ping each second, with large ids."""

    def ping_due(self) -> float | None:
        return self.last_ping + 1.0 if self.established else None

    def ping(self) -> Message:
        return {"type": "Ping", "id": 2**64 - super().ping()["id"]}


@choice("keep-alive-at-19")
class KeepAliveAt19(Node):
    """Sends its keep-alive Ping after 19 s."""

    ping_after = 19.0


@choice("renews-handshake")
class RenewsHandshake(Node):
    """Sends a Handshake of its own after the first exchange, in either role."""

    async def on_established(self) -> None:
        await self.send(self.handshake())
        await super().on_established()


@choice("no-capabilities")
class NoCapabilities(Node):
    """Has no capability, and no DNS handler."""

    capabilities = ()
    has_handler = False


@choice("odd-capabilities")
class OddCapabilities(Node):
    """Lists unknown capabilities, and one twice."""

    capabilities = ("x-vendor", "dns_challenge", "inference", "", "dns_challenge")


@choice("slow-to-answer")
class SlowToAnswer(Node):
    """Answers requests after 1 s."""

    answer_delay = 1.0


@choice("slow-to-begin")
class SlowToBegin(Node):
    """Takes 2 s for its part of the handshake."""

    async def start(self) -> None:
        await asyncio.sleep(2.0 if self.role == "dialer" else 0.0)
        self.opened = self.now() if self.role == "dialer" else self.opened
        await super().start()

    async def on_handshake(self, message: Message) -> None:
        if not self.established:
            self.opened = self.now()
            await asyncio.sleep(2.0)
        await super().on_handshake(message)


@choice("slow-to-close")
class SlowToClose(Node):
    """Takes 3 s to close after a violation."""

    violation_delay = 3.0


# -- requests


@choice("renewal-refused")
class RenewalRefused(Node):
    """Answers a renewal with `accepted: false`, and closes."""

    async def on_handshake(self, message: Message) -> None:
        if not self.established:
            await super().on_handshake(message)
            return
        await self.send({"type": "HandshakeResponse", "accepted": False, "capabilities": []})
        self.end(self.handshake_code, "no renewals")


@choice("handler-missing")
class HandlerMissing(Node):
    """Advertises `dns_challenge` without a handler behind it, as 0.1.0 does."""

    has_handler = False


@choice("limit-of-8")
class LimitOf8(Node):
    """Allows 8 requests in flight."""

    limit = 8


@choice("limit-of-1000")
class LimitOf1000(Node):
    """Allows 1,000 requests in flight."""

    limit = 1000


@choice("no-dns-handler")
class NoDnsHandler(Node):
    """Has no DNS challenge handler, and says so."""

    capabilities = ("inference",)
    has_handler = False


@choice("inference-refused")
class InferenceRefused(Node):
    """Refuses inference streams."""

    async def carry_out(self, message: Message) -> Message:
        if message["type"] == "RequestInferenceStream":
            raise Refused("failed", "nothing to serve")
        return await super().carry_out(message)


@choice("registers-names")
class RegistersNames(Registrar):
    """Registers a name for every peer that asks for itself."""


@choice("asks-for-things")
class AsksForThings(Node):
    """Asks the peer for what it can ask for as soon as it may."""

    capabilities = ("inference", "dns_challenge", "sni_proxy")

    async def on_established(self) -> None:
        await super().on_established()
        if "inference" in self.peer_capabilities:
            await self.ask({"type": "RequestInferenceStream", "request_id": "own-1"})
        if "sni_proxy" in self.capabilities:
            sni = {"type": "RequestSniStream", "domain": "own.conformance.test"}
            await self.ask({**sni, "request_id": "own-2"})
        address = {"id": list(bytes.fromhex(self.world.node_id)), "direct_addresses": ["127.0.0.1:4433"]}
        await self.ask({"type": "DomainRegistrationRequest", "request_id": "own-3", "node_addr": address})
        if "dns_challenge" in self.peer_capabilities:
            challenge = {"request_id": "own-4", "domain": "own.conformance.test", "txt_value": "t" * 43}
            await self.ask({"type": "DnsChallengeCreate", **challenge})


@choice("strangers-closed-at-once", roles=ACCEPTOR)
class StrangersClosedAtOnce(Node):
    """Closes a connection that the peer may not have with 5, in place of a HandshakeResponse."""

    async def turn_away(self) -> None:
        self.end(NOT_AUTHORISED, "not admitted")


@choice("patient-while-asking")
class PatientWhileAsking(AsksForThings):
    """Forgives silence for as long as it waits for answers about DNS (LV-09)."""

    dead_after = 330.0


@choice("second-stream-ignored", over="iroh")
class SecondStreamIgnored(Node):
    """Never accepts a second stream."""

    second_stream = "ignore"


# What goes together in one node: no capability rules out the requests that others are about.
APART = {
    "no-capabilities",
    "no-dns-handler",
    "handler-missing",
    "renewal-refused",
    "limit-of-1000",
    "keep-alive-at-19",
    "patient-while-asking",
    "pretty-printed",
    "lone-surrogates-read",
}
TOGETHER = tuple(
    item.node for name, item in CHOICES.items() if name not in APART and not name.startswith("lenient-")
)
GENEROUS: type[Node] = type("Generous", TOGETHER, {"__doc__": "All choices that go together."})
CHOICES["generous"] = Choice("generous", str(GENEROUS.__doc__), ("acceptor", "dialer"), GENEROUS)
