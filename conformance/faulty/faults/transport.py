"""Faults around streams and connections."""

from __future__ import annotations

import asyncio

from ..node import Node
from ..protocol import VIOLATION, Crash, Message, Violation
from ..registry import ACCEPTOR, DIALER, fault, variant

HERE = "transport"

variant(
    HERE,
    "second-stream-closes",
    "TR-03",
    does="Closes the connection over a second stream.",
    roles=ACCEPTOR,
    over="iroh",
    second_stream="close",
)
variant(
    HERE,
    "second-stream-served",
    "TR-02",
    does="Serves a second stream like the first.",
    roles=ACCEPTOR,
    over="iroh",
    second_stream="serve",
)
variant(
    HERE,
    "alpn-without-minor-version",
    "TR-07",
    does="Serves the ALPN without its minor version too, which nobody defined.",
    roles=ACCEPTOR,
    over="iroh",
    more_alpns=("gate/control/1",),
)
variant(
    HERE,
    "alpn-in-upper-case",
    "TR-07",
    does="Serves the ALPN in upper case too.",
    roles=ACCEPTOR,
    over="iroh",
    more_alpns=("GATE/CONTROL/1.0",),
)
for _way in ("datagram", "unidirectional stream"):
    variant(
        HERE,
        f"{_way.replace(' ', '-')}-served",
        "TR-08",
        does=f"Reads messages from a {_way} like those on the control stream.",
        over="iroh",
        beside=f"serve {_way}",
    )
    variant(
        HERE,
        f"{_way.replace(' ', '-')}-closes",
        "TR-08",
        does=f"Closes the connection over a {_way}.",
        over="iroh",
        beside=f"close {_way}",
    )
variant(
    HERE,
    "stream-of-acceptor-served",
    "TR-10",
    does="Serves a stream that the acceptor opens like its own.",
    roles=DIALER,
    over="iroh",
    stream_of_acceptor="serve",
)
variant(
    HERE,
    "stream-of-acceptor-closes",
    "TR-10",
    does="Closes the connection over a stream that the acceptor opens.",
    roles=DIALER,
    over="iroh",
    stream_of_acceptor="close",
)
variant(
    HERE,
    "dials-without-stream",
    "TR-01",
    "HS-01",
    does="Dials, and opens no stream.",
    roles=DIALER,
    over="iroh",
    dialled_streams=0,
)
variant(
    HERE,
    "dials-two-streams",
    "TR-01",
    does="Dials, and speaks on two streams.",
    roles=DIALER,
    over="iroh",
    dialled_streams=2,
)
variant(
    HERE,
    "stop-seen-by-writes-alone",
    "TR-12",
    does="Learns of a stop by its next write alone.",
    over="iroh",
    watches_stop=False,
)


@fault("one-connection-a-peer", "TR-04", roles=ACCEPTOR)
class OneConnectionAPeer(Node):
    """Closes the connection of a peer when it opens another."""

    async def start(self) -> None:
        for node in list(self.world.connections):
            if node is not self and node.peer_id == self.peer_id:
                node.end(self.done_code, "replaced")
        await super().start()


@fault("second-connection-refused", "TR-04", roles=ACCEPTOR)
class SecondConnectionRefused(Node):
    """Closes a second connection of a peer."""

    async def start(self) -> None:
        if len(self.world.connections) > 1:
            self.end(VIOLATION, "connected already")


@fault("one-connection-at-a-time", "TR-04", roles=ACCEPTOR)
class OneConnectionAtATime(Node):
    """Serves a connection when the one before it has ended."""

    async def read_on(self) -> None:
        while self.world.connections[0] is not self:
            self.opened = self.now()
            await asyncio.sleep(0.1)
        await super().read_on()


@fault("violation-closes-all", "TR-04", "TR-05", roles=ACCEPTOR)
class ViolationClosesAll(Node):
    """Closes every connection over a violation on one."""

    async def on_violation(self, violation: Violation) -> None:
        for node in self.world.connections:
            node.end(violation.code, violation.reason)
        await super().on_violation(violation)


@fault("violation-bans-peer", "TR-05", "TR-04", roles=ACCEPTOR)
class ViolationBansPeer(Node):
    """Serves a peer no more after a violation."""

    async def on_violation(self, violation: Violation) -> None:
        self.world.dead = True
        await super().on_violation(violation)


@fault("end-closes-all", "TR-04", roles=ACCEPTOR)
class EndClosesAll(Node):
    """Closes every connection at the end of one."""

    async def on_end_of_stream(self) -> None:
        for node in self.world.connections:
            node.end(self.done_code, "the peer is gone")
        await super().on_end_of_stream()


@fault("answers-on-the-latest-connection", "TR-04", "LV-01", "RQ-01", "HS-02", roles=ACCEPTOR)
class AnswersOnTheLatestConnection(Node):
    """Sends on the connection that the peer opened last."""

    async def on_ping(self, message: Message) -> None:
        await Node.on_ping(self.world.connections[-1], message)


@fault("handshake-shared", "TR-04", "HS-07", roles=ACCEPTOR)
class HandshakeShared(Node):
    """Takes a peer for ready on every connection when it is on one."""

    def check_handshake(self, message: Message) -> None:
        if not any(node.established for node in self.world.connections):
            super().check_handshake(message)


@fault("abort-crashes", "TR-05")
class AbortCrashes(Node):
    """Does not catch the loss of a connection."""

    def lose(self, reason: str) -> None:
        self.world.dead = True
        super().lose(reason)


@fault("stops-after-one-connection", "TR-05", "TR-04", roles=ACCEPTOR)
class StopsAfterOneConnection(Node):
    """Ends the process with its first connection."""

    async def on_end_of_stream(self) -> None:
        self.world.dead = True
        await super().on_end_of_stream()


class OverReset(Node):
    """Does not take a reset of the control stream for the loss of the connection."""

    async def read_on(self) -> None:
        try:
            await super().read_on()
        except ConnectionResetError as error:
            await self.over_reset(error)

    async def over_reset(self, error: ConnectionResetError) -> None:
        raise NotImplementedError


@fault("reset-leaves-open", "TR-12", "CL-10")
class ResetLeavesOpen(OverReset):
    """Stops reading after a reset, and keeps the connection."""

    async def over_reset(self, error: ConnectionResetError) -> None:
        """Nothing is done."""


class OverStop(Node):
    """Does something over a stop of its direction of the control stream."""

    def ignores(self, error: ConnectionResetError) -> bool:
        raise NotImplementedError

    async def write(self, data: bytes) -> None:
        try:
            await super().write(data)
        except ConnectionResetError as error:
            if not self.ignores(error):
                raise


@fault("stop-leaves-open", "TR-12", "CL-10")
class StopLeavesOpen(OverStop):
    """Drops what it would write after a stop, and keeps the connection."""

    def ignores(self, error: ConnectionResetError) -> bool:
        return True


@fault("reset-crashes", "TR-05", "TR-12")
class ResetCrashes(OverReset):
    """Does not expect a reset."""

    async def over_reset(self, error: ConnectionResetError) -> None:
        raise Crash(str(error))
