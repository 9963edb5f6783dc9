"""What --https and --https-target set up beside a session."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from gate_p2p.cli.failure import UNREACHABLE, Failure
from gate_p2p.https import Forwarder, HttpsFront
from gate_p2p.node_names import node_labels
from gate_p2p.session.session import P2PSession

_log = logging.getLogger("gate_p2p.cli")


def read_target(text: str) -> tuple[str, int]:
    """Read --https-target; raises Failure."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise Failure(f"--https-target {text!r}: expected HOST:PORT, IPv6 as [IP]:PORT")
    bracketed = host.startswith("[") and host.endswith("]")
    if (":" in host) != bracketed:
        raise Failure(f"--https-target {text!r}: write IPv6 as [IP]:PORT")
    return host.strip("[]"), int(port)


class FrontAt:
    """The relay's front, listening at `ip:port`."""

    def __init__(self, listen: str) -> None:
        host, _, port = listen.rpartition(":")
        self._listen = listen
        self._host, self._port = host.strip("[]"), int(port)

    @asynccontextmanager
    async def __call__(self, session: P2PSession) -> AsyncIterator[Mapping[str, str]]:
        """Take visitors; gives the address. Raises Failure."""
        handle = session.take_sni_proxy_handle()
        assert handle is not None
        front = HttpsFront(session.peer_of, handle.open)
        try:
            address = await front.start(self._host, self._port)
        except OSError as error:
            raise Failure(f"--https {self._listen}: {error.strerror or error}", UNREACHABLE) from None
        _log.info("HTTPS visitors are taken at %s", address)
        try:
            yield {"https": address}
        finally:
            await front.aclose()


class TargetOf:
    """The daemon's streams at its relay, which lead to a TLS server."""

    def __init__(self, relay_id: str, target: tuple[str, int], idle: int) -> None:
        self._relay_id = relay_id
        self._target = target
        self._idle = idle

    @asynccontextmanager
    async def __call__(self, session: P2PSession) -> AsyncIterator[Mapping[str, str]]:
        """Keep streams at the relay; gives the label of this node. They end with the session."""
        session.supply_sni_streams(self._relay_id, Forwarder(*self._target), idle=self._idle)
        label = node_labels(session.node_id).z_base_32
        _log.info("visitors reach this node as %s.<suffix of the relay>", label)
        yield {"label": label}
