"""Faults in requests: responses, identifiers, duplicates, side by side, limits, failures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..node import Node
from ..protocol import RESPONSE_TO, VIOLATION, Crash, Message, Refused
from ..registry import fault
from ..requests import Check

RESPONSE_TYPES = frozenset(RESPONSE_TO.values())


class OtherResponse(Node):
    """Changes responses, or drops them."""

    def changed(self, message: Message, response: Message) -> list[Message]:
        return [response]

    async def respond(self, message: Message, response: Message) -> None:
        for item in self.changed(message, response):
            await super().respond(message, item)


@fault("no-response", "RQ-01", "HS-07", "DC-01", "ST-02")
class NoResponse(OtherResponse):
    """Carries requests out and says nothing."""

    def changed(self, message: Message, response: Message) -> list[Message]:
        return []


@fault("response-twice", "RQ-01", "HS-07")
class ResponseTwice(OtherResponse):
    """Answers each request twice."""

    def changed(self, message: Message, response: Message) -> list[Message]:
        return [response, response]


@fault("success-only-answered", "RQ-01", "AU-01", "DC-03", "HS-07", "RQ-03", "ST-01")
class SuccessOnlyAnswered(OtherResponse):
    """Answers what succeeds, and only logs what fails."""

    def changed(self, message: Message, response: Message) -> list[Message]:
        return [response] if "error" not in response else []


@fault("failure-only-answered", "RQ-01", "DC-01")
class FailureOnlyAnswered(OtherResponse):
    """Answers what fails, and takes silence for success."""

    def changed(self, message: Message, response: Message) -> list[Message]:
        return [response] if "error" in response else []


@fault("progress-before-response", "RQ-01")
class ProgressBeforeResponse(OtherResponse):
    """Sends a failure `still working` before the response."""

    def changed(self, message: Message, response: Message) -> list[Message]:
        return [self.failure(message, Refused("failed", "still working")), response]


@fault("response-of-the-other-type", "RQ-01")
class ResponseOfTheOtherType(OtherResponse):
    """Answers stream requests with DnsChallengeResponse and DNS challenges with StreamReady."""

    def changed(self, message: Message, response: Message) -> list[Message]:
        ok = bool(response.get("success", response.get("stream_accepted")))
        response = {**response, "success": ok, "stream_accepted": ok}
        stream = response["type"] == "StreamReady"
        return [{**response, "type": "DnsChallengeResponse" if stream else "StreamReady"}]


@fault("cleanup-response-type", "RQ-01", "DC-02")
class CleanupResponseType(OtherResponse):
    """Answers DnsChallengeCleanup with a type of its own."""

    def changed(self, message: Message, response: Message) -> list[Message]:
        if message["type"] == "DnsChallengeCleanup":
            return [{**response, "type": "DnsChallengeCleanupResponse"}]
        return [response]


@fault("malformed-request-ignored", "RQ-04", "RQ-01")
class MalformedRequestIgnored(Node):
    """Ignores a request with a missing or ill-typed member, as 0.1.0 does."""

    async def on_request(self, message: Message) -> None:
        if not self.problem_in(message):
            await super().on_request(message)


@fault("malformed-request-closes", "MS-04", "RQ-04")
class MalformedRequestCloses(Node):
    """Closes over a request with a missing or ill-typed member."""

    async def on_request(self, message: Message) -> None:
        if problem := self.problem_in(message):
            self.end(VIOLATION, problem)
        else:
            await super().on_request(message)


@fault("malformed-request-crashes", "TR-05", "MS-04", "RQ-04")
class MalformedRequestCrashes(Node):
    """Falls over a request with a missing member."""

    async def on_request(self, message: Message) -> None:
        if (self.problem_in(message) or "").endswith("missing"):
            raise Crash("key error")
        await super().on_request(message)


@fault("missing-id-answered", "RQ-01", "MS-12", "MS-04", "RQ-02")
class MissingIdAnswered(Node):
    """Answers a request without request_id with null as its id."""

    async def on_unreadable(self, message: Message) -> None:
        await self.refuse({**message, "request_id": None}, Refused("malformed", "no request_id"))


@fault("unreadable-id-closes", "MS-04")
class UnreadableIdCloses(Node):
    """Closes over a request without readable request_id."""

    async def on_unreadable(self, message: Message) -> None:
        self.end(VIOLATION, "no request_id")


@fault("unasked-response-closes-connection", "RQ-06")
class UnaskedResponseClosesConnection(Node):
    """Closes over a response to no request."""

    async def on_response(self, message: Message) -> None:
        if self.asked.pop(message["request_id"], None) is None:
            self.end(VIOLATION, "nobody asked")


@fault("unasked-stream-ready-closes", "RQ-06")
class UnaskedStreamReadyCloses(Node):
    """Closes over a StreamReady to no request."""

    async def on_response(self, message: Message) -> None:
        if message["type"] == "StreamReady" and message["request_id"] not in self.asked:
            self.end(VIOLATION, "nobody asked")


@fault("unasked-response-key-error", "TR-05", "RQ-06")
class UnaskedResponseKeyError(Node):
    """Looks a response to no request up in its table."""

    async def on_response(self, message: Message) -> None:
        if message["request_id"] not in self.asked:
            raise Crash("key error")


@fault("unasked-response-answered", "RQ-06", "MS-02", "RQ-01")
class UnaskedResponseAnswered(Node):
    """Answers a response to no request with a failure."""

    async def on_response(self, message: Message) -> None:
        if self.asked.pop(message["request_id"], None) is None:
            await self.send({**message, "error": "nobody asked"})


@fault("malformed-response-closes", "MS-04", "RQ-06")
class MalformedResponseCloses(Node):
    """Closes over a malformed response."""

    async def on_malformed(self, message: Message, problem: str) -> None:
        if message["type"] in RESPONSE_TYPES:
            self.end(VIOLATION, problem)


class OtherFailure(Node):
    """Writes failures in its own way."""

    def written(self, response: Message) -> Message:
        return response

    def failure(self, message: Message, refusal: Refused) -> Message:
        return self.written(super().failure(message, refusal))


@fault("failure-without-error", "RQ-07")
class FailureWithoutError(OtherFailure):
    """Leaves error out of failures."""

    def written(self, response: Message) -> Message:
        return {name: value for name, value in response.items() if name != "error"}


@fault("failure-with-null-error", "RQ-07")
class FailureWithNullError(OtherFailure):
    """Sends null as error."""

    def written(self, response: Message) -> Message:
        return {**response, "error": None}


@fault("failure-with-empty-error", "RQ-07")
class FailureWithEmptyError(OtherFailure):
    """Sends an empty error."""

    def written(self, response: Message) -> Message:
        return {**response, "error": ""}


@fault("failure-without-code", "RQ-08")
class FailureWithoutCode(OtherFailure):
    """Sends no code, as 0.1.0 does."""

    def written(self, response: Message) -> Message:
        return {name: value for name, value in response.items() if name != "code"}


@fault("failure-code-upper-case", "RQ-08")
class FailureCodeUpperCase(OtherFailure):
    """Sends codes in upper case."""

    def written(self, response: Message) -> Message:
        return {**response, "code": response["code"].upper()}


@fault("failure-code-always-failed", "RQ-08")
class FailureCodeAlwaysFailed(OtherFailure):
    """Sends `failed` whatever the reason was."""

    def written(self, response: Message) -> Message:
        return {**response, "code": "failed"}


@fault("failure-code-of-its-own", "RQ-08")
class FailureCodeOfItsOwn(OtherFailure):
    """Sends `forbidden` for `not_authorised`."""

    def written(self, response: Message) -> Message:
        return {**response, "code": response["code"].replace("not_authorised", "forbidden")}


@fault("authorised-in-american", "RQ-08")
class AuthorisedInAmerican(OtherFailure):
    """Sends `not_authorized`."""

    def written(self, response: Message) -> Message:
        return {**response, "code": response["code"].replace("not_authorised", "not_authorized")}


@fault("form-before-handshake", "RQ-08", "HS-07")
class FormBeforeHandshake(Node):
    """Checks the form before it checks the handshake."""

    def checks(self) -> Sequence[Check]:
        return (self.check_form, self.check_handshake, self.check_authority, self.check_quota)


@fault("quota-before-form", "RQ-08", "RQ-10")
class QuotaBeforeForm(Node):
    """Checks the quota before form and authorisation."""

    def checks(self) -> Sequence[Check]:
        return (self.check_handshake, self.check_quota, self.check_form, self.check_authority)


@fault("authority-before-form", "RQ-08")
class AuthorityBeforeForm(Node):
    """Checks the authority for a name before the form of the other members."""

    def checks(self) -> Sequence[Check]:
        return (self.check_handshake, self.authority_if_possible, self.check_form, self.check_quota)

    def authority_if_possible(self, message: Message) -> None:
        if isinstance(message.get("domain"), str):
            self.check_authority(message)


@fault("one-request-at-a-time", "RQ-09", "LV-02")
class OneRequestAtATime(Node):
    """Handles requests one after another."""

    async def outcome(self, message: Message) -> Message:
        async with self.turn():
            return await super().outcome(message)

    def turn(self) -> asyncio.Lock:
        self.__dict__.setdefault("turn_lock", asyncio.Lock())
        lock: asyncio.Lock = self.__dict__["turn_lock"]
        return lock


@fault("reader-waits-for-handler", "RQ-09", "LV-02")
class ReaderWaitsForHandler(Node):
    """Reads on when a request is answered, as 0.1.0 does."""

    async def on_request(self, message: Message) -> None:
        await super().on_request(message)
        if self.handlers:
            await asyncio.wait(set(self.handlers))


@fault("responses-in-order", "RQ-09")
class ResponsesInOrder(Node):
    """Sends responses in the order of the requests."""

    queue: tuple[asyncio.Task[None], ...] | list[asyncio.Task[None]] = ()

    async def respond(self, message: Message, response: Message) -> None:
        current = asyncio.current_task()
        if current is not None and current in self.queue:
            earlier = [task for task in self.queue[: self.queue.index(current)] if not task.done()]
            if earlier:
                await asyncio.wait(earlier)
        await super().respond(message, response)

    def begin(self, message: Message) -> None:
        before = set(self.handlers)
        super().begin(message)
        self.queue = [*self.queue, *(self.handlers - before)]


@fault("requests-dropped-past-limit", "RQ-10", "RQ-01")
class RequestsDroppedPastLimit(Node):
    """Drops requests past its limit."""

    async def on_fresh(self, message: Message) -> None:
        if len(self.in_flight) < self.limit:
            await super().on_fresh(message)


@fault("limit-closes", "RQ-10")
class LimitCloses(Node):
    """Closes over requests past its limit."""

    def check_quota(self, message: Message) -> None:
        if len(self.in_flight) >= self.limit:
            self.end(VIOLATION, "too many requests")


@fault("limit-crashes", "TR-05", "RQ-10")
class LimitCrashes(Node):
    """Falls over requests past its limit."""

    def check_quota(self, message: Message) -> None:
        if len(self.in_flight) >= self.limit:
            raise Crash("queue full")


@fault("quota-refusal-of-another-code", "RQ-08", "RQ-10")
class QuotaRefusalOfAnotherCode(Node):
    """Refuses requests past its limit with `failed`."""

    def check_quota(self, message: Message) -> None:
        try:
            super().check_quota(message)
        except Refused as refusal:
            raise Refused("failed", refusal.error) from refusal


@fault(
    "quota-never-given-back",
    "RQ-10",
    "RQ-01",
    "DC-01",
    "ST-02",
    "RQ-05",
    "RQ-09",
    "RQ-03",
    "DC-02",
    "DC-03",
    "DC-04",
)
class QuotaNeverGivenBack(Node):
    """Counts requests against the quota of their connection for ever."""

    limit = 8
    begun = 0

    def check_quota(self, message: Message) -> None:
        self.begun += 1
        if self.begun > self.limit:
            raise Refused("quota", "too many requests")


@fault("oldest-dropped-at-limit", "RQ-10", "RQ-01")
class OldestDroppedAtLimit(Node):
    """Drops the oldest request in flight when one comes past the limit."""

    def check_quota(self, message: Message) -> None:
        if len(self.in_flight) >= self.limit:
            for task in list(self.handlers)[:1]:
                task.cancel()
