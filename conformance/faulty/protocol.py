"""What the specification fixes: numbers, message members, the pairs of request and response."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

Message: TypeAlias = dict[str, Any]

INFERENCE_ALPN, SNI_ALPN = "gate/inference/1.0", "gate/sni-proxy/1.0"
READY = b"\0\0\0\x05READY"
MAX_BODY = 10_485_760
MAX_U64 = 2**64 - 1

DONE, VIOLATION, TOO_LARGE, HANDSHAKE_FAILED, TIMED_OUT, NOT_AUTHORISED, SHUTTING_DOWN = range(7)

# Kinds: a trailing "?" marks an optional member, for which null and absence are the same (MS-10).
MEMBERS: dict[str, dict[str, str]] = {
    "Handshake": {"node_id": "text", "capabilities": "texts"},
    "HandshakeResponse": {"accepted": "boolean", "capabilities": "texts"},
    "Ping": {"id": "u64"},
    "Pong": {"id": "u64"},
    "RequestSniStream": {"request_id": "text", "domain": "text"},
    "RequestInferenceStream": {"request_id": "text"},
    "StreamReady": {"request_id": "text", "stream_accepted": "boolean", "error": "text?", "code": "text?"},
    "DnsChallengeCreate": {"request_id": "text", "domain": "text", "txt_value": "text"},
    "DnsChallengeCleanup": {"request_id": "text", "domain": "text", "txt_value": "text?"},
    "DnsChallengeResponse": {"request_id": "text", "success": "boolean", "error": "text?", "code": "text?"},
    "DomainRegistrationRequest": {"request_id": "text", "node_addr": "address"},
    "DomainRegistrationResponse": {
        "request_id": "text",
        "success": "boolean",
        "domain": "text?",
        "error": "text?",
        "code": "text?",
    },
}

RESPONSE_TO: dict[str, str] = {
    "RequestSniStream": "StreamReady",
    "RequestInferenceStream": "StreamReady",
    "DnsChallengeCreate": "DnsChallengeResponse",
    "DnsChallengeCleanup": "DnsChallengeResponse",
    "DomainRegistrationRequest": "DomainRegistrationResponse",
}
RESPONSES = frozenset(RESPONSE_TO.values())


class Stream(Protocol):
    """One control stream. `read` gives b"" at the clean end; a lost stream raises OSError or EOFError."""

    async def read(self, max_bytes: int = 65536) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    async def finish(self) -> None: ...
    async def wait_delivered(self, timeout: float = 1.0) -> bool: ...
    def close(self, code: int, reason: str = "") -> None: ...


class DataStream(Stream, Protocol):
    """One stream on a data connection. A reset of either direction raises OSError, as a loss does."""

    def reset(self, code: int) -> None: ...
    def stop(self, code: int) -> None: ...
    async def wait_stopped(self) -> None: ...
    async def wait_closed(self) -> None: ...
    async def accept(self) -> DataStream: ...
    async def open(self) -> DataStream: ...
    async def receive_beside(self) -> bytes: ...


class Violation(Exception):
    """A framing violation, with the code that the connection is closed with (FR-08, CL-01)."""

    def __init__(self, reason: str, code: int = VIOLATION) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Refused(Exception):
    """A request that is answered with a failure: one of the codes of RQ-08 and a text for people."""

    def __init__(self, code: str, error: str) -> None:
        super().__init__(error)
        self.code = code
        self.error = error


class Crash(Exception):
    """A faulty node that falls over; it takes its whole process with it (TR-05)."""
