"""Strict JSON (RFC 8259) over bytes, with what the standard library hides: depth, repeats, literals.

Nothing here depends on how deep the caller's stack is: depth is counted first, without recursion, and
what is deeper than the protocol's 64 levels is only checked for being JSON, again without recursion.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_DEPTH = 64
_MAX_DOUBLE = int(float.fromhex("0x1.fffffffffffffp+1023"))
_TEXT = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"'
_STRING = re.compile(_TEXT)
_TOKEN = re.compile(
    r"[ \t\n\r]*(?:(?P<punct>[{}\[\],:])|(?P<string>" + _TEXT + r")"
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)|(?P<word>true|false|null))"
)
_ESCAPES = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


class NotJson(ValueError):
    """The bytes are no JSON document."""


class FloatLiteral(float):
    """A number that was written with a fraction or an exponent; ``text`` is how."""

    text: str

    def integer(self) -> int | None:
        """The integer that the literal equals, if it equals one."""
        try:
            exact = Decimal(self.text)
            if exact.adjusted() < 40 and exact == exact.to_integral_value():
                return int(exact)
        except InvalidOperation:
            return None
        return int(self) if self.is_integer() else None


class NegativeZero(int):
    """The literal ``-0``."""


class Members(dict[str, Any]):
    """An object, with the names of the members that it repeats."""

    repeated: frozenset[str] = frozenset()


@dataclass
class Scan:
    """A JSON document and what I-JSON has against it. ``value`` is None when it is too deep to build."""

    value: Any
    depth: int
    built: bool
    beyond_double: bool = False
    lone_surrogate: bool = False
    repeats: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def framing_choice(self) -> str | None:
        """Why a receiver may treat the document as a framing violation, or None (FR-14)."""
        if self.depth > MAX_DEPTH:
            return f"nested {self.depth} levels deep"
        if self.beyond_double:
            return "a number beyond a double"
        return "a lone surrogate" if self.lone_surrogate else None


def scan(body: bytes) -> Scan:
    """Read one document. Raises NotJson for what is none: bad UTF-8, a BOM, NaN, trailing bytes …"""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"invalid UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise NotJson("a byte order mark")
    depth = _depth(text)
    if depth > MAX_DEPTH:
        beyond = _check_pieces(text)
        return Scan(None, depth, False, beyond, _lone_surrogate(text))
    try:
        value, beyond, repeats = _load(text)
    except RecursionError:  # the caller stands deep in the stack: a new thread does not
        value, beyond, repeats = _load_on_a_fresh_stack(text)
    return Scan(value, depth, True, beyond, "\\u" in text and _lone_surrogate(text), repeats)


def _depth(text: str) -> int:
    if '"' in text:
        text = _STRING.sub("", text)
    deepest = level = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        if bracket in "[{":
            level += 1
            deepest = max(deepest, level)
        else:
            level -= 1
    return deepest


def _load(text: str) -> tuple[Any, bool, bool]:
    beyond = repeats = False

    def real(literal: str) -> FloatLiteral:
        nonlocal beyond
        number = FloatLiteral(literal)
        number.text = literal
        beyond = beyond or abs(number) == float("inf")
        return number

    def integer(literal: str) -> int:
        nonlocal beyond
        if literal == "-0":
            return NegativeZero(0)
        if len(literal) > 310:
            beyond = True
            return _MAX_DOUBLE + 1
        number = int(literal)
        beyond = beyond or abs(number) > _MAX_DOUBLE
        return number

    def members(pairs: list[tuple[str, Any]]) -> Members:
        nonlocal repeats
        found = Members(pairs)
        if len(found) != len(pairs):
            repeats = True
            names = [name for name, _ in pairs]
            found.repeated = frozenset(name for name in names if names.count(name) > 1)
        return found

    def refuse(constant: str) -> Any:
        raise NotJson(f"{constant} is no JSON")

    try:
        value = json.loads(
            text, parse_float=real, parse_int=integer, parse_constant=refuse, object_pairs_hook=members
        )
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at character {error.pos}") from None
    return value, beyond, repeats


def _load_on_a_fresh_stack(text: str) -> tuple[Any, bool, bool]:
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(_load(text))
        except NotJson as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(outcome[0], NotJson):
        raise outcome[0]
    value, beyond, repeats = outcome[0]
    return value, beyond, repeats


def _lone_surrogate(text: str) -> bool:
    """True when an escape leaves half a surrogate pair."""
    high_ends_at = -1
    for match in _ESCAPES.finditer(text):
        unit = int(match[1], 16) if match[1] else 0
        low = 0xDC00 <= unit <= 0xDFFF
        if high_ends_at >= 0 and not (low and match.start() == high_ends_at):
            return True
        if low and high_ends_at < 0:
            return True
        high_ends_at = match.end() if 0xD800 <= unit <= 0xDBFF else -1
    return high_ends_at >= 0


def _check_pieces(text: str) -> bool:
    """Check the grammar with an explicit stack; true when a number is beyond a double."""
    stack: list[str] = []
    expects = "value"  # value, first-value, name, first-name, colon, comma, end
    position, beyond = 0, False
    while match := _TOKEN.match(text, position):
        position = match.end()
        kind = match.lastgroup
        piece = match.group(kind or 0)
        if kind == "number":
            beyond = beyond or abs(float(piece)) == float("inf")
        if expects in ("value", "first-value") and (kind != "punct" or piece in "[{"):
            if kind == "punct":
                stack.append(piece)
                expects = "first-value" if piece == "[" else "first-name"
            else:
                expects = "comma" if stack else "end"
        elif expects in ("name", "first-name") and kind == "string":
            expects = "colon"
        elif expects == "colon" and piece == ":":
            expects = "value"
        elif expects == "comma" and piece == ",":
            expects = "name" if stack[-1] == "{" else "value"
        elif (
            stack
            and piece == {"{": "}", "[": "]"}[stack[-1]]
            and expects in ("comma", "first-name" if stack[-1] == "{" else "first-value")
        ):
            stack.pop()
            expects = "comma" if stack else "end"
        else:
            raise NotJson(f"unexpected {piece!r} at character {match.start()}")
    if expects != "end" or text[position:].strip(" \t\n\r"):
        raise NotJson(f"no JSON at character {position}")
    return beyond
