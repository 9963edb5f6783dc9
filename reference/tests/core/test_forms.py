from __future__ import annotations

import pytest

from gate_p2p.core import NodeAddr, Request
from gate_p2p.core import messages as m
from gate_p2p.core.forms import (
    domain_problem,
    request_id_problem,
    request_problem,
    socket_address_problem,
    txt_value_problem,
)

LABEL63 = "a" * 63


@pytest.mark.parametrize("text", ["r", "!", "~", "a" * 128, "".join(map(chr, range(0x21, 0x7F)))])
def test_a_request_id_may_be_any_printable_ascii_up_to_128(text: str) -> None:
    assert request_id_problem(text) is None


@pytest.mark.parametrize("text", ["", "a" * 129, "a b", "a\n", "\x7f", "é", "\t"])
def test_other_request_ids_are_refused(text: str) -> None:
    assert request_id_problem(text)


@pytest.mark.parametrize(
    "text",
    [
        "a.b",
        "A.Example",
        "1.2.c3",
        "xn--80ak6aa92e.test",
        f"{LABEL63}.example",
        "a-b--c.example",
        ".".join([LABEL63, LABEL63, LABEL63, "a" * 45]),
        "acme-challenge.example",
        "b._x.example".replace("_", "a"),
    ],
)
def test_an_ldh_name_of_two_labels_and_more_is_a_domain(text: str) -> None:
    assert domain_problem(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b.",
        ".a.b",
        "a..b",
        "-a.b",
        "a-.b",
        "a.b-",
        f"{LABEL63}a.b",
        "a_b.example",
        "é.example",
        "a b.example",
        "*.example.org",
        "a.*.example",
        "_acme-challenge.a.b",
        "_ACME-Challenge.a.b",
        "127.0.0.1",
        "a.1",
        "a.b\n",
        ".".join([LABEL63, LABEL63, LABEL63, "a" * 46]),
    ],
)
def test_other_domains_are_refused(text: str) -> None:
    assert domain_problem(text)


@pytest.mark.parametrize("text", ["x" * 43, "-_" + "Z" * 40 + "B"])
def test_a_txt_value_is_43_characters_of_base64url(text: str) -> None:
    assert txt_value_problem(text) is None


@pytest.mark.parametrize(
    "text", ["", "x" * 42, "x" * 44, "x" * 42 + "=", "+" * 43, "x" * 43 + "\n", "é" * 43]
)
def test_other_txt_values_are_refused(text: str) -> None:
    assert txt_value_problem(text)


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.7:1",
        "255.255.255.255:65535",
        "[2001:db8::7]:31145",
        "[2001:DB8:0:0:0:0:0:7]:1",
        "[::ffff:192.0.2.7]:1",
        "[::]:1",
    ],
)
def test_an_ip_address_with_a_port_is_a_socket_address(text: str) -> None:
    assert socket_address_problem(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "192.0.2.7",
        "192.0.2.7:",
        "192.0.2.7:0",
        "192.0.2.7:01",
        "192.0.2.7:65536",
        "192.0.2.7:+1",
        "192.0.2.7:\uff11",
        "192.0.2.7:1\n",
        " 192.0.2.7:1",
        "192.0.2.256:1",
        "192.0.2.07:1",
        "192.0.2:1",
        "[192.0.2.7]:1",
        "2001:db8::7:1",
        "[2001:db8::7]",
        "[2001:db8::7",
        "[2001:db8::g]:1",
        "[2001:db8:::7]:1",
        "[fe80::1%eth0]:1",
        "relay.example:1",
        "localhost:1",
    ],
)
def test_other_socket_addresses_are_refused(text: str) -> None:
    assert socket_address_problem(text)


@pytest.mark.parametrize(
    ("request_", "good"),
    [
        (m.RequestSniStream(request_id="r", domain="a.b"), True),
        (m.RequestSniStream(request_id="r", domain="a"), False),
        (m.RequestInferenceStream(request_id="r"), True),
        (m.RequestInferenceStream(request_id=""), False),
        (m.DnsChallengeCreate(request_id="r", domain="a.b", txt_value="x" * 43), True),
        (m.DnsChallengeCreate(request_id="r", domain="a.b", txt_value="x"), False),
        (m.DnsChallengeCleanup(request_id="r", domain="a.b"), True),
        (m.DnsChallengeCleanup(request_id="r", domain="a.b", txt_value=""), False),
        (
            m.DomainRegistrationRequest(
                request_id="r", node_addr=NodeAddr(id=(0,) * 32, direct_addresses=())
            ),
            True,
        ),
        (
            m.DomainRegistrationRequest(
                request_id="r", node_addr=NodeAddr(id=(0,) * 32, direct_addresses=("192.0.2.7:1", "a:1"))
            ),
            False,
        ),
        (
            m.DomainRegistrationRequest(
                request_id="r", node_addr=NodeAddr(id=(256,) * 32, direct_addresses=())
            ),
            False,
        ),
    ],
)
def test_each_request_is_checked_in_the_members_that_have_a_form(request_: Request, good: bool) -> None:
    assert (request_problem(request_) is None) is good
