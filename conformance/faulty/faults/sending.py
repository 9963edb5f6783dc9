"""Faults in what a node sends: frames, JSON, members."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..protocol import Message, Refused
from ..registry import ACCEPTOR, DIALER, fault

ONLY_FRAMES = ("FR-01", "HS-01", "HS-02", "LV-01")


@fault("writes-little-endian", *ONLY_FRAMES)
class WritesLittleEndian(Node):
    """Writes the length as little-endian."""

    def frame(self, body: bytes) -> bytes:
        return len(body).to_bytes(4, "little") + body


@fault("writes-16-bit-length", *ONLY_FRAMES)
class Writes16BitLength(Node):
    """Writes the length in two bytes."""

    def frame(self, body: bytes) -> bytes:
        return len(body).to_bytes(2, "big") + body


@fault("length-counts-prefix", *ONLY_FRAMES)
class LengthCountsPrefix(Node):
    """Counts the prefix as part of the length."""

    def frame(self, body: bytes) -> bytes:
        return (len(body) + 4).to_bytes(4, "big") + body


@fault("length-counts-characters", *ONLY_FRAMES, "RQ-02", "RQ-03", "RQ-07")
class LengthCountsCharacters(Node):
    """Counts characters instead of bytes, which shows where an answer holds more than ASCII."""

    def frame(self, body: bytes) -> bytes:
        return len(body.decode("utf-8")).to_bytes(4, "big") + body


@fault("newline-after-frames", *ONLY_FRAMES)
class NewlineAfterFrames(Node):
    """Writes a newline after each frame."""

    def frame(self, body: bytes) -> bytes:
        return super().frame(body) + b"\n"


@fault("lines-instead-of-frames", *ONLY_FRAMES)
class LinesInsteadOfFrames(Node):
    """Writes JSON lines without any prefix."""

    def frame(self, body: bytes) -> bytes:
        return body + b"\n"


@fault("empty-frame-between", "FR-01")
class EmptyFrameBetween(Node):
    """Writes an empty frame after each message."""

    def frame(self, body: bytes) -> bytes:
        return super().frame(body) + bytes(4)


@fault("nul-after-body", *ONLY_FRAMES)
class NulAfterBody(Node):
    """Ends each body with a NUL."""

    def body_of(self, message: Message) -> bytes:
        return super().body_of(message) + b"\0"


@fault("bom-before-body", *ONLY_FRAMES, "FR-13")
class BomBeforeBody(Node):
    """Begins each body with a byte order mark."""

    def body_of(self, message: Message) -> bytes:
        return b"\xef\xbb\xbf" + super().body_of(message)


@fault("sends-latin-1", "FR-01", "RQ-02", "RQ-03", "FR-13", "RQ-07")
class SendsLatin1(Node):
    """Encodes answers as Latin-1, which shows where they hold more than ASCII."""

    def body_of(self, message: Message) -> bytes:
        return super().body_of(message).decode("utf-8").encode("latin-1", "replace")


@fault("sends-utf-16", *ONLY_FRAMES)
class SendsUtf16(Node):
    """Encodes bodies as UTF-16."""

    def body_of(self, message: Message) -> bytes:
        return super().body_of(message).decode("utf-8").encode("utf-16-le")


@fault("sends-arrays", *ONLY_FRAMES)
class SendsArrays(Node):
    """Sends each message in an array of one."""

    def body_of(self, message: Message) -> bytes:
        return b"[" + super().body_of(message) + b"]"


@fault("sends-nested-messages", "HS-01", "HS-02", "LV-01", "MS-12")
class SendsNestedMessages(Node):
    """Tags messages from the outside: {"Pong": {...}}."""

    def body_of(self, message: Message) -> bytes:
        return super().body_of({message["type"]: {name: message[name] for name in message if name != "type"}})


@fault("sends-snake-case-types", "HS-01", "HS-02", "LV-01", "MS-12")
class SendsSnakeCaseTypes(Node):
    """Sends types in lower case."""

    def body_of(self, message: Message) -> bytes:
        return super().body_of({**message, "type": message["type"].lower()})


class WithMember(Node):
    """Adds raw JSON to each message."""

    extra = b""

    def body_of(self, message: Message) -> bytes:
        return super().body_of(message)[:-1] + b"," + self.extra + b"}"


@fault("sends-repeated-member", "FR-13")
class SendsRepeatedMember(WithMember):
    """Writes a member twice."""

    extra = b'"note":1,"note":1'


@fault("sends-nan", "FR-13", "FR-01")
class SendsNan(WithMember):
    """Writes NaN in a member of its own."""

    extra = b'"load":NaN'


@fault("sends-number-beyond-double", "FR-13")
class SendsNumberBeyondDouble(WithMember):
    """Writes a number beyond a double in a member of its own."""

    extra = b'"load":1e400'


@fault("sends-lone-surrogate", "FR-13")
class SendsLoneSurrogate(WithMember):
    """Writes half a surrogate pair in a member of its own."""

    extra = b'"note":"\\ud83d"'


@fault("sends-65-levels", "FR-13")
class Sends65Levels(WithMember):
    """Nests a member of its own so that the message has 65 levels."""

    extra = b'"note":' + b"[" * 64 + b"]" * 64


@fault("sends-control-character", "FR-01", "FR-13")
class SendsControlCharacter(WithMember):
    """Writes a raw tab in a string."""

    extra = b'"note":"a\tb"'


@fault("sends-trailing-comma", *ONLY_FRAMES)
class SendsTrailingComma(WithMember):
    """Writes a comma behind the last member."""


class Dressed(Node):
    """Changes messages on their way out."""

    def dress(self, message: Message) -> Message:
        return message

    async def send(self, message: Message) -> None:
        await super().send(self.dress(message))


@fault("pong-id-as-text", "MS-12", "MS-09", "LV-01")
class PongIdAsText(Dressed):
    """Sends the id of a Pong as text."""

    def dress(self, message: Message) -> Message:
        return {**message, "id": str(message["id"])} if message["type"] == "Pong" else message


@fault("large-pong-id-as-text", "MS-12", "MS-06", "MS-09", "LV-01")
class LargePongIdAsText(Dressed):
    """Sends the id of a Pong as text from 2^53 on, for the sake of JavaScript."""

    def dress(self, message: Message) -> Message:
        return {**message, "id": str(message["id"])} if message.get("id", 0) >= 2**53 else message


@fault("pong-id-with-fraction", "MS-09", "MS-12")
class PongIdWithFraction(Dressed):
    """Writes the id of a Pong as 7.0."""

    def dress(self, message: Message) -> Message:
        if message["type"] == "Pong" and message["id"] < 2**53:
            return {**message, "id": float(message["id"])}
        return message


@fault("pong-id-with-exponent", "MS-09", "MS-12")
class PongIdWithExponent(Node):
    """Writes the id of a Pong with an exponent of 0."""

    def body_of(self, message: Message) -> bytes:
        body = super().body_of(message)
        if message["type"] != "Pong":
            return body
        number = str(message["id"]).encode()
        return body.replace(b'"id":' + number, b'"id":' + number + b"e0")


@fault("own-ping-id-as-text", "MS-12", "MS-09", "LV-05")
class OwnPingIdAsText(Dressed):
    """Sends its keep-alive Pings with a text as id."""

    def dress(self, message: Message) -> Message:
        return {**message, "id": f"ping-{message['id']}"} if message["type"] == "Ping" else message


@fault("own-ping-id-negative", "MS-12", "MS-09", "LV-05")
class OwnPingIdNegative(Dressed):
    """Counts the ids of its keep-alive Pings down from 0."""

    def dress(self, message: Message) -> Message:
        return {**message, "id": -message["id"]} if message["type"] == "Ping" else message


@fault("own-ping-without-id", "MS-12", "LV-05")
class OwnPingWithoutId(Dressed):
    """Sends its keep-alive Pings without id."""

    def dress(self, message: Message) -> Message:
        return {"type": "Ping"} if message["type"] == "Ping" else message


class DressedResponse(Dressed):
    """Changes HandshakeResponses."""

    def dress(self, message: Message) -> Message:
        if message["type"] != "HandshakeResponse":
            return message
        return {name: value for name, value in {**message, **self.changes()}.items() if value is not ...}

    def changes(self) -> dict[str, Any]:
        return {}


@fault("response-without-capabilities", "MS-12", "HS-02")
class ResponseWithoutCapabilities(DressedResponse):
    """Leaves the capabilities out of HandshakeResponse."""

    def changes(self) -> dict[str, Any]:
        return {"capabilities": ...}


@fault("response-capabilities-null", "MS-12", "HS-02")
class ResponseCapabilitiesNull(DressedResponse):
    """Sends null for capabilities."""

    def changes(self) -> dict[str, Any]:
        return {"capabilities": None}


@fault("response-capabilities-as-object", "MS-12", "HS-02")
class ResponseCapabilitiesAsObject(DressedResponse):
    """Sends capabilities as an object of flags."""

    def changes(self) -> dict[str, Any]:
        return {"capabilities": {"inference": True}}


@fault("response-capabilities-as-text", "MS-12", "HS-02")
class ResponseCapabilitiesAsText(DressedResponse):
    """Sends capabilities as one text with commas."""

    def changes(self) -> dict[str, Any]:
        return {"capabilities": "inference,dns_challenge"}


@fault("response-accepted-as-number", "MS-12", "HS-02")
class ResponseAcceptedAsNumber(DressedResponse):
    """Sends 1 for true."""

    def changes(self) -> dict[str, Any]:
        return {"accepted": 1}


@fault("response-accepted-as-text", "MS-12", "HS-02")
class ResponseAcceptedAsText(DressedResponse):
    """Sends "true" for true."""

    def changes(self) -> dict[str, Any]:
        return {"accepted": "true"}


@fault("response-without-accepted", "MS-12", "HS-02")
class ResponseWithoutAccepted(DressedResponse):
    """Leaves accepted out when it is true."""

    def changes(self) -> dict[str, Any]:
        return {"accepted": ...}


@fault("handshake-without-node-id", "MS-12", "HS-04", "HS-01", roles=DIALER)
class HandshakeWithoutNodeId(Node):
    """Leaves node_id out of Handshake."""

    def handshake(self) -> Message:
        return {name: value for name, value in super().handshake().items() if name != "node_id"}


@fault("handshake-without-capabilities", "MS-12", "HS-01", roles=DIALER)
class HandshakeWithoutCapabilities(Node):
    """Leaves capabilities out of Handshake when there is nothing to say."""

    def handshake(self) -> Message:
        return {name: value for name, value in super().handshake().items() if name != "capabilities"}


@fault("handshake-capabilities-as-flags", "MS-12", "HS-01", roles=DIALER)
class HandshakeCapabilitiesAsFlags(Node):
    """Sends capabilities as a bit mask."""

    def handshake(self) -> Message:
        return {**super().handshake(), "capabilities": 5}


@fault("success-left-out", "MS-12", "RQ-01", "DC-01", "RQ-07")
class SuccessLeftOut(Dressed):
    """Leaves success out of failures, so that `error` alone tells."""

    def dress(self, message: Message) -> Message:
        return {name: value for name, value in message.items() if not (name == "success" and value is False)}


@fault("success-as-text", "MS-12", "RQ-01", "DC-01")
class SuccessAsText(Dressed):
    """Sends success as text."""

    def dress(self, message: Message) -> Message:
        return {**message, "success": str(message["success"]).lower()} if "success" in message else message


@fault("error-as-object", "MS-12", "RQ-07")
class ErrorAsObject(Node):
    """Sends error as an object with a message in it."""

    def failure(self, message: Message, refusal: Refused) -> Message:
        return {**super().failure(message, refusal), "error": {"message": refusal.error}}


@fault("error-as-number", "MS-12", "RQ-07")
class ErrorAsNumber(Node):
    """Sends error as a number."""

    def failure(self, message: Message, refusal: Refused) -> Message:
        return {**super().failure(message, refusal), "error": 403}


@fault("code-as-number", "MS-12", "RQ-08")
class CodeAsNumber(Node):
    """Sends code as a number."""

    def failure(self, message: Message, refusal: Refused) -> Message:
        return {**super().failure(message, refusal), "code": 403}


@fault("sends-invalid-utf-8", "FR-01", "HS-02", "FR-13", roles=ACCEPTOR)
class SendsInvalidUtf8(Node):
    """Puts a raw byte into a member of HandshakeResponse."""

    def body_of(self, message: Message) -> bytes:
        body = super().body_of(message)
        if message["type"] == "HandshakeResponse":
            return body[:-1] + b',"version":"\xff"}'
        return body
