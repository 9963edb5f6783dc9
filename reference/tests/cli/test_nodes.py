"""Relay and daemon as processes over real Iroh."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from .process import Node, environment, run

pytestmark = pytest.mark.iroh

ADDRESS = re.compile(r"[0-9a-f]{64}@127\.0\.0\.1:\d+")
DEAD_ID = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_relay_prints_its_address_first_and_ends_with_0_on_a_signal(number: signal.Signals) -> None:
    with Node("relay") as relay:
        assert ADDRESS.fullmatch(relay.first)
        status, out, err = relay.stop(number)
    assert status == 0
    assert out == ""
    assert "Traceback" not in err
    assert "never retrieved" not in err


def test_a_daemon_connects_says_so_in_json_and_hears_of_the_relays_end() -> None:
    with Node("relay", "--json") as relay:
        listening = json.loads(relay.first)
        assert listening["event"] == "listening"
        assert listening["address"] == f"{listening['node_id']}@{listening['address'].partition('@')[2]}"
        with Node("daemon", "--relay", listening["address"], "--json") as daemon:
            own = json.loads(daemon.first)["node_id"]
            connected = json.loads(daemon.stdout.readline())
            assert connected == {
                "event": "peer_connected",
                "peer": listening["node_id"],
                "capabilities": ["dns_challenge"],
                "dialled": True,
            }
            met = json.loads(relay.stdout.readline())
            assert (met["event"], met["peer"], met["dialled"]) == ("peer_connected", own, False)
            status, _, err = relay.stop(signal.SIGTERM)
            assert status == 0, err
            lost, failed = (json.loads(daemon.stdout.readline()) for _ in range(2))
            assert (lost["event"], lost["peer"], lost["code"]) == ("peer_lost", listening["node_id"], 6)
            assert failed["event"] == "dial_failed"
            assert failed["retry_in"] > 0
            status, _, err = daemon.stop(signal.SIGINT)
            assert status == 0
            assert "Traceback" not in err


def test_the_key_file_is_made_and_keeps_the_id(tmp_path: Path) -> None:
    key = tmp_path / "relay.key"
    with Node("relay", "--key", str(key)) as relay:
        node_id = relay.first.partition("@")[0]
        relay.stop(signal.SIGTERM)
    with Node("relay", "--key", str(key)) as relay:
        assert relay.first.startswith(f"{node_id}@")


def test_keygen_prints_the_id_that_the_relay_has_and_never_overwrites(tmp_path: Path) -> None:
    key = tmp_path / "relay.key"
    made = run("keygen", str(key))
    assert made.returncode == 0
    node_id = made.stdout.decode().strip()
    assert re.fullmatch("[0-9a-f]{64}", node_id)
    with Node("relay", "--key", str(key)) as relay:
        assert relay.first.startswith(f"{node_id}@")
    as_json = run("keygen", str(tmp_path / "other.key"), "--json")
    made_too = json.loads(as_json.stdout)
    assert made_too["key"] == str(tmp_path / "other.key")
    assert re.fullmatch("[0-9a-f]{64}", made_too["node_id"])
    again = run("keygen", str(key))
    assert (again.returncode, again.stdout) == (2, b"")
    assert again.stderr.count(b"\n") == 1
    assert b"exists already" in again.stderr


def test_a_port_in_use_is_one_line_and_status_3() -> None:
    with Node("relay") as relay:
        failed = run("relay", "--listen", relay.first.partition("@")[2])
    assert failed.returncode == 3
    assert failed.stdout == b""
    assert failed.stderr.count(b"\n") == 1
    assert b"the port is in use" in failed.stderr


def test_a_full_disk_behind_standard_output_stops_a_node_without_a_traceback() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gate_p2p.cli", "relay"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=45,
            check=False,
            env=environment(),
        )
    assert done.returncode == 1
    assert b"cannot write to standard output" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.iroh1(reason="iroh 0.35 hears nothing of a wrong id")
def test_a_wrong_id_is_one_line_and_status_3() -> None:
    with Node("relay") as relay:
        failed = run("daemon", "--relay", f"{DEAD_ID}@{relay.first.partition('@')[2]}")
    assert failed.returncode == 3
    assert re.fullmatch(r"[0-9a-f]{64}@127\.0\.0\.1:\d+\n", failed.stdout.decode())
    assert b"check the node id" in failed.stderr
    assert failed.stderr.count(b"\n") == 1


def test_a_dead_relay_with_keep_trying_waits_for_a_signal() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))  # held, so that nobody answers here
        dead = f"{DEAD_ID}@127.0.0.1:{nobody.getsockname()[1]}"
        with Node("daemon", "--relay", dead, "--keep-trying") as daemon:
            assert ADDRESS.fullmatch(daemon.first)
            status, _, err = daemon.stop(signal.SIGTERM)
    assert status == 0
    assert "Traceback" not in err


def test_an_advertised_address_is_printed() -> None:
    with Node("relay", "--listen", "0.0.0.0:0", "--advertise", "192.0.2.7:31145") as relay:
        assert relay.first.endswith("@192.0.2.7:31145")
        assert relay.stop(signal.SIGTERM)[0] == 0
