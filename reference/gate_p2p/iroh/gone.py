"""Stands in for iroh's connections and streams once their endpoint is closed: every call fails as lost."""

from __future__ import annotations

from gate_p2p.iroh.call import Calls, Done
from gate_p2p.transport import CloseInfo, ConnectionLost


class GoneConnection:
    def __init__(self, remote_id: str, alpn: str, error: ConnectionLost) -> None:
        self.remote_id = remote_id
        self.alpn = alpn
        self._error = error

    async def open_stream(self) -> GoneStream:
        raise self._error

    async def accept_stream(self) -> GoneStream:
        raise self._error

    async def refuse_unidirectional(self, code: int) -> None:
        raise self._error

    def close(self, code: int, reason: bytes) -> None:
        """Closed already."""

    async def closed(self) -> CloseInfo:
        return CloseInfo(self._error.code, self._error.by_peer, self._error.reason)


class GoneStream:
    write_size = 1

    def __init__(self, error: ConnectionLost) -> None:
        self._error = error

    def read(self, max_bytes: int, done: Done[bytes], under_way: Calls) -> None:
        done(None, self._error)

    def write(self, data: bytes, done: Done[None], under_way: Calls) -> None:
        done(None, self._error)

    async def finish(self) -> None:
        raise self._error

    async def stopped(self) -> int | None:
        raise self._error

    async def probe(self) -> None:
        raise self._error

    async def reset(self, code: int) -> None:
        raise self._error

    async def stop(self, code: int) -> None:
        raise self._error
