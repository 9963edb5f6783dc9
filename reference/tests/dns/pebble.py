"""A real ACME server, pebble, on the loopback interface, and a client whose caller makes the records."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from acme import challenges, client, crypto_util, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from josepy.jwa import ES256
from josepy.jwk import JWKEC

PEBBLE = shutil.which("pebble")

# no pauses, no refused nonces (the client repeats once alone), every authorisation proved anew
ENVIRONMENT = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}

Publish = Callable[[str, str], Awaitable[None]]


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_server_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pebble")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = directory / "cert.pem", directory / "key.pem"
    cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(private_key_pem(key))
    return cert_path, key_path


class Pebble:
    """The server; `with` stops it. It looks challenges up at `dns_server` (`ip:port`)."""

    def __init__(self, directory: Path, dns_server: str, ports: Sequence[int]) -> None:
        directory.mkdir()
        self.certificate, key = write_server_certificate(directory)
        self._port, self._management = ports
        config = {
            "pebble": {
                "listenAddress": f"127.0.0.1:{self._port}",
                "managementListenAddress": f"127.0.0.1:{self._management}",
                "certificate": str(self.certificate),
                "privateKey": str(key),
                "httpPort": 5002,
                "tlsPort": 5001,
                "ocspResponderURL": "",
                "externalAccountBindingRequired": False,
            }
        }
        path = directory / "config.json"
        path.write_text(json.dumps(config))
        assert PEBBLE is not None
        with (directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [PEBBLE, "-strict", "-config", str(path), "-dnsserver", dns_server],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **ENVIRONMENT},
            )
        until = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise RuntimeError((directory / "log").read_text())

    @property
    def directory_url(self) -> str:
        return f"https://127.0.0.1:{self._port}/dir"

    def root(self) -> x509.Certificate:
        """The root that it issues under, a new one for each run."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        url = f"https://127.0.0.1:{self._management}/roots/0"
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:
            return x509.load_pem_x509_certificate(answer.read())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def __enter__(self) -> Pebble:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Account:
    """An ACME account. What blocks runs in a thread."""

    def __init__(self, pebble: Pebble) -> None:
        key = JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
        verify: Any = str(pebble.certificate)  # annotated bool; requests takes a path
        self._net = client.ClientNetwork(key, alg=ES256, verify_ssl=verify)
        self._client = client.ClientV2(
            client.ClientV2.get_directory(pebble.directory_url, self._net), self._net
        )
        self._client.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))

    async def certificates(
        self, names: list[str], publish: Publish, clean_up: Publish
    ) -> list[x509.Certificate]:
        """A chain for the names, the leaf first; each value is published, and cleaned up in the end."""
        key = ec.generate_private_key(ec.SECP256R1())
        csr = crypto_util.make_csr(private_key_pem(key), names)
        order = await asyncio.to_thread(self._client.new_order, csr)
        published = []
        try:
            for authorization in order.authorizations:
                (challenge,) = (
                    one for one in authorization.body.challenges if isinstance(one.chall, challenges.DNS01)
                )
                response, value = challenge.response_and_validation(self._net.key)
                published.append((authorization.body.identifier.value, value))
                await publish(*published[-1])
                await asyncio.to_thread(self._client.answer_challenge, challenge, response)
            done = await asyncio.to_thread(self._client.poll_and_finalize, order)
        finally:
            for domain, value in published:
                await clean_up(domain, value)
        return x509.load_pem_x509_certificates(done.fullchain_pem.encode())
