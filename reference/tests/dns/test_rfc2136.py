"""Challenges through dynamic updates, against a real knot on the loopback interface."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.query
import dns.tsig
import dns.update
import pytest

from gate_p2p.dns import DnsChallengeError
from gate_p2p.dns.errors import DnsNotVisible, DnsRefused, DnsUnavailable
from gate_p2p.dns.leases import Leases
from gate_p2p.dns.leasing import LeasingHandler
from gate_p2p.dns.registrar import PublishingRegistrar
from gate_p2p.dns.rfc2136 import Rfc2136Backend
from gate_p2p.dns.servers import Primary

from .knot import ALL, STRANGER, TXT_ALONE, WRONG_SECRET, ZONE, Knot, free_port, needs_knot, until

pytestmark = needs_knot

ONE, TWO = "1" * 64, "2" * 64
A, B = "a" * 43, "b" * 43


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Knot, Knot]]:
    """Two servers of the zone on one port. Nothing copies the zone: the second has what a test puts there."""
    directory = tmp_path_factory.mktemp("knot")
    port = free_port(("127.0.0.1", "127.0.0.2"))
    with (
        Knot(directory / "1", "127.0.0.1", port) as first,
        Knot(directory / "2", "127.0.0.2", port) as second,
    ):
        yield first, second


@pytest.fixture
def knot(servers: tuple[Knot, Knot]) -> Knot:
    return servers[0]


def backend(knot: Knot, **more: Any) -> Rfc2136Backend:
    """A backend for which `knot` is the only server."""
    return Rfc2136Backend(knot.address, **{"key": ALL, "servers": [knot.address], **more})


async def test_values_are_added_and_deleted_one_by_one(knot: Knot) -> None:
    service = backend(knot)
    for value in (A, B, A):
        await service.add(f"one.{ZONE}", value)
        await service.wait(f"one.{ZONE}", value)
    assert knot.challenges(f"one.{ZONE}") == (A, B)
    await service.delete(f"one.{ZONE}", A)
    assert knot.challenges(f"one.{ZONE}") == (B,)
    await service.delete(f"one.{ZONE}", A)
    await service.delete(f"one.{ZONE}", B)
    assert knot.challenges(f"one.{ZONE}") == ()


async def test_the_zone_of_a_deeper_name_is_found_and_the_time_to_live_is_60_s(knot: Knot) -> None:
    await backend(knot).add(f"a.b.ttl.{ZONE}", A)
    query = dns.message.make_query(f"_acme-challenge.a.b.ttl.{ZONE}", "TXT")
    response = dns.query.tcp(query, knot.ip, port=knot.port, timeout=5)
    assert [(rrset.ttl, len(rrset)) for rrset in response.answer] == [(60, 1)]


async def test_forty_challenges_side_by_side(knot: Knot) -> None:
    handler = LeasingHandler(backend(knot))
    names = [f"n{number}.parallel.{ZONE}" for number in range(20)]
    await asyncio.gather(*(handler.create(ONE, name, value) for name in names for value in (A, B)))
    assert {knot.challenges(name) for name in names} == {(A, B)}
    await asyncio.gather(*(handler.cleanup(ONE, name, None) for name in names))
    assert {knot.challenges(name) for name in names} == {()}
    assert handler.records == ()


async def test_two_peers_with_one_value_and_the_rest_of_the_zone_stays(knot: Knot) -> None:
    handler = LeasingHandler(backend(knot))
    domain = f"shared.{ZONE}"
    await backend(knot).add(domain, "s" * 43)  # somebody else's, in the same zone
    await handler.create(ONE, domain, A)
    await handler.create(TWO, domain, A)
    await handler.cleanup(ONE, domain, None)
    assert knot.challenges(domain) == (A, "s" * 43)
    await handler.cleanup(TWO, domain, A)
    assert knot.challenges(domain) == ("s" * 43,)


async def test_what_is_left_goes_when_the_handler_is_closed(knot: Knot) -> None:
    handler = LeasingHandler(backend(knot))
    await handler.create(ONE, f"left.{ZONE}", A)
    await handler.aclose()
    assert knot.challenges(f"left.{ZONE}") == ()
    with pytest.raises(DnsChallengeError, match="shutting down"):
        await handler.create(ONE, f"left.{ZONE}", A)
    assert knot.challenges(f"left.{ZONE}") == ()


# -- every authoritative server (DC-13)


async def test_a_server_that_lags_is_waited_for(servers: tuple[Knot, Knot]) -> None:
    """The servers are those in the NS records of the zone."""
    first, second = servers
    domain = f"lag.{ZONE}"
    service = Rfc2136Backend(
        first.address, ALL, ns_port=first.port, deadline=30
    )  # asks those in the NS records
    creating = asyncio.create_task(LeasingHandler(service).create(ONE, domain, A))
    await until(lambda: A in first.challenges(domain))
    assert not creating.done()
    await backend(second).add(domain, A)
    await creating
    assert first.challenges(domain) == second.challenges(domain) == (A,)


@pytest.mark.parametrize("known", ["NS records", "a list"])
async def test_a_server_that_never_gets_it_is_a_failure_at_the_deadline(
    servers: tuple[Knot, Knot], known: str, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = servers
    domain = f"never.{ZONE}"
    given = [first.address, second.address] if known == "a list" else []
    service = Rfc2136Backend(first.address, ALL, servers=given, ns_port=first.port, deadline=0.5)
    handler = LeasingHandler(service)
    with pytest.raises(DnsNotVisible, match=r"after 0\.5 s") as caught:
        await handler.create(ONE, domain, A)
    assert caught.value.code == "timed_out"
    assert first.ip not in str(caught.value)
    assert "127.0.0.2" in caplog.text
    assert "127.0.0.1" not in caplog.text
    assert first.challenges(domain) == (A,)
    await handler.cleanup(ONE, domain, None)  # what did not become visible is the peer's to clean up
    assert first.challenges(domain) == ()


async def test_without_a_wait_the_primary_alone_counts(servers: tuple[Knot, Knot]) -> None:
    service = Rfc2136Backend(servers[0].address, ALL, ns_port=servers[0].port, deadline=0)
    await LeasingHandler(service).create(ONE, f"hasty.{ZONE}", A)
    assert servers[0].challenges(f"hasty.{ZONE}") == (A,)
    assert servers[1].challenges(f"hasty.{ZONE}") == ()


# -- refusals (SC-01, SC-02)


@pytest.mark.parametrize("key", [STRANGER, WRONG_SECRET], ids=["an unknown key", "a wrong secret"])
async def test_a_bad_key_is_a_refusal_without_details(
    knot: Knot, key: Any, caplog: pytest.LogCaptureFixture
) -> None:
    handler = LeasingHandler(backend(knot, key=key))
    with caplog.at_level(logging.DEBUG), pytest.raises(DnsRefused) as caught:
        await handler.create(ONE, f"badkey.{ZONE}", A)
    assert str(caught.value) == "the DNS service of this node refused the change"
    assert caught.value.code == "failed"
    assert knot.address in caplog.text
    assert "M" * 8 not in caplog.text  # base64 of the secrets' 3s
    assert "N" * 8 not in caplog.text  # and 4s
    assert handler.records == ()


async def test_a_type_that_the_key_may_not_set_is_a_refusal(knot: Knot) -> None:
    service = backend(knot, key=TXT_ALONE)
    await service.add(f"typed.{ZONE}", A)
    with pytest.raises(DnsRefused):
        await service.publish_addresses(f"typed.{ZONE}", ["192.0.2.1"])
    assert knot.look_up(f"typed.{ZONE}", "A") == ()


async def test_a_name_in_no_zone_of_the_server_is_a_refusal(knot: Knot) -> None:
    with pytest.raises(DnsRefused, match="no DNS zone"):
        await backend(knot).add("a.public.example", A)


async def test_a_name_that_the_server_has_delegated_is_a_refusal(knot: Knot) -> None:
    with pytest.raises(DnsRefused, match="no DNS zone"):
        await backend(knot).add(f"a.delegated.{ZONE}", A)


async def test_a_server_that_only_knows_the_zone_from_others_is_a_refusal(
    knot: Knot, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Primary.ask

    async def ask_a_cache(primary: Primary, *question: Any) -> dns.message.Message:
        response = await ask(primary, *question)
        response.flags &= ~dns.flags.AA
        return response

    monkeypatch.setattr(Primary, "ask", ask_a_cache)
    with pytest.raises(DnsRefused, match="no DNS zone"):
        await backend(knot).add(f"cached.{ZONE}", A)


async def test_a_zone_that_is_not_there_is_a_failure_at_once(
    knot: Knot, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DnsUnavailable):
        await backend(knot, zone="public.example").add("a.public.example", A)
    assert len(caplog.records) == 1
    assert "are zone and key right?" in caplog.text


async def test_an_answer_without_a_signature_proves_nothing(
    knot: Knot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def forge(update: dns.update.UpdateMessage, *_: object, **__: object) -> dns.message.Message:
        response = dns.message.Message(id=update.id)
        response.flags = dns.flags.QR
        return response

    monkeypatch.setattr("dns.asyncquery.tcp", forge)
    with pytest.raises(DnsUnavailable):
        await backend(knot, zone=ZONE).add(f"forged.{ZONE}", A)
    assert "has no signature" in caplog.text


async def test_an_answer_with_a_wrong_signature_says_nothing_of_the_update(
    knot: Knot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ask = dns.asyncquery.tcp

    async def spoil(update: dns.update.UpdateMessage, *where: Any, **more: Any) -> dns.message.Message:
        await ask(update, *where, **more)
        raise dns.tsig.BadSignature

    monkeypatch.setattr("dns.asyncquery.tcp", spoil)
    handler = LeasingHandler(backend(knot, zone=ZONE))
    with pytest.raises(DnsUnavailable):
        await handler.create(ONE, f"spoilt.{ZONE}", A)
    monkeypatch.undo()
    assert "a wrong signature" in caplog.text
    assert knot.challenges(f"spoilt.{ZONE}") == (A,)
    await handler.cleanup(ONE, f"spoilt.{ZONE}", A)  # it stood: the lease was kept
    assert knot.challenges(f"spoilt.{ZONE}") == ()


async def test_a_dead_server_is_tried_again_and_then_a_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gate_p2p.dns.rfc2136.PAUSE", 0.01)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # not listening: refuses connections
        service = Rfc2136Backend(f"127.0.0.1:{nobody.getsockname()[1]}", ALL, zone=ZONE)
        handler = LeasingHandler(service)
        with pytest.raises(DnsUnavailable) as caught:
            await handler.create(ONE, f"dead.{ZONE}", A)
    assert str(caught.value) == "the DNS service of this node does not answer"
    assert caplog.text.count("ConnectionRefusedError") == 3
    assert [record.value for record in handler.records] == [A]  # it may stand there: the lease sees to it


async def test_a_silent_server_is_given_up_after_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gate_p2p.dns.rfc2136.PAUSE", 0.01)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # takes connections and says nothing
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DnsUnavailable):
            await Rfc2136Backend(address, ALL, zone=ZONE, timeout=0.1).add(f"silent.{ZONE}", A)


# -- addresses (DR-03, RFC 4592)


async def test_a_name_with_addresses_of_its_own_resolves_while_a_challenge_stands(knot: Knot) -> None:
    service, bare, published = backend(knot), f"bare.{ZONE}", f"published.{ZONE}"
    await service.publish_addresses(published, ["192.0.2.80"])
    for domain in (bare, published):
        assert knot.look_up(domain, "A") == ("192.0.2.80",)
        await service.add(domain, A)
    assert knot.look_up(bare, "A") == ()  # the wildcard answers for it no more: the trap
    assert knot.look_up(published, "A") == ("192.0.2.80",)
    await service.delete(bare, A)
    assert knot.look_up(bare, "A") == ("192.0.2.80",)


async def test_addresses_are_exchanged_and_withdrawn(knot: Knot) -> None:
    service, domain = backend(knot), f"addressed.{ZONE}"
    await service.publish_addresses(domain, ["192.0.2.1", "2001:DB8::1"])
    assert (knot.look_up(domain, "A"), knot.look_up(domain, "AAAA")) == (("192.0.2.1",), ("2001:db8::1",))
    await service.publish_addresses(domain, ["192.0.2.2"])
    assert (knot.look_up(domain, "A"), knot.look_up(domain, "AAAA")) == (("192.0.2.2",), ())
    await service.publish_addresses(domain, ["192.0.2.2"])
    await service.withdraw_addresses(domain)  # does not wait for the wildcard to go
    assert knot.look_up(domain, "A") == ("192.0.2.80",)  # the wildcard again
    with pytest.raises(ValueError, match="no address"):
        await service.publish_addresses(domain, [])


async def test_a_registered_peer_has_its_own_name_with_the_addresses_of_the_relay(knot: Knot) -> None:
    registrar = PublishingRegistrar(backend(knot), ZONE.upper(), ["192.0.2.9"])
    domain = await registrar.register(ONE, ["203.0.113.1:31145"])
    assert domain == await registrar.register(ONE, [])
    label, _, suffix = domain.partition(".")
    assert (len(label), suffix) == (52, ZONE)
    assert knot.look_up(domain, "A") == ("192.0.2.9",)


# -- leases


async def test_an_expired_record_leaves_the_zone(knot: Knot) -> None:
    domain = f"expired.{ZONE}"
    handler = LeasingHandler(backend(knot), Leases(lease=0.2))
    await handler.create(ONE, domain, A)
    await until(lambda: not handler.records)
    assert knot.challenges(domain) == ()
