"""A link over a stream in memory, with its peer driven by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gate_p2p.core import (
    Connection,
    DnsChallengeCreate,
    Established,
    Event,
    Request,
    Terminated,
)
from gate_p2p.session.link import Answer, ControlLink, Handler

from .memory import ACCEPTOR, DIALER, MemoryStream, Peer, stream_pair

VALUE = "v" * 43


async def succeed(request: Request) -> Answer:
    return Answer()


def start(
    stream: MemoryStream,
    *,
    role: str = "acceptor",
    handle: Handler = succeed,
    on_event: Callable[[Event], None] | None = None,
) -> tuple[ControlLink, asyncio.Task[Terminated]]:
    make = Connection.dialer if role == "dialer" else Connection.acceptor
    core = make(
        node_id=ACCEPTOR if role == "acceptor" else DIALER,
        capabilities=("dns_challenge",),
        now=asyncio.get_running_loop().time(),
    )
    link = ControlLink(core, stream, handle=handle, on_event=on_event)
    return link, asyncio.get_running_loop().create_task(link.run())


async def connected(handle: Handler = succeed) -> tuple[ControlLink, asyncio.Task[Terminated], Peer]:
    """An acceptor's link after the handshake with a peer driven by hand."""
    ours, theirs = stream_pair()[::-1]
    link, running = start(ours, handle=handle)
    peer = Peer(theirs)
    await peer.flush()
    await peer.until(Established)
    return link, running, peer


def create(request_id: str, domain: str = "a.example") -> DnsChallengeCreate:
    return DnsChallengeCreate(request_id=request_id, domain=domain, txt_value=VALUE)
