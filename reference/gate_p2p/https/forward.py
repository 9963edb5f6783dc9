"""The daemon's way from an SNI-proxy stream to its TLS server."""

from __future__ import annotations

import asyncio
import logging

from gate_p2p.session.sni_stream import CHUNK, SniStream, splice

_log = logging.getLogger("gate_p2p.https")

CONNECT_WITHIN = 10.0  # seconds: the TLS server is near


class Forwarder:
    """Connects to `host`:`port` for each stream: `session.supply_sni_streams(relay_id, Forwarder(...))`."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._reached = True

    async def __call__(self, stream: SniStream) -> None:
        """Pass the bytes of one stream on until it is over."""
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                reader, writer = await asyncio.open_connection(self._host, self._port, limit=CHUNK // 2)
        except (OSError, TimeoutError) as error:
            stream.abort()  # SP-16
            # visitors come as they like: one line until it is back
            level = logging.WARNING if self._reached else logging.DEBUG
            self._reached = False
            reason = str(error) or f"no answer within {CONNECT_WITHIN:g} s"
            _log.log(level, "the HTTPS target %s:%d cannot be reached: %s", self._host, self._port, reason)
            return
        if not self._reached:
            self._reached = True
            _log.info("the HTTPS target %s:%d is back", self._host, self._port)
        await splice(stream, reader, writer)
