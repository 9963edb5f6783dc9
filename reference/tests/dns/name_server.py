"""An authoritative DNS server in the test's own loop, over UDP: it says what it is told to say."""

from __future__ import annotations

import asyncio
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class FakeNameServer(asyncio.DatagramProtocol):
    """`records`: texts by name and type. `asked`: set with the first question, `questions` counts them."""

    def __init__(self, ip: str = "127.0.0.1") -> None:
        self.ip = ip
        self.port = 0
        self.records: dict[tuple[str, str], set[str]] = {}
        self.authoritative = True
        self.rcode = dns.rcode.NOERROR
        self.silent = False
        self.questions = 0
        self.asked = asyncio.Event()
        self._transport: Any = None

    @property
    def address(self) -> str:
        return f"{self.ip}:{self.port}"

    async def __aenter__(self) -> FakeNameServer:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.ip, 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.questions += 1
        self.asked.set()
        query = dns.message.from_wire(data)
        question = query.question[0]
        response = dns.message.make_response(query)
        if self.authoritative:
            response.flags |= dns.flags.AA
        response.set_rcode(self.rcode)
        name = question.name.to_text(omit_final_dot=True)
        found = self.records.get((name, dns.rdatatype.to_text(question.rdtype)))
        if found:
            response.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", question.rdtype, found))
        if not self.silent:
            self._transport.sendto(response.to_wire(), addr)
