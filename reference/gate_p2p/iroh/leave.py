"""The end of a process that has used iroh."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End the process now, with all that was written flushed, past Python's own end.

    A thread of iroh that calls into Python while the interpreter goes down would abort the process: it would
    end with SIGABRT instead of `status`.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # its reader is gone, or it is closed
            stream.flush()
    os._exit(status)
