"""Asking every authoritative server, each directly (DC-13)."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import dns.rcode
import pytest

from gate_p2p.dns import propagation
from gate_p2p.dns.errors import DnsNotVisible
from gate_p2p.dns.propagation import Propagation, expect_txt
from gate_p2p.dns.servers import NameServer, SocketAddress, listed

from .name_server import FakeNameServer

DOMAIN = "node.private.example"
NAME = f"_acme-challenge.{DOMAIN}"
A, B = "a" * 43, "b" * 43


async def wait_for_a(*servers: FakeNameServer, deadline: float = 30) -> None:
    await Propagation(deadline).wait(listed([one.address for one in servers]), expect_txt(DOMAIN, A))


async def test_one_of_many_values_is_enough() -> None:
    async with FakeNameServer() as server:
        server.records[NAME, "TXT"] = {f'"{A}"', f'"{B}"'}
        await wait_for_a(server)
        assert server.questions == 1


async def test_a_server_that_has_shown_it_is_not_asked_again() -> None:
    async with FakeNameServer() as first, FakeNameServer() as second:
        first.records[NAME, "TXT"] = {f'"{A}"'}
        waiting = asyncio.create_task(wait_for_a(first, second))
        await second.asked.wait()
        assert not waiting.done()
        second.records[NAME, "TXT"] = {f'"{A}"'}
        await waiting
        assert first.questions == 1
        assert second.questions >= 2


@pytest.mark.parametrize("fault", ["another value", "not authoritative", "SERVFAIL", "silent"])
async def test_what_a_server_says_in_place_of_the_value_is_logged(
    fault: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propagation, "ANSWER_WITHIN", 0.05)
    async with FakeNameServer() as good, FakeNameServer() as bad:
        for server in (good, bad):
            server.records[NAME, "TXT"] = {f'"{A}"'}
        if fault == "another value":
            bad.records[NAME, "TXT"] = {f'"{B}"'}
        elif fault == "not authoritative":
            bad.authoritative = False
        elif fault == "SERVFAIL":
            bad.rcode = dns.rcode.SERVFAIL
        else:
            bad.silent = True
        with pytest.raises(DnsNotVisible) as caught:
            await wait_for_a(good, bad, deadline=0.3)
    assert caught.value.code == "timed_out"
    words = {
        "another value": "1 TXT records",
        "not authoritative": "no authoritative server",
        "SERVFAIL": "SERVFAIL",
        "silent": "timed out",
    }
    assert words[fault] in caplog.text
    assert bad.address in caplog.text
    assert good.address not in caplog.text


def server_without_routes(monkeypatch: pytest.MonkeyPatch, *ips: str) -> None:
    """Have this machine without a way to these addresses."""
    ask = propagation._ask

    async def refuse(address: SocketAddress, expected: Any) -> Any:
        if address.ip in ips:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        return await ask(address, expected)

    monkeypatch.setattr(propagation, "_ask", refuse)


async def test_an_address_that_cannot_be_reached_from_here_is_left_out_beside_one_that_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server_without_routes(monkeypatch, "2001:db8::53")
    async with FakeNameServer() as server:
        both = NameServer("ns1", (SocketAddress("2001:db8::53"), SocketAddress(server.ip, server.port)))
        server.records[NAME, "TXT"] = {f'"{A}"'}
        await Propagation(30).wait([both], expect_txt(DOMAIN, A))
        server.records.clear()
        with pytest.raises(DnsNotVisible):
            await Propagation(0.1).wait([both], expect_txt(DOMAIN, A))


async def test_every_address_of_a_server_counts() -> None:
    async with FakeNameServer() as one, FakeNameServer() as other:
        one.records[NAME, "TXT"] = {f'"{A}"'}
        both = NameServer("ns1", tuple(SocketAddress(each.ip, each.port) for each in (one, other)))
        with pytest.raises(DnsNotVisible):
            await Propagation(0.1).wait([both], expect_txt(DOMAIN, A))
        other.records[NAME, "TXT"] = {f'"{A}"'}
        await Propagation(30).wait([both], expect_txt(DOMAIN, A))


async def test_a_server_that_cannot_be_reached_at_all_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server_without_routes(monkeypatch, "2001:db8::53")
    async with FakeNameServer() as server:
        server.records[NAME, "TXT"] = {f'"{A}"'}
        with pytest.raises(DnsNotVisible):
            await Propagation(0.1).wait(
                [NameServer("ns1", (SocketAddress("2001:db8::53"),)), *listed([server.address])],
                expect_txt(DOMAIN, A),
            )
    assert "unreachable" in caplog.text


async def test_no_server_at_all_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no server"):
        await wait_for_a()
