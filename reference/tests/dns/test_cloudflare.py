"""Challenges through Cloudflare's API, against a server that answers as it does."""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from gate_p2p.dns import cloudflare_api
from gate_p2p.dns.cloudflare import CloudflareBackend
from gate_p2p.dns.errors import DnsNotVisible, DnsRefused, DnsUnavailable
from gate_p2p.dns.leasing import LeasingHandler

from .cloudflare_server import DROP, TOKEN, CloudflareServer, Scripted, failure
from .name_server import FakeNameServer

ONE = "1" * 64
A, B, C = "a" * 43, "b" * 43, "c" * 43
DOMAIN = "node.private.example"
NAME = f"_acme-challenge.{DOMAIN}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudflareServer]:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # of no concern to what is on this machine
    server = CloudflareServer()
    yield server
    server.close()


@pytest.fixture
async def dns(server: CloudflareServer) -> AsyncIterator[CloudflareBackend]:
    """The backend, which does not ask any name servers."""
    dns = CloudflareBackend(TOKEN, base_url=server.url, deadline=0)
    yield dns
    await dns.aclose()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the API's client paused; the pauses themselves are left out."""
    made: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        made.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    return made


async def test_values_are_added_and_deleted_one_by_one(
    server: CloudflareServer, dns: CloudflareBackend
) -> None:
    for value in (A, B, A):  # the third is answered with 81058
        await dns.add(DOMAIN, value)
        await dns.wait(DOMAIN, value)
    assert server.contents(NAME) == [f'"{A}"', f'"{B}"']
    await dns.delete(DOMAIN, A)
    assert server.contents(NAME) == [f'"{B}"']
    await dns.delete(DOMAIN, A)
    assert server.contents(NAME) == [f'"{B}"']


async def test_a_record_has_the_name_the_type_and_the_time_to_live(
    server: CloudflareServer, dns: CloudflareBackend
) -> None:
    await dns.add(DOMAIN, A)
    (record,) = server.records.values()
    assert (record["name"], record["type"], record["ttl"]) == (NAME, "TXT", 60)
    assert record["zone_id"] == server.zones["private.example"]


async def test_the_zone_of_the_longest_name_is_taken_and_kept(
    server: CloudflareServer, dns: CloudflareBackend
) -> None:
    await dns.add("a.b.sub.private.example", A)
    await dns.add("a.b.sub.private.example", B)
    assert {one["zone_id"] for one in server.records.values()} == {server.zones["sub.private.example"]}
    asked = [call.partition("name=")[2].partition("&")[0] for call in server.calls if "/zones?" in call]
    assert asked == ["a.b.sub.private.example", "b.sub.private.example", "sub.private.example"]


async def test_the_value_is_found_on_a_later_page_and_without_quotes_too(
    server: CloudflareServer, dns: CloudflareBackend
) -> None:
    for content in (f'"{B}"', f'"{C}"', A, f'"{A}"'):
        server.put(NAME, content)
    server.put("other." + NAME, f'"{A}"')
    await dns.delete(DOMAIN, A)
    assert server.contents(NAME) == [f'"{B}"', f'"{C}"']
    assert server.contents("other." + NAME) == [f'"{A}"']


async def test_a_filter_that_the_api_does_not_know_deletes_nothing_else(
    server: CloudflareServer, dns: CloudflareBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CloudflareServer, "_listed", staticmethod(lambda *_: True))
    server.put("unrelated.private.example", f'"{A}"')
    server.put(NAME, f'"{A}"')
    await dns.delete(DOMAIN, A)
    assert (server.contents(NAME), server.contents("unrelated.private.example")) == ([], [f'"{A}"'])


