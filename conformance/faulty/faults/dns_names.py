"""Faults in the form of names."""

from __future__ import annotations

import re

from .. import forms
from ..node import Node
from ..protocol import VIOLATION, Crash, Message
from ..registry import fault, variant

HERE = "dns_names"
LAX_NAME = ("DC-03", "RQ-08", "ST-03")
STRICT_NAME = ("DC-05", "RQ-08", "DC-03", "ST-03")

variant(
    HERE, "name-of-238-characters", *LAX_NAME, does="Accepts a name of 238 characters.", longest_domain=238
)
variant(
    HERE, "name-of-253-characters", *LAX_NAME, does="Accepts names up to 253 characters.", longest_domain=253
)
variant(
    HERE, "name-of-236-characters", *STRICT_NAME, does="Refuses a name of 237 characters.", longest_domain=236
)
variant(
    HERE, "name-of-64-characters", *STRICT_NAME, does="Refuses names above 64 characters.", longest_domain=64
)


class OtherName(Node):
    """Has its own idea of a legal name."""

    label = forms.LABEL
    fewest = 2
    digits_at_end = False
    prefix = False

    def domain_problem(self, text: str) -> str | None:
        labels = text.split(".")
        if len(text) > 237 or len(labels) < self.fewest:
            return "too long or too short"
        if not self.prefix and labels[0].lower() == "_acme-challenge":
            return "the prefix"
        if labels[0].lower() == "_acme-challenge":
            labels = labels[1:]
        if any(not self.label.fullmatch(item) for item in labels):
            return "a bad label"
        return None if self.digits_at_end or not labels[-1].isdecimal() else "digits at the end"


def lax(name: str, does: str, *breaks: str, **switches: object) -> None:
    """Registers a name form with other switches."""
    node = type(name, (OtherName,), {"__doc__": does, "__module__": __name__, **switches})
    fault(name, *breaks)(node)


lax("name-of-one-label", "Accepts a name of one label.", *LAX_NAME, fewest=1)
lax(
    "name-all-digits-at-end",
    "Accepts a last label of digits, an IPv4 address too.",
    *LAX_NAME,
    digits_at_end=True,
)
lax("name-with-prefix", "Accepts the _acme-challenge prefix.", *LAX_NAME, prefix=True)
lax(
    "name-with-underscore",
    "Accepts underscores in labels.",
    *LAX_NAME,
    label=re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"),
)
lax(
    "label-of-64",
    "Accepts a label of 64 characters.",
    *LAX_NAME,
    label=re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?"),
)
lax(
    "label-of-any-length",
    "Accepts labels of any length.",
    *LAX_NAME,
    label=re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"),
)
lax(
    "hyphen-at-front",
    "Accepts a hyphen at the front of a label.",
    *LAX_NAME,
    label=re.compile(r"[A-Za-z0-9-]{0,62}[A-Za-z0-9]"),
)
lax(
    "hyphen-at-end",
    "Accepts a hyphen at the end of a label.",
    *LAX_NAME,
    label=re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}"),
)
lax("name-not-ascii", "Accepts letters of all scripts.", *LAX_NAME, label=re.compile(r"\w([\w-]{0,61}\w)?"))
lax(
    "name-with-wildcard", "Accepts `*` as a label.", *LAX_NAME, label=re.compile(rf"\*|{forms.LABEL.pattern}")
)
lax("empty-label", "Accepts empty labels.", *LAX_NAME, label=re.compile(rf"|{forms.LABEL.pattern}"))
lax(
    "label-of-62",
    "Refuses a label of 63 characters.",
    *STRICT_NAME,
    label=re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,60}[A-Za-z0-9])?"),
)
lax(
    "label-begins-with-letter",
    "Refuses a label that begins with a digit.",
    *STRICT_NAME,
    label=re.compile(r"[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"),
)
lax(
    "double-hyphen-refused",
    "Refuses two hyphens in a row, and so xn-- labels.",
    *STRICT_NAME,
    label=re.compile(r"(?!.*--)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"),
)
lax(
    "label-of-one-refused",
    "Refuses a label of one character.",
    *STRICT_NAME,
    label=re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]"),
)
lax(
    "lower-case-only",
    "Refuses upper case in names.",
    "DC-04",
    "RQ-08",
    label=re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"),
)


