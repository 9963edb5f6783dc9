"""A real authoritative DNS server, knot, on the loopback interface."""

from __future__ import annotations

import asyncio
import base64
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
import pytest

from gate_p2p.dns.tsig import TsigKey

ZONE = "private.example"
ALL = TsigKey("acmekey", "hmac-sha256", b"1" * 32)
TXT_ALONE = TsigKey("txtkey", "hmac-sha256", b"2" * 32)
STRANGER = TsigKey("stranger", "hmac-sha256", b"3" * 32)
WRONG_SECRET = TsigKey("acmekey", "hmac-sha256", b"4" * 32)

KNOTD = shutil.which("knotd") or shutil.which("knotd", path="/usr/sbin:/usr/local/sbin")

needs_knot = [
    pytest.mark.knot,
    pytest.mark.skipif(
        KNOTD is None, reason="the DNS server knot is not installed (Debian: apt install knot)"
    ),
]

CONFIG = """
server:
    rundir: "{directory}"
    listen: {ip}@{port}
log:
  - target: stderr
    any: warning
database:
    storage: "{directory}"
key:
{keys}
acl:
  - id: everything
    key: acmekey
    action: update
    update-type: [TXT, A, AAAA]
  - id: txt
    key: txtkey
    action: update
    update-type: [TXT]
template:
  - id: default
    storage: "{directory}"
    file: "%s.zone"
    journal-content: changes
    zonefile-sync: -1
zone:
  - domain: {zone}
    acl: [everything, txt]
"""

# Two servers, and a wildcard through which nodes could resolve.
RECORDS = """
$ORIGIN {zone}.
$TTL 60
@ SOA ns1 hostmaster 1 3600 600 86400 1
@ NS ns1
@ NS ns2
ns1 A 127.0.0.1
ns2 A 127.0.0.2
* A 192.0.2.80
delegated NS ns.elsewhere.example.
"""


def free_port(ips: Iterable[str]) -> int:
    """A port that is free for UDP and TCP at every address."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
        try:
            for ip in ips:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind((ip, port))
        except OSError:
            continue
        return port


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition, which may block, holds."""
    while not await asyncio.to_thread(condition):  # noqa: ASYNC110  another process tells nobody
        await asyncio.sleep(0.01)


class Knot:
    """One server with the zone; `with` stops it. What it holds is asked of it over the network."""

    def __init__(self, directory: Path, ip: str, port: int) -> None:
        self.ip, self.port = ip, port
        self.address = f"{ip}:{port}"
        directory.mkdir()
        keys = "\n".join(
            f"  - id: {key.name}\n    algorithm: {key.algorithm}\n"
            f"    secret: {base64.b64encode(key.secret).decode()}"
            for key in (ALL, TXT_ALONE)
        )
        config = directory / "knot.conf"
        config.write_text(CONFIG.format(directory=directory, ip=ip, port=port, keys=keys, zone=ZONE))
        (directory / f"{ZONE}.zone").write_text(RECORDS.format(zone=ZONE))
        assert KNOTD is not None
        with (directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [KNOTD, "-c", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < until:
            try:
                if self.look_up(ZONE, "SOA"):
                    return
            except (OSError, EOFError, dns.exception.DNSException):
                time.sleep(0.02)
        self.stop()
        raise RuntimeError((directory / "log").read_text())

    def look_up(self, name: str, kind: str) -> tuple[str, ...]:
        """The records of a name and type, sorted; TXT without quotes."""
        query = dns.message.make_query(name, kind)
        response = dns.query.tcp(query, self.ip, port=self.port, timeout=5)
        return tuple(
            sorted(
                record.to_text().strip('"')
                for rrset in response.answer
                if rrset.rdtype == dns.rdatatype.from_text(kind)
                for record in rrset
            )
        )

    def challenges(self, domain: str) -> tuple[str, ...]:
        """The values under a domain."""
        return self.look_up(f"_acme-challenge.{domain}", "TXT")

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Knot:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
