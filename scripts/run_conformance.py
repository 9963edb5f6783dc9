"""Point the suite at the reference node, in both directions, over real Iroh.

Starts a relay as a process and judges it as acceptor; then starts daemons that dial the suite, again after
each case, and judges them as dialer; then has the suite start a daemon of its own, for the case that ends it.
Reports go to build/conformance/; the exit status is the worst of the runs and of the nodes' own ends. Options
that are not known here go to the first two runs, and --only PATTERN leaves the third out.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "conformance"
BIN = Path(sys.executable).parent
GATE_P2P, GATE_CONFORMANCE = str(BIN / "gate-p2p"), str(BIN / "gate-conformance")

DOMAIN = "conformance.test"
REFUSED_DOMAIN = "refused.test"
SLOW_DOMAIN = "slow.conformance.test"
SLOW_SECONDS = 6.5
PUBLISHED = "192.0.2.1"  # for documentation (RFC 5737): the address that the relay registers names with
DAEMONS = 24  # the six longest cases keep one each for most of a minute; the others share the rest
START_SECONDS = 30.0
END_SECONDS = 15.0


class NodeError(Exception):
    """The reference node did not start or did not end as it should; the text is for people."""


@dataclass(frozen=True)
class Run:
    """One run of the suite: what was judged, how it ended, and its report if there is one."""

    role: str
    node: str
    status: int
    seconds: float
    report: dict[str, Any] | None


def new_key(path: Path) -> str:
    """Create a secret key file; returns the node id, 64 lowercase hexadecimal characters."""
    done = subprocess.run([GATE_P2P, "keygen", str(path)], capture_output=True, text=True, check=False)
    found = re.search(r"\b[0-9a-f]{64}\b", done.stdout)
    if done.returncode or not found:
        raise NodeError(
            f"gate-p2p keygen ended with {done.returncode}: {done.stderr.strip() or done.stdout!r}"
        )
    return found[0]


@dataclass(frozen=True)
class Suite:
    """The identities of the suite: two key files, and the ids that go with them."""

    key: Path
    node_id: str
    other_key: Path
    other_id: str

    @classmethod
    def new(cls, directory: Path) -> Suite:
        """Two fresh keys in this directory."""
        key, other = directory / "suite.key", directory / "other.key"
        return cls(key, new_key(key), other, new_key(other))


def policy_options(suite: Suite) -> list[str]:
    """What makes a reference node serve the suite: the domains that it may act for, one of them slow."""
    names = [(who, domain) for who in (suite.node_id, suite.other_id) for domain in (DOMAIN, SLOW_DOMAIN)]
    allowed = [word for who, domain in names for word in ("--allow", f"{who}={domain}")]
    return [*allowed, "--dns-delay", f"{SLOW_DOMAIN}={SLOW_SECONDS}"]


@contextmanager
def relay(key: Path, suite: Suite, log: Path) -> Iterator[str]:
    """A reference relay as a process, yields its address; at the end SIGTERM, which has to give status 0."""
    command = [GATE_P2P, "relay", "--listen", "127.0.0.1:0", "--key", str(key), *policy_options(suite)]
    command += ["--publish-address", PUBLISHED]
    printed = log.with_suffix(".out")
    see = f"; see {log.relative_to(ROOT)}"
    with printed.open("wb") as output, log.open("wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        try:
            address = first_line(printed, process)
            if not re.fullmatch(r"[0-9a-f]{64}@\S+:\d+", address):
                raise NodeError(f"the relay printed no address but {address!r}{see}")
            yield address
            if process.poll() is not None:
                raise NodeError(f"the relay ended by itself with status {process.returncode}{see}")
        finally:
            status = end(process)
    if status:
        raise NodeError(f"the relay ended with status {status} after SIGTERM{see}")


def first_line(printed: Path, process: subprocess.Popen[bytes]) -> str:
    """The first line that a process writes to a file; what there is when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        line, newline, _ = printed.read_text(encoding="utf-8").partition("\n")
        if newline:
            return line.strip()
        time.sleep(0.02)
    return printed.read_text(encoding="utf-8").partition("\n")[0].strip()


