"""Faults in the handshake, the acceptor's side and what both sides do later."""

from __future__ import annotations

import asyncio

from ..node import Node
from ..protocol import VIOLATION, Crash, Message, Refused
from ..registry import ACCEPTOR, DIALER, fault, variant

HERE = "handshake"

variant(
    HERE,
    "no-wait-limit",
    "HS-14",
    does="Waits for Handshake for ever.",
    roles=ACCEPTOR,
    first_handshake_wait=1e9,
)
variant(
    HERE,
    "impatient-acceptor",
    "HS-14",
    "HS-02",
    does="Closes after 2 s without Handshake.",
    roles=ACCEPTOR,
    first_handshake_wait=2.0,
)
variant(
    HERE,
    "first-handshake-closed-with-0",
    "HS-14",
    does="Closes with 0 when no Handshake comes.",
    roles=ACCEPTOR,
    handshake_code=0,
)
variant(
    HERE,
    "first-handshake-closed-with-4",
    "HS-14",
    does="Closes with 4 when no Handshake comes.",
    roles=ACCEPTOR,
    handshake_code=4,
)


@fault("handshake-not-answered", "HS-02", "HS-12", "HS-10")
class HandshakeNotAnswered(Node):
    """Never answers a Handshake."""

    async def on_handshake(self, message: Message) -> None:
        await self.establish()


@fault("handshake-answered-twice", "HS-02", "HS-12", "HS-10")
class HandshakeAnsweredTwice(Node):
    """Sends HandshakeResponse twice."""

    async def on_handshake(self, message: Message) -> None:
        await self.send(self.handshake_response(message))
        await super().on_handshake(message)


@fault("handshake-answered-late", "HS-02", "HS-12", "HS-10")
class HandshakeAnsweredLate(Node):
    """Answers a Handshake after 6 s."""

    async def on_handshake(self, message: Message) -> None:
        async def later() -> None:
            await asyncio.sleep(6.0)
            await super(HandshakeAnsweredLate, self).on_handshake(message)

        self.go(later())


@fault("handshake-answered-with-handshake", "HS-02", "HS-12", "HS-10")
class HandshakeAnsweredWithHandshake(Node):
    """Answers a Handshake with a Handshake of its own."""

    async def on_handshake(self, message: Message) -> None:
        await self.send(self.handshake())
        await self.establish()


@fault("accepts-with-false", "HS-02", "HS-12", "HS-10")
class AcceptsWithFalse(Node):
    """Answers a renewal with `accepted: false` and goes on."""

    def handshake_response(self, message: Message) -> Message:
        return {
            **super().handshake_response(message),
            "accepted": not self.established and self.role == "acceptor",
        }


@fault("ping-before-response", "HS-03", roles=ACCEPTOR)
class PingBeforeResponse(Node):
    """Sends a Ping as soon as the stream is open."""

    async def start(self) -> None:
        await self.send(self.ping())


@fault("ping-with-response", "HS-03", roles=ACCEPTOR)
class PingWithResponse(Node):
    """Sends a Ping when it has the Handshake, just before its answer."""

    async def on_handshake(self, message: Message) -> None:
        if not self.established:
            await self.send(self.ping())
        await super().on_handshake(message)


@fault("handshake-from-acceptor-first", "HS-03", roles=ACCEPTOR)
class HandshakeFromAcceptorFirst(Node):
    """Sends its own Handshake as soon as the stream is open."""

    async def start(self) -> None:
        await self.send(self.handshake())


@fault("greeting-before-response", "HS-03", roles=ACCEPTOR)
class GreetingBeforeResponse(Node):
    """Sends a greeting of a type of its own as soon as the stream is open."""

    async def start(self) -> None:
        await self.send({"type": "Hello", "version": "1.0"})


