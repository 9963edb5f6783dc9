"""What iroh says in text alone: close codes, kinds of failure. The only place where its texts are read.

`str(IrohError)` is empty in both generations, `.message()` is not; iroh 0.35 hangs a stack trace to it.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Sequence

from gate_p2p.transport import (
    BindError,
    CloseInfo,
    DialError,
    StreamReset,
    StreamStopped,
    TransportError,
)

# iroh 1.x, then iroh 0.35
_RESET = re.compile(r"Reset\((\d+)\)|stream reset by peer: error (\d+)")
_STOPPED = re.compile(r"Stopped\((\d+)\)|sending stopped by peer: error (\d+)")
_BY_PEER = "closed by peer: "
_WITH_REASON = re.compile(r"(?s)(.*) \(code (\d+)\)")

CLOSED_HERE = CloseInfo(None, False, "closed here")
"""Our own close: iroh does not tell with which code."""


def close_info(text: str | None) -> CloseInfo:
    """Read `closed()` or `close_reason()`: `closed by peer: bye (code 42)`, `closed by peer: 0`, `closed`."""
    if text is None:
        return CloseInfo(None, False, "")
    if text == "closed":
        return CLOSED_HERE
    if not text.startswith(_BY_PEER):
        return CloseInfo(None, False, text)
    rest = text[len(_BY_PEER) :]
    if match := _WITH_REASON.fullmatch(rest):
        return CloseInfo(int(match[2]), True, match[1])
    return CloseInfo(int(rest) if rest.isascii() and rest.isdigit() else None, True, "")


def stream_error(text: str) -> TransportError | None:
    """What the peer did to the stream; None when it is something else, or of the whole connection."""
    if match := _RESET.match(text):
        return StreamReset(int(match[1] or match[2]))
    if match := _STOPPED.match(text):
        return StreamStopped(int(match[1] or match[2]))
    return None


# What stands in iroh's text, what kind of failure it is, and the words for people.
_DIAL_FAILURES = (
    (
        "known protocol",
        "unknown_alpn",
        "the peer does not speak {alpn} (it is another kind of node, or of another version)",
    ),
    (
        "invalid peer certificate",
        "wrong_id",
        "another node answers at this address: check the node id (has the peer a new key?)",
    ),
    ("refused to accept", "refused", "the peer refuses new connections at the moment: try again later"),
    ("No addressing information", "no_address", "no address is known for this node: give <id>@<ip:port>"),
    ("Connecting to ourself", "own_id", "this is this node's own id"),
    ("Endpoint is closed", "closed", "the endpoint is closed"),
    ("endpoint stopping", "closed", "the endpoint is closed"),
    ("timed out", "no_answer", "no answer: {no_answer}"),
)


def dial_error(text: str, alpn: str, no_answer: str) -> DialError:
    """One line and a kind for the text of a failed `connect`; `no_answer` says what to look at then."""
    text = text.partition("\n\nStack backtrace:")[0]
    for sign, kind, words in _DIAL_FAILURES:
        if sign in text:
            return DialError(words.format(alpn=alpn, no_answer=no_answer), kind)
    return DialError(text.rpartition("\n")[2].strip() or "the connection failed")


def check_key(secret_key: bytes | None) -> None:
    """Raise BindError for a key of another length than 32 bytes."""
    if secret_key is not None and len(secret_key) != 32:
        raise BindError(f"a secret key has 32 bytes, this one has {len(secret_key)}")


def port_in_use(address: str) -> BindError:
    """Another socket listens at `address` already."""
    return BindError(f"cannot listen on {address}: the port is in use, choose another (0: any free one)")


def bind_error(socket_addresses: Sequence[str], text: str) -> BindError:
    """iroh says no more than that binding failed: ask the system for the address that fails, and why."""
    for address in socket_addresses:
        host, _, port = address.rpartition(":")
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return port_in_use(address)
            return BindError(
                f"cannot listen on {address}: {error.strerror} (is it an address of this machine?)"
            )
    return BindError(f"cannot listen on {', '.join(socket_addresses)}: {text}")
