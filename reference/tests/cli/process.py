"""`gate-p2p` as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = Path(__file__).parents[2]
PEER_ID = "ab" * 32


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PACKAGES), "PYTHONWARNINGS": "error", **more}


def run(*arguments: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run to the end; standard input is a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "gate_p2p.cli", *arguments],
        input=stdin,
        capture_output=True,
        timeout=45,
        check=False,
        env=environment(**env),
    )


class Node:
    """A node that runs until it is stopped; `first`: its first line of standard output.

    `before`: Python code that its process executes first.
    """

    def __init__(self, *arguments: str, before: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\nfrom gate_p2p.cli import main\nmain()", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert self.process.stdout is not None
        self.stdout = self.process.stdout
        self.first = self.stdout.readline().rstrip("\n")

    def stop(self, number: int) -> tuple[int, str, str]:
        """Send a signal; the exit status, the rest of standard output, standard error."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=45)
        return self.process.returncode, out, err

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=45)


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def frames(data: bytes) -> list[Any]:
    """The documents of some whole frames."""
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        found.append(json.loads(data[4 : 4 + size]))
        data = data[4 + size :]
    return found
