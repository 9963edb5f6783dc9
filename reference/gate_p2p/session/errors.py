"""The errors that an application meets. Beside them: LocalProtocolError for what may not be asked now."""

from __future__ import annotations

from gate_p2p.core import FailureCode, GateError


class RequestError(GateError):
    """A request was refused, failed at the peer, timed out, or was overtaken by the end of the connection.

    `code`: one of FailureCode; act on this alone. The text is for people.
    """

    def __init__(self, text: str, code: str = FailureCode.FAILED) -> None:
        super().__init__(text)
        self.code = code


class PeerNotConnected(GateError):
    """There is no established control connection to this peer at the moment."""


class SessionClosed(GateError):
    """The session is closed, or was never started."""