@fault("response-before-handshake", "HS-02", "HS-03", "HS-13", roles=ACCEPTOR)
class ResponseBeforeHandshake(Node):
    """Sends HandshakeResponse as soon as the stream is open, and again when asked."""

    async def start(self) -> None:
        await self.send(self.handshake_response({}))


@fault("request-before-response", "HS-03", "DC-14", roles=ACCEPTOR)
class RequestBeforeResponse(Node):
    """Asks for an inference stream just before it answers the Handshake."""

    async def on_handshake(self, message: Message) -> None:
        if not self.established:
            await self.ask({"type": "RequestInferenceStream", "request_id": "early-1"})
        await super().on_handshake(message)


class Choosy(Node):
    """Refuses Handshakes over their content."""

    def objection(self, message: Message) -> bool:
        return False

    async def on_handshake(self, message: Message) -> None:
        if not self.objection(message):
            await super().on_handshake(message)
            return
        await self.send({"type": "HandshakeResponse", "accepted": False, "capabilities": []})
        self.end(self.handshake_code, "refused")


@fault("node-id-must-match", "HS-05", "AU-03")
class NodeIdMustMatch(Choosy):
    """Refuses a Handshake whose node_id is not the transport's."""

    def objection(self, message: Message) -> bool:
        return bool(message["node_id"] != self.peer_id)


@fault("node-id-must-be-hex", "HS-05")
class NodeIdMustBeHex(Choosy):
    """Refuses a Handshake whose node_id is not 64 hexadecimal characters."""

    def objection(self, message: Message) -> bool:
        node_id = message["node_id"]
        return len(node_id) != 64 or not set(node_id) <= set("0123456789abcdef")


@fault("node-id-must-not-be-empty", "HS-05")
class NodeIdMustNotBeEmpty(Choosy):
    """Refuses a Handshake with an empty node_id."""

    def objection(self, message: Message) -> bool:
        return not message["node_id"]


@fault("node-id-of-receiver-refused", "HS-05", roles=DIALER)
class NodeIdOfReceiverRefused(Choosy):
    """Takes a Handshake with its own id for a connection to itself, as a 0.1.0 dialer sends it."""

    def objection(self, message: Message) -> bool:
        return bool(message["node_id"] == self.world.node_id)


@fault("long-node-id-crashes", "TR-05", "HS-05")
class LongNodeIdCrashes(Node):
    """Copies node_id into 64 bytes."""

    async def on_handshake(self, message: Message) -> None:
        if len(message["node_id"]) > 64:
            raise Crash("buffer overflow")
        await super().on_handshake(message)


@fault("unknown-capability-refused", "HS-06", "HS-12")
class UnknownCapabilityRefused(Choosy):
    """Refuses a Handshake with a capability that it does not know."""

    def objection(self, message: Message) -> bool:
        return not set(message["capabilities"]) <= {"inference", "sni_proxy", "dns_challenge"}


@fault("unknown-capability-malformed", "HS-06", "HS-02", "HS-12")
class UnknownCapabilityMalformed(Node):
    """Reads capabilities as an enumeration: an unknown one makes the Handshake malformed."""

    async def on_handshake(self, message: Message) -> None:
        if set(message["capabilities"]) <= {"inference", "sni_proxy", "dns_challenge"}:
            await super().on_handshake(message)


@fault("no-capabilities-refused", "HS-06", "HS-12")
class NoCapabilitiesRefused(Choosy):
    """Refuses a Handshake without any capability."""

    def objection(self, message: Message) -> bool:
        return not message["capabilities"]


@fault("repeated-capability-refused", "HS-06", "HS-12")
class RepeatedCapabilityRefused(Choosy):
    """Refuses a Handshake with a capability twice."""

    def objection(self, message: Message) -> bool:
        return len(set(message["capabilities"])) < len(message["capabilities"])


@fault("capabilities-in-order", "HS-06", "HS-12")
class CapabilitiesInOrder(Choosy):
    """Refuses a Handshake whose capabilities are not in the usual order."""

    def objection(self, message: Message) -> bool:
        usual = ["inference", "sni_proxy", "dns_challenge"]
        places = [usual.index(name) for name in message["capabilities"] if name in usual]
        return places != sorted(places)


