"""Faults in the dialer's side of the handshake."""

from __future__ import annotations

import base64
import os

from ..node import Node
from ..protocol import HANDSHAKE_FAILED, MEMBERS, Message
from ..registry import DIALER, fault, variant

HERE = "handshake_dialer"

variant(
    HERE, "waits-1-second", "HS-08", does="Waits 1 s for HandshakeResponse.", roles=DIALER, handshake_wait=1.0
)
variant(
    HERE,
    "waits-3-seconds",
    "HS-08",
    does="Waits 3 s for HandshakeResponse.",
    roles=DIALER,
    handshake_wait=3.0,
)
variant(
    HERE,
    "waits-30-seconds",
    "HS-08",
    does="Waits 30 s for HandshakeResponse.",
    roles=DIALER,
    handshake_wait=30.0,
)
variant(HERE, "waits-for-ever", "HS-08", does="Waits for ever.", roles=DIALER, handshake_wait=1e9)
variant(
    HERE,
    "handshake-failed-closed-with-0",
    "HS-16",
    does="Closes a failed handshake with 0.",
    roles=DIALER,
    handshake_code=0,
)
variant(
    HERE,
    "handshake-failed-closed-with-1",
    "HS-16",
    does="Closes a failed handshake with 1.",
    roles=DIALER,
    handshake_code=1,
)


@fault("handshake-never-sent", "HS-01", roles=DIALER)
class HandshakeNeverSent(Node):
    """Waits for the acceptor to begin."""

    async def start(self) -> None:
        self.responses_awaited += 1


@fault("ping-first", "HS-01", roles=DIALER)
class PingFirst(Node):
    """Sends a Ping before its Handshake."""

    async def start(self) -> None:
        await self.send(self.ping())
        await super().start()


@fault("request-first", "HS-01", roles=DIALER)
class RequestFirst(Node):
    """Asks for an inference stream before its Handshake."""

    async def start(self) -> None:
        await self.ask({"type": "RequestInferenceStream", "request_id": "first"})
        await super().start()


@fault("hello-instead-of-handshake", "HS-01", "MS-12", roles=DIALER)
class HelloInsteadOfHandshake(Node):
    """Sends Hello instead of Handshake."""

    def handshake(self) -> Message:
        return {**super().handshake(), "type": "Hello"}


@fault("greets-with-response", "HS-01", "HS-13", roles=DIALER)
class GreetsWithResponse(Node):
    """Sends HandshakeResponse instead of Handshake."""

    def handshake(self) -> Message:
        super().handshake()
        return self.handshake_response({})


class OtherNodeId(Node):
    """Sends a node_id that is not its own in the form asked for."""

    def node_id(self) -> str:
        return self.world.node_id

    def handshake(self) -> Message:
        return {**super().handshake(), "node_id": self.node_id()}


@fault("node-id-of-peer", "HS-04", roles=DIALER)
class NodeIdOfPeer(OtherNodeId):
    """Sends the id of the node that it dials, as 0.1.0 does."""

    def node_id(self) -> str:
        return self.peer_id


@fault("node-id-upper-case", "HS-04", roles=DIALER)
class NodeIdUpperCase(OtherNodeId):
    """Sends its id in upper case."""

    def node_id(self) -> str:
        return self.world.node_id.upper()


@fault("node-id-base32", "HS-04", roles=DIALER)
class NodeIdBase32(OtherNodeId):
    """Sends its id in base 32."""

    def node_id(self) -> str:
        return base64.b32encode(bytes.fromhex(self.world.node_id)).decode().lower().rstrip("=")


@fault("node-id-half", "HS-04", roles=DIALER)
class NodeIdHalf(OtherNodeId):
    """Sends the first 32 characters of its id."""

    def node_id(self) -> str:
        return self.world.node_id[:32]


@fault("node-id-empty", "HS-04", roles=DIALER)
class NodeIdEmpty(OtherNodeId):
    """Sends an empty node_id."""

    def node_id(self) -> str:
        return ""


@fault("node-id-prefixed", "HS-04", roles=DIALER)
class NodeIdPrefixed(OtherNodeId):
    """Sends its id with 0x in front."""

    def node_id(self) -> str:
        return "0x" + self.world.node_id


@fault("node-id-of-nobody", "HS-04", roles=DIALER, over="iroh")
class NodeIdOfNobody(OtherNodeId):
    """Sends a random id, new each time."""

    def node_id(self) -> str:
        return os.urandom(32).hex()


@fault("refusal-ignored", "HS-09", roles=DIALER)
class RefusalIgnored(Node):
    """Goes on after `accepted: false` as if it were true."""

    async def on_refused(self) -> None:
        await self.establish()


@fault("refusal-waited-out", "HS-09", roles=DIALER)
class RefusalWaitedOut(Node):
    """After `accepted: false` neither acts nor closes."""

    async def on_refused(self) -> None:
        self.acting = False


@fault("refusal-still-answers", "HS-09", roles=DIALER)
class RefusalStillAnswers(Node):
    """After `accepted: false` waits for its 5 s to end, and answers until then."""

    async def on_refused(self) -> None:
        self.responses_awaited += 1


@fault("refusal-retried", "HS-09", roles=DIALER)
class RefusalRetried(Node):
    """After `accepted: false` sends another Handshake on the same stream."""

    async def on_refused(self) -> None:
        await self.send(self.handshake())


@fault("ping-while-waiting-fails", "HS-10", "LV-01", roles=DIALER)
class PingWhileWaitingFails(Node):
    """Fails the handshake over a Ping, as 0.1.0 does."""

    async def on_ping(self, message: Message) -> None:
        if self.established:
            await super().on_ping(message)
        else:
            self.end(HANDSHAKE_FAILED, "not the message that was waited for")