async def test_a_record_that_goes_while_it_is_deleted_is_no_error(
    server: CloudflareServer, dns: CloudflareBackend
) -> None:
    await dns.add(DOMAIN, A)
    listing = json.dumps(
        {"success": True, "result": [{"id": "f" * 32, "type": "TXT", "name": NAME, "content": f'"{A}"'}]}
    )
    server.scripted.append(Scripted(200, listing.encode()))
    await dns.delete(DOMAIN, A)
    assert server.calls[-1] == f"DELETE /zones/{server.zones['private.example']}/dns_records/{'f' * 32}"


# -- refusals (SC-01, SC-02)


@pytest.mark.parametrize("token", ["tiny", TOKEN[::-1]], ids=["ill-formed", "unknown"])
async def test_a_wrong_token_is_a_refusal_without_details(
    server: CloudflareServer, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    handler = LeasingHandler(CloudflareBackend(token, base_url=server.url, deadline=0))
    with caplog.at_level(logging.DEBUG), pytest.raises(DnsRefused) as caught:
        await handler.create(ONE, DOMAIN, A)
    assert str(caught.value) == "the DNS service of this node refused the change"
    assert caught.value.code == "failed"
    assert ("6111" if token == "tiny" else "9109") in caplog.text
    assert token not in caplog.text
    assert handler.records == ()
    assert len(server.calls) == 1
    await handler.aclose()


@pytest.mark.parametrize("domain", ["node.public.example", "node.pending.example"])
async def test_a_name_in_no_active_zone_is_a_refusal(dns: CloudflareBackend, domain: str) -> None:
    with pytest.raises(DnsRefused, match="no DNS zone"):
        await dns.add(domain, A)


@pytest.mark.parametrize("change", ["add", "delete", "publish", "withdraw"])
async def test_a_zone_that_was_made_anew_is_found_again_at_once(
    server: CloudflareServer, dns: CloudflareBackend, change: str
) -> None:
    await dns.add(DOMAIN, A)
    server.records.clear()
    server.zones["private.example"] = "z9" * 16
    server.put(NAME, f'"{A}"')
    server.put(DOMAIN, "192.0.2.7", "A")
    match change:
        case "add":
            await dns.add(DOMAIN, B)
        case "delete":
            await dns.delete(DOMAIN, A)
        case "publish":
            await dns.publish_addresses(DOMAIN, ["192.0.2.8"])
        case "withdraw":
            await dns.withdraw_addresses(DOMAIN)
    assert (server.contents(NAME), server.contents(DOMAIN)) == {
        "add": ([f'"{A}"', f'"{B}"'], ["192.0.2.7"]),
        "delete": ([], ["192.0.2.7"]),
        "publish": ([f'"{A}"'], ["192.0.2.8"]),
        "withdraw": ([f'"{A}"'], []),
    }[change]


async def test_a_zone_that_is_found_and_yet_not_there_is_a_refusal(
    server: CloudflareServer, dns: CloudflareBackend
) -> None:
    await dns.add(DOMAIN, A)
    gone = Scripted(400, json.dumps(failure(7003, "Could not route")).encode())
    listing = {"success": True, "result": [{"id": "z8" * 16, "name": DOMAIN, "status": "active"}]}
    server.scripted += [gone, Scripted(200, json.dumps(listing).encode())]
    with pytest.raises(DnsRefused):
        await dns.delete(DOMAIN, A)
    assert server.contents(NAME) == [f'"{A}"']


async def test_addresses_of_which_only_the_first_could_be_set_are_no_refusal(
    server: CloudflareServer, dns: CloudflareBackend
) -> None:
    create = dns._create

    async def refuse_the_second(domain: str, name: str, kind: str, content: str) -> None:
        if kind == "AAAA":
            raise DnsRefused
        await create(domain, name, kind, content)

    dns._create = refuse_the_second  # type: ignore[method-assign]
    with pytest.raises(DnsUnavailable):
        await dns.publish_addresses(DOMAIN, ["192.0.2.8", "2001:db8::1"])
    with pytest.raises(DnsRefused):
        await dns.publish_addresses(DOMAIN, ["2001:db8::1"])


@pytest.mark.parametrize("token", ["", "two words", "tab\t", "umläut"])
def test_a_token_that_cannot_be_one_is_an_error_that_does_not_repeat_it(token: str) -> None:
    with pytest.raises(ValueError, match="token") as caught:
        CloudflareBackend(token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("url", ["http://192.0.2.1/client/v4", "http://api.example", "ftp://127.0.0.1"])
def test_the_token_goes_nowhere_unencrypted(url: str) -> None:
    with pytest.raises(ValueError, match="unencrypted"):
        CloudflareBackend(TOKEN, base_url=url)


# -- what passes


@pytest.mark.parametrize(
    "script",
    [
        DROP,
        Scripted(500, b"<html>"),
        Scripted(502),
        Scripted(520, b"error code: 520"),
        Scripted(
            429, json.dumps(failure(10100, "More than 1200 requests per 300 seconds reached.")).encode()
        ),
    ],
    ids=["no answer", "500", "502", "520", "429"],
)
async def test_what_passes_is_tried_again_with_growing_pauses(
    server: CloudflareServer, dns: CloudflareBackend, pauses: list[float], script: Scripted
) -> None:
    server.scripted += [script] * 3
    await dns.add(DOMAIN, A)
    assert pauses == [0.5, 1, 2]
    assert server.contents(NAME) == [f'"{A}"']


async def test_what_does_not_pass_is_a_failure_after_four_calls(
    server: CloudflareServer, dns: CloudflareBackend, pauses: list[float]
) -> None:
    server.scripted += [Scripted(503, b"busy")] * 5
    with pytest.raises(DnsUnavailable) as caught:
        await dns.add(DOMAIN, A)
    assert str(caught.value) == "the DNS service of this node does not answer"
    assert (len(server.calls), len(pauses)) == (4, 3)


async def test_a_creation_whose_answer_was_lost_is_not_made_twice(
    server: CloudflareServer, dns: CloudflareBackend, pauses: list[float]
) -> None:
    await dns.add(DOMAIN, B)  # finds the zone
    server.scripted.append(Scripted(504, before=True))
    await dns.add(DOMAIN, A)
    assert server.contents(NAME) == [f'"{A}"', f'"{B}"']
    server.scripted += [Scripted(200, json.dumps(listing_of(server, A)).encode()), DROP]
    await dns.delete(DOMAIN, A)
    assert server.contents(NAME) == [f'"{B}"']


def listing_of(server: CloudflareServer, value: str) -> dict[str, Any]:
    """What the API would list of one value."""
    return {"success": True, "result": [one for one in server.records.values() if value in one["content"]]}


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_obeyed(
    server: CloudflareServer, dns: CloudflareBackend, pauses: list[float], form: str
) -> None:
    after = "30" if form == "seconds" else email.utils.formatdate(time.time() + 30, usegmt=True)
    server.scripted.append(Scripted(429, b"{}", (("Retry-After", after),)))
    await dns.add(DOMAIN, A)
    (pause,) = pauses
    assert pause == 30 if form == "seconds" else 0 < pause <= 30


async def test_a_long_retry_after_is_a_failure_at_once(
    server: CloudflareServer, dns: CloudflareBackend, pauses: list[float]
) -> None:
    server.scripted.append(Scripted(429, b"{}", (("Retry-After", "300"),)))
    with pytest.raises(DnsUnavailable, match="too busy"):
        await dns.add(DOMAIN, A)
    assert pauses == []


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"success": "yes"}', b'{"success": true, "result": 7}', b"\xff"],
)
async def test_an_answer_that_makes_no_sense_is_a_failure(
    server: CloudflareServer, dns: CloudflareBackend, body: bytes
) -> None:
    server.scripted.append(Scripted(200, body))
    with pytest.raises(DnsUnavailable):
        await dns.add(DOMAIN, A)


