"""The endpoint of a session that is given none: the one place where the session names an adapter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gate_p2p.transport import ALPN_CONTROL, Endpoint

Bind = Callable[[bytes | None, str], Awaitable[Endpoint]]
"""Binds an endpoint for control connections: secret key (32 bytes, None: a new one) and `ip:port`.
Raises BindError."""


async def bind_iroh(secret_key: bytes | None, listen: str) -> Endpoint:
    """An Iroh endpoint. Needs the extra `iroh`; it is imported here, not with the session."""
    from gate_p2p import iroh

    return await iroh.Endpoint.bind(secret_key, listen, (ALPN_CONTROL,))
