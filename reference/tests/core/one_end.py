"""One of two joined ends: how it is copied, what makes two of its states the same, what its frames hold."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from gate_p2p.core import Connection, FrameDecoder
from gate_p2p.core.liveness import Liveness
from gate_p2p.core.pending import PendingRequests
from gate_p2p.core.receiver import OPEN

T = TypeVar("T")


class Message(NamedTuple):
    """What a frame holds, as far as it matters here."""

    type: str
    id: str
    accepted: bool


@lru_cache(maxsize=4096)
def message_in(frame: bytes) -> Message:
    document = json.loads(frame[4:])
    number = document.get("request_id", document.get("id", ""))
    return Message(document["type"], str(number), document.get("accepted", True))


def frames_of(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = 4 + int.from_bytes(data[:4], "big")
        found.append(data[:size])
        data = data[size:]
    return found


_CHANGED: dict[type, list[str]] = {}


def copied(thing: T) -> T:
    """A copy that shares what nobody changes; deepcopy takes many times as long."""
    kind = type(thing)
    if kind not in _CHANGED:
        inside = (bytearray, dict, list, FrameDecoder, PendingRequests, Liveness)
        _CHANGED[kind] = [name for name, value in vars(thing).items() if isinstance(value, inside)]
    copy = object.__new__(kind)
    members = copy.__dict__
    members.update(thing.__dict__)
    for name in _CHANGED[kind]:
        value = members[name]
        members[name] = value.copy() if hasattr(value, "copy") else copied(value)
    return copy


def end_key(
    end: Connection,
    now: float,
    own: dict[str, int] | None = None,
    others: dict[str, int] | None = None,
) -> tuple[Any, ...]:
    """The same for one end; without numbers the ids stand as they are."""
    if end.finished:
        return (end.state, end.close_code)
    live, pending, opened = end._liveness, end._pending, end.state in OPEN
    name, other = (own or {}).get, (others or {}).get
    deadlines = {one: at for at, one in pending._deadlines}
    return (
        end.state,
        None if end._deadline is None else end._deadline - now,
        live.dead_at() - now if opened else None,
        live.keepalive_at() - now if opened else None,
        tuple(name(str(one), one) for one in live._unanswered),
        tuple((name(one, one), type(it), deadlines[one] - now) for one, it in pending._requests.items()),
        tuple((other(one, one), type(it)) for one, it in end._in_flight.items()),
        end.close_code,
        bytes(end._out),
    )
