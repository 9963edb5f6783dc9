"""The daemon's --upstream: inference requests of peers go to a model server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gate_p2p.cli.failure import Failure
from gate_p2p.cli.secret import read_secret

if TYPE_CHECKING:
    from gate_p2p.cli.node import Beside
    from gate_p2p.session.session import P2PSession

KEY_VARIABLE = "GATE_UPSTREAM_KEY"


def read_upstream(url: str | None, key_file: Path | None) -> Beside | None:
    """What --upstream and --upstream-key-file ask for; raises Failure."""
    if url is None:
        if key_file is not None:
            raise Failure("--upstream-key-file goes with --upstream URL")
        return None
    if find_spec("httpx") is None:
        raise Failure("--upstream needs the extra \"inference\": pip install 'gate-p2p[inference]'")
    from gate_p2p.model_server import ModelServer

    key = None
    source = "--upstream"
    if key_file is not None or os.environ.get(KEY_VARIABLE):
        key, source = read_secret("--upstream-key-file", key_file, KEY_VARIABLE)
        key = key.strip()
    try:
        server = ModelServer(url, key=key)
    except ValueError as error:
        raise Failure(f"{source}: {error}") from None

    @asynccontextmanager
    async def beside(session: P2PSession) -> AsyncIterator[Mapping[str, str]]:
        handle = session.take_inference_handle()
        assert handle is not None
        serving = asyncio.get_running_loop().create_task(handle.serve(server.answer))
        try:
            yield {}
        finally:
            serving.cancel()
            await asyncio.wait({serving})
            await server.aclose()

    return beside
