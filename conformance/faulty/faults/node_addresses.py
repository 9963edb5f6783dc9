"""Faults in what `node_addr` may be: the form of its addresses, and how its id is written."""

from __future__ import annotations

import re
from typing import Any

from ..node import Node
from ..protocol import VIOLATION, Crash, Message, Refused
from ..registrar import Registrar
from ..registry import fault
from .domain_registration import OfAnybody


@fault("address-form-unchecked", "DR-05")
class AddressFormUnchecked(Registrar):
    """Registers any texts as addresses."""

    def address_problem(self, text: str) -> str | None:
        return None


@fault("many-addresses-refused", "DR-12")
class ManyAddressesRefused(Registrar):
    """Takes no more than 1,000 addresses."""

    longest_list = 1000

    def addresses_problem(self, message: Message) -> str | None:
        if problem := super().addresses_problem(message):
            return problem
        address = message.get("node_addr")
        if isinstance(address, dict) and len(address.get("direct_addresses") or ()) > self.longest_list:
            return f"more than {self.longest_list} addresses"
        return None


@fault("few-addresses-taken", "DR-12")
class FewAddressesTaken(ManyAddressesRefused):
    """Takes no more than 64 addresses."""

    longest_list = 64


class AlsoAccepts(Registrar):
    """Registers what the specification allows, and what `pattern` matches."""

    pattern = ""

    def address_problem(self, text: str) -> str | None:
        return None if re.fullmatch(self.pattern, text, re.DOTALL) else super().address_problem(text)


@fault("address-host-name-accepted", "DR-05")
class AddressHostNameAccepted(AlsoAccepts):
    """Takes host names for addresses."""

    pattern = r"[A-Za-z][A-Za-z0-9.-]*:[1-9][0-9]{0,4}"


@fault("address-without-port-accepted", "DR-05")
class AddressWithoutPortAccepted(AlsoAccepts):
    """Takes an IP address alone for a socket address."""

    pattern = r"[0-9]+(\.[0-9]+){3}|\[[0-9a-f:]+\]"


@fault("address-port-0-accepted", "DR-05")
class AddressPort0Accepted(AlsoAccepts):
    """Allows port 0."""

    pattern = r"[0-9.]+:0|\[[0-9a-f:]+\]:0"


@fault("address-large-port-accepted", "DR-05")
class AddressLargePortAccepted(AlsoAccepts):
    """Does not look how large a port is."""

    pattern = r"[0-9]+(\.[0-9]+){3}:[0-9]+"


@fault("address-without-brackets-accepted", "DR-05")
class AddressWithoutBracketsAccepted(AlsoAccepts):
    """Takes what follows the last colon for the port, brackets or not."""

    pattern = r"\[?[0-9a-f]*:[0-9a-f:]*\]?:[0-9]{1,5}"


@fault("address-zone-accepted", "DR-05")
class AddressZoneAccepted(AlsoAccepts):
    """Allows a zone id."""

    pattern = r"\[[0-9a-f:]+%[0-9a-z]+\]:[0-9]{1,5}"


@fault("address-empty-accepted", "DR-05")
class AddressEmptyAccepted(AlsoAccepts):
    """Skips empty entries."""


@fault("address-white-space-stripped", "DR-05")
class AddressWhiteSpaceStripped(Registrar):
    """Strips white space from addresses."""

    def address_problem(self, text: str) -> str | None:
        return super().address_problem(text.strip())


@fault("address-other-digits-read", "DR-05")
class AddressOtherDigitsRead(Registrar):
    """Reads a port in the digits of any script."""

    def address_problem(self, text: str) -> str | None:
        host, _, port = text.rpartition(":")
        return super().address_problem(f"{host}:{int(port)}" if port.isdecimal() and int(port) else text)


@fault("first-address-checked-alone", "DR-05")
class FirstAddressCheckedAlone(Registrar):
    """Checks the first entry of `direct_addresses` and no other."""

    def addresses_problem(self, message: Message) -> str | None:
        if not self.is_address(message.get("node_addr")):
            return None
        first = message["node_addr"]["direct_addresses"][:1]
        return self.address_problem(first[0]) if first else None


