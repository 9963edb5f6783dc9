"""How many Pings a second the core answers, beside the sans-IO core of websockets.

Both stand in their open state, as the accepting side, and are fed the same number of Pings: a Gate frame
with a large id, a masked WebSocket frame with 8 bytes of payload. Both have to give back every Pong as
bytes, and the events that they report are taken out. Two shapes: one frame a call, and
reads of 16 KiB with many frames in each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from gate_p2p.core import Connection
from measure import Result, side_by_side

PINGS = 4000
READ = 16 * 1024
FIRST_ID = 2**40


def gate_ping(number: int) -> bytes:
    body = b'{"type":"Ping","id":%d}' % (FIRST_ID + number)
    return len(body).to_bytes(4, "big") + body


def websocket_ping(number: int) -> bytes:
    return Frame(Opcode.PING, (FIRST_ID + number).to_bytes(8, "big")).serialize(mask=True)


# A Pong is as long as its Ping; a server's frames carry no mask.
GATE_PONG_BYTES = sum(len(gate_ping(number)) for number in range(PINGS))
WEBSOCKET_PONG_BYTES = PINGS * (2 + 8)


def reads(frames: Sequence[bytes]) -> list[bytes]:
    """The stream of all frames, cut into reads of 16 KiB wherever that falls."""
    stream = b"".join(frames)
    return [stream[start : start + READ] for start in range(0, len(stream), READ)]


def established() -> Connection:
    """An acceptor after the handshake, nothing left to send."""
    dialer = Connection.dialer(node_id="da" * 32, capabilities=["inference"], now=0.0)
    acceptor = Connection.acceptor(node_id="e1" * 32, capabilities=["dns_challenge"], now=0.0)
    acceptor.receive_data(dialer.data_to_send(), now=0.0)
    acceptor.data_to_send()
    return acceptor


def gate_answers(chunks: Sequence[bytes]) -> int:
    connection = established()
    events = size = 0
    now = 0.0
    for chunk in chunks:
        now += 1e-6
        events += len(connection.receive_data(chunk, now))
        size += len(connection.data_to_send())
    if (events, size) != (PINGS, GATE_PONG_BYTES):
        raise AssertionError(f"{PINGS} Pings gave {events} events and {size} bytes of Pongs")
    return PINGS


def websocket_answers(chunks: Sequence[bytes]) -> int:
    protocol = ServerProtocol(state=State.OPEN)
    events = size = 0
    for chunk in chunks:
        protocol.receive_data(chunk)
        events += len(protocol.events_received())
        size += len(b"".join(protocol.data_to_send()))
    if (events, size) != (PINGS, WEBSOCKET_PONG_BYTES):
        raise AssertionError(f"{PINGS} Pings gave {events} events and {size} bytes of Pongs")
    return PINGS


def compare(name: str, cut: Callable[[Sequence[bytes]], Sequence[bytes]]) -> Result:
    """Both cores on the same number of Pings, their streams cut in the same way."""
    ours = cut([gate_ping(number) for number in range(PINGS)])
    theirs = cut([websocket_ping(number) for number in range(PINGS)])
    value, anchor_value = side_by_side(lambda: gate_answers(ours), lambda: websocket_answers(theirs))
    return Result(name, value, "messages/s", "websockets sans-IO core", anchor_value, goal=2.0)


def run() -> list[Result]:
    """Both shapes; the first is the one with a frame a call, where the cost of a call counts in full."""
    return [
        compare("core ping answer", list),
        compare("core ping answer, 16 KiB reads", reads),
    ]