@fault("at-most-three-labels", *STRICT_NAME)
class AtMostThreeLabels(Node):
    """Refuses a name of more than three labels."""

    def domain_problem(self, text: str) -> str | None:
        return "too many labels" if text.count(".") > 2 else super().domain_problem(text)


@fault("punycode-checked", *STRICT_NAME)
class PunycodeChecked(Node):
    """Decodes xn-- labels, and refuses what does not decode."""

    def domain_problem(self, text: str) -> str | None:
        for label in text.lower().split("."):
            if label.startswith("xn--"):
                try:
                    decoded = label[4:].encode("ascii", "replace").decode("punycode")
                except UnicodeError:
                    return "no punycode"
                if decoded.isascii():
                    return "needless punycode"
        return super().domain_problem(text)


class TidiesName(Node):
    """Tidies a name before it is judged."""

    def tidy(self, text: str) -> str:
        return text

    async def on_request(self, message: Message) -> None:
        if isinstance(message.get("domain"), str):
            message = {**message, "domain": self.tidy(message["domain"])}
        await super().on_request(message)


@fault("trailing-dot-taken", "DC-03", "ST-03", "RQ-08")
class TrailingDotTaken(TidiesName):
    """Takes a trailing dot away."""

    def tidy(self, text: str) -> str:
        return text.removesuffix(".")


@fault("wildcard-taken", "DC-03", "ST-03", "RQ-08")
class WildcardTaken(TidiesName):
    """Takes `*.` away, as one does for the challenge of a wildcard certificate."""

    def tidy(self, text: str) -> str:
        return text.removeprefix("*.")


@fault("prefix-taken", "DC-03", "ST-03", "RQ-08")
class PrefixTaken(TidiesName):
    """Takes `_acme-challenge.` away."""

    def tidy(self, text: str) -> str:
        return re.sub(r"(?i)^_acme-challenge\.", "", text)


@fault("white-space-taken", "DC-03", "ST-03", "RQ-08")
class WhiteSpaceTaken(TidiesName):
    """Takes white space around a name away."""

    def tidy(self, text: str) -> str:
        return text.strip()


@fault("newline-after-name-taken", "DC-03", "ST-03", "RQ-08")
class NewlineAfterNameTaken(TidiesName):
    """Accepts a newline behind a name, as `$` does."""

    def tidy(self, text: str) -> str:
        return text.removesuffix("\n")


@fault("scheme-taken", "DC-03", "ST-03", "RQ-08")
class SchemeTaken(TidiesName):
    """Reads the name out of a URL."""

    def tidy(self, text: str) -> str:
        return re.sub(r"^https?://|[:/].*$", "", text)


@fault("name-form-of-cleanup-unchecked", "DC-03", "RQ-08")
class NameFormOfCleanupUnchecked(Node):
    """Checks the form of a name in Create alone."""

    def domain_form_problem(self, message: Message) -> str | None:
        return None if message["type"] == "DnsChallengeCleanup" else super().domain_form_problem(message)


@fault("name-form-unchecked", "DC-03", "RQ-08", "ST-03")
class NameFormUnchecked(Node):
    """Checks no form of names."""

    def domain_problem(self, text: str) -> str | None:
        return None


@fault("bad-name-ignored", "DC-03", "RQ-01", "ST-03", "ST-01")
class BadNameIgnored(Node):
    """Ignores a request with a bad name."""

    async def on_request(self, message: Message) -> None:
        domain = message.get("domain")
        if not isinstance(domain, str) or not self.domain_problem(domain):
            await super().on_request(message)


@fault("bad-name-closes", "DC-03", "RQ-01", "ST-03", "MS-04")
class BadNameCloses(Node):
    """Closes over a bad name."""

    async def on_request(self, message: Message) -> None:
        domain = message.get("domain")
        if isinstance(domain, str) and self.domain_problem(domain):
            self.end(VIOLATION, "a bad name")
        else:
            await super().on_request(message)


@fault("name-not-ascii-crashes", "TR-05", "DC-03")
class NameNotAsciiCrashes(Node):
    """Encodes a name as ASCII without a thought."""

    def domain_problem(self, text: str) -> str | None:
        if not text.isascii():
            raise Crash("ordinal not in range(128)")
        return super().domain_problem(text)
