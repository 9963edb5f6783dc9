"""A minimal Gate acceptor on standard input and output: docs/minimal-acceptor.md. [FR-02]: a requirement."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

MAX_BODY, MAX_IN_FLIGHT, MAX_VALUES = 10_485_760, 64, 16  # [FR-02, RQ-15, DC-16]
Check = Callable[[Any], bool]


class Close(Exception):
    """The connection ends, with this close code; standard output has none, but a connection would."""


def matches(pattern: str) -> Check:
    form = re.compile(pattern)
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
is_request_id = matches("[!-~]{1,128}")  # [RQ-03]
is_domain = matches(rf"(?=.{{1,237}}\Z)(?:{LABEL}\.)+(?![0-9]+\Z){LABEL}")  # [DC-03]
is_txt_value = matches("[A-Za-z0-9_-]{43}")  # [DC-06]
looks_like_address = matches(r"(?:[0-9.]+|\[[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*\]):[1-9][0-9]{0,4}")


def is_address(value: Any) -> bool:  # [DR-05]
    try:
        host, _, port = value.rpartition(":") if looks_like_address(value) else ("", "", "")
        return int(port) <= 65535 and bool(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return False


def is_integer(value: Any, highest: int) -> bool:
    return type(value) is int and 0 <= value <= highest  # neither True nor 1.0 [MS-07, MS-08]


def is_node_addr(value: Any) -> bool:
    match value:
        case {"id": [*node_id], "direct_addresses": [*addresses]} if len(node_id) == 32:
            return all(is_integer(byte, 255) for byte in node_id) and all(map(is_address, addresses))
    return False


# Each request: the type of its response, and its members; no other is looked at [MS-01]. Ill-typed and out of
# form need not be told apart: both are "malformed". Null is the same as absent [MS-10].
DNS, STREAM = "DnsChallengeResponse", "StreamReady"
REQUESTS: dict[str, tuple[str, dict[str, Check]]] = {
    "DnsChallengeCreate": (DNS, {"domain": is_domain, "txt_value": is_txt_value}),
    "DnsChallengeCleanup": (DNS, {"domain": is_domain, "txt_value": lambda v: v is None or is_txt_value(v)}),
    "DomainRegistrationRequest": ("DomainRegistrationResponse", {"node_addr": is_node_addr}),
    "RequestSniStream": (STREAM, {"domain": is_domain}),
    "RequestInferenceStream": (STREAM, {}),
}


def read_document(body: bytes) -> object:
    """Makes Python's parser strict [FR-06, FR-07]; of repeated members it takes the last [MS-11]."""
    try:
        return json.loads(
            body.decode(),
            parse_int=lambda digits: int(digits) if len(digits) <= 20 else float(digits),  # ids exact [MS-06]
            parse_constant=int,  # which refuses "NaN" and "Infinity"
        )
    except (ValueError, RecursionError):
        raise Close(1) from None


