"""The errors of the core, and the codes by which the two sides tell each other what went wrong."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class CloseCode(IntEnum):
    """Application codes with which a node closes a connection."""

    DONE = 0
    PROTOCOL_VIOLATION = 1
    FRAME_TOO_LARGE = 2
    HANDSHAKE_FAILED = 3
    TIMEOUT = 4
    NOT_AUTHORISED = 5
    SHUTTING_DOWN = 6


class FailureCode(StrEnum):
    """The member `code` of a failure response, in the order in which a node checks (RQ-08)."""

    NOT_READY = "not_ready"
    MALFORMED = "malformed"
    NOT_AUTHORISED = "not_authorised"
    UNSUPPORTED = "unsupported"
    QUOTA = "quota"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


class GateError(Exception):
    """Base of every error that this distribution raises on purpose."""


class ProtocolError(GateError):
    """Base of the errors over what may be said when on a control stream."""


class LocalProtocolError(ProtocolError):
    """The caller asked for something that the protocol does not allow now; nothing has changed."""


class MissingCapabilityError(LocalProtocolError):
    """The caller asked for something that the peer did not advertise (DC-14); nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule after which the stream cannot go on.

    `code` is the application code to close the connection with (CL-01).
    """

    def __init__(self, message: str, code: CloseCode = CloseCode.PROTOCOL_VIOLATION) -> None:
        super().__init__(message)
        self.code = code