def end(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM, and SIGKILL for a process that does not obey; returns the exit status."""
    if process.poll() is None:
        process.terminate()
    return wait_for_end(process)


def wait_for_end(process: subprocess.Popen[bytes]) -> int:
    """The exit status of a process that was told to end."""
    try:
        return process.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextmanager
def daemons(directory: Path, address: str, suite: Suite, listening: int, log: Path) -> Iterator[None]:
    """Reference daemons as processes, started once the suite listens, that dial it until SIGTERM."""
    processes: list[subprocess.Popen[bytes]] = []
    stop = threading.Event()

    def start() -> None:
        # a dial to a port where nobody listens yet takes 30 s to fail
        while not stop.is_set() and not in_use(listening):
            stop.wait(0.05)
        for number in range(DAEMONS):
            if stop.is_set():
                return
            command = [GATE_P2P, "daemon", "--relay", address, "--keep-trying", *policy_options(suite)]
            command += ["--key", str(directory / f"daemon-{number}.key")]
            processes.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
            )

    with log.open("wb") as errors:
        starter = threading.Thread(target=start)
        starter.start()
        try:
            yield
            early = [process.returncode for process in processes if process.poll() is not None]
        finally:
            stop.set()
            starter.join()
            for process in processes:
                process.terminate()
            statuses = [wait_for_end(process) for process in processes]
    if early:
        raise NodeError(
            f"{len(early)} daemons ended by themselves, with {early}; see {log.relative_to(ROOT)}"
        )
    if any(statuses):
        raise NodeError(f"daemons ended with {statuses} after SIGTERM; see {log.relative_to(ROOT)}")


def in_use(port: int) -> bool:
    """Whether a UDP socket is bound to this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port() -> int:
    """A UDP port of 127.0.0.1 that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_suite(role: str, node: str, target: list[str], suite: Suite, extra: list[str]) -> Run:
    """Run the suite once, its terminal report on our standard output."""
    report = REPORTS / f"{role.replace(' ', '-')}.json"
    report.unlink(missing_ok=True)
    command = [
        *(GATE_CONFORMANCE, "run", *target, "--key", str(suite.key), "--other-key", str(suite.other_key)),
        *("--domain", DOMAIN),
        *("--refused-domain", REFUSED_DOMAIN, "--slow-domain", SLOW_DOMAIN),
        *("--json", str(report), "--junit", str(report.with_suffix(".xml")), *extra),
    ]
    started = time.monotonic()
    status = subprocess.run(command, check=False).returncode
    seconds = time.monotonic() - started
    content = json.loads(report.read_text(encoding="utf-8")) if report.exists() else None
    return Run(role, node, status, seconds, content)


def interrupt(number: int, frame: FrameType | None) -> None:
    """A handler that makes SIGTERM end the nodes in order, as SIGINT does."""
    raise KeyboardInterrupt


def must_cases() -> set[str]:
    """The ids of the cases that test a MUST."""
    listed = subprocess.run([GATE_CONFORMANCE, "list", "--json"], capture_output=True, check=True).stdout
    return {case["id"] for case in json.loads(listed) if case["level"] == "MUST"}


def summary(run: Run) -> str:
    """One line: how many cases ran, over what, in which time, and the MUST set among them."""
    if run.report is None:
        return f"{run.role}: no report, the suite ended with status {run.status}"
    cases = run.report["cases"]
    # a result carries the level of what was violated, so the level of a case comes from the list
    must = must_cases() & {case["id"] for case in cases}
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in run.report["summary"].items() if count)
    return (
        f"{run.role}: {len(cases)} cases over Iroh (loopback) against {run.node} in {run.seconds:.1f} s,"
        f" {len(must)} of them the MUST set in {run.report['must_seconds']:.1f} s: {verdicts}; "
        f"exit status {run.status}"
    )


def main() -> int:
    """Run both directions, and the case that ends its target; returns the worst exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--role", choices=("acceptor", "dialer"), help="judge the reference in this role only"
    )
    options, extra = parser.parse_known_args()
    signal.signal(signal.SIGTERM, interrupt)
    REPORTS.mkdir(parents=True, exist_ok=True)
    runs: list[Run] = []
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="gate-conformance-") as directory:
        try:
            suite = Suite.new(Path(directory))
            if options.role in (None, "acceptor"):
                with relay(Path(directory) / "relay.key", suite, REPORTS / "relay.log") as address:
                    print(f"== acceptor: a reference relay at {address}", flush=True)
                    runs.append(run_suite("acceptor", "gate-p2p relay", [f"iroh:{address}"], suite, extra))
            if options.role in (None, "dialer"):
                port = free_port()
                address = f"{suite.node_id}@127.0.0.1:{port}"
                print(f"== dialer: {DAEMONS} reference daemons that dial the suite at {address}", flush=True)
                with daemons(Path(directory), address, suite, port, REPORTS / "daemons.log"):
                    target = [f"listen:127.0.0.1:{port}", "--jobs", str(DAEMONS)]
                    runs.append(run_suite("dialer", "gate-p2p daemon", target, suite, extra))
                if not any(word.startswith("--only") for word in extra):
                    print("== dialer to be ended: a reference daemon that the suite starts", flush=True)
                    dialer = f"{GATE_P2P} daemon --relay {{address}}"
                    target = ["listen", "--dialer", dialer, "--only", "closing.target-*"]
                    runs.append(run_suite("dialer to be ended", "gate-p2p daemon", target, suite, extra))
        except NodeError as error:
            problems.append(f"error: {error}")
    print()
    for line in [*map(summary, runs), *problems]:
        print(line)
    print(f"reports: {REPORTS.relative_to(ROOT)}/")
    return max([run.status for run in runs] + [4 if problems else 0])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
