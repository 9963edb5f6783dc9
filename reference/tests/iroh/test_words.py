"""iroh's texts, of both generations, read without iroh."""

from __future__ import annotations

import pytest

from gate_p2p.iroh import StreamReset, StreamStopped
from gate_p2p.iroh.words import bind_error, check_key, close_info, dial_error, port_in_use, stream_error
from gate_p2p.transport import BindError

TRACE = "\n\nStack backtrace:\n   0: anyhow::error\n   1: timed out::closure\n"


@pytest.mark.parametrize(
    ("text", "code", "by_peer", "reason"),
    [
        (None, None, False, ""),
        ("closed", None, False, "closed here"),
        ("timed out", None, False, "timed out"),
        ("closed by peer: 0", 0, True, ""),
        ("closed by peer: bye (code 42)", 42, True, "bye"),
        ("closed by peer: it says (code 7) here\n (code 1)", 1, True, "it says (code 7) here\n"),
        ("closed by peer: what now", None, True, ""),
        ("closed by peer: ²", None, True, ""),
    ],
)
def test_the_end_of_a_connection(text: str | None, code: int | None, by_peer: bool, reason: str) -> None:
    info = close_info(text)
    assert (info.code, info.by_peer, info.reason) == (code, by_peer, reason)


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("Reset(7)", StreamReset, 7),
        ("Stopped(9)", StreamStopped, 9),
        ("stream reset by peer: error 7" + TRACE, StreamReset, 7),
        ("sending stopped by peer: error 9" + TRACE, StreamStopped, 9),
    ],
)
def test_what_the_peer_did_to_a_stream(text: str, kind: type[StreamReset], code: int) -> None:
    error = stream_error(text)
    assert type(error) is kind
    assert error.code == code


@pytest.mark.parametrize("text", ["ClosedStream", "closed stream", "connection lost: Reset(7)", ""])
def test_what_is_nothing_of_the_peers(text: str) -> None:
    assert stream_error(text) is None


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("ConnectError\nCaused by:\n    timed out", "no_answer", "no answer: look here"),
        ("x\nCaused by:\n    error 120: peer doesn't support any known protocol", "unknown_alpn", "gate/a"),
        ("x\nCaused by:\n    invalid peer certificate: UnknownIssuer", "wrong_id", "check the node id"),
        ("x\nthe server refused to accept a new connection", "refused", "refuses"),
        ("No addressing information for NodeId(ae), unable to connect" + TRACE, "no_address", "no address"),
        ("Connecting to ourself is not supported (90 is the node id of this node)", "own_id", "own id"),
        ("Endpoint is closed", "closed", "closed"),
        ("endpoint stopping" + TRACE, "closed", "closed"),
        ("ConnectError\nCaused by:\n    something new", "other", "something new"),
        ("failed connecting\n\nCaused by:\n    something new" + TRACE, "other", "something new"),
        ("", "other", "the connection failed"),
    ],
)
def test_why_a_dial_failed(text: str, kind: str, words: str) -> None:
    error = dial_error(text, "gate/a", "look here")
    assert error.kind == kind
    assert words in str(error)
    assert "\n" not in str(error)


def test_why_binding_failed() -> None:
    assert "odd" in str(bind_error(("127.0.0.1:0",), "odd"))
    assert "192.0.2.1:0" in str(bind_error(("127.0.0.1:0", "192.0.2.1:0"), "odd"))
    assert "the port is in use" in str(port_in_use("127.0.0.1:4433"))
    check_key(None)
    check_key(bytes(32))
    with pytest.raises(BindError, match="has 31"):
        check_key(bytes(31))
