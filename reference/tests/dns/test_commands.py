"""`gate-p2p daemon --register` and `gate-p2p dns-challenge`, with a relay that has a real zone."""

from __future__ import annotations

import base64
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate_p2p.node_names import node_labels

from ..cli.process import Node, run
from .knot import ALL, ZONE, Knot, free_port, needs_knot

pytestmark = pytest.mark.iroh

A, B = "a" * 43, "b" * 43
DEAD = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c@127.0.0.1:9"


@pytest.fixture
def knot(tmp_path: Path) -> Iterator[Knot]:
    with Knot(tmp_path / "knot", "127.0.0.1", free_port(["127.0.0.1"])) as knot:
        yield knot


def node_id(key: Path) -> str:
    return run("keygen", str(key)).stdout.decode().strip()


def events(node: Node, kind: str) -> dict[str, object]:
    """The next event of this kind; those before it are left out."""
    while True:
        event: dict[str, object] = json.loads(node.stdout.readline())
        if event["event"] == kind:
            return event


@pytest.mark.knot
@needs_knot[1]
def test_the_recipe_of_the_guide_makes_a_name_that_resolves_and_takes_challenges(
    tmp_path: Path, knot: Knot
) -> None:
    secret, key = tmp_path / "tsig", tmp_path / "daemon.key"
    secret.touch(0o600)
    secret.write_text(f"{ALL.algorithm}:{ALL.name}:{base64.b64encode(ALL.secret).decode()}")
    own = f"{node_labels(node_id(key)).z_base_32}.{ZONE}"
    with Node(
        *("relay", "--suffix", ZONE, "--https", "127.0.0.1:0", "--publish-address", "192.0.2.7"),
        *("--rfc2136", knot.address, "--dns-server", knot.address, "--tsig-key-file", str(secret)),
    ) as relay:
        with Node(
            *("daemon", "--relay", relay.first, "--key", str(key), "--register", "--json"),
            *("--https-target", "127.0.0.1:9"),
        ) as daemon:
            assert events(daemon, "registered")["domain"] == own
            assert knot.look_up(own, "A") == ("192.0.2.7",)

            def call(action: str, domain: str, *more: str) -> tuple[int, bytes, bytes]:
                done = run("dns-challenge", action, relay.first, domain, *more, "--key", str(key))
                return done.returncode, done.stdout, done.stderr

            assert call("create", own, A) == (0, b"", b"")
            assert call("create", f"_acme-challenge.{own.upper()}.", B) == (0, b"", b"")
            assert knot.challenges(own) == (A, B)
            assert knot.look_up(own, "A") == ("192.0.2.7",)  # the wildcard trap does not snap
            assert call("cleanup", f"*.{own}", A) == (0, b"", b"")
            assert knot.challenges(own) == (B,)
            status, outcome, err = call("cleanup", own, "--json")
            assert (status, err) == (0, b"")
            assert json.loads(outcome) == {
                "action": "cleanup", "domain": own, "txt_value": None, "success": True,
            }  # fmt: skip
            assert knot.challenges(own) == ()
            status, out, log = daemon.stop(signal.SIGTERM)
            assert status == 0
            assert "dial_failed" not in out  # the hooks disturbed nobody
            assert "Traceback" not in log
        assert knot.look_up(own, "A") == ("192.0.2.7",)  # it may come back
        assert relay.stop(signal.SIGTERM)[0] == 0


def test_a_daemon_registers_again_after_each_handshake_and_says_so_once(tmp_path: Path) -> None:
    key, port = tmp_path / "relay.key", free_port(["127.0.0.1"])
    relay = ("relay", "--key", str(key), "--listen", f"127.0.0.1:{port}", "--json")
    with Node(*relay) as first:
        address = json.loads(first.first)["address"]
        with (
            Node("daemon", "--relay", address, "--register") as daemon,
            Node("daemon", "--relay", address, "--register", "--json") as with_json,
        ):
            assert events(with_json, "peer_connected")
            first.stop(signal.SIGTERM)  # it gave no names
            with Node(*relay, "--publish-address", "192.0.2.7") as second:
                domain = daemon.stdout.readline().strip()
                own = json.loads(with_json.first)["node_id"]
                assert events(with_json, "registered") == {
                    "event": "registered",
                    "peer": json.loads(second.first)["node_id"],
                    "domain": f"{node_labels(own).z_base_32}.private.example",
                }
                second.stop(signal.SIGTERM)
                with Node(*relay, "--publish-address", "192.0.2.7"):
                    assert events(with_json, "registered")
                    # until it has said all that it says
                    status, out, err = daemon.stop(signal.SIGTERM)
            assert (status, out) == (0, "")
            assert domain == f"{node_labels(daemon.first.partition('@')[0]).z_base_32}.private.example"
            assert err.count("gives this node no domain: this node registers no domains (unsupported)") == 1
            assert "asking again" not in err
            assert with_json.stop(signal.SIGINT)[0] == 0


@pytest.mark.parametrize("value", ["-" * 43, "-h" + "x" * 41, "--json" + "x" * 37, "-k" + "x" * 41])
def test_a_value_may_begin_with_hyphens(value: str) -> None:
    with Node("relay", "--allow", "*=a.example") as relay:
        for action in ("create", "cleanup"):
            done = run("dns-challenge", action, relay.first, "a.example", value, "--json")
            assert json.loads(done.stdout) == {
                "action": action, "domain": "a.example", "txt_value": value, "success": True,
            }  # fmt: skip
            assert done.returncode == 0
        log = relay.stop(signal.SIGTERM)[2]
    assert f"{value} created" in log
    assert f"{value} removed" in log


def test_a_refusal_is_one_line_and_status_1() -> None:
    with Node("relay") as relay:
        done = run("dns-challenge", "create", relay.first, "a.example", A, "--json")
        assert done.returncode == 1
        outcome = json.loads(done.stdout)
        assert (outcome["success"], outcome["code"]) == (False, "not_authorised")
        assert done.stderr.decode() == f"gate-p2p: {outcome['error']}\n"
        late = run(
            *("dns-challenge", "create", relay.first, "a.example", A, "--timeout", "0.000001"),
        )
        assert (late.returncode, late.stdout, late.stderr.count(b"\n")) == (1, b"", 1)
    with Node("daemon", "--relay", DEAD, "--keep-trying") as other:
        done = run("dns-challenge", "create", other.first, "a.example", A)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr == b"gate-p2p: the relay sets no DNS challenges: it does not advertise them\n"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("create", "nonsense", "a.example", A), 2, "no '@'"),
        (("create", DEAD, "example", A), 2, "single label"),
        (("create", DEAD, "a.example", "short"), 2, "43"),
        (("create", DEAD, "a.example", A, "--key", "/nowhere/at/all.key"), 2, "key file"),
        (("cleanup", DEAD, "a.example", A), 3, "cannot reach"),
    ],
)
def test_what_is_wrong_before_anything_is_asked(arguments: tuple[str, ...], status: int, words: str) -> None:
    done = run("dns-challenge", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (status, b"", 1)
    assert words in done.stderr.decode()


@pytest.mark.parametrize(
    "arguments", [("create",), ("create", "x", "y"), ("create", "x", "y", A, "--kye", "f"), ("nonsense",)]
)
def test_what_is_missing_or_too_much_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert run("dns-challenge", *arguments).returncode == 2


@pytest.mark.parametrize("action", ["create", "cleanup"])
def test_each_action_has_help_with_examples(action: str) -> None:
    shown = run("dns-challenge", action, "--help")
    assert shown.returncode == 0
    assert f"gate-p2p dns-challenge {action} <id>@".encode() in shown.stdout
