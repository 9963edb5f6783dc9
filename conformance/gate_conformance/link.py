"""Link: one control stream with the target, as cases drive it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gate_conformance import codec
from gate_conformance.verdicts import CaseFailed
from gate_conformance.wire import End, Message, Wire

CODE_WAIT = 2.5


class Link(Wire):
    """What a case waits for on a control stream; each method fails the case when it does not come."""

    async def receive(self, within: float = 5.0) -> Message:
        """The next message of the target; fails the case when none comes or the stream ends."""
        return await self._first(lambda _: True, "a message", within, None)

    async def expect(
        self, type_: str, within: float = 5.0, requirement: str | None = None, **members: Any
    ) -> Message:
        """The first message of that type with these members; the others stay in the inbox."""

        def matches(message: Message) -> bool:
            return message.get("type") == type_ and all(
                name in message and _same(message[name], value) for name, value in members.items()
            )

        name = type_ + (" " + json.dumps(members, ensure_ascii=False) if members else "")
        return await self._first(matches, name, within, requirement)

    async def _first(
        self, matches: Callable[[Message], bool], name: str, within: float, requirement: str | None
    ) -> Message:
        def found() -> int | None:
            return next((i for i, message in enumerate(self.inbox) if matches(message)), None)

        await self.until(lambda: found() is not None or self.ended is not None, within + self.channel.slack)
        index = found()
        if index is not None:
            return self.inbox.pop(index)
        if self.broken is not None:
            self.raise_broken()
        if self._frames.pending and self.ended is None:
            raise CaseFailed("whole frames", f"{self._frames.pending} bytes that make no frame", "FR-01")
        raise CaseFailed(f"{name} within {within:g} s", self.describe(within), requirement)

    def describe(self, within: float | None = None) -> str:
        """What the target did in place of what was hoped for."""
        others = [_short(message) for message in self.inbox[-3:]]
        seen = f" (unclaimed so far: {'; '.join(others)})" if others else ""
        if self.ended is not None:
            return f"the target {self.ended}{seen}"
        return (f"nothing of the kind in {within:g} s" if within is not None else "the stream is open") + seen

    async def expect_response(
        self, request: Message, within: float = 5.0, requirement: str | None = None
    ) -> Message:
        """The response of the request's type with its id (RQ-01, RQ-02)."""
        kind, request_id = codec.RESPONSE_OF[request["type"]], request["request_id"]

        def foreign(message: Message) -> bool:
            if message.get("type") == kind:
                answered = message.get("request_id")
                return answered != request_id and not self.audit.was_asked(kind, answered)
            return message.get("type") in codec.SUCCESS_MEMBER and message.get("request_id") == request_id

        def matches(message: Message) -> bool:
            if message.get("type") == kind and message.get("request_id") == request_id:
                return True
            return foreign(message)

        name = f"{kind} for request_id {request_id!r}"
        health, asked = self.trial.health, request["type"]
        try:
            patience = health.patience(asked, within)
            message = await self._first(matches, name, patience, requirement or "RQ-01")
        except CaseFailed as failed:
            health.unanswered[asked] += 1
            if not health.never_answers(asked) or (requirement or "").startswith(("ST-", "DR-")):
                raise
            # whatever else the case is about: what is broken is that such requests have no answer
            raise CaseFailed(failed.expected, failed.actual, "RQ-01") from None
        health.answered.add(asked)
        if foreign(message):
            broken = "RQ-02" if message.get("type") == kind else "RQ-01"
            raise CaseFailed(name, _short(message), broken)
        return message

    async def expect_failure(
        self,
        request: Message,
        code: str | None = None,
        requirement: str | None = None,
        within: float = 5.0,
    ) -> Message:
        """A response that says no, with a text (RQ-07); another ``code`` is a warning (RQ-08)."""
        response = await self.expect_response(request, within, requirement)
        if response[codec.SUCCESS_MEMBER[response["type"]]] is not False:
            raise CaseFailed("a failure response", _short(response), requirement)
        if not isinstance(response.get("error"), str) or not response["error"]:
            raise CaseFailed("a failure with an `error` text", _short(response), "RQ-07")
        if code is not None and response.get("code") != code:
            self.trial.warn(f"`code` {code!r} in the failure", f"{response.get('code')!r}", "RQ-08")
        return response

    async def barrier(self, requirement: str | None = None) -> list[Message]:
        """Ping, wait for its Pong, and return what came before it (LV-01 when the Pong does not come)."""
        ping_id = self.fresh_id()
        await self.send({"type": "Ping", "id": ping_id})
        pong = {"type": "Pong", "id": ping_id}

        def position() -> int | None:
            pongs = (i for i, m in enumerate(self.inbox) if m.get("type") == "Pong" and m["id"] == ping_id)
            return next(pongs, None)

        await self.until(lambda: position() is not None or self.ended is not None, 5.0 + self.channel.slack)
        index = position()
        if index is None:
            if self.broken is not None:
                self.raise_broken()
            ended = self.ended is not None
            within = "comes, the stream stays open" if ended else "within 5 s"
            expected = f"{_short(pong)} {within}"
            raise CaseFailed(expected, self.describe(5.0), requirement if ended else "LV-01")
        before = self.inbox[:index]
        del self.inbox[: index + 1]
        return before

    async def settle(self, seconds: float = 0.4) -> list[Message]:
        """What still arrives in that time (less when the stream ends)."""
        start = len(self.inbox)
        await self.until(lambda: self.ended is not None, seconds, graceful=False)
        arrived = self.inbox[start:]
        del self.inbox[start:]
        return arrived

    async def silence(self, seconds: float, requirement: str | None = None) -> None:
        """Fails when a message arrives; the target's own Pings excepted."""
        start = len(self.inbox)
        if await self.until(lambda: len(self.inbox) > start, seconds, graceful=False):
            raise CaseFailed(f"no message for {seconds:g} s", _short(self.inbox[start]), requirement)

    async def expect_end(self, within: float = 5.0, requirement: str | None = None) -> End:
        """The end of the target's direction, of whatever kind, with the close code where there is one."""
        start = self.trial.now()
        await self.until(lambda: self.ended is not None, within + self.channel.slack)
        if self.ended is None:
            raise CaseFailed(
                f"the target ends the connection within {within:g} s",
                f"still open after {within:g} s",
                requirement,
            )
        waited = max(self.ended.seconds - start, 0.0)
        report = await self.channel.wait_closed(max(CODE_WAIT, within - (self.trial.now() - start)))
        code = self.ended.code if self.ended.code is not None and self.ended.kind == "lost" else report.code
        return replace(self.ended, code=code, status=report.status, seconds=waited)


def _same(actual: Any, wanted: Any) -> bool:
    return type(actual) is type(wanted) and bool(actual == wanted)


def _short(message: Message) -> str:
    text = json.dumps(message, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + "…"


__all__ = ["End", "Link", "Message"]