@fault("request-while-waiting-fails", "HS-10", "HS-07", roles=DIALER)
class RequestWhileWaitingFails(Node):
    """Answers a request before the handshake as it should, and gives up then."""

    async def on_request(self, message: Message) -> None:
        await super().on_request(message)
        if not self.established:
            self.end(HANDSHAKE_FAILED, "not the message that was waited for")


@fault("handshake-while-waiting-ignored", "HS-10", "HS-02", roles=DIALER)
class HandshakeWhileWaitingIgnored(Node):
    """Ignores a Handshake while it waits for the answer to its own."""

    async def on_handshake(self, message: Message) -> None:
        if self.established:
            await super().on_handshake(message)


@fault("handshake-while-waiting-fails", "HS-10", "HS-02", roles=DIALER)
class HandshakeWhileWaitingFails(Node):
    """Fails over a Handshake while it waits for the answer to its own."""

    async def on_handshake(self, message: Message) -> None:
        await super().on_handshake(message)
        if not self.established:
            self.end(HANDSHAKE_FAILED, "not the message that was waited for")


class Gullible(Node):
    """Takes something else for consent."""

    def consents(self, message: Message) -> bool:
        return False

    async def on_message(self, message: Message) -> None:
        await super().on_message(message)
        if self.acting and not self.established and self.consents(message):
            await self.establish()


@fault("handshake-is-consent", "HS-11", "HS-10", roles=DIALER)
class HandshakeIsConsent(Gullible):
    """Takes a Handshake of the acceptor for consent."""

    def consents(self, message: Message) -> bool:
        return bool(message["type"] == "Handshake")


@fault("pong-is-consent", "HS-11", roles=DIALER)
class PongIsConsent(Gullible):
    """Takes a Pong for consent."""

    def consents(self, message: Message) -> bool:
        return bool(message["type"] == "Pong")


@fault("ping-is-consent", "HS-11", "HS-10", roles=DIALER)
class PingIsConsent(Gullible):
    """Takes a Ping for consent."""

    def consents(self, message: Message) -> bool:
        return bool(message["type"] == "Ping")


@fault("response-of-any-kind-is-consent", "HS-11", roles=DIALER)
class ResponseOfAnyKindIsConsent(Gullible):
    """Takes the response to a request for consent."""

    def consents(self, message: Message) -> bool:
        return message["type"] in ("StreamReady", "DnsChallengeResponse", "DomainRegistrationResponse")


@fault("malformed-response-is-consent", "HS-11", "MS-04", roles=DIALER)
class MalformedResponseIsConsent(Gullible):
    """Takes a HandshakeResponse with any members for consent."""

    def consents(self, message: Message) -> bool:
        return bool(message["type"] == "HandshakeResponse")


@fault("missing-capabilities-is-consent", "HS-11", "MS-04", roles=DIALER)
class MissingCapabilitiesIsConsent(Gullible):
    """Takes a HandshakeResponse without capabilities for consent."""

    def consents(self, message: Message) -> bool:
        return message.get("accepted") is True and "capabilities" not in message


@fault("truthy-is-consent", "HS-11", "MS-04", roles=DIALER)
class TruthyIsConsent(Gullible):
    """Takes `accepted` of 1 or "true", of anything that counts as true, for consent."""

    def consents(self, message: Message) -> bool:
        return bool(message["type"] == "HandshakeResponse" and message.get("accepted"))


@fault("missing-accepted-is-consent", "HS-11", "MS-04", roles=DIALER)
class MissingAcceptedIsConsent(Gullible):
    """Takes a HandshakeResponse without accepted for consent."""

    def consents(self, message: Message) -> bool:
        return bool(message["type"] == "HandshakeResponse" and "accepted" not in message)


@fault("unknown-type-is-consent", "HS-11", "HS-10", "MS-02", roles=DIALER)
class UnknownTypeIsConsent(Node):
    """Takes an object of an unknown type for consent."""

    async def on_value(self, value: object) -> None:
        await super().on_value(value)
        if isinstance(value, dict) and value.get("type") not in MEMBERS and not self.established:
            await self.establish()


@fault("no-answer-is-consent", "HS-08", roles=DIALER)
class NoAnswerIsConsent(Node):
    """After 5 s without HandshakeResponse goes on as if it had come."""

    async def on_deadline(self) -> None:
        if self.established:
            await super().on_deadline()
        else:
            await self.establish()


@fault("unknown-member-in-response", "MS-01", "HS-08", "HS-11", roles=DIALER)
class UnknownMemberInResponse(Node):
    """Takes a HandshakeResponse with a member that it does not know for malformed."""

    async def on_handshake_response(self, message: Message) -> None:
        if len(message) == 3:
            await super().on_handshake_response(message)


@fault("response-with-unknown-capability", "HS-06", roles=DIALER)
class ResponseWithUnknownCapability(Node):
    """Takes a HandshakeResponse with a capability that it does not know for malformed."""

    async def on_handshake_response(self, message: Message) -> None:
        if set(message["capabilities"]) <= {"inference", "sni_proxy", "dns_challenge"}:
            await super().on_handshake_response(message)


@fault("response-without-any-capability", "HS-06", roles=DIALER)
class ResponseWithoutAnyCapability(Node):
    """Gives up when the acceptor has no capability."""

    async def on_handshake_response(self, message: Message) -> None:
        await super().on_handshake_response(message)
        if not message["capabilities"]:
            self.end(self.handshake_code, "nothing to talk about")