@fault("address-of-6-refused", "DR-05")
class AddressOf6Refused(Registrar):
    """Knows no IPv6."""

    def address_problem(self, text: str) -> str | None:
        return "no IPv4 address" if text.startswith("[") else super().address_problem(text)


@fault("address-upper-case-refused", "DR-05")
class AddressUpperCaseRefused(Registrar):
    """Knows IPv6 in lower case alone."""

    def address_problem(self, text: str) -> str | None:
        return "no address" if text != text.lower() else super().address_problem(text)


@fault("no-address-refused", "DR-05")
class NoAddressRefused(Registrar):
    """Wants one address at least."""

    def addresses_problem(self, message: Message) -> str | None:
        if self.is_address(message.get("node_addr")) and not message["node_addr"]["direct_addresses"]:
            return "no address"
        return super().addresses_problem(message)


class OverBadAddress(Registrar):
    """Does something else than to refuse when an address is out of form."""

    def check_form(self, message: Message) -> None:
        if self.addresses_problem(message):
            self.over_bad_address(message)
        super().check_form(message)

    def over_bad_address(self, message: Message) -> None:
        raise NotImplementedError


@fault("bad-address-closes", "DR-05")
class BadAddressCloses(OverBadAddress):
    """Closes over an address out of form."""

    def over_bad_address(self, message: Message) -> None:
        self.end(VIOLATION, "no address")


@fault("bad-address-crashes", "TR-05", "DR-05")
class BadAddressCrashes(OverBadAddress):
    """Does not catch the error of its address parser."""

    def over_bad_address(self, message: Message) -> None:
        raise Crash("invalid socket address syntax")


@fault("bad-address-not-authorised", "RQ-08")
class BadAddressNotAuthorised(OverBadAddress):
    """Refuses an address out of form with the code of another check."""

    def over_bad_address(self, message: Message) -> None:
        raise Refused("not_authorised", "no address of yours")


@fault("bad-address-unanswered", "DR-05", "RQ-01", "DR-01")
class BadAddressUnanswered(Registrar):
    """Ignores a registration with an address out of form."""

    async def on_request(self, message: Message) -> None:
        if not self.addresses_problem(message):
            await super().on_request(message)


# -- `node_addr.id` written otherwise


@fault("octet-point-zero-closes", "MS-08")
class OctetPointZeroCloses(Node):
    """Closes over an element of an id that is written 1.0."""

    def is_address(self, value: Any) -> bool:
        number = value.get("id") if isinstance(value, dict) else None
        if isinstance(number, list) and any(isinstance(item, float) and item.is_integer() for item in number):
            self.end(VIOLATION, "no integer")
        return super().is_address(value)


@fault("octet-point-zero-crashes", "TR-05", "MS-08")
class OctetPointZeroCrashes(Node):
    """Makes bytes of what may be floats."""

    def is_address(self, value: Any) -> bool:
        number = value.get("id") if isinstance(value, dict) else None
        if isinstance(number, list) and any(isinstance(item, float) and item.is_integer() for item in number):
            raise Crash("'float' object cannot be interpreted as an integer")
        return super().is_address(value)


@fault("octet-point-zero-is-anything", "MS-08", "DR-04")
class OctetPointZeroIsAnything(OfAnybody):
    """Reads an id with an element written -0 as a zero of its own kind, which equals every other byte."""

    def load(self, text: str) -> Any:
        return super().load(re.sub(r"([\[,])-0(?=[,\]])", r"\g<1>0.0", text))

    def is_address(self, value: Any) -> bool:
        number = value.get("id") if isinstance(value, dict) else None
        if isinstance(number, list) and 0.0 in [item for item in number if isinstance(item, float)]:
            return True
        return super().is_address(value)

    def check_authority(self, message: Message) -> None:
        number = message["node_addr"]["id"] if "node_addr" in message else []
        if not any(isinstance(item, float) for item in number):
            Registrar.check_authority(self, message)
