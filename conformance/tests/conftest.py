"""A small node, and a way to run cases against any node, on virtual time."""

from __future__ import annotations

import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gate_conformance.case import Body, Case
from gate_conformance.runner import Report, Runner, Settings
from gate_conformance.targets.memory import MemoryTarget
from gate_conformance.trial import Options

Factory = Callable[..., Awaitable[None]]
OWN_ID = "5a" * 32


class SmallNode:
    """Answers Handshake and Ping, and closes over what is no frame; subclasses change one thing."""

    def __init__(self, stream: Any, role: str) -> None:
        self.stream = stream
        self.role = role
        self.buffer = b""

    async def send(self, **message: Any) -> None:
        body = json.dumps(message).encode()
        await self.stream.write(struct.pack(">I", len(body)) + body)

    async def on_start(self) -> None:
        if self.role == "dialer":
            await self.send(type="Handshake", node_id=OWN_ID, capabilities=["dns_challenge"])

    async def on_message(self, message: dict[str, Any]) -> None:
        if message["type"] == "Handshake":
            await self.send(type="HandshakeResponse", accepted=True, capabilities=["dns_challenge"])
        elif message["type"] == "Ping":
            await self.send(type="Pong", id=message["id"])

    async def run(self) -> None:
        await self.on_start()
        while data := await self.stream.read():
            self.buffer += data
            while len(self.buffer) >= 4:
                (length,) = struct.unpack(">I", self.buffer[:4])
                if not 0 < length <= 10_485_760:
                    await self.stream.finish()
                    self.stream.close(1)
                    return
                if len(self.buffer) < 4 + length:
                    break
                body, self.buffer = self.buffer[4 : 4 + length], self.buffer[4 + length :]
                await self.on_message(json.loads(body))
        await self.stream.finish()
        self.stream.close(0)

    @classmethod
    def factory(cls) -> Factory:
        async def serve(stream: Any, *, role: str, peer_id: str) -> None:
            try:
                await cls(stream, role).run()
            except ConnectionError:
                return  # the suite has closed: an orderly end

        return serve


@pytest.fixture
def small_node() -> type[SmallNode]:
    return SmallNode


MakeCase = Callable[..., Case]
RunCases = Callable[..., Report]


@pytest.fixture
def make_case() -> MakeCase:
    """A case that is in no registry."""

    def make(body: Body, requirement: str = "LV-01", case_id: str = "tests.case", **more: Any) -> Case:
        return Case(case_id, requirement, more.pop("roles", ("acceptor", "dialer")), body, "A case.", **more)

    return make


@pytest.fixture
def run_cases() -> RunCases:
    """Run cases against a factory on virtual time."""

    def run(factory: Factory, *cases: Case, role: str = "acceptor", seed: int = 1, **options: Any) -> Report:
        target = MemoryTarget("py:tests:factory", factory, role, "ab" * 32)
        settings = Settings(seed=seed, examples_scale=options.pop("examples_scale", 1.0))
        return Runner(target, list(cases), Options(peer_id="ab" * 32, **options), settings).run()

    return run
