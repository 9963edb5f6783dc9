"""Markdown, as far as the pages need it: what is prose and what is code, links to requirements, tables."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

_NOTE = "<!-- Written by scripts/generate_docs.py; change its sources, then run `make generate`. -->\n"

ID = r"[A-Z]{2}-\d\d"
KEYWORDS = ("MUST", "SHALL", "REQUIRED", "SHOULD", "RECOMMENDED", "MAY", "OPTIONAL")

_ID = re.compile(rf"(?<![\w-]){ID}(?![\w-])")
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w-]*)")
# What stands between fences: a requirement's item, a heading, code, a link or a tag, and else single ids.
_PROSE = re.compile(
    rf"""
    (?P<item>^-[ ](?:
        <span[ ]class="requirement[ ][a-z]+"[ ]id="(?P<done>[a-z]{{2}}-\d\d)">.* | (?P<bare>{ID})[ \t]*
    )$)
    | (?P<heading>^\#{{1,6}}[ ].*$)
    | (?P<code>(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n)[\s\S])+?(?<!`)(?P=ticks)(?!`))
    | \[(?P<linked>{ID})\]\([^)\s]*\)
    | (?P<link>\[[^\]\n]*\]\([^)\s]*\))
    | (?P<tag><[a-z/!][^>]*>)
    | (?<![\w-])(?P<id>{ID})(?![\w-])
    """,
    re.MULTILINE | re.VERBOSE,
)


class Block(NamedTuple):
    """Consecutive lines that are prose (`language` None) or one fence with its marks."""

    first_line: int
    text: str
    language: str | None


class Item(NamedTuple):
    """A list item that holds a requirement, and the line it stands on."""

    id: str
    line: int


def generated(title: str, *parts: str) -> str:
    """A page that nobody edits by hand, and that says so under its title."""
    return "".join((f"# {title}\n\n{_NOTE}\n", *parts))


def is_generated(text: str) -> bool:
    return _NOTE in text[:400]


def blocks(text: str) -> Iterator[Block]:
    """Cut a page into prose and fences; joined, the blocks are the page. A fence that never ends runs on."""
    kept: list[str] = []
    first, fence, language = 1, "", ""
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        found = _FENCE.match(line)
        if not fence and found:
            if kept:
                yield Block(first, "".join(kept), None)
            kept, first, fence, language = [line], number, found[1], found[2]
        elif fence and found and found[1].startswith(fence) and line.strip() == found[1]:
            yield Block(first, "".join([*kept, line]), language)
            kept, first, fence = [], number + 1, ""
        else:
            kept.append(line)
    if kept:
        yield Block(first, "".join(kept), language if fence else None)


def rewrite(text: str, *, item: Callable[[str], str | None], reference: Callable[[str], str | None]) -> str:
    """The page with every requirement's item and every reference to one replaced.

    `item` and `reference` get an id and return what takes its place, or None: leave it as it is.
    """

    def replaced(found: re.Match[str]) -> str:
        if found["item"]:
            line = item((found["bare"] or found["done"]).upper())
            return found[0] if line is None else line
        identifier = found["linked"] or found["id"]
        link = reference(identifier) if identifier else None
        return found[0] if link is None else link

    return "".join(
        block.text if block.language is not None else _PROSE.sub(replaced, block.text)
        for block in blocks(text)
    )


def items(text: str) -> Iterator[Item]:
    """Every requirement's item, completed or not."""
    for block in blocks(text):
        if block.language is None:
            for found in _PROSE.finditer(block.text):
                if found["item"]:
                    yield Item((found["bare"] or found["done"]).upper(), _line(block, found.start()))


def keywords(text: str) -> Iterator[tuple[int, str]]:
    """Every RFC 2119 word in capitals outside requirements' items, code and double quotes: line and word."""

    def blank(found: re.Match[str]) -> str:
        hidden = found["item"] or found["code"] or found["tag"]
        return re.sub(r"[^\n]", " ", found[0]) if hidden else found[0]

    for block in blocks(text):
        if block.language is None:
            for found in re.finditer(rf'(?<!["\w])({"|".join(KEYWORDS)})\b', _PROSE.sub(blank, block.text)):
                yield _line(block, found.start()), found[1]


def identifiers(text: str) -> Iterator[tuple[int, str]]:
    """Everything that looks like a requirement's id, code and fences included: line and id."""
    for found in _ID.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, found[0]


def link_ids(text: str, target: Callable[[str], str | None]) -> str:
    """The text with every id in it linked to `target(id)`, where that is not None."""

    def reference(identifier: str) -> str | None:
        where = target(identifier)
        return None if where is None else f"[{identifier}]({where})"

    return rewrite(text, item=lambda _: None, reference=reference)


def rebased(text: str, prefix: str) -> str:
    """The text with `prefix` in front of every relative link target."""
    return re.sub(r"\]\((?![#/]|[a-z]+:)", f"]({prefix}", text)


def plain(text: str) -> str:
    """Text that means itself in Markdown; code spans stay."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if index % 2 else re.sub(r"([\\*_\[\]<>])", r"\\\1", part) for index, part in enumerate(parts)
    )


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; line breaks and bars in a cell are made harmless."""

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |\n"

    head = list(head)
    return line(head) + line("---" for _ in head) + "".join(line(row) for row in rows)


def json_text(value: Any, indent: int = 0) -> str:
    """JSON for reading: objects over several lines, arrays of plain values on one."""
    inner = "  " * (indent + 1)
    if isinstance(value, dict) and value:
        members = (f"{inner}{json.dumps(name)}: {json_text(one, indent + 1)}" for name, one in value.items())
        return "{\n" + ",\n".join(members) + "\n" + "  " * indent + "}"
    if isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        return (
            "[\n"
            + ",\n".join(inner + json_text(one, indent + 1) for one in value)
            + "\n"
            + "  " * indent
            + "]"
        )
    return json.dumps(value, ensure_ascii=False)


def hex_text(data: bytes, comments: dict[int, str] | None = None) -> str:
    """Bytes for a `hex` fence, 16 a line; `comments` by the offset at which their line begins."""
    comments = comments or {}
    starts = sorted({0, *comments})
    lines = []
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        for offset in range(start, end, 16):
            pairs = data[offset : min(offset + 16, end)].hex(" ")
            comment = comments.get(offset, "")
            lines.append(f"{pairs:<47}  # {comment}" if comment else pairs)
    return "\n".join(lines)


def _line(block: Block, offset: int) -> int:
    return block.first_line + block.text.count("\n", 0, offset)
