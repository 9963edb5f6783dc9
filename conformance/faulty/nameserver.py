"""An authoritative DNS responder for what a node keeps in memory: TXT and A over UDP, and nothing else.

Needs dnspython. It answers from a thread of its own, so that the node's loop has no part in it.
"""

from __future__ import annotations

import socketserver
import threading
from types import TracebackType

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from .world import World

PREFIX = "_acme-challenge."


def answer(query: bytes, world: World) -> bytes | None:
    """The reply to one datagram; None for what is no query."""
    try:
        asked = dns.message.from_wire(query)
    except dns.exception.DNSException:
        return None
    if asked.opcode() != dns.opcode.QUERY or len(asked.question) != 1:
        return None
    question = asked.question[0]
    reply = dns.message.make_response(asked)
    reply.flags |= dns.flags.AA
    name = question.name.to_text(omit_final_dot=True).lower()
    values = world.values(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else []
    address = world.address(name)
    if not values and address is None:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif values and question.rdtype == dns.rdatatype.TXT:
        texts = [" ".join(f'"{text}"' for text in world.strings(value)) for value in values]
        reply.answer.append(dns.rrset.from_text_list(question.name, world.ttl, "IN", "TXT", texts))
    elif address is not None and question.rdtype == dns.rdatatype.A:
        reply.answer.append(dns.rrset.from_text(question.name, 60, dns.rdataclass.IN, "A", address))
    return reply.to_wire(max_size=65535)


class NameServer:
    """Serves one world while it is entered; `address` is `host:port`."""

    def __init__(self, world: World, address: str = "127.0.0.1:0") -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                query, socket = self.request
                if (reply := answer(query, world)) is not None:
                    socket.sendto(reply, self.client_address)

        host, _, port = address.rpartition(":")
        self._server = socketserver.UDPServer((host, int(port)), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.address = f"{host}:{self._server.server_address[1]}"

    def __enter__(self) -> NameServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
