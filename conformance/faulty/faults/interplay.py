"""Faults that take two things to show: what is ignored and a request after it, a slow request and a close."""

from __future__ import annotations

import re

from .. import forms
from ..node import Node
from ..protocol import HANDSHAKE_FAILED, MEMBERS, RESPONSE_TO, Message, Refused, Violation
from ..registrar import Registrar
from ..registry import DIALER, fault, variant

HERE = "interplay"


@fault("unknown-member-spoils-request", "MS-01")
class UnknownMemberSpoilsRequest(Node):
    """Refuses a request with a member that it does not know, and ignores such members elsewhere."""

    def check_form(self, message: Message) -> None:
        super().check_form(message)
        if set(message) - {"type", *MEMBERS[message["type"]]}:
            raise Refused("malformed", "an unknown member")


@fault("members-in-camel-case", "MS-04", "MS-01", "RQ-01")
class MembersInCamelCase(Node):
    """Reads `requestId` and `txtValue` like the members that they resemble."""

    async def on_request(self, message: Message) -> None:
        known = {"requestId": "request_id", "txtValue": "txt_value"}
        await super().on_request({known.get(name, name): value for name, value in message.items()})


@fault("unknown-type-undoes-handshake", "MS-02")
class UnknownTypeUndoesHandshake(Node):
    """Forgets the handshake over an object of an unknown type, and refuses requests from then on."""

    async def on_value(self, value: object) -> None:
        if isinstance(value, dict) and self.message_in(value) is None:
            self.established = False
        await super().on_value(value)


@fault("array-undoes-handshake", "MS-03")
class ArrayUndoesHandshake(Node):
    """Forgets the handshake over JSON that is no object."""

    async def on_value(self, value: object) -> None:
        if not isinstance(value, dict):
            self.established = False
        await super().on_value(value)


@fault("violation-waits-for-requests", "FR-08")
class ViolationWaitsForRequests(Node):
    """Waits for every request in flight before it closes over a violation."""

    async def on_violation(self, violation: Violation) -> None:
        self.linger = 60.0
        await super().on_violation(violation)


@fault("early-violation-closed-with-3", "CL-01")
class EarlyViolationClosedWith3(Node):
    """Closes with 3 over a violation before the handshake is done."""

    async def on_violation(self, violation: Violation) -> None:
        code = violation.code if self.established else HANDSHAKE_FAILED
        await super().on_violation(Violation(violation.reason, code))


@fault("malformed-handshake-refused", "MS-04")
class MalformedHandshakeRefused(Node):
    """Answers a malformed Handshake with `accepted: false`, and goes on."""

    async def on_malformed(self, message: Message, problem: str) -> None:
        if message["type"] == "Handshake":
            await self.send({"type": "HandshakeResponse", "accepted": False, "capabilities": []})


@fault("handshake-sent-twice", "HS-01", roles=DIALER)
class HandshakeSentTwice(Node):
    """Sends its Handshake twice before there is a response."""

    async def start(self) -> None:
        await super().start()
        if self.role == "dialer":
            await self.send(self.handshake())


class ForeignLabels(Node):
    """Takes a label that looks like the id of some node for the peer's own name."""

    label = re.compile("")

    def may_act_for(self, domain: str) -> bool:
        first = self.canonical(domain).partition(".")[0]
        return super().may_act_for(domain) or bool(self.label.fullmatch(first))


@fault("any-hex-label-may", "AU-01")
class AnyHexLabelMay(ForeignLabels):
    """Lets every peer act for names that begin with 32 hexadecimal digits."""

    label = re.compile("[0-9a-f]{32}")


@fault("any-base-32-label-may", "AU-01")
class AnyBase32LabelMay(ForeignLabels):
    """Lets every peer act for names that begin with 52 characters of z-base-32."""

    label = re.compile("[ybndrfg8ejkmcpqxot1uwisza345h769]{52}")


@fault("own-response-frees-id", "RQ-06")
class OwnResponseFreesId(Node):
    """Frees the id of a request in flight when the peer that asked sends a response with it."""

    async def on_response(self, message: Message) -> None:
        self.in_flight.pop(message["request_id"], None)


@fault("own-response-ends-request", "RQ-06")
class OwnResponseEndsRequest(Node):
    """Drops a request in flight when the peer that asked sends a response with its id."""

    async def respond(self, message: Message, response: Message) -> None:
        if message["request_id"] not in self.dropped:
            await super().respond(message, response)

    async def on_response(self, message: Message) -> None:
        if message["request_id"] in self.in_flight:
            self.dropped = {*self.dropped, message["request_id"]}

    dropped: frozenset[str] | set[str] = frozenset()


variant(HERE, "one-request-in-flight", "RQ-09", does="Refuses every request while it handles one.", limit=1)


@fault("requests-past-limit-stop-reading", "RQ-10")
class RequestsPastLimitStopReading(Node):
    """Reads on past its limit only when a request has been answered."""

    async def on_request(self, message: Message) -> None:
        while self.handlers and self.world.in_flight[self.peer_id] >= self.limit:
            await next(iter(self.handlers))
        await super().on_request(message)


@fault("refused-id-stays-in-flight", "RQ-05")
class RefusedIdStaysInFlight(Node):
    """Never frees the id of a request that it refused for its form."""

    async def refuse(self, message: Message, refusal: Refused) -> None:
        await super().refuse(message, refusal)
        if refusal.code == "malformed":
            self.in_flight[message["request_id"]] = message


@fault("registered-name-out-of-form", "DR-01")
class RegisteredNameOutOfForm(Registrar):
    """Registers a name that is no domain."""

    def register(self, message: Message) -> Message:
        return {**self.success(message), "domain": "not a domain!"}


@fault("unasked-response-reported", "RQ-06")
class UnaskedResponseReported(Node):
    """Answers a response to no request with a message of a type of its own."""

    async def on_response(self, message: Message) -> None:
        if message["request_id"] not in self.asked:
            await self.send({"type": "Error", "message": "nobody asked"})
        await super().on_response(message)


@fault("value-of-letters-and-digits", "DC-06")
class ValueOfLettersAndDigits(Node):
    """Refuses `-` and `_` in txt_value."""

    def txt_value_problem(self, text: str) -> str | None:
        return forms.txt_value_problem(text) or (None if text.isalnum() else "txt_value is not alphanumeric")


@fault("domain-out-of-form-closes", "DC-03", "ST-03")
class DomainOutOfFormCloses(Node):
    """Closes over a domain that is out of form."""

    async def on_fresh(self, message: Message) -> None:
        form = self.established and message["type"] in RESPONSE_TO and self.domain_form_problem(message)
        if form:
            self.end(1, form)
        else:
            await super().on_fresh(message)
