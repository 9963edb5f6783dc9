"""One control stream and nothing else: for streams that are not Iroh's (standard streams, memory)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gate_p2p.core import Connection, Policy, Terminated
from gate_p2p.dns.handler import DnsChallengeHandler
from gate_p2p.session.handlers import Handlers
from gate_p2p.session.link import ControlLink
from gate_p2p.session.policy import NamePolicy, request_policy
from gate_p2p.transport import ControlTransport


async def run_stream(
    transport: ControlTransport,
    *,
    role: str,
    node_id: str,
    capabilities: Sequence[str] = ("dns_challenge",),
    dns: DnsChallengeHandler | None = None,
    names: NamePolicy | None = None,
) -> Terminated:
    """Speak Gate control on `transport` in `role` (`acceptor` or `dialer`) until it is over; returns why.

    `names`: what peers may act for; raises ValueError where it is missing and there is a `dns`.
    """
    if dns is not None and names is None:
        raise ValueError("whose names are they? Say with `names` what peers may act for")

    def in_flight() -> int:
        return link.connection.in_flight

    peer_id = transport.remote_id
    policy: Policy = request_policy(peer_id, names, in_flight)
    make = {"acceptor": Connection.acceptor, "dialer": Connection.dialer}[role]
    core = make(
        node_id=node_id, capabilities=capabilities, now=asyncio.get_running_loop().time(), policy=policy
    )
    handlers = Handlers(dns=dns)
    link = ControlLink(core, transport, handle=lambda request: handlers.carry_out(request, peer_id))
    return await link.run()
