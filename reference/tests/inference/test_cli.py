"""`gate-p2p daemon --upstream`, `gate-p2p infer` and `gate-p2p models` as processes."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ..cli.process import Node, environment
from ..cli.process import run as run_cli
from .openai_server import OpenAiServer, chunk, openai_server

pytestmark = pytest.mark.iroh


async def run(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    done = await asyncio.to_thread(run_cli, *arguments, stdin=stdin)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@asynccontextmanager
async def daemon(*arguments: str) -> AsyncIterator[tuple[OpenAiServer, str]]:
    """A daemon that serves from a local HTTP server; that server and the daemon's address."""
    async with openai_server() as upstream:
        with Node("relay") as relay:
            node = await asyncio.to_thread(
                Node, "daemon", "--relay", relay.first, "--upstream", upstream.url, *arguments
            )
            with node:
                yield upstream, node.first
                status, _, err = await asyncio.to_thread(node.stop, signal.SIGTERM)
                assert status == 0
                assert "Traceback" not in err
                assert "sesame" not in err


async def test_models_and_completions_are_printed(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sesame\n")
    key.chmod(0o600)
    async with daemon("--upstream-key-file", str(key)) as (upstream, address):
        assert await run("models", address) == (0, "tiny\nbig\n", "")
        assert upstream.seen[0][2]["authorization"] == "Bearer sesame"
        status, out, _ = await run("models", address, "--json")
        assert status == 0
        assert [model["id"] for model in json.loads(out)["models"]] == ["tiny", "big"]

        assert await run("infer", address, "--model", "tiny", "Say", "hello") == (0, "Hello, Gate!\n", "")
        body = upstream.seen[-1][3]
        said = [{"role": "user", "content": "Say hello"}]
        assert body == {"model": "tiny", "messages": said, "stream": True}
        assert await run("infer", address, "--model", "tiny", "--no-stream", "Hi") == (
            0,
            "Hello, Gate!\n",
            "",
        )
        assert upstream.seen[-1][3]["stream"] is False

        status, out, _ = await run("infer", address, "--model", "tiny", "--json", "Hi")
        assert [json.loads(line) for line in out.splitlines()] == [chunk("Hello"), chunk(", Gate!")]
        request = b'{"model": "other", "messages": [], "n": 1}'
        assert await run("infer", address, "--model", "tiny", "-", stdin=request) == (0, "Hello, Gate!\n", "")
        assert upstream.seen[-1][3] == {"model": "tiny", "messages": [], "n": 1}


async def test_what_fails_is_one_line_and_a_status() -> None:
    async with daemon() as (_, address):
        assert await run("infer", address, "--model", "status-404", "Hi") == (
            1,
            "",
            "gate-p2p: the model server knows no such model\n",
        )
        status, out, err = await run("infer", address, "--model", "broken-off", "Hi")
        assert (status, out, err) == (1, "Hello, Gate!\n", "gate-p2p: the model server broke off\n")
        assert await run("infer", address, "--model", "silent", "--timeout", "0.5", "Hi") == (
            1,
            "",
            "gate-p2p: the answer was not complete within 0.5 s\n",
        )
        with Node("relay") as relay:
            status, _, err = await run("models", relay.first)
            assert status == 1
            assert "serves no inference" in err
        elsewhere = f"{'8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c'}@{address[65:]}"
        status, _, err = await run("models", elsewhere)
        assert status == 3
        assert err.count("\n") == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_client_that_is_interrupted_ends_the_work_upstream(number: int, status: int) -> None:
    async with daemon() as (upstream, address):
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gate_p2p.cli", "infer", address, "--model", "endless", "Hi"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
        )
        assert client.stdout is not None
        assert (await client.stdout.readexactly(10)) == b"more more "  # as it comes
        client.send_signal(number)
        async with asyncio.timeout(5):
            await upstream.gone.wait()
        _, err = await client.communicate()
        assert client.returncode == status
        assert b"Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (("infer", "nonsense", "--model", "m", "Hi"), b"", "no '@'"),
        (("infer", f"{'ab' * 32}@127.0.0.1:1", "Hi"), b"", "--model"),
        (("infer", f"{'ab' * 32}@127.0.0.1:1", "-"), b"{", "no JSON document"),
        (("infer", f"{'ab' * 32}@127.0.0.1:1", "-"), b"[]", "no JSON object"),
        (("models", "nonsense"), b"", "no '@'"),
        (("models", f"{'ab' * 32}@127.0.0.1:1", "--timeout", "nan"), b"", "positive number of seconds"),
        (("infer", f"{'ab' * 32}@127.0.0.1:1", "--timeout", "0", "Hi"), b"", "positive number of seconds"),
        (("daemon", "--relay", f"{'ab' * 32}@127.0.0.1:1", "--upstream", "nonsense"), b"", "base URL"),
        (
            ("daemon", "--relay", f"{'ab' * 32}@127.0.0.1:1", "--upstream-key-file", "f"),
            b"",
            "--upstream URL",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: tuple[str, ...], stdin: bytes, words: str) -> None:
    failed = run_cli(*arguments, stdin=stdin)
    assert (failed.returncode, failed.stdout) == (2, b"")
    assert failed.stderr.count(b"\n") == 1
    assert words in failed.stderr.decode()


@pytest.mark.parametrize("command", ["infer", "models"])
def test_each_command_has_help_with_examples(command: str) -> None:
    shown = run_cli(command, "--help")
    assert shown.returncode == 0
    assert b"Examples" in shown.stdout
    assert f"gate-p2p {command}".encode() in shown.stdout
