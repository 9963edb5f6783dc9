"""Toy readers of data connections, to be replaced by your own."""

from __future__ import annotations

from typing import Any

from toy_receiver import Event, events_in, parse

READY = b"\x00\x00\x00\x05READY"
ERRORS = ("request_error", "upstream_error", "server_error")


def ready_events(data: bytes, size: int, end: str | None) -> list[Event]:
    """What a relay does with the beginning of a stream of which `size` bytes arrive at a time."""
    events: list[Event] = []
    for count in [*range(size, len(data), size), len(data)]:
        if not READY.startswith(data[: min(count, 9)]):
            return [{"close": 1}]
        if count >= 9 and not events:
            events.append({"idle": True})
        if count > 9:
            return [*events, {"close": 1}]
    if events:
        return [*events, {"close": 0}] if end else events
    return [{"close": 1 if end else 4}]


def request_event(body: bytes) -> Event:
    """What a responder makes of a request; a completion with whether it is streamed."""
    value, broken = parse(body)
    if broken:
        return {"violation": broken}
    if not isinstance(value, dict) or value.get("action") not in (None, "list_models"):
        return {"request_error": True}
    if value.get("action"):
        return {"list_models": True}
    known = isinstance(value.get("model"), str)
    return {"completion": value.get("stream") is True} if known else {"request_error": True}


def frame_event(body: bytes) -> Event:
    """What a requester makes of one frame of a response."""
    value, broken = parse(body)
    if broken:
        return {"violation": broken}
    if not isinstance(value, dict):
        return {"lost": True}
    if (error := value.get("error")) is None:
        return {"frame": value}
    kind = error.get("type") if isinstance(error, dict) else None
    return {"failure": kind if kind in ERRORS else "server_error"}


def response_events(data: bytes, size: int, stream: bool, end: str | None) -> list[Event]:
    """What a requester makes of a whole response."""
    events: list[Event] = []
    for event in events_in(data, size, end == "clean", frame_event):
        if "end" in event:
            return [*events, {"complete": True} if events else {"lost": True}]
        events.append(event)
        if "frame" not in event:
            return events
        if not stream:
            return [*events, {"complete": True}]
    return [*events, {"lost": True}] if end == "reset" else events


def data_events(data: bytes, size: int, vector: dict[str, Any]) -> list[Event]:
    """What is made of a vector of READY or of inference."""
    if "verdict" in vector:
        return [request_event(data)]
    if "stream" in vector:
        return response_events(data, size, vector["stream"], vector.get("end"))
    return ready_events(data, size, vector.get("end"))