async def test_pages_without_end_are_a_failure(server: CloudflareServer, dns: CloudflareBackend) -> None:
    await dns.add(DOMAIN, A)
    endless = {"success": True, "result": [{}], "result_info": {"total_pages": 10**9}}
    server.scripted += [Scripted(200, json.dumps(endless).encode())] * 60
    with pytest.raises(DnsUnavailable):
        await dns.delete(DOMAIN, A)
    assert len(server.scripted) == 10


async def test_a_silent_api_is_given_up_after_the_time_out(pauses: list[float]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # takes connections and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        dns = CloudflareBackend(TOKEN, base_url=url, deadline=0, timeout=0.05)
        with pytest.raises(DnsUnavailable):
            await dns.add(DOMAIN, A)
        await dns.aclose()
    assert len(pauses) == 3


async def test_forty_challenges_side_by_side(server: CloudflareServer, dns: CloudflareBackend) -> None:
    handler = LeasingHandler(dns)
    names = [f"n{number}.private.example" for number in range(20)]
    await asyncio.gather(*(handler.create(ONE, name, value) for name in names for value in (A, B)))
    assert len(server.records) == 40
    await asyncio.gather(*(handler.cleanup(ONE, name, A) for name in names))
    assert [server.contents(f"_acme-challenge.{name}") for name in names] == [[f'"{B}"']] * 20
    await handler.aclose()
    assert server.records == {}


# -- the servers of the zone (DC-13)


async def test_the_name_servers_of_the_zone_are_waited_for(server: CloudflareServer) -> None:
    async with FakeNameServer() as shown:
        server.name_servers = [shown.ip]
        dns = CloudflareBackend(TOKEN, base_url=server.url, ns_port=shown.port, deadline=30)
        creating = asyncio.create_task(LeasingHandler(dns).create(ONE, DOMAIN, A))
        await shown.asked.wait()
        assert not creating.done()
        shown.records[NAME, "TXT"] = {f'"{A}"'}
        await creating
        await dns.aclose()


async def test_a_value_that_no_name_server_shows_is_a_failure_at_the_deadline(
    server: CloudflareServer,
) -> None:
    async with FakeNameServer() as shown:
        dns = CloudflareBackend(TOKEN, base_url=server.url, servers=[shown.address], deadline=0.1)
        with pytest.raises(DnsNotVisible):
            await LeasingHandler(dns).create(ONE, DOMAIN, A)
        await dns.aclose()


async def test_a_zone_without_servers_is_a_refusal(server: CloudflareServer) -> None:
    server.name_servers = []
    dns = CloudflareBackend(TOKEN, base_url=server.url)
    with pytest.raises(DnsRefused, match="no servers"):
        await LeasingHandler(dns).create(ONE, DOMAIN, A)
    await dns.aclose()


# -- addresses


async def test_addresses_are_published_exchanged_and_withdrawn(
    server: CloudflareServer, dns: CloudflareBackend
) -> None:
    await dns.publish_addresses(DOMAIN, ["192.0.2.1", "2001:DB8::1"])
    assert server.contents(DOMAIN) == ["192.0.2.1", "2001:db8::1"]
    await dns.publish_addresses(DOMAIN, ["192.0.2.2", "2001:db8::1"])
    assert server.contents(DOMAIN) == ["192.0.2.2", "2001:db8::1"]
    kinds = {one["content"]: one["type"] for one in server.records.values()}
    assert kinds == {"192.0.2.2": "A", "2001:db8::1": "AAAA"}
    await dns.add(DOMAIN, A)
    await dns.withdraw_addresses(DOMAIN)
    assert (server.contents(DOMAIN), server.contents(NAME)) == ([], [f'"{A}"'])
    with pytest.raises(ValueError, match="no address"):
        await dns.publish_addresses(DOMAIN, [])


def test_the_default_is_the_api_itself() -> None:
    assert httpx.URL(cloudflare_api.API).scheme == "https"
    assert CloudflareBackend(TOKEN)._api._base_url == cloudflare_api.API
