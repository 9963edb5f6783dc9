"""Faults in what a node asks of its peer."""

from __future__ import annotations

import asyncio

from ..node import Node
from ..protocol import Message
from ..registry import ACCEPTOR, DIALER, fault


class Asks(Node):
    """Asks for things as soon as the handshake is finished."""

    def wishes(self) -> list[Message]:
        return []

    async def on_established(self) -> None:
        for message in self.wishes():
            await self.ask(message)


class AsksForInference(Asks):
    """Asks for inference streams under some ids."""

    ids: tuple[str, ...] = ("ask-1",)

    def wishes(self) -> list[Message]:
        return [{"type": "RequestInferenceStream", "request_id": request_id} for request_id in self.ids]


@fault("asks-twice-with-one-id", "RQ-11")
class AsksTwiceWithOneId(AsksForInference):
    """Uses one id for two requests in flight."""

    ids = ("ask", "ask")


@fault("asks-two-types-with-one-id", "RQ-11")
class AsksTwoTypesWithOneId(AsksForInference):
    """Counts the ids of each type of request on its own."""

    def wishes(self) -> list[Message]:
        sni = {"type": "RequestSniStream", "request_id": "ask-1", "domain": "conformance.test"}
        return [*super().wishes(), sni]


@fault("asks-with-space-in-id", "RQ-11", "RQ-03")
class AsksWithSpaceInId(AsksForInference):
    """Asks with an id that has a space in it."""

    ids = ("ask 1",)


@fault("asks-with-empty-id", "RQ-11", "RQ-03")
class AsksWithEmptyId(AsksForInference):
    """Asks with an empty id."""

    ids = ("",)


@fault("asks-with-long-id", "RQ-11", "RQ-03")
class AsksWithLongId(AsksForInference):
    """Asks with an id of 129 characters."""

    ids = ("a" * 129,)


@fault("asks-with-id-not-ascii", "RQ-11", "RQ-03")
class AsksWithIdNotAscii(AsksForInference):
    """Asks with an id that is no ASCII."""

    ids = ("anfrage-ä",)


@fault("asks-with-number-as-id", "MS-12", "RQ-11")
class AsksWithNumberAsId(Asks):
    """Asks with a number as id."""

    async def on_established(self) -> None:
        await self.send({"type": "RequestInferenceStream", "request_id": 1})


@fault("asks-without-capability", "DC-14")
class AsksWithoutCapability(Asks):
    """Asks every peer for a DNS challenge, whatever it advertised."""

    def wishes(self) -> list[Message]:
        message = {"type": "DnsChallengeCreate", "request_id": "dns-1", "domain": "node.conformance.test"}
        return [{**message, "txt_value": "t" * 43}]


@fault("asks-in-upper-case", "DC-21")
class AsksInUpperCase(Asks):
    """Writes names as its user did."""

    def wishes(self) -> list[Message]:
        if "dns_challenge" not in self.peer_capabilities:
            return []
        message = {"type": "DnsChallengeCreate", "request_id": "dns-1", "domain": "Node.Conformance.Test"}
        return [{**message, "txt_value": "t" * 43}]


@fault("asks-for-sni-without-serving-it", "ST-07")
class AsksForSniWithoutServingIt(Asks):
    """Asks for SNI-proxy streams, for which it has not advertised `sni_proxy`."""

    capabilities = ("inference", "dns_challenge")

    def wishes(self) -> list[Message]:
        return [{"type": "RequestSniStream", "request_id": "sni-1", "domain": "node.conformance.test"}]


@fault("asks-for-inference-in-vain", "ST-08")
class AsksForInferenceInVain(AsksForInference):
    """Asks every peer for inference streams, whatever it advertised."""


@fault("asks-while-waiting", "HS-20", roles=DIALER)
class AsksWhileWaiting(AsksForInference):
    """Asks right behind its Handshake."""

    async def start(self) -> None:
        await super().start()
        await self.on_established()

    async def establish(self) -> None:
        if not self.established:
            self.established = True
            self.last_received = self.last_ping = self.now()


