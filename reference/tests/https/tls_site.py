"""A TLS server with a certificate for a name, and what a client does with it."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


def make_certificate(directory: Path, *names: str) -> tuple[Path, Path]:
    """A self-signed certificate for the names, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test site")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = directory / "site.pem", directory / "site.key"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_file, key_file


class Site:
    """Answers `GET`, and `POST` with the SHA-256 of the body, its own body being as long."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.port = 0
        self.served = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            size = next(
                (int(line[16:]) for line in head.split("\r\n") if line.startswith("Content-Length: ")), 0
            )
            body = await reader.readexactly(size)
            digest = hashlib.sha256(body).hexdigest()
            reply = body[::-1] or b"hello from the site"
            writer.write(f"HTTP/1.1 200 OK\r\nDigest: {digest}\r\nContent-Length: {len(reply)}\r\n".encode())
            writer.write(b"Connection: close\r\n\r\n" + reply)
            await writer.drain()
            self.served += 1
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[Site]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=self.context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()


class Client:
    """Fetches through an address, as if the name led there."""

    def __init__(self, certificate: Path, address: str) -> None:
        self.context = ssl.create_default_context(cafile=str(certificate))
        host, _, port = address.rpartition(":")
        self.host, self.port = host, int(port)

    async def fetch(self, name: str, body: bytes = b"") -> tuple[str, bytes]:
        """The head and the body of the response."""
        reader, writer = await asyncio.open_connection(
            self.host, self.port, ssl=self.context, server_hostname=name
        )
        try:
            verb = "POST" if body else "GET"
            head = f"{verb} / HTTP/1.1\r\nHost: {name}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            response = await reader.read(-1)
        finally:
            writer.close()
        top, _, rest = response.partition(b"\r\n\r\n")
        return top.decode(), rest
