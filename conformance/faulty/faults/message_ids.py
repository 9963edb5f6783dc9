"""Faults in reading `id`."""

from __future__ import annotations

from typing import Any

from ..node import Node
from ..protocol import VIOLATION, Crash, Message
from ..registry import fault, variant

HERE = "message_ids"

variant(HERE, "id-of-32-bits", "MS-06", does="Takes an id above 2^32-1 for malformed.", max_id=2**32 - 1)
variant(HERE, "id-of-53-bits", "MS-06", does="Takes an id above 2^53-1 for malformed.", max_id=2**53 - 1)
variant(HERE, "id-of-63-bits", "MS-06", does="Takes an id above 2^63-1 for malformed.", max_id=2**63 - 1)
variant(HERE, "id-one-short", "MS-06", does="Takes 2^64-1 for malformed.", max_id=2**64 - 2)
variant(HERE, "id-of-65-bits", "MS-07", "MS-12", does="Answers an id of 2^64.", max_id=2**64)
variant(HERE, "id-without-limit", "MS-07", "MS-12", does="Answers an id of any size.", max_id=10**400)


class IdReadDifferently(Node):
    """Turns `id` into something else before it is looked at."""

    def read_id(self, value: Any) -> Any:
        return value

    async def on_message(self, message: Message) -> None:
        if message["type"] in ("Ping", "Pong") and "id" in message:
            message = {**message, "id": self.read_id(message["id"])}
        await super().on_message(message)


@fault("id-text-coerced", "MS-07", "MS-04")
class IdTextCoerced(IdReadDifferently):
    """Reads digits in a string as an id."""

    def read_id(self, value: Any) -> Any:
        return int(value) if isinstance(value, str) and value.isdecimal() and value.isascii() else value


@fault("id-boolean-read", "MS-07", "MS-04")
class IdBooleanRead(IdReadDifferently):
    """Reads true as 1."""

    def read_id(self, value: Any) -> Any:
        return int(value) if isinstance(value, bool) else value


@fault("id-truncated", "MS-07")
class IdTruncated(IdReadDifferently):
    """Cuts the fraction of an id off."""

    def read_id(self, value: Any) -> Any:
        return int(value) if isinstance(value, float) and 0 <= value < 2**64 else value


@fault("id-negative-wraps", "MS-07")
class IdNegativeWraps(IdReadDifferently):
    """Reads a negative id modulo 2^64."""

    def read_id(self, value: Any) -> Any:
        return value % 2**64 if isinstance(value, int) and value < 0 else value


@fault("id-overflow-wraps", "MS-07")
class IdOverflowWraps(IdReadDifferently):
    """Reads an id of 2^64 and above modulo 2^64."""

    def read_id(self, value: Any) -> Any:
        return value % 2**64 if isinstance(value, int) and value >= 2**64 else value


@fault("id-overflow-saturates", "MS-07")
class IdOverflowSaturates(IdReadDifferently):
    """Reads an id of 2^64 and above as 2^64-1."""

    def read_id(self, value: Any) -> Any:
        return min(value, 2**64 - 1) if isinstance(value, int) and not isinstance(value, bool) else value


@fault("id-null-is-zero", "MS-07", "MS-04")
class IdNullIsZero(IdReadDifferently):
    """Reads null as 0."""

    def read_id(self, value: Any) -> Any:
        return 0 if value is None else value


@fault("id-missing-is-zero", "MS-04")
class IdMissingIsZero(Node):
    """Answers a Ping without id with id 0."""

    async def on_message(self, message: Message) -> None:
        if message["type"] == "Ping":
            message = {"id": 0, **message}
        await super().on_message(message)


@fault("id-through-double", "MS-06")
class IdThroughDouble(IdReadDifferently):
    """Holds an id in a double, and rounds it above 2^53."""

    def read_id(self, value: Any) -> Any:
        if isinstance(value, int) and 2**53 < value < 2**64:
            return min(int(float(value)), 2**64 - 1)
        return value


@fault("id-zero-is-missing", "MS-06")
class IdZeroIsMissing(Node):
    """Takes an id of 0 for none."""

    def is_id(self, value: Any) -> bool:
        return super().is_id(value) and value != 0


@fault("id-in-32-bits", "MS-06")
class IdIn32Bits(IdReadDifferently):
    """Keeps the lower 32 bits of an id."""

    def read_id(self, value: Any) -> Any:
        return value & 0xFFFFFFFF if isinstance(value, int) and value >= 0 else value


@fault("integral-float-crashes", "TR-05", "MS-08")
class IntegralFloatCrashes(IdReadDifferently):
    """Falls over an id written 1.0."""

    def read_id(self, value: Any) -> Any:
        if isinstance(value, float):
            raise Crash("expected an integer")
        return value


@fault("integral-float-echoed", "MS-08", "MS-09", "MS-12", "MS-07")
class IntegralFloatEchoed(Node):
    """Answers an id of 1.0 with 1.0."""

    def is_id(self, value: Any) -> bool:
        return super().is_id(value) or (
            isinstance(value, float) and value.is_integer() and 0 <= value < 2**64
        )


@fault("integral-float-closes", "MS-08")
class IntegralFloatCloses(Node):
    """Closes over an id written 1.0."""

    async def on_malformed(self, message: Message, problem: str) -> None:
        if isinstance(message.get("id"), float) and message["id"].is_integer():
            self.end(VIOLATION, problem)
