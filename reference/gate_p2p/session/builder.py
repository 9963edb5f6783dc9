"""The session builder with the names of the Rust crate; `P2PSession(...)` says the same in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gate_p2p.address import check_socket_address
from gate_p2p.dns.handler import DnsChallengeHandler, DomainRegistrar

if TYPE_CHECKING:
    from gate_p2p.session.session import P2PSession


class SessionBuilder:
    """Made by `P2PSession.builder()`. Every method returns the builder; `build()` starts the session.

    As with the crate a session listens on every IPv4 interface unless told otherwise; `P2PSession(...)` is on
    loopback.
    """

    def __init__(self, session: type[P2PSession]) -> None:
        self._session = session
        self._settings: dict[str, Any] = {"listen": "0.0.0.0:0"}

    def _with(self, **settings: Any) -> SessionBuilder:
        self._settings |= settings
        return self

    def with_port(self, port: int) -> SessionBuilder:
        """Listen on this port of every IPv4 interface; 0, the default, means a free one."""
        if not 0 <= port <= 65535:
            raise ValueError(f"a port is 0 to 65535, got {port}")
        return self._with(listen=f"0.0.0.0:{port}")

    def with_listen(self, address: str) -> SessionBuilder:
        """Listen on `ip:port` alone, instead of a port of every interface."""
        return self._with(listen=address)

    def with_advertise(self, address: str) -> SessionBuilder:
        """Have `node_addr` say this `ip:port`, the one that others dial. Raises ValueError."""
        return self._with(advertise=check_socket_address(address))

    def with_private_key(self, secret_key: bytes) -> SessionBuilder:
        """Be the node with this Ed25519 secret, 32 bytes. Raises ValueError for another length."""
        if len(secret_key) != 32:
            raise ValueError(f"a private key has 32 bytes, got {len(secret_key)}")
        return self._with(secret_key=bytes(secret_key))

    def with_identity(self, secret_key: bytes) -> SessionBuilder:
        """The same as `with_private_key`."""
        return self.with_private_key(secret_key)

    def with_generated_identity(self) -> SessionBuilder:
        """Be a new node, with an id that nobody has seen. The default."""
        return self._with(secret_key=None)

    def with_inference(self) -> SessionBuilder:
        """Serve inference streams: see `P2PSession.take_inference_handle`."""
        return self._with(inference=True)

    def with_sni_proxy(self) -> SessionBuilder:
        """Pool the SNI-proxy streams of daemons: see `P2PSession.take_sni_proxy_handle`."""
        return self._with(sni_proxy=True)

    def with_dns_challenge(self) -> SessionBuilder:
        """Advertise `dns_challenge`; without a handler every challenge is refused (DC-12)."""
        return self._with(dns_challenge=True)

    def with_dns_challenge_handler(self, handler: DnsChallengeHandler) -> SessionBuilder:
        """Carry out the DNS challenges of peers."""
        return self._with(dns_challenge_handler=handler)

    def with_registrar(self, registrar: DomainRegistrar) -> SessionBuilder:
        """Give names to the peers that ask for one."""
        return self._with(registrar=registrar)

    def with_names(self, suffix: str, allowed: Mapping[str, Iterable[str]] | None = None) -> SessionBuilder:
        """Which names peers may act for: see `NamePolicy`."""
        return self._with(suffix=suffix, allowed=allowed)

    async def build(self) -> P2PSession:
        """A started session; `async with await builder.build() as session` ends it too. Raises BindError."""
        session = self._session(**self._settings)
        await session.start()
        return session
