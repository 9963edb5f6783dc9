"""Faults in reading numbers that are too small for a double, or more exact."""

from __future__ import annotations

import re
from typing import Any

from ..node import Node
from ..protocol import Crash, Message
from ..registry import ACCEPTOR, fault

TINY = re.compile(r"[0-9][eE]-0*[0-9]{4,}|[0-9][eE]-0*(3[3-9]|[4-9][0-9])[0-9]|\.0{330,}")


@fault("tiny-number-closes", "FR-16")
class TinyNumberCloses(Node):
    """Takes a number too small for a double for one that is out of range."""

    def load(self, text: str) -> Any:
        if TINY.search(text):
            raise ValueError("number out of range")
        return super().load(text)


@fault("tiny-number-malformed", "FR-16")
class TinyNumberMalformed(Node):
    """Ignores a message with a number too small for a double, and refuses such a request."""

    tiny = False

    def load(self, text: str) -> Any:
        self.tiny = bool(TINY.search(text))
        return super().load(text)

    def problem_in(self, message: Message) -> str | None:
        return "a number is out of range" if self.tiny else super().problem_in(message)


@fault("tiny-number-crashes", "TR-05", "FR-16")
class TinyNumberCrashes(Node):
    """Does not catch the underflow of its number parser."""

    def load(self, text: str) -> Any:
        if TINY.search(text):
            raise Crash("numerical result out of range")
        return super().load(text)


@fault("huge-exponent-closes", "FR-16")
class HugeExponentCloses(Node):
    """Reads an exponent into 32 bits, and calls one that does not fit no JSON."""

    def load(self, text: str) -> Any:
        if any(int(found) > 2**31 for found in re.findall(r"[0-9][eE]-([0-9]+)", text)):
            raise ValueError("exponent out of range")
        return super().load(text)


@fault("tiny-number-in-handshake-refused", "FR-16", "HS-02", roles=ACCEPTOR)
class TinyNumberInHandshakeRefused(Node):
    """Ignores a Handshake with a number too small for a double."""

    tiny = False

    def load(self, text: str) -> Any:
        self.tiny = bool(TINY.search(text))
        return super().load(text)

    async def on_handshake(self, message: Message) -> None:
        if not self.tiny:
            await super().on_handshake(message)


@fault("many-digits-close", "FR-16", "MS-01", "FR-14")
class ManyDigitsClose(Node):
    """Keeps a number of up to 64 characters."""

    def load(self, text: str) -> Any:
        if re.search(r"[0-9.]{65}", re.sub(r'"(\\.|[^"\\])*"', "", text)):
            raise ValueError("number too long")
        return super().load(text)


@fault("integers-of-64-bits", "FR-16", "MS-01", "FR-14")
class IntegersOf64Bits(Node):
    """Reads every integer into 64 bits, and closes over one that does not fit."""

    def load(self, text: str) -> Any:
        document = re.sub(r'"(\\.|[^"\\])*"', "", text)
        whole = re.findall(r"(?<![0-9.eE+-])-?[0-9]+(?![0-9.eE])", document)
        if any(not -(2**63) <= int(found) < 2**64 for found in whole if len(found) < 4000):
            raise ValueError("integer out of range")
        return super().load(text)
