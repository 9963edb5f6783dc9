"""The endpoint of a session that is given none: the one place where the session names an adapter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from gate_p2p.transport import Endpoint

Bind = Callable[[bytes | None, str, Sequence[str]], Awaitable[Endpoint]]
"""Binds an endpoint: secret key (32 bytes, None: a new one), `ip:port`, the ALPNs it accepts.
Raises BindError."""


async def bind_iroh(secret_key: bytes | None, listen: str, alpns: Sequence[str]) -> Endpoint:
    """An Iroh endpoint. Needs the extra `iroh`; it is imported here, not with the session."""
    from gate_p2p import iroh

    return await iroh.Endpoint.bind(secret_key, listen, alpns)
