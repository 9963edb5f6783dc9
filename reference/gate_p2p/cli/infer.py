"""gate-p2p infer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gate_p2p.cli.failure import FAILED, Failure
from gate_p2p.cli.options import ANSWER_TIMEOUT, key_option, timeout_option

if TYPE_CHECKING:
    from gate_p2p.session.inference import InferenceCall
    from gate_p2p.session.session import P2PSession


@click.command("infer")
@click.argument("address")
@click.argument("prompt", nargs=-1, required=True)
@click.option("--model", metavar="NAME", help="The model to ask; `gate-p2p models` lists them.")
@click.option(
    "--stream/--no-stream",
    default=None,
    help="Print the answer as it comes, which is the default, or when it is whole.",
)
@key_option
@timeout_option(ANSWER_TIMEOUT)
@click.option("--json", "as_json", is_flag=True, help="Print every object of the answer, one a line.")
def command(
    address: str,
    prompt: tuple[str, ...],
    model: str | None,
    stream: bool | None,
    key: Path | None,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Ask the node at ADDRESS, <node id>@<ip:port>, for a completion of PROMPT, and print its text.

    PROMPT is the user's message; `-` reads a whole request as JSON from standard input instead, in which
    --model and --stream replace what it says. Interrupting the command stops the node's work.
    Exit status: 0 answered, 1 refused or failed, 2 wrong usage, 3 unreachable, 130 interrupted.

    \b
    Examples:
      gate-p2p infer <id>@203.0.113.9:31146 --model tiny "Why is the sky blue?"
      gate-p2p infer <id>@203.0.113.9:31146 --model tiny --no-stream --json Hello
      echo '{"model": "tiny", "messages": [], "n": 1}' | gate-p2p infer <id>@203.0.113.9:31146 -
    """
    from gate_p2p.cli.ask import NO_INFERENCE, ask

    if prompt == ("-",):
        request = _read_request()
    else:
        if model is None:
            raise Failure("which model? Say --model NAME; `gate-p2p models ADDRESS` lists them")
        request = {"messages": [{"role": "user", "content": " ".join(prompt)}], "stream": True}
    if model is not None:
        request["model"] = model
    if stream is not None:
        request["stream"] = stream

    async def call(session: P2PSession, peer_id: str) -> None:
        await _print(session.infer(peer_id, request, timeout), as_json)

    ask(address, key, call, lacks=NO_INFERENCE)


async def _print(answer: InferenceCall, as_json: bool) -> None:
    import json

    from gate_p2p.cli.ask import NOTHING_CAME, write
    from gate_p2p.transport import ConnectionLost

    last = "\n"
    got = NOTHING_CAME
    try:
        async with answer as frames:
            async for frame in frames:
                got = "the answer may not be whole"
                if as_json:
                    write(json.dumps(frame, ensure_ascii=False) + "\n")
                elif text := _text(frame):
                    write(text)
                    last = text
    except ConnectionLost as error:
        raise Failure(f"{error}; {got}", FAILED) from None
    finally:
        if not last.endswith("\n"):
            write("\n")


def _text(frame: dict[str, Any]) -> str:
    """The text of the first choice, of a chunk or of a whole completion; else empty."""
    choices = frame.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    for name in ("delta", "message"):
        part = first.get(name) if isinstance(first, dict) else None
        content = part.get("content") if isinstance(part, dict) else None
        if isinstance(content, str):
            return content
    return ""


def _read_request() -> dict[str, Any]:
    from gate_p2p.core import RemoteProtocolError
    from gate_p2p.core.documents import decode_document
    from gate_p2p.core.limits import MAX_FRAME

    body = sys.stdin.buffer.read(MAX_FRAME + 1)
    if len(body) > MAX_FRAME:
        raise Failure(f"the request on standard input is longer than {MAX_FRAME} bytes")
    try:
        request = decode_document(body)
    except RemoteProtocolError as error:
        raise Failure(f"the request on standard input is {error}") from None
    if not isinstance(request, dict):
        raise Failure("the request on standard input is no JSON object")
    return request
