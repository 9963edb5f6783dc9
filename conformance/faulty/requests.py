"""The request half of a node: checks in the order of RQ-08, handling side by side, exactly one response."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from . import forms
from .protocol import RESPONSE_TO, Message, Refused
from .wire import Wire
from .world import DOMAIN, SLOW_DOMAIN, SLOW_SECONDS, World

Check = Callable[[Message], None]


class Requests(Wire):
    """Answers requests. `established` is set by the handshake; `send` and `spawn` come from the node."""

    limit = 64
    slow_seconds = SLOW_SECONDS
    longest_request_id = 128
    longest_domain = 237
    answer_delay = 0.0
    has_handler = True

    def __init__(self, world: World, peer_id: str) -> None:
        super().__init__()
        self.world = world
        self.peer_id = peer_id
        self.established = False
        self.in_flight: dict[str, Message] = {}
        self.handlers: set[asyncio.Task[None]] = set()
        self.peer_node_id = ""
        self.peer_capabilities: list[str] = []

    # -- given by the node

    async def send(self, message: Message) -> None:
        raise NotImplementedError

    def watch(self, task: asyncio.Task[None]) -> None:
        raise NotImplementedError

    # -- checks

    async def on_request(self, message: Message) -> None:
        request_id = message.get("request_id")
        if not isinstance(request_id, str):
            await self.on_unreadable(message)
        elif self.is_in_flight(request_id):
            await self.on_duplicate(message)
        else:
            await self.on_fresh(message)

    async def on_unreadable(self, message: Message) -> None:
        """Nothing to answer to: ignored (RQ-04 needs a readable id)."""

    async def on_duplicate(self, message: Message) -> None:
        """RQ-05: ignored until the first is answered."""

    async def on_fresh(self, message: Message) -> None:
        try:
            for check in self.checks():
                check(message)
        except Refused as refusal:
            await self.refuse(message, refusal)
            return
        self.begin(message)

    def is_in_flight(self, request_id: str) -> bool:
        return request_id in self.in_flight

    def checks(self) -> Sequence[Check]:
        return (self.check_handshake, self.check_form, self.check_authority, self.check_quota)

    def check_handshake(self, message: Message) -> None:
        if not self.established:
            raise Refused("not_ready", "the handshake is not finished")

    def check_form(self, message: Message) -> None:
        problem = self.problem_in(message) or self.form_problem(message)
        if problem:
            raise Refused("malformed", problem)

    def form_problem(self, message: Message) -> str | None:
        return (
            self.request_id_problem(message["request_id"])
            or self.domain_form_problem(message)
            or self.txt_form_problem(message)
            or self.addresses_problem(message)
        )

    def request_id_problem(self, text: str) -> str | None:
        return forms.request_id_problem(text, self.longest_request_id)

    def domain_form_problem(self, message: Message) -> str | None:
        domain = message.get("domain")
        if message["type"] == "DomainRegistrationRequest" or not isinstance(domain, str):
            return None
        return self.domain_problem(domain)

    def domain_problem(self, text: str) -> str | None:
        return forms.domain_problem(text, self.longest_domain)

    def txt_form_problem(self, message: Message) -> str | None:
        value = message.get("txt_value")
        if not message["type"].startswith("DnsChallenge") or not isinstance(value, str):
            return None
        return self.txt_value_problem(value)

    def txt_value_problem(self, text: str) -> str | None:
        return forms.txt_value_problem(text)

    def addresses_problem(self, message: Message) -> str | None:
        """DR-05: what is wrong with the first bad entry of `direct_addresses`."""
        address: Any = message.get("node_addr")
        if message["type"] != "DomainRegistrationRequest" or not self.is_address(address):
            return None
        problems = map(self.address_problem, address["direct_addresses"])
        return next((problem for problem in problems if problem), None)

    def address_problem(self, text: str) -> str | None:
        return forms.address_problem(text)

    def check_authority(self, message: Message) -> None:
        """AU-01 to AU-03: names by their labels, a registration by the transport's identity."""
        if message["type"].startswith("DnsChallenge") and not self.may_act_for(message["domain"]):
            raise Refused("not_authorised", f"you may not act for {message['domain']}")
        if message["type"] != "DomainRegistrationRequest":
            return
        if bytes(message["node_addr"]["id"]).hex() != self.peer_id:
            raise Refused("not_authorised", "node_addr is not the address of this connection's peer")

    def may_act_for(self, domain: str) -> bool:
        return self.canonical(domain) in (DOMAIN, SLOW_DOMAIN)

    def canonical(self, domain: str) -> str:
        return domain.lower()

    def check_quota(self, message: Message) -> None:
        if self.world.in_flight[self.peer_id] >= self.limit:
            raise Refused("quota", f"more than {self.limit} requests in flight")

    # -- handling

    def begin(self, message: Message) -> None:
        self.in_flight[message["request_id"]] = message
        self.world.in_flight[self.peer_id] += 1
        task = asyncio.get_running_loop().create_task(self.handle(message))
        self.handlers.add(task)
        task.add_done_callback(self.handlers.discard)
        self.watch(task)

    async def handle(self, message: Message) -> None:
        try:
            response = await self.outcome(message)
        finally:
            self.world.in_flight[self.peer_id] -= 1
            self.release(message["request_id"])
        await self.respond(message, response)

    def release(self, request_id: str) -> None:
        self.in_flight.pop(request_id, None)

    async def outcome(self, message: Message) -> Message:
        try:
            await asyncio.sleep(self.delay_for(message))
            return await self.carry_out(message)
        except Refused as refusal:
            return self.failure(message, refusal)

    def delay_for(self, message: Message) -> float:
        slow = self.canonical(str(message.get("domain"))) == SLOW_DOMAIN
        if slow and message["type"].startswith("DnsChallenge"):
            return self.slow_seconds
        return self.answer_delay

    async def carry_out(self, message: Message) -> Message:
        """What a request asks for; gives the response or raises Refused."""
        match message["type"]:
            case "DnsChallengeCreate":
                return await self.create(message)
            case "DnsChallengeCleanup":
                return await self.cleanup(message)
            case "RequestSniStream":
                return self.sni_stream(message)
            case "RequestInferenceStream":
                return self.success(message)
            case _:
                return self.register(message)

    async def create(self, message: Message) -> Message:
        if not self.has_handler:
            raise Refused("unsupported", "this node has no DNS challenge handler")
        self.world.create(message["domain"], message["txt_value"], self.peer_id)
        return self.success(message)

    async def cleanup(self, message: Message) -> Message:
        if not self.has_handler:
            raise Refused("unsupported", "this node has no DNS challenge handler")
        self.world.cleanup(message["domain"], message.get("txt_value"), self.peer_id)
        return self.success(message)

    def sni_stream(self, message: Message) -> Message:
        raise Refused("unsupported", "this node opens no SNI streams")

    def register(self, message: Message) -> Message:
        raise Refused("unsupported", "this node registers no domains")

    # -- responses

    async def refuse(self, message: Message, refusal: Refused) -> None:
        await self.respond(message, self.failure(message, refusal))

    async def respond(self, message: Message, response: Message) -> None:
        await self.send(response)

    def success(self, message: Message) -> Message:
        return {
            "type": RESPONSE_TO[message["type"]],
            "request_id": message["request_id"],
            self.flag(message): True,
        }

    def failure(self, message: Message, refusal: Refused) -> Message:
        return {
            "type": RESPONSE_TO[message["type"]],
            "request_id": message["request_id"],
            self.flag(message): False,
            "error": refusal.error,
            "code": refusal.code,
        }

    def flag(self, message: Message) -> str:
        return "stream_accepted" if RESPONSE_TO[message["type"]] == "StreamReady" else "success"
