"""Point the suite at the reference node, in both directions, over real Iroh.

Starts a relay as a process and judges it as acceptor, and beside it a daemon that serves a model, which is
asked for inferences; then starts daemons that dial the suite, again after each case, and judges them as
dialer; then has the suite start a daemon of its own, for the case that ends it. Reports go to
build/conformance/; the exit status is the worst of the runs and of the nodes' own ends. Options that are not
known here go to every run but the last, which --only PATTERN leaves out.
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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import FrameType
from typing import Any

from model_server import model_server

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "conformance"
BIN = Path(sys.executable).parent
GATE_P2P, GATE_CONFORMANCE = str(BIN / "gate-p2p"), str(BIN / "gate-conformance")

DOMAIN = "conformance.test"
REFUSED_DOMAIN = "refused.test"
SLOW_DOMAIN = "slow.conformance.test"
SLOW_SECONDS = 6.5
PUBLISHED = "192.0.2.1"  # for documentation (RFC 5737): the address that the relay registers names with
SUFFIX = "private.example"  # what a reference relay takes when nothing else is said
IDLE_STREAMS = 2  # SNI-proxy streams that each daemon keeps ready
DAEMONS = 24  # the six longest cases keep one each for most of a minute; the others share the rest
INFERENCE_CASES = ("inference.", "closing.inference")  # what their ids begin with
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
def node(words: list[str], suite: Suite, log: Path) -> Iterator[dict[str, str]]:
    """A reference node as a process, yields what it says of its addresses; at the end SIGTERM, which has to
    give status 0."""
    command = [GATE_P2P, *words, "--json", *policy_options(suite)]
    printed = log.with_suffix(".out")
    see = f"; see {log.relative_to(ROOT)}"
    with printed.open("wb") as output, log.open("wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        try:
            line = first_line(printed, process)
            try:
                said = json.loads(line)
            except ValueError:
                raise NodeError(f"the {words[0]} printed no address but {line!r}{see}") from None
            yield said
            if process.poll() is not None:
                raise NodeError(f"the {words[0]} ended by itself with status {process.returncode}{see}")
        finally:
            status = end(process)
    if status:
        raise NodeError(f"the {words[0]} ended with status {status} after SIGTERM{see}")


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
def daemons(
    directory: Path, address: str, suite: Suite, listening: int, target: list[str], log: Path
) -> Iterator[None]:
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
            command = [GATE_P2P, "daemon", "--relay", address, "--keep-trying"]
            command += ["--longest-pause", "1", *policy_options(suite)]
            command += ["--key", str(directory / f"daemon-{number}.key"), *target]
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


def report_of(role: str) -> Path:
    """Where the report of a run is written."""
    return REPORTS / f"{role.replace(' ', '-')}.json"


def suite_command(role: str, target: list[str], suite: Suite, extra: list[str]) -> list[str]:
    """The words that run the suite once; a report of an earlier run is gone then."""
    report = report_of(role)
    report.unlink(missing_ok=True)
    return [
        *(GATE_CONFORMANCE, "run", *target, "--key", str(suite.key), "--other-key", str(suite.other_key)),
        *("--domain", DOMAIN),
        *("--refused-domain", REFUSED_DOMAIN, "--slow-domain", SLOW_DOMAIN),
        *("--json", str(report), "--junit", str(report.with_suffix(".xml")), *extra),
    ]


def finished(role: str, node: str, status: int) -> Run:
    """A run that is over, with its report. One that a signal ended has the status that shells give it."""
    report = report_of(role)
    content = json.loads(report.read_text(encoding="utf-8")) if report.exists() else None
    return Run(role, node, 128 - status if status < 0 else status, content)


def run_suite(role: str, node: str, target: list[str], suite: Suite, extra: list[str]) -> Run:
    """Run the suite once, its terminal report on our standard output."""
    command = suite_command(role, target, suite, extra)
    return finished(role, node, subprocess.run(command, check=False).returncode)


def interrupt(number: int, frame: FrameType | None) -> None:
    """A handler that makes SIGTERM end the nodes in order, as SIGINT does."""
    raise KeyboardInterrupt


def listed_cases() -> list[dict[str, Any]]:
    """What `gate-conformance list` says."""
    listed = subprocess.run([GATE_CONFORMANCE, "list", "--json"], capture_output=True, check=True).stdout
    cases: list[dict[str, Any]] = json.loads(listed)
    return cases


def must_cases() -> set[str]:
    """The ids of the cases that test a MUST."""
    return {case["id"] for case in listed_cases() if case["level"] == "MUST"}


def inference_options(extra: list[str]) -> list[str] | None:
    """The options of the run about inference: its cases, of those that were asked for; None without any."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--only", action="append", default=[])
    asked, rest = parser.parse_known_args(extra)
    chosen = []
    for case in listed_cases():
        about = case["id"].startswith(INFERENCE_CASES)
        names = (case["id"], case["requirement"], case["requirement"].lower(), case["id"].partition(".")[0])
        matched = [pattern for pattern in asked.only for name in names if fnmatchcase(name, pattern)]
        if about and (matched or not asked.only):
            chosen += ["--only", case["id"]]
    return [*rest, *chosen] if chosen else None


