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


class InferenceError(GateError):
    """An inference request has no result: the peer answered with an error object, or not as it should.

    `kind`: the error object's `type` (`request_error`, `upstream_error`, ...), None where there was none.
    """

    def __init__(self, text: str, kind: str | None) -> None:
        super().__init__(text)
        self.kind = kind


class InferenceCancelled(GateError):
    """The client gave its request up, or is gone: no answer is wanted any more."""


class SniStreamUnavailable(GateError):
    """No SNI-proxy stream of this peer is to be had at the moment."""
