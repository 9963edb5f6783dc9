"""``exec:COMMAND``: control bytes on the standard streams of a process of its own per stream."""

from __future__ import annotations

import asyncio

from gate_conformance.channel import Channel, ChannelLost, CloseReport
from gate_conformance.process import Process, split_command
from gate_conformance.targets.base import Target, TargetOptions

START_GRACE = 8.0
_EXIT_PATIENCE = 5.0


class ExecChannel:
    """The end of standard output is the end of the stream."""

    grace = START_GRACE
    slack = 0.5
    kind = "exit"

    def __init__(self, process: Process) -> None:
        self.remote_id = ""
        self._process = process
        assert process.raw.stdin is not None
        assert process.raw.stdout is not None
        self._stdin, self._stdout = process.raw.stdin, process.raw.stdout

    async def read(self) -> bytes:
        return await self._stdout.read(65536)

    async def write(self, data: bytes) -> None:
        try:
            self._stdin.write(data)
            await self._stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise ChannelLost(None, True, "the process reads no more") from None

    async def finish(self) -> None:
        self._stdin.close()

    def close(self, code: int = 0, reason: str = "") -> None:
        self._stdin.close()

    async def wait_closed(self, within: float) -> CloseReport:
        return CloseReport(status=await self._process.wait(within))

    async def release(self) -> CloseReport:
        self._stdin.close()
        status = await self._process.stop(_EXIT_PATIENCE, politely=False)
        crash = self._process.crash(status, every_status=True)
        return CloseReport(None, status, crash, self._process.stderr_tail)

    async def open_second(self) -> Channel | None:
        return None

    async def accept_second(self, within: float) -> bool | None:
        return None

    def reset(self, code: int) -> bool:
        return False

    def stop(self, code: int) -> bool:
        return False

    async def send_beside(self, way: str, data: bytes) -> bool | None:
        return None


class ExecTarget(Target):
    """Starts the command once per control stream."""

    def __init__(self, text: str, rest: str, options: TargetOptions) -> None:
        super().__init__(text, options.role or "acceptor")
        self._words = split_command(rest, "exec:")
        self._environment = {"GATE_PEER_ID": options.peer_id, "GATE_ROLE": self.role}

    async def start(self) -> None:
        await (await self.open()).release()  # to see that it can be started; how it behaves is for the cases

    async def open(self) -> Channel:
        return ExecChannel(await Process.start(self._words, self._environment, pipes=True))

    async def aclose(self) -> None:
        await asyncio.sleep(0)  # lets the transports of ended processes close


__all__ = ["ExecChannel", "ExecTarget"]
