"""What carries the bytes of one control stream, and how it tells its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class ChannelReset(Exception):
    """The target reset its direction of the stream."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"the stream was reset with code {code}")
        self.code = code


class ChannelLost(Exception):
    """The connection is over. ``by_target`` is false when it timed out or the suite closed it."""

    def __init__(self, code: int | None, by_target: bool, reason: str = "") -> None:
        super().__init__(reason or f"the connection was closed with code {code}")
        self.code = code
        self.by_target = by_target
        self.reason = reason


@dataclass(frozen=True)
class CloseReport:
    """How a channel ended: the connection's close code, the exit status, and what looks like a crash."""

    code: int | None = None
    status: int | None = None
    crash: str | None = None
    diagnostics: str = ""


class Channel(Protocol):
    """One control stream.

    ``grace`` is what the first answer may take longer (seconds), ``slack`` what every answer may; ``kind`` is
    "exit" when the end of the stream is the end of a process, else "stream".
    """

    remote_id: str
    grace: float
    slack: float
    kind: str

    async def read(self) -> bytes:
        """The next bytes, b"" at the clean end; raises ChannelReset or ChannelLost. One reader at a time."""
        ...

    async def write(self, data: bytes) -> None:
        """Raises ChannelReset or ChannelLost when nobody takes bytes any more."""
        ...

    async def finish(self) -> None:
        """End the suite's direction."""
        ...

    def close(self, code: int = 0, reason: str = "") -> None:
        """Close the connection at once; idempotent."""
        ...

    async def wait_closed(self, within: float) -> CloseReport:
        """Wait so long for the close code or the exit status; both None when neither came."""
        ...

    async def release(self) -> CloseReport:
        """Let go of everything; what the target did wrong at its end is in the report."""
        ...

    async def open_second(self) -> Channel | None:
        """A second bidirectional stream on the same connection; None where the transport has none."""
        ...

    async def accept_second(self, within: float) -> bool | None:
        """Whether the target opens a second stream in so many seconds; None where the transport has none."""
        ...

    def reset(self, code: int) -> bool:
        """Reset the suite's direction of the stream; false where the transport has no resets."""
        ...

    def stop(self, code: int) -> bool:
        """Take no more of the target's direction; false where the transport cannot say so.

        Takes effect where nothing has been read from the channel yet.
        """
        ...

    async def send_beside(self, way: str, data: bytes) -> bool | None:
        """Send ``data`` in a ``way`` that Gate does not use: a "unidirectional stream" or a "datagram".

        False when the target takes none of the kind, None where the transport has none.
        """
        ...
