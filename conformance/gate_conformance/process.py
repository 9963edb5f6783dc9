"""A process that the suite starts: bounded in its end, with the tail of what it says on standard error."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shlex
import signal
from collections.abc import Mapping

from gate_conformance.verdicts import TargetGone, UsageError

TAIL = 4096
# The program's own fault; any other error is the machine's (no memory, too many open files).
_UNSTARTABLE = (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR, errno.ELOOP)
_CRASH_WORDS = ("Traceback (most recent call last)", "panicked at", "AddressSanitizer", "core dumped")


def split_command(command: str, what: str) -> list[str]:
    """The words of a command line. Raises UsageError when it is empty or badly quoted."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{what} {error} in {command!r}") from None
    if not words:
        raise UsageError(f"{what} a command is expected")
    return words


class Process:
    """Started with ``await Process.start(...)``; ended with ``stop``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.raw = process
        self._tail = b""
        self._stopped_by_us = False
        self._stderr_task = asyncio.get_running_loop().create_task(self._read_stderr())

    @classmethod
    async def start(cls, words: list[str], environment: Mapping[str, str], pipes: bool) -> Process:
        """``pipes``: standard input and output are the control stream's.

        Raises TargetGone when the program cannot be started, OSError when the machine has no room for it.
        """
        own = asyncio.subprocess.PIPE if pipes else asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=own,
                stdout=own,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, **environment},
                start_new_session=True,  # so that its own children can be ended with it
            )
        except OSError as error:
            if error.errno not in _UNSTARTABLE:
                raise
            raise TargetGone(
                f"cannot start {words[0]}: {error.strerror or error}", "is it installed and executable?"
            ) from None
        return cls(process)

    async def _read_stderr(self) -> None:
        assert self.raw.stderr is not None
        while data := await self.raw.stderr.read(65536):
            self._tail = (self._tail + data)[-TAIL:]

    @property
    def stderr_tail(self) -> str:
        return self._tail.decode("utf-8", "replace").strip()

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs, and when the suite has ended it."""
        return None if self._stopped_by_us else self.raw.returncode

    async def wait(self, within: float) -> int | None:
        """The exit status, or None when it still runs after so many seconds."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self.raw.wait(), within)
        return None

    def terminate(self) -> None:
        """SIGTERM: how it ends from now on is no crash."""
        if self.raw.returncode is None:
            self._stopped_by_us = True
            self._signal(signal.SIGTERM)

    async def stop(self, patience: float, politely: bool) -> int | None:
        """Wait, then end the process (SIGTERM first when ``politely``). The status, None when we ended it."""
        try:
            return await self._stop(patience, politely)
        except asyncio.CancelledError:  # an interrupt: no time for patience, and no process left behind
            self._signal(signal.SIGKILL)
            await self.wait(5.0)
            raise

    async def _stop(self, patience: float, politely: bool) -> int | None:
        if politely and self.raw.returncode is None:
            self._stopped_by_us = True
            self._signal(signal.SIGTERM)
        if self.raw.returncode is None and await self.wait(patience) is None:
            self._stopped_by_us = True
            self._signal(signal.SIGKILL)
            await self.wait(5.0)
        # A child that outlives the process may hold the pipe open.
        await asyncio.wait({self._stderr_task}, timeout=0.2)
        if not self._stderr_task.done():
            self._signal(signal.SIGKILL)
            await asyncio.wait({self._stderr_task}, timeout=1.0)
        self._stderr_task.cancel()
        return None if self._stopped_by_us else self.raw.returncode

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.raw.pid, number)

    def crash(self, status: int | None, every_status: bool) -> str | None:
        """What looks like a crash; with ``every_status`` every status but 0 does."""
        if status is None or status == 0:
            return None
        if status < 0:
            try:
                name = signal.Signals(-status).name
            except ValueError:
                name = str(-status)
            return f"the process was ended by signal {name}"
        if every_status or any(word in self.stderr_tail for word in _CRASH_WORDS):
            return f"the process exited with status {status}"
        return None
