"""`gate-p2p relay --https` and `gate-p2p daemon --https-target` as processes, visited by curl and openssl."""

from __future__ import annotations

import json
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gate_p2p.node_names import node_labels

from ..cli.process import Node, run

pytest.importorskip("cryptography")

from .tls_site import make_certificate

pytestmark = pytest.mark.iroh

SUFFIX = "nodes.example"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def https_server(certificate: Path, key: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.skipif(
    sys.platform == "win32" or not (shutil.which("curl") and shutil.which("openssl")),
    reason="curl or openssl is not installed",
)
def test_curl_and_openssl_reach_the_server_behind_the_daemon(tmp_path: Path) -> None:
    made = run("keygen", str(tmp_path / "daemon.key"))
    assert made.returncode == 0
    with Node("relay", "--https", "127.0.0.1:0", "--suffix", SUFFIX, "--json") as relay:
        listening = json.loads(relay.first)
        port = listening["https"].rpartition(":")[2]
        name = f"{node_labels(made.stdout.decode().strip()).z_base_32}.{SUFFIX}"
        certificate, key = make_certificate(tmp_path, name)
        with (
            https_server(certificate, key) as target,
            Node(
                *("daemon", "--relay", listening["address"], "--key", str(tmp_path / "daemon.key"), "--json"),
                *("--https-target", f"localhost:{target}", "--idle-streams", "2"),
            ) as daemon,
        ):
            assert f"{json.loads(daemon.first)['label']}.{SUFFIX}" == name
            assert json.loads(daemon.stdout.readline())["capabilities"] == ["dns_challenge", "sni_proxy"]
            curl = subprocess.run(
                ["curl", "-sS", "--noproxy", "*", "--cacert", str(certificate)]
                + ["--connect-to", f"{name}:443:127.0.0.1:{port}"]
                + [f"https://{name}/page/{number}" for number in range(3)],
                capture_output=True,
                timeout=30,
                check=False,
            )
            assert (curl.returncode, curl.stdout, curl.stderr) == (0, b"/page/0/page/1/page/2", b"")
            openssl = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "nobody.example"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=30,
                check=False,
            )
            assert openssl.returncode == 1
            assert b"unrecognized name" in openssl.stderr
            status, _, err = daemon.stop(signal.SIGTERM)
            assert (status, "Traceback" in err) == (0, False)
        status, _, err = relay.stop(signal.SIGTERM)
        assert (status, "Traceback" in err) == (0, False)
        assert "refused in the last minute: a server name that leads nowhere: 1" in err


def test_a_port_in_use_is_one_line_and_status_3() -> None:
    with Node("relay", "--https", "127.0.0.1:0", "--json") as relay:
        taken = json.loads(relay.first)["https"]
        failed = run("relay", "--https", taken)
    assert failed.returncode == 3
    assert failed.stderr.count(b"\n") == 1
    assert b"--https 127.0.0.1:" in failed.stderr


@pytest.mark.parametrize(
    "target", ["localhost", "localhost:", ":1", "localhost:0", "::1:8443", "localhost:65536"]
)
def test_a_target_that_is_none_is_wrong_usage(target: str) -> None:
    failed = run("daemon", "--relay", f"{'ab' * 32}@127.0.0.1:1", "--https-target", target)
    assert (failed.returncode, failed.stderr.count(b"\n")) == (2, 1)
    assert b"--https-target" in failed.stderr


def test_a_relay_address_without_ip_is_wrong_usage() -> None:
    failed = run("relay", "--https", "443")
    assert (failed.returncode, failed.stderr.count(b"\n")) == (2, 1)
