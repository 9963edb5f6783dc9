"""Faults in reading JSON: what passes for a document, for UTF-8, for a depth that is too great."""

from __future__ import annotations

import json
import re
from typing import Any

from ..node import Node
from ..protocol import Crash, Message, Violation
from ..registry import fault, variant

HERE = "json_reading"

variant(HERE, "bad-utf8-replaced", "FR-07", does="Reads bad UTF-8 as U+FFFD.", utf8_errors="replace")
variant(HERE, "bad-utf8-dropped", "FR-07", does="Leaves bad bytes out.", utf8_errors="ignore")
variant(
    HERE, "encoded-surrogates-read", "FR-07", does="Reads UTF-8 of surrogates.", utf8_errors="surrogatepass"
)
variant(
    HERE,
    "control-characters-read",
    "FR-06",
    does="Reads raw control characters in strings.",
    strict_strings=False,
)


@fault("latin-1-fallback", "FR-07")
class Latin1Fallback(Node):
    """Reads a body that is no UTF-8 as Latin-1."""

    def decode(self, body: bytes) -> str:
        try:
            return super().decode(body)
        except Violation:
            return body.decode("latin-1")


@fault("overlong-utf8-read", "FR-07")
class OverlongUtf8Read(Node):
    """Reads overlong two-byte forms of ASCII characters."""

    def decode(self, body: bytes) -> str:
        def shortest(match: re.Match[bytes]) -> bytes:
            first, second = match.group()
            return bytes([(first & 1) << 6 | (second & 0x3F)])

        return super().decode(re.sub(rb"[\xc0\xc1][\x80-\xbf]", shortest, body))


@fault("bom-skipped", "FR-07")
class BomSkipped(Node):
    """Skips a byte order mark."""

    def decode(self, body: bytes) -> str:
        return super().decode(body.removeprefix(b"\xef\xbb\xbf"))


@fault("encoding-detected", "FR-07")
class EncodingDetected(Node):
    """Guesses UTF-16 and UTF-32, as the JSON libraries of some languages do."""

    def decode(self, body: bytes) -> str:
        encoding = json.detect_encoding(body)
        if encoding.startswith(("utf-16", "utf-32")):
            try:
                return body.decode(encoding)
            except UnicodeDecodeError as error:
                raise Violation("no text") from error
        return super().decode(body)


@fault("utf8-of-members-unchecked", "FR-07")
class Utf8OfMembersUnchecked(Node):
    """Checks the UTF-8 of the members that it knows, not of the others."""

    def decode(self, body: bytes) -> str:
        text = body.decode("utf-8", "surrogateescape")
        if text.startswith("\ufeff"):
            raise Violation("a byte order mark")
        return text

    async def on_message(self, message: Message) -> None:
        known = {name: message[name] for name in self.known_members(message) if name in message}
        try:
            json.dumps(known, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise Violation("bad UTF-8") from error
        await super().on_message(message)

    def known_members(self, message: Message) -> list[str]:
        return [
            "type",
            "id",
            "request_id",
            "domain",
            "txt_value",
            "node_id",
            "capabilities",
            "accepted",
            "success",
        ]


@fault("no-json-ignored", "FR-06")
class NoJsonIgnored(Node):
    """Logs a body that is no JSON, and reads on."""

    async def on_body(self, body: bytes) -> None:
        try:
            value = self.parse(body)
        except Violation:
            return
        await self.on_value(value)


@fault("no-json-answered", "FR-06", "FR-08")
class NoJsonAnswered(Node):
    """Answers a body that is no JSON with an error message, and reads on."""

    async def on_body(self, body: bytes) -> None:
        try:
            value = self.parse(body)
        except Violation as violation:
            await self.send({"type": "Error", "error": violation.reason})
            return
        await self.on_value(value)


class Lenient(Node):
    """Tidies the text before it is read."""

    def tidy(self, text: str) -> str:
        return text

    def load(self, text: str) -> Any:
        try:
            return super().load(text)
        except ValueError:
            return super().load(self.tidy(text))


@fault("trailing-bytes-ignored", "FR-06")
class TrailingBytesIgnored(Node):
    """Reads the first JSON value of a body, and ignores what follows it."""

    def load(self, text: str) -> Any:
        decoder = json.JSONDecoder(parse_constant=self.constant)
        return decoder.raw_decode(text.lstrip(" \t\r\n"))[0]


@fault("nul-terminator-ignored", "FR-06")
class NulTerminatorIgnored(Lenient):
    """Ignores a NUL behind the document."""

    def tidy(self, text: str) -> str:
        return text.rstrip("\0")


@fault("nan-read", "FR-06")
class NanRead(Node):
    """Reads NaN, as the JSON library of Python does unasked."""

    def constant(self, name: str) -> Any:
        return float(name) if name == "NaN" else super().constant(name)


@fault("infinity-read", "FR-06")
class InfinityRead(Node):
    """Reads Infinity and -Infinity."""

    def constant(self, name: str) -> Any:
        return float(name) if name != "NaN" else super().constant(name)


@fault("trailing-comma-read", "FR-06")
class TrailingCommaRead(Lenient):
    """Reads a comma before a closing brace or bracket."""

    def tidy(self, text: str) -> str:
        return re.sub(r",\s*([}\]])", r"\1", text)


@fault("comments-read", "FR-06")
class CommentsRead(Lenient):
    """Reads comments."""

    def tidy(self, text: str) -> str:
        return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)


