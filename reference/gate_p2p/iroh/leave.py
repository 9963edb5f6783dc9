"""The end of a process that has used iroh."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn

OUTPUT_LOST = 120
"""The status with which Python itself ends when it cannot write what is left."""


def leave(status: int) -> NoReturn:
    """End the process now, with all that was written flushed, past Python's own end.

    A thread of iroh that calls into Python while the interpreter goes down would abort the process: it would
    end with SIGABRT instead of `status`. Nothing that was registered with `atexit` runs.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # closed from the start
            continue
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):
            pass  # its reader is gone, or it is closed: nobody is left to tell
        except OSError:
            status = status or OUTPUT_LOST
    os._exit(status)


def run_and_leave(command: Callable[[], object]) -> None:
    """Run a command that ends with SystemExit; where it has loaded iroh, end by `leave`."""
    try:
        command()
    except SystemExit as end:
        if "iroh" in sys.modules and isinstance(end.code, int):
            leave(end.code)
        raise
    except Exception:
        if "iroh" not in sys.modules:
            raise
        sys.excepthook(*sys.exc_info())  # said as Python says it, but not ended as it ends
        leave(1)
