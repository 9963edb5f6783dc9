"""Server-sent events: the data of each event, out of the bytes of a response."""

from __future__ import annotations

import re
from collections.abc import Iterator

_LINE_END = re.compile(rb"\r\n|\r|\n")


class TooLongError(Exception):
    """An event is longer than the decoder's bound."""


class EventDecoder:
    """Cuts a body of `text/event-stream` into events. `longest`: bytes of one event, line ends included."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._first = True

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of every event that is complete now. Raises TooLongError, after those before it."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]  # the second half of a line end that was taken at its first
        if not chunk:
            return
        self._after_cr = chunk.endswith(b"\r")
        *lines, rest = _LINE_END.split(chunk)
        for line in lines:
            self._line += line
            if (data := self._end_line()) is not None:
                yield data
        self._line += rest
        self._check()

    def end(self) -> bytes | None:
        """The stream ended: the data of an event whose blank line is missing."""
        data = self._end_line()
        return self._end_event() if data is None else data

    def _end_line(self) -> bytes | None:
        line = bytes(self._line)
        self._line.clear()
        if self._first:
            self._first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._end_event()
        name, _, value = line.partition(b":")
        if name == b"data":  # comments begin with a colon; what else an event has is nothing to us
            self._data.append(value.removeprefix(b" "))
            self._size += len(line) + 1
            self._check()
        return None

    def _end_event(self) -> bytes | None:
        if not self._data:
            return None
        data = b"\n".join(self._data)
        self._data.clear()
        self._size = 0
        return data

    def _check(self) -> None:
        if self._size + len(self._line) > self._longest:
            raise TooLongError
