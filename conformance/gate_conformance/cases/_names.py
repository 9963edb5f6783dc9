"""Ids, domains and TXT values, legal and not: tables and strategies for the generated cases."""

from __future__ import annotations

import re
import string

from hypothesis import strategies as st

BASE64URL = string.ascii_letters + string.digits + "-_"
_DOMAIN = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+"
)
_TXT = re.compile(r"[A-Za-z0-9_-]{43}")
_ID = re.compile(r"[!-~]{1,128}")


def is_domain(text: str) -> bool:
    """Whether ``text`` has the form of DC-03."""
    return len(text) <= 237 and bool(_DOMAIN.fullmatch(text)) and not text.rpartition(".")[2].isdigit()


def is_txt_value(text: str) -> bool:
    """Whether ``text`` has the form of DC-06."""
    return bool(_TXT.fullmatch(text))


def long_name(length: int, end: str = "example") -> str:
    """A name of exactly ``length`` characters under ``end``, with labels of at most 63."""
    rest = length - len(end) - 1
    labels = []
    while rest > 0:
        # one character after a dot is the least that a label needs
        size = 63 if rest > 64 or rest == 63 else min(rest, 62)
        labels.append("l" * size)
        rest -= size + 1
    return ".".join([*labels, end])


def illegal_domains(base: str) -> dict[str, list[str]]:
    """Names that break one rule each, by rule; where the rule allows it under ``base``, which is allowed."""
    return {
        "single-label": ["localhost", "example", ""],
        "empty-label": [f".{base}", f"a..{base}", base.replace(".", "..", 1), ".", ".."],
        "trailing-dot": [f"{base}.", "example.com.", f"{base}.."],
        "hyphen-edge": [f"-a.{base}", f"a-.{base}", f"-.{base}", f"{base}-", "a.-example", f"-{base}"],
        "underscore": [f"a_b.{base}", f"_{base}", f"_dmarc.{base}"],
        "white-space": [
            f" {base}",
            f"{base} ",
            f"{base}\n",
            f"{base}\r\n",
            f"\t{base}",
            f"a b.{base}",
            f"a\n.{base}",
        ],
        "character": [
            f"a/{base}",
            f"{base}:53",
            f"a@{base}",
            f"a\\.{base}",
            f"a\x00.{base}",
            f"{base}\x00",
            f"a,{base}",
        ],
        "non-ascii": [
            f"bücher.{base}",
            f"\uff41.{base}",
            f"\u212aey.{base}",
            base.replace(".", "\u3002"),
            f"\u0663.{base}",
        ],
        "wildcard": [f"*.{base}", f"a.*.{base}", f"*a.{base}", "*.com"],
        "acme-prefix": [f"_acme-challenge.{base}", f"_ACME-Challenge.{base}", "_acme-challenge.example.com"],
        "label-of-64": [f"{'a' * 64}.{base}", f"{'a' * 64}.example", f"example.{'a' * 64}"],
        "length-238": [long_name(238, base), long_name(238), long_name(250, base), long_name(1000)],
        "numeric-last-label": ["192.0.2.1", f"{base}.1", "example.123", "1.0"],
    }


LEGAL_DOMAINS: dict[str, list[str]] = {
    "label-of-63": [f"{'a' * 63}.example", f"{'a1-b' * 15}abc.example", f"example.{'z' * 63}"],
    "length-237": [long_name(237), "a." * 115 + "example", long_name(236)],
    "digits": [
        "3com.example",
        "1.example",
        "0.0.0.0.example",
        "a1.example",
        "127.0.0.1.example",
        "example.1a",
        "a.b2",
    ],
    "hyphens": ["a-b.example", "a--b.example", "1-1.example", "ab--cd.example", "example.a-b", "a.0-0"],
    "a-labels": [
        "xn--bcher-kva.example",
        "xn--999999999.example",
        "xn--0.example",
        "XN--A.example",
        "test.xn--p1ai",
    ],
    "upper-case": ["EXAMPLE.ORG", "eXaMpLe.OrG", "A.B"],
    "short": ["a.b", "x.example", "a.b.c.d.e.f.g.h"],
    "looks-special": [
        "acme-challenge.example",
        "www.example.com",
        "localhost.localdomain",
        "wildcard.example",
    ],
}


def illegal_values() -> dict[str, list[str]]:
    """TXT values that break one rule each."""
    good = "gfj9Xq-Rg85nM_2vYw0bLx1TtKcJ7hD4sUoEiA6pZrQ"
    return {
        "length": ["", good[:42], good + "A", good[:1], good * 2, "A" * 255, "A" * 1000],
        "padding": [good + "=", good[:42] + "=", good + "=="],
        "plain-base64": [good[:-1] + "+", "+" + good[1:], good[:20] + "/" + good[21:]],
        "white-space": [
            good + "\n",
            good[:-1] + "\n",
            " " + good,
            good + " ",
            good[:-1] + " ",
            good[:9] + "\t" + good[10:],
        ],
        "other-character": [
            good[:-1] + "\u00e9",
            "\u0410" + good[1:],
            good[:-1] + "\uff11",
            good[:-1] + ".",
            good[:-1] + "\x00",
        ],
        "quoted": ['"' + good + '"', '"' + good[:41] + '"', good[:-1] + "~"],
    }


_letters = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
_strange = st.characters(exclude_categories=["Cs"]).filter(lambda c: not "!" <= c <= "~")


def _spliced(base: st.SearchStrategy[str], insert: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def splice(text: str, extra: str, where: int) -> str:
        at = where % (len(text) + 1)
        return text[:at] + extra + text[at:]

    return st.builds(splice, base, insert, st.integers(0, 300))


def _under(label: str, text: str) -> str:
    return f"{label}.{text}"


legal_ids = st.text(_letters, min_size=1, max_size=128).filter(lambda text: bool(_ID.fullmatch(text)))
illegal_ids = st.one_of(
    st.just(""),
    st.text(_letters, min_size=129, max_size=400),
    _spliced(st.text(_letters, max_size=100), _strange),
).filter(lambda text: not _ID.fullmatch(text))

_label = st.from_regex(r"\A[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z").map(lambda text: text.rstrip("\n"))
legal_domains = st.lists(_label, min_size=2, max_size=5).map(".".join).filter(is_domain)
illegal_domains_drawn = st.one_of(
    _label,
    _spliced(legal_domains, st.characters(exclude_categories=["Cs"])),
    _spliced(legal_domains, st.sampled_from(["..", ".-", "-.", "_", " ", "*", "\n", "\u3002", "/"])),
    legal_domains.map(lambda text: text + "."),
    legal_domains.map(lambda text: _under("*", text)),
    legal_domains.map(lambda text: _under("_acme-challenge", text)),
    legal_domains.map(lambda text: _under("a" * 64, text)),
    st.builds(lambda text, number: f"{text}.{number}", legal_domains, st.integers(0, 10**9)),
    st.integers(238, 400).map(long_name),
).filter(lambda text: not is_domain(text))

legal_values = st.text(BASE64URL, min_size=43, max_size=43)
illegal_values_drawn = st.one_of(
    st.text(BASE64URL, max_size=42),
    st.text(BASE64URL, min_size=44, max_size=100),
    _spliced(
        st.text(BASE64URL, min_size=42, max_size=43),
        st.characters(exclude_categories=["Cs"]).filter(lambda c: c not in BASE64URL),
    ),
).filter(lambda text: not _TXT.fullmatch(text))
