"""What a node says: its address and events on standard output, its log on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gate_p2p.text import one_line

if TYPE_CHECKING:
    from gate_p2p.address import NodeAddress
    from gate_p2p.session.events import SessionEvent


_log = logging.getLogger("gate_p2p.cli")

MAX_CAPABILITIES = 32  # a peer may send a frame of 10 MiB of them: more than anybody's script wants to read


class _Formatter(logging.Formatter):
    """Messages carry what peers chose: control characters are escaped. Tracebacks keep their lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        return one_line(super().formatMessage(record))


def set_up_logging(verbose: int) -> None:
    """Log to standard error: in colour on a terminal, else plain lines."""
    handler: logging.Handler
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.logging import RichHandler

        handler = RichHandler(console=Console(stderr=True), show_path=False, markup=False)
        handler.setFormatter(_Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("gate_p2p")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("gate_p2p.iroh").setLevel(logging.DEBUG if verbose > 1 else logging.INFO)


class Output:
    """`on_gone` is called when standard output takes nothing more: scripts would wait for ever.

    `failure`: why, where that is more than that nobody reads it any more.
    """

    def __init__(self, *, as_json: bool, on_gone: Callable[[], None]) -> None:
        self._as_json = as_json
        self._on_gone = on_gone
        self._domain: str | None = None
        self.failure: str | None = None

    def listening(self, address: NodeAddress, more: Mapping[str, str]) -> None:
        """The first line of standard output; as JSON it says `more`."""
        if self._as_json:
            line = {"event": "listening", "address": str(address), "node_id": address.node_id, **more}
            self._write(json.dumps(line))
        else:
            self._write(str(address))

    def registered(self, relay_id: str, domain: str) -> None:
        """The relay gave us this domain: as JSON each time, else when it is another than before."""
        if self._as_json:
            self._write(json.dumps({"event": "registered", "peer": relay_id, "domain": domain}))
        elif domain != self._domain:
            self._write(domain)
        self._domain = domain

    def event(self, event: SessionEvent) -> None:
        """An event of the session; the log has it as well."""
        if not self._as_json:
            return
        from gate_p2p.session.events import DialFailed, PeerCapabilities, PeerConnected, PeerLost

        line: dict[str, object]
        match event:
            case PeerConnected(peer_id=peer, capabilities=capabilities, dialled=dialled):
                shown = [one_line(name) for name in sorted(capabilities)[:MAX_CAPABILITIES]]
                line = {"event": "peer_connected", "peer": peer, "capabilities": shown, "dialled": dialled}
            case PeerCapabilities(peer_id=peer, capabilities=capabilities):
                shown = [one_line(name) for name in sorted(capabilities)[:MAX_CAPABILITIES]]
                line = {"event": "peer_capabilities", "peer": peer, "capabilities": shown}
            case PeerLost(peer_id=peer, code=code, reason=reason):
                line = {"event": "peer_lost", "peer": peer, "code": code, "reason": reason}
            case DialFailed(peer_id=peer, reason=reason, retry_in=delay):
                line = {"event": "dial_failed", "peer": peer, "reason": reason, "retry_in": round(delay, 3)}
        self._write(json.dumps(line))

    def _write(self, line: str) -> None:
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except OSError as error:
            _log.debug("cannot write to standard output, so this node stops: %s", error.strerror)
            if not isinstance(error, BrokenPipeError):
                self.failure = f"cannot write to standard output: {error.strerror}"
            self._on_gone()
