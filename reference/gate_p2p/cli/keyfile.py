"""A secret key in a file: 32 raw bytes, readable by its owner alone."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from gate_p2p.cli.failure import Failure

KEY_BYTES = 32


def load_or_create(path: Path) -> bytes:
    """The key in the file, made when there is none. Raises Failure with what to do."""
    try:
        return load(path)
    except FileNotFoundError:
        return create(path)


def load(path: Path) -> bytes:
    """The key in the file. Raises FileNotFoundError, and Failure unless it is a private 32-byte file."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            key = file.read(KEY_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Failure(f"cannot read the key file {path}: {error.strerror}") from None
    if len(key) != KEY_BYTES:
        size = "more" if len(key) > KEY_BYTES else str(len(key))
        raise Failure(
            f"{path} is no key file: a key has {KEY_BYTES} bytes, this file has {size}; see gate-p2p keygen"
        )
    if os.name == "posix" and mode & 0o077:
        raise Failure(f"the key file {path} can be read by others (mode {mode:04o}): run chmod 600 {path}")
    return key


def create(path: Path) -> bytes:
    """Make a key and its file (0600), whole or not at all. Raises Failure, also when the file exists."""
    key = secrets.token_bytes(KEY_BYTES)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # fails when the file exists, where a rename would overwrite it
        finally:
            temporary.unlink()
    except FileExistsError:
        raise Failure(f"{path} exists already: a key is never overwritten") from None
    except OSError as error:
        raise Failure(f"cannot make the key file {path}: {error.strerror}") from None
    return key
