from __future__ import annotations

import json

from gate_p2p.core import DNS_CHALLENGE, INFERENCE, SNI_PROXY, Connection, Established
from gate_p2p.core.capabilities import MAX_NAME, MAX_UNKNOWN, kept

from .pair import DIALER_ID, established_acceptor, frame

PRIVATE = [f"example.com/{number}" for number in range(1000)]


def test_known_capabilities_are_kept_wherever_they_stand() -> None:
    assert kept([*PRIVATE, INFERENCE, DNS_CHALLENGE, INFERENCE, SNI_PROXY]) >= {
        INFERENCE,
        DNS_CHALLENGE,
        SNI_PROXY,
    }


def test_unknown_capabilities_are_kept_up_to_a_bound_in_number_and_length() -> None:
    assert kept(["x" * MAX_NAME, "y" * (MAX_NAME + 1)]) == {"x" * MAX_NAME}
    assert kept(PRIVATE) == set(PRIVATE[:MAX_UNKNOWN])
    assert kept(["x"] * 1000 + ["y"]) == {"x", "y"}


def test_a_handshake_of_any_size_leaves_little_behind() -> None:
    connection = established_acceptor()
    handshake = {"type": "Handshake", "node_id": DIALER_ID * 1000, "capabilities": [*PRIVATE, SNI_PROXY]}
    connection.receive_data(frame(json.dumps(handshake)), 101.0)
    assert len(connection.peer_capabilities) == MAX_UNKNOWN + 1
    assert SNI_PROXY in connection.peer_capabilities


def test_of_a_claimed_node_id_no_more_is_told_than_a_node_id_has() -> None:
    acceptor = Connection.acceptor(node_id=DIALER_ID, capabilities=(), now=0.0)
    handshake = {"type": "Handshake", "node_id": "z" * 1000, "capabilities": []}
    (event,) = acceptor.receive_data(frame(json.dumps(handshake)), 0.0)
    assert isinstance(event, Established)
    assert event.peer_node_id == "z" * 64