@contextmanager
def judged_inference(directory: Path, relay: str, suite: Suite, extra: list[str]) -> Iterator[list[Run]]:
    """A daemon that serves a model, judged while the block runs; its run is in the list at the end."""
    runs: list[Run] = []
    options = inference_options(extra)
    if options is None:
        yield runs
        return
    output = REPORTS / "inference.txt"
    with model_server() as url:
        words = ["daemon", "--relay", relay, "--key", str(directory / "responder.key"), "--upstream", url]
        with node(words, suite, REPORTS / "responder.log") as said, output.open("wb") as file:
            target = [f"iroh:{said['address']}", "--model", "tiny", "--slow-model", "slow"]
            command = suite_command("inference", target, suite, options)
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
            try:
                yield runs
                process.wait()
            finally:
                status = end(process)  # also when we are interrupted
            runs.append(finished("inference", "gate-p2p daemon --upstream", status))
    print(f"\n== inference: a reference daemon that serves a model at {said['address']}")
    print(output.read_text(encoding="utf-8"), flush=True)


def summary(run: Run) -> str:
    """One line: how many cases ran, over what, in which time, and the MUST set among them."""
    if run.report is None:
        return f"{run.role}: no report, the suite ended with status {run.status}"
    cases = run.report["cases"]
    # a result carries the level of what was violated, so the level of a case comes from the list
    must = must_cases() & {case["id"] for case in cases}
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in run.report["summary"].items() if count)
    return (
        f"{run.role}: {len(cases)} cases over Iroh (loopback) against {run.node}"
        f" in {run.report['seconds']:.1f} s,"
        f" {len(must)} of them the MUST set in {run.report['must_seconds']:.1f} s: {verdicts}; "
        f"exit status {run.status}"
    )


def main() -> int:
    """Run both directions; returns the worst exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--role", choices=("acceptor", "dialer", "inference"), help="do this run only")
    options, extra = parser.parse_known_args()
    signal.signal(signal.SIGTERM, interrupt)
    REPORTS.mkdir(parents=True, exist_ok=True)
    runs: list[Run] = []
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="gate-conformance-") as directory:
        try:
            suite = Suite.new(Path(directory))
            if options.role != "dialer":
                with ExitStack() as stack:
                    words = ["relay", "--listen", "127.0.0.1:0", "--https", "127.0.0.1:0"]
                    words += ["--publish-address", PUBLISHED]
                    words += ["--key", str(Path(directory) / "relay.key")]
                    said = stack.enter_context(node(words, suite, REPORTS / "relay.log"))
                    beside: list[Run] = []
                    if options.role != "acceptor":
                        judged = judged_inference(Path(directory), said["address"], suite, extra)
                        beside = stack.enter_context(judged)
                    if options.role != "inference":
                        print(f"== acceptor: a reference relay at {said['address']}", flush=True)
                        target = [f"iroh:{said['address']}", "--https", said["https"]]
                        target += ["--https-name", f"{suite.node_id[:32]}.{SUFFIX}"]
                        runs.append(run_suite("acceptor", "gate-p2p relay", target, suite, extra))
                runs += beside
            if options.role in (None, "dialer"):
                port = free_port()
                address = f"{suite.node_id}@127.0.0.1:{port}"
                print(f"== dialer: {DAEMONS} reference daemons that dial the suite at {address}", flush=True)
                streams = ["--https-target", f"127.0.0.1:{free_port()}", "--idle-streams", str(IDLE_STREAMS)]
                with daemons(Path(directory), address, suite, port, streams, REPORTS / "daemons.log"):
                    target = [f"listen:127.0.0.1:{port}", "--jobs", str(DAEMONS)]
                    target += ["--https-target", streams[1]]
                    runs.append(run_suite("dialer", "gate-p2p daemon", target, suite, extra))
                if not any(word.startswith("--only") for word in extra):
                    print("== dialer to be ended: a reference daemon that the suite starts", flush=True)
                    dialer = f"{GATE_P2P} daemon --relay {{address}}"
                    target = ["listen", "--dialer", dialer, "--only", "closing.target-*"]
                    runs.append(run_suite("dialer to be ended", "gate-p2p daemon", target, suite, extra))
        except NodeError as error:
            problems.append(f"error: {error}")
    if not runs and not problems:
        problems.append("error: none of the cases that were asked for is about inference")
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
