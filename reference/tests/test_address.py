"""The text form of an address; none of it needs iroh."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gate_p2p.address import check_socket_address, is_loopback, is_this_machine, is_unspecified
from gate_p2p.iroh import NodeAddress

ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "text", [f"{ID}@127.0.0.1:1", f"{ID}@[::1]:65535", f"{ID}@192.0.2.1:31145,[2001:db8::1]:31145"]
)
def test_an_address_survives_the_round_trip(text: str) -> None:
    assert str(NodeAddress.parse(text)) == text
    assert str(NodeAddress.parse(f" {text}\n")) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (ID, "no '@'"),
        (f"{ID[:-1]}@127.0.0.1:1", "got 63 characters"),
        (f"{ID.upper()}@127.0.0.1:1", "lower case"),
        (f"{ID}@", "ip:port"),
        (f"{ID}@127.0.0.1", "ip:port"),
        (f"{ID}@127.0.0.1:", "port"),
        (f"{ID}@127.0.0.1:0", "port"),
        (f"{ID}@127.0.0.1:65536", "port"),
        (f"{ID}@127.0.0.1:１", "port"),
        (f"{ID}@127.0.0.1:-1", "port"),
        (f"{ID}@localhost:1", "host names are not looked up"),
        (f"{ID}@::1:1", "IPv6 as"),
        (f"{ID}@[127.0.0.1]:1", "IPv4 as"),
        (f"{ID}@127.0.0.1:1,", "ip:port"),
        ("", "no '@'"),
    ],
)
def test_a_bad_address_says_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        NodeAddress.parse(text)


def test_port_zero_is_for_listening_alone() -> None:
    assert check_socket_address("127.0.0.1:0", port_zero=True) == "127.0.0.1:0"
    with pytest.raises(ValueError, match="port"):
        check_socket_address("127.0.0.1:0")


def test_wildcards_and_loopback_are_told_apart() -> None:
    assert [is_unspecified(text) for text in ("0.0.0.0:1", "[::]:1", "127.0.0.1:1", "[::1]:1")] == [
        1,
        1,
        0,
        0,
    ]
    assert [is_loopback(text) for text in ("0.0.0.0:1", "[::]:1", "127.0.0.1:1", "[::1]:1")] == [0, 0, 1, 1]


def test_importing_address_errors_and_session_imports_no_iroh() -> None:
    code = (
        "import sys, gate_p2p.iroh, gate_p2p.iroh.endpoint, gate_p2p.session\n"
        "gate_p2p.iroh.Endpoint, gate_p2p.iroh.IrohStream\n"
        "assert 'iroh' not in sys.modules, 'iroh was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    import gate_p2p.iroh

    with pytest.raises(AttributeError, match="Nothing"):
        gate_p2p.iroh.Nothing  # noqa: B018


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("192.0.2.1", False),
        ("0.0.0.0", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_which_hosts_are_this_machine(host: str, here: bool) -> None:
    assert is_this_machine(host) is here