@fault("inference-needed", "HS-06", "HS-12")
class InferenceNeeded(Choosy):
    """Refuses a Handshake from a peer that has no `inference`."""

    def objection(self, message: Message) -> bool:
        return "inference" not in message["capabilities"]


@fault("acts-before-handshake", "HS-07", "HS-10")
class ActsBeforeHandshake(Node):
    """Acts on requests before the handshake."""

    def check_handshake(self, message: Message) -> None:
        return


@fault("early-request-ignored", "HS-07", "HS-10")
class EarlyRequestIgnored(Node):
    """Ignores requests before the handshake."""

    async def on_request(self, message: Message) -> None:
        if self.established:
            await super().on_request(message)


@fault("early-request-closes", "HS-07", "HS-10")
class EarlyRequestCloses(Node):
    """Closes over a request before the handshake."""

    async def on_request(self, message: Message) -> None:
        if self.established:
            await super().on_request(message)
        else:
            self.end(VIOLATION, "a request before the handshake")


@fault("early-request-queued", "HS-07", "HS-10")
class EarlyRequestQueued(Node):
    """Keeps requests until the handshake is finished, and acts on them then."""

    async def on_request(self, message: Message) -> None:
        if self.established:
            await super().on_request(message)
        else:
            self.asked.setdefault(str(message.get("request_id")), message)

    async def on_established(self) -> None:
        for message in self.asked.values():
            await super().on_request(message)
        self.asked.clear()


@fault("early-dns-request-acted-on", "HS-07", "HS-10")
class EarlyDnsRequestActedOn(Node):
    """Checks the handshake before stream requests alone."""

    def check_handshake(self, message: Message) -> None:
        if not message["type"].startswith("DnsChallenge"):
            super().check_handshake(message)


@fault("early-stream-request-acted-on", "HS-07", "HS-10")
class EarlyStreamRequestActedOn(Node):
    """Checks the handshake before DNS challenges alone."""

    def check_handshake(self, message: Message) -> None:
        if message["type"] != "RequestInferenceStream":
            super().check_handshake(message)


@fault("early-ping-ignored", "LV-01", "HS-10")
class EarlyPingIgnored(Node):
    """Ignores Pings before the handshake."""

    async def on_ping(self, message: Message) -> None:
        if self.established:
            await super().on_ping(message)


@fault("early-ping-closes", "LV-01", "HS-10")
class EarlyPingCloses(Node):
    """Closes over a Ping before the handshake."""

    async def on_ping(self, message: Message) -> None:
        if self.established:
            await super().on_ping(message)
        else:
            self.end(self.handshake_code, "a Ping before the handshake")


@fault("early-unknown-type-closes", "MS-02", "HS-10", "HS-02")
class EarlyUnknownTypeCloses(Node):
    """Wants Handshake or HandshakeResponse as the first message, and closes over an unknown type."""

    async def on_value(self, value: object) -> None:
        if not self.established and self.message_in(value) is None:
            self.end(self.handshake_code, "not the message that was waited for")
        else:
            await super().on_value(value)


@fault("response-taken-by-acceptor", "HS-07", "HS-13", roles=ACCEPTOR)
class ResponseTakenByAcceptor(Node):
    """Takes an unasked HandshakeResponse for a finished handshake."""

    async def on_unasked_handshake_response(self, message: Message) -> None:
        await self.establish()


@fault("not-ready-of-wrong-type", "HS-07", "HS-10", "RQ-01")
class NotReadyOfWrongType(Node):
    """Refuses requests before the handshake with a response of the wrong type."""

    def failure(self, message: Message, refusal: Refused) -> Message:
        response = super().failure(message, refusal)
        return {**response, "type": "Error"} if refusal.code == "not_ready" else response
