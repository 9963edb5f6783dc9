"""The server name of a TLS ClientHello, read by the TLS of the standard library, without a certificate."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gate_p2p.core import GateError
from gate_p2p.core.forms import domain_problem

MAX_HELLO = 65_536  # bytes of a ClientHello with all that comes along with it (SP-12)
UNRECOGNIZED_NAME = bytes.fromhex("15 03 03 00 02 02 70")
"""The fatal TLS alert 112, as a record: there is no such server here."""

_HANDSHAKE = 0x16  # the type of the record with which every TLS connection begins


class HelloError(GateError):
    """A TCP connection that names no server here. `alert`: what may be sent before it is closed."""

    def __init__(self, text: str, alert: bytes = b"") -> None:
        super().__init__(text)
        self.alert = alert


class ClientHello:
    """Feed it what a TCP connection begins with, until the server name comes out.

    `received`: every byte so far, which all belong to the connection.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = _CONTEXT.wrap_bio(self._incoming, self._outgoing, server_side=True)
        assert isinstance(tls, _Hello)
        self._tls = tls

    def feed(self, data: bytes) -> str | None:
        """The server name, in lower case and in the form of DC-03; None while the ClientHello is incomplete.

        Raises HelloError for what is no ClientHello, names no server, or is too long.
        """
        room = MAX_HELLO - len(self.received)
        self.received += data
        if self.received and self.received[0] != _HANDSHAKE:
            raise HelloError("no TLS")
        self._incoming.write(data[: max(room, 0)])
        try:
            with _quiet():
                self._tls.do_handshake()
        except ssl.SSLWantReadError:
            if len(data) > room:
                raise HelloError("a ClientHello that is too long") from None
            return None
        except ssl.SSLError:  # as the callback wants it, when there is a ClientHello
            pass
        if not self._tls.complete:
            raise HelloError("no ClientHello that can be read", self._outgoing.read())
        if self._tls.named is None:
            raise HelloError("a ClientHello without a server name", UNRECOGNIZED_NAME)
        name = self._tls.named.lower().removesuffix(".")
        if domain_problem(name) is not None:
            raise HelloError("a server name that is no host name", UNRECOGNIZED_NAME)
        return name


class _Hello(ssl.SSLObject):
    """The TLS object of one ClientHello."""

    complete = False
    named: str | None = None


def _take_name(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int:
    assert isinstance(tls, _Hello)
    tls.complete, tls.named = True, name
    return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)  # this handshake goes no further


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _Hello
    context.sni_callback = _take_name
    return context


_CONTEXT = _context()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep a name that is not ASCII off standard error: `ssl` reports it there instead of raising.

    What other threads, and other code, have to report meanwhile takes its usual way.
    """
    before, here = sys.unraisablehook, threading.get_ident()

    def hook(problem: Any) -> None:
        ours = isinstance(problem.exc_value, UnicodeDecodeError) and threading.get_ident() == here
        if not ours:
            before(problem)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
