"""Secrets of an operator: from a file that others cannot read, or from the environment."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gate_p2p.cli.failure import Failure

MAX_SECRET = 65536  # bytes: more is no key and no token


def read_secret(option: str, path: Path | None, variable: str) -> tuple[str, str]:
    """A secret and where it came from: the file, or without one the environment. Raises Failure."""
    if path is None:
        if text := os.environ.get(variable):
            return text, variable
        raise Failure(f"where is the secret? Say {option} FILE, or set {variable} in the environment")
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(MAX_SECRET)
    except OSError as error:
        raise Failure(f"cannot read {option} {path}: {error.strerror}") from None
    if os.name == "posix" and mode & 0o007:
        raise Failure(f"{option} {path} can be read by everybody (mode {mode:04o}): run chmod 600 {path}")
    return content.decode("utf-8", "replace"), f"{option} {path}"
