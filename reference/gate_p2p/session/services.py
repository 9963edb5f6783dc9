"""What is done with the connections that peers open."""

from __future__ import annotations

import asyncio
import logging

from gate_p2p.core import CloseCode
from gate_p2p.session.admission import Service
from gate_p2p.session.errors import SessionClosed
from gate_p2p.transport import Endpoint, PeerConnection, TransportError

_log = logging.getLogger("gate_p2p.session")


class Services(dict[str, Service]):
    """One service for each ALPN that the endpoint takes. `tasks`: one for each connection that is served."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: set[asyncio.Task[None]] = set()

    async def accept(self, endpoint: Endpoint) -> None:
        """Serve every connection until the endpoint is closed."""
        loop = asyncio.get_running_loop()
        while (connection := await endpoint.accept()) is not None:
            task = loop.create_task(self._serve(connection))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _serve(self, connection: PeerConnection) -> None:
        service = self[connection.alpn]
        if (place := service.admission.enter(connection)) is None:
            _log.debug("%s: one connection too many", connection.remote_id)
            return
        with place:
            try:
                await service.serve(connection)
            except (TransportError, SessionClosed) as error:
                _log.debug("%s: %s: %s", connection.remote_id, connection.alpn, error)
            except Exception:  # noqa: BLE001  a bug met by one peer must not be silent, nor harm another
                _log.exception("%s: %s: serving a connection failed", connection.remote_id, connection.alpn)
            finally:
                connection.close(CloseCode.DONE)