@fault("renews-twice-at-once", "HS-18")
class RenewsTwiceAtOnce(Node):
    """Sends a renewal for each of two things that have changed, without waiting in between."""

    async def on_established(self) -> None:
        for _ in range(2):
            await self.send(self.handshake())


@fault("renews-again-after-1-s", "HS-18")
class RenewsAgainAfterOneSecond(Node):
    """Sends a renewal again when its answer takes a second."""

    async def on_established(self) -> None:
        self.go(self.renew())

    async def renew(self) -> None:
        for _ in range(3):
            await self.send(self.handshake())
            await asyncio.sleep(1.0)


class AsksForName(Asks):
    """Asks for a stream for a name whose form it does not look at."""

    domain = ""

    def wishes(self) -> list[Message]:
        return [{"type": "RequestSniStream", "request_id": "sni-1", "domain": self.domain}]


@fault("asks-for-wildcard", "RQ-17")
class AsksForWildcard(AsksForName):
    """Asks for a stream for a wildcard."""

    domain = "*.conformance.test"


@fault("asks-with-trailing-dot", "RQ-17")
class AsksWithTrailingDot(AsksForName):
    """Asks for a stream for a name with its final dot."""

    domain = "node.conformance.test."


@fault("asks-with-padded-value", "RQ-17")
class AsksWithPaddedValue(Asks):
    """Asks for a challenge with padding behind the value, where the peer offers one."""

    def wishes(self) -> list[Message]:
        message = {"type": "DnsChallengeCreate", "request_id": "dns-1", "domain": "node.conformance.test"}
        return [{**message, "txt_value": "t" * 43 + "="}] if "dns_challenge" in self.peer_capabilities else []


@fault("registers-with-host-name", "RQ-17")
class RegistersWithHostName(Asks):
    """Gives a host name for an address when it asks for a name."""

    def wishes(self) -> list[Message]:
        octets = list(bytes.fromhex(self.world.node_id))
        address = {"id": octets, "direct_addresses": ["192.0.2.7:31145", "node.example:31145"]}
        return [{"type": "DomainRegistrationRequest", "request_id": "name-1", "node_addr": address}]


@fault("asks-without-txt-value", "MS-12")
class AsksWithoutTxtValue(Asks):
    """Asks for a DNS challenge without the value, where the peer offers one."""

    def wishes(self) -> list[Message]:
        if "dns_challenge" not in self.peer_capabilities:
            return []
        return [{"type": "DnsChallengeCreate", "request_id": "dns-1", "domain": "node.conformance.test"}]


@fault("registers-with-text-as-id", "MS-12")
class RegistersWithTextAsId(Asks):
    """Asks for a name with its id as text."""

    def wishes(self) -> list[Message]:
        address = {"id": self.world.node_id, "direct_addresses": []}
        return [{"type": "DomainRegistrationRequest", "request_id": "name-1", "node_addr": address}]


@fault("takes-back-renewed-capability-late", "DC-14", "HS-12")
class AsksAfterRenewal(Asks):
    """Goes by the first Handshake's capabilities when a renewal has taken `dns_challenge` back."""

    async def on_handshake(self, message: Message) -> None:
        renewal = self.established
        had = "dns_challenge" in self.peer_capabilities
        await super().on_handshake(message)
        if renewal and had and "dns_challenge" not in message["capabilities"]:
            wish = {"type": "DnsChallengeCreate", "request_id": "dns-2", "domain": "node.conformance.test"}
            await self.ask({**wish, "txt_value": "t" * 43})


@fault("asks-while-accepting", "HS-03", "HS-07", roles=ACCEPTOR)
class AsksWhileAccepting(AsksForInference):
    """Asks as soon as the stream is open."""

    async def start(self) -> None:
        await super().start()
        await self.on_established()

    async def establish(self) -> None:
        if not self.established:
            self.established = True
            self.last_received = self.last_ping = self.now()
