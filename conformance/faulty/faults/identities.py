"""Faults with peers that are not admitted, with a second peer, and with many connections of one."""

from __future__ import annotations

from ..node import Node
from ..protocol import DONE, NOT_AUTHORISED, VIOLATION
from ..registry import ACCEPTOR, fault, variant

HERE = "identities"

variant(
    HERE,
    "refused-never-closed",
    "HS-17",
    does="Leaves it to the refused dialer to close.",
    roles=ACCEPTOR,
    refused_wait=1e9,
)
variant(
    HERE,
    "refused-closed-with-0",
    "HS-17",
    does="Closes with 0 after a refusal.",
    roles=ACCEPTOR,
    refused_code=0,
)


class ClosesOnStrangers(Node):
    """Answers no Handshake of a peer that may not have the connection, and closes it."""

    stranger_code = NOT_AUTHORISED

    async def turn_away(self) -> None:
        self.end(self.stranger_code, "not admitted")


@fault("stranger-closed-with-0", "CL-05", roles=ACCEPTOR)
class StrangerClosedWith0(ClosesOnStrangers):
    """Closes a connection that the peer may not have with 0."""

    stranger_code = DONE


@fault("stranger-closed-with-1", "CL-05", roles=ACCEPTOR)
class StrangerClosedWith1(ClosesOnStrangers):
    """Takes the connection of a stranger for a violation."""

    stranger_code = VIOLATION


@fault("one-peer-at-a-time", "TR-04", roles=ACCEPTOR)
class OnePeerAtATime(Node):
    """Closes the connection of a second peer."""

    async def start(self) -> None:
        if any(node.peer_id != self.peer_id for node in self.world.connections):
            self.end(NOT_AUTHORISED, "another peer is here")
        await super().start()


@fault("peer-replaces-peer", "TR-04", roles=ACCEPTOR)
class PeerReplacesPeer(Node):
    """Closes the connections of a peer when another comes."""

    async def start(self) -> None:
        for node in list(self.world.connections):
            if node.peer_id != self.peer_id:
                node.end(DONE, "replaced")
        await super().start()


@fault("fifteen-connections", "LM-02", roles=ACCEPTOR)
class FifteenConnections(Node):
    """Allows a peer 15 connections."""

    async def start(self) -> None:
        if sum(node.peer_id == self.peer_id for node in self.world.connections) > 15:
            self.end(NOT_AUTHORISED, "too many connections")
        await super().start()


variant(HERE, "limit-of-63", "RQ-15", does="Allows a peer 63 requests in flight.", limit=63)