class Acceptor:
    def __init__(self, peer_id: str, delays: dict[str, float]) -> None:
        self.peer_id = peer_id  # from the transport, never from a message [AU-03]
        self.delays = delays  # the names for which peers may act, and the seconds that a change takes
        self.values: dict[tuple[str, str], set[str]] = {}  # TXT values by peer and name
        self.in_flight: set[str] = set()
        self.established, self.last_byte, self.pings = False, 0.0, 0  # the Pings sent since that byte

    async def run(self) -> None:
        self.loop, code = asyncio.get_running_loop(), 0
        self.reader = asyncio.StreamReader()
        await self.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(self.reader), sys.stdin)
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
        transport, _ = await self.loop.connect_write_pipe(lambda: protocol, sys.stdout)
        self.writer = asyncio.StreamWriter(transport, protocol, None, self.loop)
        try:
            async with asyncio.TaskGroup() as tasks:  # the first Close ends both
                tasks.create_task(self.read())
                tasks.create_task(self.watch())
        except* (Close, ConnectionError) as group:
            code = next((end.args[0] for end in group.exceptions if isinstance(end, Close)), 0)
        if code <= 2 and self.in_flight:
            await asyncio.sleep(1)  # for answers that are nearly ready [FR-10, CL-02]
        self.writer.close()
        await asyncio.wait([asyncio.create_task(self.writer.wait_closed())], timeout=1)  # [CL-06]
        print("close code", code, file=sys.stderr)

    async def read(self) -> None:
        buffer = bytearray()  # one unfinished frame, at most, and one read
        while chunk := await self.reader.read(65536):
            self.last_byte, self.pings = self.loop.time(), 0
            buffer += chunk
            while len(buffer) >= 4:
                length = int.from_bytes(buffer[:4], "big")
                if not 1 <= length <= MAX_BODY:
                    raise Close(2 if length else 1)  # judged by the prefix alone [FR-03, FR-04]
                if len(buffer) < 4 + length:
                    break
                document = read_document(bytes(buffer[4 : 4 + length]))
                del buffer[: 4 + length]
                if isinstance(document, dict):  # anything else is ignored [MS-03]
                    self.receive(document)
                await self.writer.drain()  # reads no further while the peer does not [LV-03]
        raise Close(1 if buffer else 0)  # inside a frame, or between two [FR-11, CL-02]

    async def watch(self) -> None:
        started = self.last_byte = self.loop.time()
        while not self.writer.transport.is_closing():
            await asyncio.sleep(0.2)
            if not self.established and self.loop.time() - started >= 10:
                raise Close(3)  # no Handshake [HS-14]
            silence = self.loop.time() - self.last_byte
            if silence >= 45:
                raise Close(4)  # no byte [LV-06]
            if silence >= 15 * (self.pings + 1):  # later than any handshake [LV-05, HS-03]
                self.pings += 1
                self.send({"type": "Ping", "id": self.pings})
        raise Close(0)  # the peer takes nothing any more [TR-12]

    def receive(self, message: dict[str, Any]) -> None:
        """Ignores what is no Handshake, Ping or request: to one who never asks, each response is unasked."""
        match message:
            case {"type": "Ping", "id": number} if is_integer(number, 2**64 - 1):
                self.send({"type": "Pong", "id": number})
            case {"type": "Handshake", "node_id": str(), "capabilities": [*names]}:
                if all(isinstance(name, str) for name in names):  # the first one or a renewal [HS-12]
                    self.established, capabilities = True, ["dns_challenge"]
                    self.send({"type": "HandshakeResponse", "accepted": True, "capabilities": capabilities})
            case {"type": str(kind), "request_id": str(request_id)} if kind in REQUESTS:
                if request_id not in self.in_flight:  # [RQ-05]
                    self.receive_request(kind, message)

    def receive_request(self, kind: str, request: dict[str, Any]) -> None:
        """Steps 3 to 7 of what a responder checks: the first that does not hold is the answer [RQ-08]."""
        members = {"request_id": is_request_id, **REQUESTS[kind][1]}
        domain, is_dns = str(request.get("domain")).lower(), kind.startswith("DnsChallenge")
        checks = [
            (self.established, "not_ready", "the handshake is not done"),
            (all(check(request.get(name)) for name, check in members.items()), "malformed", "not in form"),
            (domain in self.delays or not is_dns, "not_authorised", "you may not act for this name"),
            (len(self.in_flight) < MAX_IN_FLIGHT, "quota", "too many requests in flight"),
            (is_dns, "unsupported", "this node does DNS challenges only"),
        ]
        failure = next((reason for holds, *reason in checks if not holds), None)
        if failure:
            self.respond(request, *failure)
        elif delay := self.delays[domain]:
            self.in_flight.add(request["request_id"])
            self.loop.call_later(delay, self.carry_out, request, domain)  # the others go on [RQ-09]
        else:
            self.carry_out(request, domain)

    def carry_out(self, request: dict[str, Any], domain: str) -> None:
        values, value = self.values.setdefault((self.peer_id, domain), set()), request.get("txt_value")
        self.in_flight.discard(request["request_id"])
        if request["type"] == "DnsChallengeCleanup":
            values.difference_update({value} if value else set(values))  # that one, or all [DC-11]
        elif value in values or len(values) < MAX_VALUES:
            values.add(str(value))  # a relay first has every server of the zone answer with it [DC-13]
        else:
            return self.respond(request, "quota", "too many values under this name")
        return self.respond(request)

    def respond(self, request: dict[str, Any], code: str | None = None, error: str | None = None) -> None:
        kind, _ = REQUESTS[request["type"]]
        request_id = re.sub("[\ud800-\udfff]", "\ufffd", request["request_id"])  # lone surrogates [FR-13]
        says_yes = "stream_accepted" if kind == STREAM else "success"
        failure = {"error": error, "code": code} if code else {}
        self.send({"type": kind, "request_id": request_id, says_yes: code is None, **failure})

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) <= MAX_BODY:  # an id too long to be repeated has no answer
            self.writer.write(len(body).to_bytes(4, "big") + body)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A minimal Gate acceptor on standard input and output.")
    parser.add_argument("--domain", type=str.lower, default="conformance.test", help="peers may act for it")
    parser.add_argument("--slow-domain", type=str.lower, default="slow.conformance.test", help="takes 6.5 s")
    args = parser.parse_args()
    asyncio.run(Acceptor(os.environ["GATE_PEER_ID"], {args.domain: 0, args.slow_domain: 6.5}).run())
