"""Faults in domain registration."""

from __future__ import annotations

import re
from typing import Any

from .. import forms
from ..node import Node
from ..protocol import VIOLATION, Crash, Message, Refused
from ..registrar import Registrar
from ..registry import fault
from .stream_requests import Closes, OtherAnswer, Unanswered


@fault("registration-ignored", "DR-01", "RQ-01", "HS-07")
class RegistrationIgnored(Unanswered):
    """Ignores DomainRegistrationRequest, as 0.1.0 does."""

    kind = "DomainRegistrationRequest"


@fault("registration-closes", "DR-01", "HS-07")
class RegistrationCloses(Closes):
    """Closes over DomainRegistrationRequest."""

    kind = "DomainRegistrationRequest"


@fault("registered-without-domain", "DR-01", "MS-12")
class RegisteredWithoutDomain(Registrar):
    """Registers a name, and does not say which."""

    def register(self, message: Message) -> Message:
        return self.success(message)

    def check_authority(self, message: Message) -> None:
        if message["type"] != "DomainRegistrationRequest":
            super().check_authority(message)


@fault("registered-with-null", "DR-01", "MS-12")
class RegisteredWithNull(RegisteredWithoutDomain):
    """Registers a name, and writes null for it."""

    def register(self, message: Message) -> Message:
        return {**self.success(message), "domain": None}


@fault("registration-twice", "DR-01", "RQ-01")
class RegistrationTwice(OtherAnswer):
    """Sends DomainRegistrationResponse twice."""

    def answer(self, message: Message, response: Message) -> list[Message]:
        return [response, response] if message["type"] == "DomainRegistrationRequest" else [response]


@fault("registration-answered-with-dns-response", "DR-01", "RQ-01")
class RegistrationAnsweredWithDnsResponse(OtherAnswer):
    """Answers DomainRegistrationRequest with DnsChallengeResponse."""

    def answer(self, message: Message, response: Message) -> list[Message]:
        if message["type"] == "DomainRegistrationRequest":
            return [{**response, "type": "DnsChallengeResponse"}]
        return [response]


class LaxAddress(Registrar):
    """Registers with an address that is no node_addr."""

    def addresses_problem(self, message: Message) -> str | None:
        return None

    def is_address(self, value: Any) -> bool:
        return isinstance(value, dict)

    def check_authority(self, message: Message) -> None:
        if message["type"] != "DomainRegistrationRequest":
            super().check_authority(message)


@fault("registration-of-any-address", "MS-04", "RQ-04", "AU-03")
class RegistrationOfAnyAddress(LaxAddress):
    """Registers whatever object node_addr is."""


@fault("registration-of-short-id", "MS-04", "RQ-04", "AU-03")
class RegistrationOfShortId(LaxAddress):
    """Registers an id of 31 bytes."""

    def is_address(self, value: Any) -> bool:
        return isinstance(value, dict) and (Node.is_address(self, value) or len(value.get("id", [])) == 31)


@fault("registration-of-large-bytes", "MS-04", "RQ-04", "AU-03")
class RegistrationOfLargeBytes(LaxAddress):
    """Registers an id with a number above 255."""

    def is_address(self, value: Any) -> bool:
        number = value.get("id") if isinstance(value, dict) else None
        return (
            isinstance(number, list) and len(number) == 32 and all(isinstance(item, int) for item in number)
        )


@fault("registration-for-others", "AU-03", "AU-01", "DR-04")
class RegistrationForOthers(Registrar):
    """Registers the name of the id in node_addr, whoever asks."""

    def register(self, message: Message) -> Message:
        label = bytes(message["node_addr"]["id"]).hex()[:32]
        return {**self.success(message), "domain": f"{label}.conformance.test"}

    def check_authority(self, message: Message) -> None:
        if message["type"] != "DomainRegistrationRequest":
            super().check_authority(message)


@fault("registration-address-crashes", "TR-05", "MS-04", "DR-01")
class RegistrationAddressCrashes(Node):
    """Copies an id of any length into 32 bytes."""

    def is_address(self, value: Any) -> bool:
        if not super().is_address(value):
            raise Crash("index out of range")
        return True


@fault("registration-always-malformed", "RQ-08", "DR-01")
class RegistrationAlwaysMalformed(Node):
    """Reads the id of node_addr as text, and so takes every registration for malformed."""

    def check_form(self, message: Message) -> None:
        super().check_form(message)
        if message["type"] == "DomainRegistrationRequest":
            raise Refused("malformed", "node_addr.id is no text")


