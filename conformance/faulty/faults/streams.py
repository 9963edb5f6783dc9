"""Faults in stream requests and domain registration."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..protocol import VIOLATION, Crash, Message, Refused
from ..registry import fault


class Unanswered(Node):
    """Ignores requests of one type."""

    kind = ""

    async def on_request(self, message: Message) -> None:
        if message["type"] != self.kind:
            await super().on_request(message)


@fault("sni-request-ignored", "ST-01", "RQ-01", "ST-03", "HS-07")
class SniRequestIgnored(Unanswered):
    """Ignores RequestSniStream, as 0.1.0 does."""

    kind = "RequestSniStream"


@fault("inference-request-ignored", "ST-02", "RQ-01", "HS-07")
class InferenceRequestIgnored(Unanswered):
    """Ignores RequestInferenceStream, as 0.1.0 does."""

    kind = "RequestInferenceStream"


@fault("registration-ignored", "DR-01", "RQ-01", "HS-07")
class RegistrationIgnored(Unanswered):
    """Ignores DomainRegistrationRequest, as 0.1.0 does."""

    kind = "DomainRegistrationRequest"


class Closes(Node):
    """Closes over requests of one type."""

    kind = ""

    async def on_request(self, message: Message) -> None:
        if message["type"] == self.kind:
            self.end(VIOLATION, "unsupported")
        else:
            await super().on_request(message)


@fault("sni-request-closes", "ST-01", "ST-03", "HS-07")
class SniRequestCloses(Closes):
    """Closes over RequestSniStream."""

    kind = "RequestSniStream"


@fault("inference-request-closes", "ST-02", "HS-07")
class InferenceRequestCloses(Closes):
    """Closes over RequestInferenceStream."""

    kind = "RequestInferenceStream"


@fault("registration-closes", "DR-01", "HS-07")
class RegistrationCloses(Closes):
    """Closes over DomainRegistrationRequest."""

    kind = "DomainRegistrationRequest"


class OtherAnswer(Node):
    """Answers requests of one type in its own way."""

    def answer(self, message: Message, response: Message) -> list[Message]:
        return [response]

    async def respond(self, message: Message, response: Message) -> None:
        for item in self.answer(message, response):
            await super().respond(message, item)


@fault("stream-ready-twice", "ST-01", "ST-02", "RQ-01")
class StreamReadyTwice(OtherAnswer):
    """Sends StreamReady when it takes a request and when it is done with it."""

    def answer(self, message: Message, response: Message) -> list[Message]:
        return [response, response] if response["type"] == "StreamReady" else [response]


@fault("stream-ready-with-success", "MS-12", "ST-01", "ST-02", "RQ-01")
class StreamReadyWithSuccess(OtherAnswer):
    """Writes success instead of stream_accepted."""

    def answer(self, message: Message, response: Message) -> list[Message]:
        response = dict(response)
        if "stream_accepted" in response:
            response["success"] = response.pop("stream_accepted")
        return [response]


@fault("stream-ready-as-number", "MS-12", "ST-01", "ST-02", "RQ-01")
class StreamReadyAsNumber(OtherAnswer):
    """Writes 0 and 1 for stream_accepted."""

    def answer(self, message: Message, response: Message) -> list[Message]:
        if "stream_accepted" in response:
            return [{**response, "stream_accepted": int(response["stream_accepted"])}]
        return [response]


@fault("sni-refusal-without-error", "RQ-07")
class SniRefusalWithoutError(OtherAnswer):
    """Refuses RequestSniStream without a reason."""

    def answer(self, message: Message, response: Message) -> list[Message]:
        if message["type"] == "RequestSniStream":
            return [{name: value for name, value in response.items() if name not in ("error", "code")}]
        return [response]


@fault("sni-name-unchecked", "ST-03")
class SniNameUnchecked(Node):
    """Accepts RequestSniStream for any text."""

    def domain_form_problem(self, message: Message) -> str | None:
        return None if message["type"] == "RequestSniStream" else super().domain_form_problem(message)

    def sni_stream(self, message: Message) -> Message:
        return self.success(message)


@fault("sni-name-with-trailing-dot", "ST-03")
class SniNameWithTrailingDot(Node):
    """Accepts RequestSniStream for a name with a trailing dot."""

    def domain_form_problem(self, message: Message) -> str | None:
        if message["type"] == "RequestSniStream" and isinstance(message.get("domain"), str):
            message = {**message, "domain": message["domain"].removesuffix(".")}
        return super().domain_form_problem(message)

    def sni_stream(self, message: Message) -> Message:
        if not message["domain"].endswith("."):
            return super().sni_stream(message)
        return self.success(message)


@fault("sni-wildcard-accepted", "ST-03")
class SniWildcardAccepted(Node):
    """Accepts RequestSniStream for a wildcard."""

    def domain_form_problem(self, message: Message) -> str | None:
        if message["type"] == "RequestSniStream" and str(message.get("domain")).startswith("*."):
            return None
        return super().domain_form_problem(message)

    def sni_stream(self, message: Message) -> Message:
        if not message["domain"].startswith("*."):
            return super().sni_stream(message)
        return self.success(message)


@fault("sni-accepted-without-stream", "ST-01", over="iroh")
class SniAcceptedWithoutStream(Node):
    """Accepts RequestSniStream, and opens nothing."""

    def sni_stream(self, message: Message) -> Message:
        return self.success(message)


@fault("malformed-stream-request-accepted", "MS-04", "RQ-04", "RQ-03")
class MalformedStreamRequestAccepted(Node):
    """Accepts RequestSniStream without a domain."""

    async def on_request(self, message: Message) -> None:
        without_domain = message["type"] == "RequestSniStream" and "domain" not in message
        if without_domain and self.established and isinstance(message.get("request_id"), str):
            await self.respond(message, self.success(message))
        else:
            await super().on_request(message)


class Registers(Node):
    """A node that registers a name for every peer."""

    def register(self, message: Message) -> Message:
        return {**self.success(message), "domain": f"{self.peer_id[:32]}.conformance.test"}


@fault("registered-without-domain", "DR-01", "MS-12")
class RegisteredWithoutDomain(Registers):
    """Registers a name, and does not say which."""

    def register(self, message: Message) -> Message:
        return self.success(message)

    def check_authority(self, message: Message) -> None:
        if message["type"] != "DomainRegistrationRequest":
            super().check_authority(message)


@fault("registered-with-null", "DR-01", "MS-12")
class RegisteredWithNull(RegisteredWithoutDomain):
    """Registers a name, and writes null for it."""

    def register(self, message: Message) -> Message:
        return {**self.success(message), "domain": None}


@fault("registration-twice", "DR-01", "RQ-01")
class RegistrationTwice(OtherAnswer):
    """Sends DomainRegistrationResponse twice."""

    def answer(self, message: Message, response: Message) -> list[Message]:
        return [response, response] if message["type"] == "DomainRegistrationRequest" else [response]


@fault("registration-answered-with-dns-response", "DR-01", "RQ-01")
class RegistrationAnsweredWithDnsResponse(OtherAnswer):
    """Answers DomainRegistrationRequest with DnsChallengeResponse."""

    def answer(self, message: Message, response: Message) -> list[Message]:
        if message["type"] == "DomainRegistrationRequest":
            return [{**response, "type": "DnsChallengeResponse"}]
        return [response]


class LaxAddress(Registers):
    """Registers with an address that is no node_addr."""

    def is_address(self, value: Any) -> bool:
        return isinstance(value, dict)

    def check_authority(self, message: Message) -> None:
        if message["type"] != "DomainRegistrationRequest":
            super().check_authority(message)


@fault("registration-of-any-address", "MS-04", "RQ-04", "AU-03")
class RegistrationOfAnyAddress(LaxAddress):
    """Registers whatever object node_addr is."""


@fault("registration-of-short-id", "MS-04", "RQ-04", "AU-03")
class RegistrationOfShortId(LaxAddress):
    """Registers an id of 31 bytes."""

    def is_address(self, value: Any) -> bool:
        return isinstance(value, dict) and (Node.is_address(self, value) or len(value.get("id", [])) == 31)


@fault("registration-of-large-bytes", "MS-04", "RQ-04", "AU-03")
class RegistrationOfLargeBytes(LaxAddress):
    """Registers an id with a number above 255."""

    def is_address(self, value: Any) -> bool:
        number = value.get("id") if isinstance(value, dict) else None
        return (
            isinstance(number, list) and len(number) == 32 and all(isinstance(item, int) for item in number)
        )


@fault("registration-for-others", "AU-03", "AU-01")
class RegistrationForOthers(Registers):
    """Registers the name of the id in node_addr, whoever asks."""

    def register(self, message: Message) -> Message:
        label = bytes(message["node_addr"]["id"]).hex()[:32]
        return {**self.success(message), "domain": f"{label}.conformance.test"}

    def check_authority(self, message: Message) -> None:
        if message["type"] != "DomainRegistrationRequest":
            super().check_authority(message)


@fault("registration-address-crashes", "TR-05", "MS-04", "DR-01")
class RegistrationAddressCrashes(Node):
    """Copies an id of any length into 32 bytes."""

    def is_address(self, value: Any) -> bool:
        if not super().is_address(value):
            raise Crash("index out of range")
        return True


@fault("registration-always-malformed", "RQ-08", "DR-01")
class RegistrationAlwaysMalformed(Node):
    """Reads the id of node_addr as text, and so takes every registration for malformed."""

    def check_form(self, message: Message) -> None:
        super().check_form(message)
        if message["type"] == "DomainRegistrationRequest":
            raise Refused("malformed", "node_addr.id is no text")
