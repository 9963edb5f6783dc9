"""What stands in the zone, in a file: so that a node that was killed knows it when it starts again."""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # Windows: nobody watches there that one process alone has the file
    fcntl = None  # type: ignore[assignment]

_log = logging.getLogger("gate_p2p.dns")

HEADER: Final = b'["gate-p2p DNS journal", 1]\n'
SLACK: Final = 1000
"""Lines that the file may have beyond twice the entries before it is written anew."""

Entry = tuple[str, ...]


class Journal:
    """A set of entries, tuples of texts, that outlives the process; one process at a time has the file.

    The file is appended to, a line for each change, and written anew at the start and when it has grown. A
    line counts once it is whole, so a process may be killed at any moment; after a power cut the changes of
    the last seconds may be missing. `path`: made when absent, for its owner alone. Raises OSError where it
    cannot be read, written or had alone, and ValueError for a file that is something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()  # where a link leads, the file itself is exchanged
        self._entries: dict[Entry, None] = {}
        self._torn = False
        self._lines = self._rewrite_at = 0
        self._fd = self._open()
        try:
            with os.fdopen(os.dup(self._fd), "rb") as file:
                self._read(file.read())
            self._write_anew()
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What was added and not removed, oldest first."""
        return tuple(self._entries)

    def add(self, entry: Entry) -> None:
        """Have the entry in the file when this returns; one that is there is no error. Raises OSError."""
        if entry not in self._entries:
            self._append("+", entry)
            self._entries[entry] = None

    def remove(self, entry: Entry) -> None:
        """Take the entry out. Where that cannot be written, the next start finds it once more."""
        if entry in self._entries:
            del self._entries[entry]
            try:
                self._append("-", entry)
            except OSError as error:
                _log.error("cannot write to %s: %s", self._path, error.strerror)

    def close(self) -> None:
        """Let go of the file; what it holds stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # -- the file

    def _open(self) -> int:
        """The file, locked: once more where another process has exchanged it since it was opened."""
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _lock(fd)
                if self._is_at_path(fd):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def _is_at_path(self, fd: int) -> bool:
        same = True  # where nothing can be locked there is nothing that an exchange could void
        if fcntl is not None:
            try:
                same = os.path.samestat(os.fstat(fd), self._path.stat())
            except FileNotFoundError:
                same = False
        return same

    def _append(self, sign: str, entry: Entry) -> None:
        # a line that was not written whole is ended first, and is then one that cannot be read
        line = b"\n" * self._torn + _line(sign, entry)
        self._torn = True
        if os.write(self._fd, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._torn = False
        self._lines += 1
        if self._lines > self._rewrite_at:
            try:
                self._write_anew()
            except OSError as error:
                _log.warning("cannot write %s anew: %s", self._path, error.strerror)
                self._rewrite_at = 2 * self._lines

    def _read(self, content: bytes) -> None:
        if not content:
            return
        header, *lines = content.split(b"\n")
        if header + b"\n" != HEADER:
            raise ValueError(f"{self._path} is no DNS journal")
        if lines and lines.pop():
            _log.warning("%s: the last line is not whole, and left out", self._path)
        for line in filter(None, lines):
            try:
                sign, *words = json.loads(line)
                entry = tuple(str(word) for word in words)
            except (ValueError, TypeError):
                _log.warning("%s: a line cannot be read, and is left out", self._path)
                continue
            if sign == "+":
                self._entries[entry] = None
            else:
                self._entries.pop(entry, None)

    def _write_anew(self) -> None:
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            with os.fdopen(os.dup(fd), "wb") as file:
                file.write(HEADER)
                file.writelines(_line("+", entry) for entry in self._entries)
                file.flush()
                os.fsync(file.fileno())
            _lock(fd)
            temporary.replace(self._path)
        except BaseException:
            os.close(fd)
            temporary.unlink(missing_ok=True)
            raise
        os.close(self._fd)
        self._fd = fd
        self._torn = False
        self._lines = len(self._entries)
        self._rewrite_at = 2 * self._lines + SLACK


def _line(sign: str, entry: Entry) -> bytes:
    return json.dumps([sign, *entry]).encode() + b"\n"


def _lock(fd: int) -> None:
    """Have the file for this process alone. Raises OSError."""
    if fcntl is not None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(errno.EBUSY, "another process has it open") from None