# -- whose name, and which


class OfAnybody(Registrar):
    """Registers the peer's own name whatever `node_addr.id` says."""

    def check_authority(self, message: Message) -> None:
        if message["type"] != "DomainRegistrationRequest":
            super().check_authority(message)


@fault("registration-of-any-id", "DR-04")
class RegistrationOfAnyId(OfAnybody):
    """Does not look at `node_addr.id`."""


@fault("registration-compares-half-the-id", "DR-04")
class RegistrationComparesHalfTheId(OfAnybody):
    """Compares the first 16 bytes of `node_addr.id`, which the hexadecimal label has."""

    def check_authority(self, message: Message) -> None:
        super().check_authority(message)
        number = message["node_addr"]["id"] if message["type"] == "DomainRegistrationRequest" else None
        if number is not None and bytes(number[:16]).hex() != self.peer_id[:32]:
            raise Refused("not_authorised", "node_addr is another node's")


@fault("foreign-id-ignored", "DR-04", "DR-01", "RQ-01")
class ForeignIdIgnored(Registrar):
    """Does not answer a registration for somebody else."""

    async def respond(self, message: Message, response: Message) -> None:
        foreign = response["type"] == "DomainRegistrationResponse" and response.get("code")
        if foreign != "not_authorised":
            await super().respond(message, response)


@fault("foreign-id-closes", "DR-04", "AU-03")
class ForeignIdCloses(Registrar):
    """Closes over a registration for somebody else."""

    def check_authority(self, message: Message) -> None:
        try:
            super().check_authority(message)
        except Refused:
            if message["type"] == "DomainRegistrationRequest":
                self.end(VIOLATION, "not your id")
            raise


@fault("foreign-id-malformed", "RQ-08")
class ForeignIdMalformed(Registrar):
    """Calls a registration for somebody else malformed."""

    def check_authority(self, message: Message) -> None:
        try:
            super().check_authority(message)
        except Refused as refusal:
            if message["type"] == "DomainRegistrationRequest":
                raise Refused("malformed", refusal.error) from refusal
            raise


@fault("registers-anew", "DR-07", "DR-08")
class RegistersAnew(Registrar):
    """Gives another name to a node that registers again."""

    def label_of(self, octets: bytes) -> str:
        return f"{super().label_of(octets)[:20]}-{len(self.world.hosts)}"


@fault("registers-by-connection", "DR-07", "DR-08")
class RegistersByConnection(Registrar):
    """Gives a name to each connection."""

    def label_of(self, octets: bytes) -> str:
        return f"connection-{id(self)}"


@fault("registers-by-address", "DR-07", "DR-08")
class RegistersByAddress(Registrar):
    """Gives another name to a node that comes with other addresses."""

    listed = ""

    def register(self, message: Message) -> Message:
        self.listed = "-".join(
            re.sub("[^0-9]", "", text) for text in message["node_addr"]["direct_addresses"]
        )
        return super().register(message)

    def label_of(self, octets: bytes) -> str:
        return f"{octets.hex()[:8]}-{self.listed[:40]}x"


@fault("registers-hex-label", "DR-08")
class RegistersHexLabel(Registrar):
    """Registers the first 32 hexadecimal characters of the id."""

    def label_of(self, octets: bytes) -> str:
        return octets.hex()[:32]


@fault("label-spare-bits-ignored", "DR-02")
class LabelSpareBitsIgnored(Registrar):
    """Decodes a label and forgets the last four bits."""

    def is_own_label(self, label: str) -> bool:
        own = forms.z_base_32(bytes.fromhex(self.peer_id))
        spare = forms.Z_BASE_32.find(label[-1:]) | 15 == forms.Z_BASE_32.index(own[-1]) | 15
        return super().is_own_label(label) or (label[:-1] == own[:-1] and len(label) == 52 and spare)


@fault("label-cut-short", "DR-02")
class LabelCutShort(Registrar):
    """Takes every beginning of the hexadecimal id for a label."""

    def is_own_label(self, label: str) -> bool:
        return super().is_own_label(label) or (len(label) >= 16 and self.peer_id.startswith(label))


@fault("label-beginning-compared", "DR-02")
class LabelBeginningCompared(Registrar):
    """Compares as much of the z-base-32 form as the label has, or as many characters as it should have."""

    def is_own_label(self, label: str) -> bool:
        own = forms.z_base_32(bytes.fromhex(self.peer_id))
        return super().is_own_label(label) or (len(label) > 40 and label[:51] == own[:51])
