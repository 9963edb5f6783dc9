"""What every kind of target has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gate_conformance.channel import Channel
from gate_conformance.identity import Identity
from gate_conformance.targets.arrivals import Arrival
from gate_conformance.verdicts import TargetGone


def _nothing(line: str) -> None:
    """Where nobody listens to announcements."""


@dataclass(frozen=True)
class TargetOptions:
    """What targets are made with. ``announce`` shows a line that the user needs (the address to dial)."""

    key: bytes
    peer_id: str
    role: str | None = None
    dialer: str | None = None
    announce: Callable[[str], None] = field(default=_nothing)


class Target:
    """One node under test.

    ``persistent``: it goes on when a stream ends. ``virtual``: it runs on a loop with virtual time.
    ``limit``: how many streams it can serve side by side, None for any number.
    ``has_data``: there are data connections beside the control connections.
    """

    persistent = False
    virtual = False
    limit: int | None = None
    has_data = False

    def __init__(self, text: str, role: str) -> None:
        self.text = text
        self.role = role

    async def start(self) -> None:
        """Reach the target. Raises TargetGone when it cannot be reached."""

    async def open(self) -> Channel:
        """A fresh control stream. Raises TargetGone."""
        raise NotImplementedError

    async def open_as(self, identity: Identity) -> Channel | None:
        """The same as another peer than the suite else is; None where the target chooses whom it dials."""
        return None

    async def offer(self, alpn: str) -> str | None:
        """What comes of a connection with this ALPN: "refused" for it (TLS alert 120), "accepted", or other
        words; None where connections have no ALPN."""
        return None

    async def dial(self, alpn: str) -> Channel | None:
        """The suite's stream on a data connection of its own; None where the target has none.

        Raises TargetGone, and ChannelLost when the target refuses the connection.
        """
        return None

    async def dialled(self, control: Channel, since: float, within: float) -> Arrival | None:
        """The first data connection that the node behind ``control`` dialled at or after ``since``.

        ``since`` is of the loop's clock; waits so many seconds, None when none comes.
        """
        return None

    async def confirm_gone(self) -> TargetGone | None:
        """After a failed open(): one more look; None when the target is there after all."""
        return None

    async def aclose(self) -> None:
        """Let go of everything."""
