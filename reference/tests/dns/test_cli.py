"""The options of `gate-p2p relay` that say where TXT records go."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gate_p2p.cli.dns import Dns
from gate_p2p.dns.journal import Journal
from gate_p2p.dns.memory import MemoryDnsHandler
from gate_p2p.dns.registrar import PublishingRegistrar

from ..cli.process import Node, environment, run
from .knot import free_port
from .test_tsig import BIND, SECRET

TOKEN = "Sn3lZJTBX6kkg7OdcBUAxOO963GEIyGQqnFTOFYY"


def secret_file(directory: Path, content: str, mode: int = 0o600) -> str:
    path = directory / "secret"
    path.write_text(content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("published", "words"),
    [
        (False, "leave DNS records behind: --dns-journal FILE"),
        (True, "leave DNS records behind, and any end the addresses: --dns-journal FILE"),
    ],
)
async def test_without_a_journal_the_log_says_what_will_be_left(
    published: bool, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    handler = MemoryDnsHandler()
    registrar = PublishingRegistrar(handler.backend, "a.example", ["192.0.2.1"]) if published else None
    async with Dns(handler, registrar, None, in_memory=False):
        assert words in caplog.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rfc2136", "127.0.0.1:53", "--cloudflare"), "choose one"),
        (("--zone", "a.example"), "goes with --rfc2136"),
        (("--tsig-key-file", "key"), "goes with --rfc2136"),
        (("--dns-wait", "5"), "goes with --rfc2136 or --cloudflare"),
        (("--dns-journal", "relay.journal"), "goes with --rfc2136 or --cloudflare"),
        (("--dns-server", "127.0.0.1:53"), "goes with --rfc2136 or --cloudflare"),
        (("--cloudflare", "--dns-delay", "a.example=1"), "in memory"),
        (("--cloudflare",), "GATE_CLOUDFLARE_TOKEN"),
        (("--rfc2136", "127.0.0.1:53"), "GATE_TSIG_KEY"),
        (
            ("--cloudflare-token-file", "/nowhere/at/all"),
            "cannot read --cloudflare-token-file /nowhere/at/all",
        ),
        (("--publish-address", "here"), "'here' does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: tuple[str, ...], words: str) -> None:
    failed = run("relay", *arguments, GATE_CLOUDFLARE_TOKEN="", GATE_TSIG_KEY="")
    assert (failed.returncode, failed.stdout) == (2, b"")
    assert failed.stderr.startswith(b"gate-p2p: ")
    assert failed.stderr.count(b"\n") == 1
    assert words in failed.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rfc2136", "ns1.example:53"), "--rfc2136: 'ns1.example:53' is no socket address"),
        (("--rfc2136", "127.0.0.1:53", "--dns-server", "ns1"), "--dns-server: 'ns1' is no socket address"),
        (("--rfc2136", "127.0.0.1:53", "--zone", "example"), "single label"),
    ],
)
def test_a_bad_address_or_zone_is_named(arguments: tuple[str, ...], words: str) -> None:
    failed = run("relay", *arguments, GATE_TSIG_KEY=BIND)
    assert failed.returncode == 2
    assert words in failed.stderr.decode()


@pytest.mark.parametrize(
    ("option", "content", "words"),
    [
        ("--tsig-key-file", SECRET, "holds no TSIG key"),
        ("--cloudflare-token-file", f"{TOKEN} {SECRET}", "characters that no token has"),
    ],
)
def test_a_file_without_the_secret_is_an_error_that_does_not_repeat_it(
    tmp_path: Path, option: str, content: str, words: str
) -> None:
    arguments = ("--rfc2136", "127.0.0.1:53") if option == "--tsig-key-file" else ()
    failed = run("relay", *arguments, option, secret_file(tmp_path, content))
    assert failed.returncode == 2
    assert words in failed.stderr.decode()
    assert SECRET not in failed.stderr.decode()


def test_a_secret_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    path = secret_file(tmp_path, TOKEN, 0o644)
    failed = run("relay", "--cloudflare-token-file", path)
    assert failed.returncode == 2
    assert f"chmod 600 {path}" in failed.stderr.decode()
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o644


def test_a_journal_that_cannot_be_had_is_one_line_and_status_2(tmp_path: Path) -> None:
    other, journal = tmp_path / "other", tmp_path / "journal"
    other.write_bytes(b"precious")
    taken = Journal(journal)
    for path, words in (
        (tmp_path / "missing" / "journal", "No such file or directory"),
        (other, "is no DNS journal"),
        (journal, "another process has it open"),
    ):
        failed = run("relay", "--cloudflare", "--dns-journal", str(path), GATE_CLOUDFLARE_TOKEN=TOKEN)
        assert (failed.returncode, failed.stderr.count(b"\n")) == (2, 1)
        assert failed.stderr.startswith(b"gate-p2p: --dns-journal")
        assert words in failed.stderr.decode()
    taken.close()


@pytest.mark.parametrize("missing", ["dns", "httpx"])
@pytest.mark.parametrize("options", [["--rfc2136", "127.0.0.1:53"], ["--cloudflare"]])
def test_a_missing_extra_is_named_in_one_line(missing: str, options: list[str]) -> None:
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        f"hide = lambda name, *more: None if name == {missing!r} else find(name, *more)\n"
        "importlib.util.find_spec = hide\n"
        "from gate_p2p.cli import main\n"
        f"sys.argv = ['gate-p2p', 'relay', *{options!r}]\n"
        "main()\n"
    )
    failed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, env=environment(), timeout=45
    )
    assert failed.returncode == 2
    words = f"gate-p2p: {options[0]} needs the extra \"dns\": pip install 'gate-p2p[dns]'\n"
    assert failed.stderr.decode() == words


@pytest.mark.iroh
@pytest.mark.parametrize("source", ["file", "environment"])
def test_a_relay_starts_with_a_key_and_ends_in_order(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--rfc2136", f"127.0.0.1:{free_port(['127.0.0.1'])}", "--publish-address", "192.0.2.1"]
    if source == "file":
        arguments += ["--tsig-key-file", secret_file(tmp_path, BIND)]
    else:
        monkeypatch.setenv("GATE_TSIG_KEY", BIND)
    with Node("relay", *arguments) as relay:
        assert "@127.0.0.1:" in relay.first
        status, _, log = relay.stop(signal.SIGTERM)
    assert status == 0
    assert "Traceback" not in log
    assert log.count("a crash would leave DNS records behind") == 1
    assert SECRET not in log
