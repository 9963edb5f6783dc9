"""Faults in stream requests."""

from __future__ import annotations

from ..node import Node
from ..protocol import RESPONSE_TO, VIOLATION, Message, Refused
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


@fault("stream-requests-answered-late", "ST-10")
class StreamRequestsAnsweredLate(Node):
    """Takes 7 s for a stream request."""

    def delay_for(self, message: Message) -> float:
        return 7.0 if RESPONSE_TO[message["type"]] == "StreamReady" else super().delay_for(message)


@fault("sni-name-needs-authority", "ST-06")
class SniNameNeedsAuthority(Node):
    """Opens SNI-proxy streams only for names that the peer may act for."""

    def check_authority(self, message: Message) -> None:
        if message["type"] == "RequestSniStream" and not self.may_act_for(message["domain"]):
            raise Refused("not_authorised", f"you may not act for {message['domain']}")
        super().check_authority(message)


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


@fault("malformed-stream-request-accepted", "MS-04", "RQ-04", "RQ-03")
class MalformedStreamRequestAccepted(Node):
    """Accepts RequestSniStream without a domain."""

    async def on_request(self, message: Message) -> None:
        without_domain = message["type"] == "RequestSniStream" and "domain" not in message
        if without_domain and self.established and isinstance(message.get("request_id"), str):
            await self.respond(message, self.success(message))
        else:
            await super().on_request(message)
