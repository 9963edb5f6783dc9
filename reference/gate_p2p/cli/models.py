"""gate-p2p models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gate_p2p.cli.options import ANSWER_TIMEOUT, key_option, timeout_option

if TYPE_CHECKING:
    from gate_p2p.session.session import P2PSession


@click.command("models")
@click.argument("address")
@key_option
@timeout_option(ANSWER_TIMEOUT)
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer, one JSON object.")
def command(address: str, key: Path | None, timeout: float | None, as_json: bool) -> None:
    """List the models that the node at ADDRESS, <node id>@<ip:port>, serves: one id a line.

    Exit status: 0 answered, 1 refused or failed, 2 wrong usage, 3 unreachable, 130 interrupted.

    \b
    Examples:
      gate-p2p models <id>@203.0.113.9:31146
      gate-p2p models <id>@203.0.113.9:31146 --json
    """
    from gate_p2p.cli.ask import NO_INFERENCE, ask

    async def call(session: P2PSession, peer_id: str) -> None:
        import json

        from gate_p2p.cli.ask import write
        from gate_p2p.session.errors import InferenceError
        from gate_p2p.text import one_line

        answer = await session.infer(peer_id, {"action": "list_models"}, timeout)
        models = answer.get("models")
        if not isinstance(models, list):
            raise InferenceError("the node answered with no list of models", None)
        if as_json:
            write(json.dumps(answer, ensure_ascii=False) + "\n")
            return
        # a node of version 0.1.0 may list bare names
        names = [model.get("id") if isinstance(model, dict) else model for model in models]
        write("".join(f"{one_line(name)}\n" for name in names if isinstance(name, str)))

    ask(address, key, call, lacks=NO_INFERENCE)
