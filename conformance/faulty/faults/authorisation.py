"""Faults in who may act for what."""

from __future__ import annotations

from .. import forms
from ..node import Node
from ..protocol import VIOLATION, Message
from ..registrar import Registrar
from ..registry import DIALER, fault
from ..world import DOMAIN, SLOW_DOMAIN

NAMES = (DOMAIN, SLOW_DOMAIN)


@fault("everyone-may", "AU-01", "AU-02")
class EveryoneMay(Node):
    """Lets every peer act for every name."""

    def may_act_for(self, domain: str) -> bool:
        return True


@fault("nobody-may", "DC-01", "DC-02", "DC-04", "AU-03")
class NobodyMay(Node):
    """Lets no peer act for any name."""

    def may_act_for(self, domain: str) -> bool:
        return False


@fault("cleanup-by-everyone", "AU-01")
class CleanupByEveryone(Node):
    """Checks the authority for Create alone."""

    def check_authority(self, message: Message) -> None:
        if message["type"] != "DnsChallengeCleanup":
            super().check_authority(message)


@fault("create-by-everyone", "AU-01", "AU-02")
class CreateByEveryone(Node):
    """Checks the authority for Cleanup alone."""

    def check_authority(self, message: Message) -> None:
        if message["type"] != "DnsChallengeCreate":
            super().check_authority(message)


@fault("suffix-of-string", "AU-02")
class SuffixOfString(Node):
    """Compares the end of the string: evilconformance.test passes for conformance.test."""

    def may_act_for(self, domain: str) -> bool:
        return self.canonical(domain).endswith(NAMES)


@fault("prefix-of-string", "AU-02")
class PrefixOfString(Node):
    """Compares the beginning of the string: conformance.test.example passes."""

    def may_act_for(self, domain: str) -> bool:
        return self.canonical(domain).startswith(NAMES)


@fault("part-of-string", "AU-02", "AU-01")
class PartOfString(Node):
    """Looks for the name anywhere in the string."""

    def may_act_for(self, domain: str) -> bool:
        return any(name in self.canonical(domain) for name in NAMES)


@fault("siblings-may-too", "AU-02", "AU-01")
class SiblingsMayToo(Node):
    """Compares the last label alone."""

    def may_act_for(self, domain: str) -> bool:
        return self.canonical(domain).rsplit(".")[-1] == "test"


@fault("names-below-allowed", "AU-05")
class NamesBelowAllowed(Node):
    """Lets a peer act for the names below its own too."""

    def may_act_for(self, domain: str) -> bool:
        return super().may_act_for(domain) or self.canonical(domain).endswith("." + DOMAIN)


@fault("names-one-below-allowed", "AU-05")
class NamesOneBelowAllowed(Node):
    """Takes authority for a name as authority for what its wildcard matches."""

    def may_act_for(self, domain: str) -> bool:
        return super().may_act_for(domain) or self.canonical(domain).partition(".")[2] == DOMAIN


@fault("cleanup-below-allowed", "AU-05")
class CleanupBelowAllowed(Node):
    """Lets a peer clean up below its own name."""

    def check_authority(self, message: Message) -> None:
        below = str(message.get("domain")).lower().endswith("." + DOMAIN)
        if message["type"] != "DnsChallengeCleanup" or not below:
            super().check_authority(message)


@fault("dot-matches-anything", "AU-02")
class DotMatchesAnything(Node):
    """Compares with a pattern in which a dot stands for any character."""

    def may_act_for(self, domain: str) -> bool:
        name = self.canonical(domain)
        return name.replace("-", ".") in NAMES or name.endswith(("-" + DOMAIN, ".x" + DOMAIN))


@fault("names-compared-with-case", "DC-04", "AU-02")
class NamesComparedWithCase(Node):
    """Compares names with regard to case."""

    def canonical(self, domain: str) -> str:
        return domain


@fault("own-hex-label-refused", "AU-04", "DR-02")
class OwnHexLabelRefused(Registrar):
    """Knows the registered name of a peer alone."""

    def is_own_label(self, label: str) -> bool:
        return label == forms.z_base_32(bytes.fromhex(self.peer_id))


@fault("registered-name-gives-nothing", "AU-04", "DR-02")
class RegisteredNameGivesNothing(Registrar):
    """Registers a name, and lets its peer not act for it."""

    def is_own_label(self, label: str) -> bool:
        return False


@fault("labels-of-all-nodes-allowed", "AU-04", "DR-02")
class LabelsOfAllNodesAllowed(Registrar):
    """Looks whether a label is one of a node, and not of which."""

    def is_own_label(self, label: str) -> bool:
        return len(label) in (32, 52)


@fault("everything-under-suffix-allowed", "AU-04", "DR-02", "AU-05")
class EverythingUnderSuffixAllowed(Registrar):
    """Lets a peer that it registers act for whatever is under the suffix."""

    def is_own_label(self, label: str) -> bool:
        return True


@fault("refusal-not-answered", "AU-01", "RQ-01")
class RefusalNotAnswered(Node):
    """Only logs that a peer may not act for a name."""

    async def respond(self, message: Message, response: Message) -> None:
        if response.get("code") != "not_authorised":
            await super().respond(message, response)


@fault("refusal-closes", "AU-01", "RQ-01", "DC-01")
class RefusalCloses(Node):
    """Closes over a name that the peer may not act for."""

    async def respond(self, message: Message, response: Message) -> None:
        await super().respond(message, response)
        if response.get("code") == "not_authorised":
            self.end(VIOLATION, "not authorised")


@fault("refusal-says-success", "AU-01", "AU-02")
class RefusalSaysSuccess(Node):
    """Does nothing for a name that the peer may not act for, and answers success."""

    async def respond(self, message: Message, response: Message) -> None:
        if response.get("code") == "not_authorised" and response["type"] == "DnsChallengeResponse":
            response = self.success(message)
        await super().respond(message, response)


@fault("refusal-cleanup-says-success", "AU-01")
class RefusalCleanupSaysSuccess(Node):
    """Takes a Cleanup by a peer without authority for one of what is not there."""

    async def respond(self, message: Message, response: Message) -> None:
        if response.get("code") == "not_authorised" and message["type"] == "DnsChallengeCleanup":
            response = self.success(message)
        await super().respond(message, response)


@fault("authority-from-node-id", "AU-03", "DC-01", "HS-05")
class AuthorityFromNodeId(Node):
    """Gives authority to the node_id of the Handshake, so that another text in it takes it away."""

    def may_act_for(self, domain: str) -> bool:
        return self.peer_node_id in ("", self.peer_id) and super().may_act_for(domain)


@fault("authority-of-own-node-id", "AU-03", roles=DIALER)
class AuthorityOfOwnNodeId(Node):
    """Lets a peer that sends this node's own node_id act for every name."""

    def may_act_for(self, domain: str) -> bool:
        return self.peer_node_id == self.world.node_id or super().may_act_for(domain)


@fault("authority-from-request", "AU-03")
class AuthorityFromRequest(Node):
    """Believes a member `node_id` of the request when it is not the peer's."""

    def check_authority(self, message: Message) -> None:
        if "node_id" not in message or message["node_id"] == self.peer_id:
            super().check_authority(message)


@fault("asking-again-helps", "AU-01", "AU-02")
class AskingAgainHelps(Node):
    """Refuses a name once, and lets it pass the next time."""

    refused = False

    def may_act_for(self, domain: str) -> bool:
        allowed = super().may_act_for(domain) or self.refused
        self.refused = not allowed
        return allowed