@fault("single-quotes-read", "FR-06")
class SingleQuotesRead(Lenient):
    """Reads strings in single quotes."""

    def tidy(self, text: str) -> str:
        return text.replace("'", '"')


@fault("bare-names-read", "FR-06")
class BareNamesRead(Lenient):
    """Reads member names without quotes."""

    def tidy(self, text: str) -> str:
        return re.sub(r"([{,]\s*)([A-Za-z_]+)\s*:", r'\1"\2":', text)


@fault("leading-zeros-read", "FR-06")
class LeadingZerosRead(Lenient):
    """Reads numbers with leading zeros."""

    def tidy(self, text: str) -> str:
        return re.sub(r":(\s*)0+([0-9])", r":\1\2", text)


@fault("blank-body-ignored", "FR-06")
class BlankBodyIgnored(Node):
    """Ignores a body of nothing but white space."""

    async def on_body(self, body: bytes) -> None:
        if body.strip(b" \t\r\n"):
            await super().on_body(body)


@fault("cut-document-completed", "FR-06")
class CutDocumentCompleted(Lenient):
    """Closes the braces that a cut document leaves open."""

    def tidy(self, text: str) -> str:
        return text + "}" * (text.count("{") - text.count("}"))


def depth_of(text: str) -> int:
    """The deepest nesting of a JSON text."""
    depth = deepest = 0
    for sign in re.sub(r'"(\\.|[^"\\])*"', "", text):
        depth += (sign in "[{") - (sign in "]}")
        deepest = max(deepest, depth)
    return deepest


class DepthLimited(Node):
    """Refuses what is nested more than `deepest` levels."""

    deepest = 64

    def load(self, text: str) -> Any:
        if depth_of(text) > self.deepest:
            raise ValueError("nested too deeply")
        return super().load(text)


@fault("depth-63", "FR-12")
class Depth63(DepthLimited):
    """Counts the levels from 0 and refuses 64."""

    deepest = 63


@fault("depth-32", "FR-12")
class Depth32(DepthLimited):
    """Reads 32 levels."""

    deepest = 32


@fault("depth-16", "FR-12")
class Depth16(DepthLimited):
    """Reads 16 levels."""

    deepest = 16


@fault("depth-32-ignored", "FR-12")
class Depth32Ignored(Node):
    """Ignores a message that is nested more than 32 levels."""

    async def on_body(self, body: bytes) -> None:
        if depth_of(body.decode("utf-8", "replace")) <= 32:
            await super().on_body(body)


@fault("deep-nesting-crashes", "TR-05", "FR-14", "FR-12")
class DeepNestingCrashes(Node):
    """Runs out of stack on 500 levels."""

    def load(self, text: str) -> Any:
        if depth_of(text) > 500:
            raise Crash("stack overflow")
        return super().load(text)


@fault("deep-nesting-ignored", "FR-14")
class DeepNestingIgnored(Node):
    """Ignores a message of more than 64 levels, where it may read it or close."""

    async def on_body(self, body: bytes) -> None:
        if depth_of(body.decode("utf-8", "replace")) <= 64:
            await super().on_body(body)


@fault("lone-surrogate-crashes", "TR-05", "FR-14")
class LoneSurrogateCrashes(Node):
    """Fails to encode a lone surrogate for its log."""

    def check_strings(self, text: str, value: Any) -> Any:
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise Crash("surrogates not allowed") from error
        return value


@fault("huge-number-crashes", "TR-05", "FR-14")
class HugeNumberCrashes(Node):
    """Falls over a number with thousands of digits."""

    def load(self, text: str) -> Any:
        if re.search("[0-9]{4301}", text):
            raise Crash("too many digits")
        return super().load(text)


@fault("infinite-number-crashes", "TR-05", "FR-14")
class InfiniteNumberCrashes(Node):
    """Falls over a number beyond a double."""

    def load(self, text: str) -> Any:
        if re.search("[eE][+]?[0-9]{3,}", text):
            raise Crash("cannot convert float infinity to integer")
        return super().load(text)


@fault("no-json-crashes", "TR-05", "FR-06")
class NoJsonCrashes(Node):
    """Does not catch the error of its JSON library."""

    def load(self, text: str) -> Any:
        try:
            return super().load(text)
        except ValueError as error:
            raise Crash(str(error)) from error


@fault("bad-utf8-crashes", "TR-05", "FR-07")
class BadUtf8Crashes(Node):
    """Does not catch the error of its UTF-8 decoder."""

    def decode(self, body: bytes) -> str:
        try:
            body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Crash(str(error)) from error
        return super().decode(body)


@fault("oversized-crashes", "TR-05", "FR-03")
class OversizedCrashes(Node):
    """Falls over when it sets memory aside for a length of gigabytes."""

    def check_length(self, length: int) -> None:
        if length > 2**31:
            raise Crash("out of memory")
        super().check_length(length)
