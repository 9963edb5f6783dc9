"""What must hold between the chapters, the requirements and the cases; each finding says what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from spec_pages.markdown import blocks, identifiers, items, keywords
from spec_pages.sources import Problem, Requirement, Sources

LEVELS = ("MUST", "SHOULD", "MAY")
READY = b"READY"
# Where ids are named beside the specification and the guides.
CODE = ("reference", "conformance", "scripts", "benchmarks", "docs")
NAV = re.compile(r"- (?:[^#]*: )?spec/([a-z-]+)\.md$")
TEXTS = {".md", ".toml", ".json", ".py"}


def problems(sources: Sources) -> list[Problem]:
    """Everything that is wrong and that writing pages does not mend, in the order of the files."""
    found = [
        *_chapters(sources),
        *_sentences(sources),
        *_tests(sources),
        *_mentions(sources),
        *_close_codes(sources),
        *_fences(sources),
        *_navigation(sources),
    ]
    return sorted(set(found))


# -- Chapters and requirements ---------------------------------------------------------------------


def _chapters(sources: Sources) -> Iterator[Problem]:
    """Every chapter is there under its title, with its requirements once and no keyword outside them."""
    places: dict[str, list[tuple[str, int]]] = {}
    for chapter in sources.chapters.values():
        path = sources.path_of(chapter)
        name = sources.relative(path)
        if not path.exists():
            yield Problem(
                name,
                1,
                f"the chapter {chapter.name!r} is missing: write it, or take it out of {_toml(sources)}",
            )
            continue
        text = path.read_text(encoding="utf-8")
        if not text.startswith(f"# {chapter.title}\n"):
            yield Problem(name, 1, f"the first line is not the chapter's title: write '# {chapter.title}'")
        for item in items(text):
            places.setdefault(item.id, []).append((name, item.line))
            one = sources.requirements.get(item.id)
            if one and one.chapter != chapter.name:
                yield Problem(
                    name, item.line, f"{item.id} belongs to the chapter {one.chapter!r}: move the item there"
                )
        yield from _keywords(sources, path)
    for path in sources.readmes():
        yield from _keywords(sources, path)
    for one in sources.requirements.values():
        if one.chapter not in sources.chapters:
            yield _at(
                sources, one, f"there is no chapter {one.chapter!r}: correct `chapter`, or add the chapter"
            )
        elif one.id not in places:
            yield _at(
                sources, one, f"it is missing from spec/{one.chapter}.md: add the line '- {one.id}' there"
            )
        for name, line in places.get(one.id, [])[1:]:
            yield Problem(
                name,
                line,
                f"{one.id} has an item already at {':'.join(map(str, places[one.id][0]))}: leave one",
            )


def _keywords(sources: Sources, path: Path) -> Iterator[Problem]:
    for line, word in keywords(path.read_text(encoding="utf-8")):
        yield Problem(
            sources.relative(path),
            line,
            f"{word} stands outside a requirement: make it one in {_toml(sources)}, or say it in other words",
        )


def _sentences(sources: Sources) -> Iterator[Problem]:
    """Every text has the word of its level and of no other, and ends as a sentence does."""
    for one in sources.requirements.values():
        words = set(re.findall(rf"\b({'|'.join(LEVELS)})\b", one.text))
        if one.level not in LEVELS:
            yield _at(sources, one, f"the level {one.level!r} is none of {', '.join(LEVELS)}")
        elif one.level not in words:
            yield _at(
                sources, one, f"its text has no {one.level}: write the sentence with the word of its level"
            )
        for word in sorted(words - {one.level}):
            yield _at(
                sources, one, f"its text has {word}, but its level is {one.level}: make it two requirements"
            )
        if not one.text.endswith("."):
            yield _at(sources, one, "its text does not end with a full stop: make it one whole sentence")


# -- Cases -----------------------------------------------------------------------------------------


def _tests(sources: Sources) -> Iterator[Problem]:
    """Every requirement has a case or a reason, not both; every case has a requirement."""
    yield from sources.unreadable_cases
    if sources.unreadable_cases:
        return
    for one in sources.requirements.values():
        cases = sources.cases.get(one.id, [])
        if not cases and not (one.untested or "").strip():
            yield _at(sources, one, "no case tests it: write one, or say in `untested` why none can")
        if cases and one.untested is not None:
            yield _at(sources, one, f"{cases[0].id} tests it: take `untested` away")
    for identifier, cases in sources.cases.items():
        if identifier not in sources.requirements:
            for case in cases:
                yield Problem(
                    sources.relative(case.path),
                    case.line,
                    f"{case.id} tests {identifier}, which is no requirement: name one of {_toml(sources)}",
                )


# -- Mentions --------------------------------------------------------------------------------------


def _mentions(sources: Sources) -> Iterator[Problem]:
    """Every id that is named anywhere exists. In code only the prefixes of the chapters count as ids."""
    prefixes = {chapter.prefix for chapter in sources.chapters.values()}
    for path in _texts(sources):
        everywhere = path.suffix == ".md"
        for line, identifier in identifiers(path.read_text(encoding="utf-8")):
            known = identifier in sources.requirements
            if not known and (everywhere or identifier.partition("-")[0] in prefixes):
                yield Problem(
                    sources.relative(path),
                    line,
                    f"{identifier} is no requirement: correct it, or add it to {_toml(sources)}",
                )


def _texts(sources: Sources) -> Iterable[Path]:
    yield from sorted(path for path in sources.spec.rglob("*") if path.suffix in TEXTS)
    for directory in CODE:
        for path in sorted((sources.root / directory).rglob("*")):
            linked = sources.docs / "spec" in path.parents
            if path.suffix in TEXTS and not linked and "vectors" not in path.parts and path.is_file():
                yield path
    yield from sorted(sources.root.glob("*.md"))


# -- Tables and bytes in the chapters --------------------------------------------------------------


def _close_codes(sources: Sources) -> Iterator[Problem]:
    """The table of close codes in the chapter is that of requirements.toml."""
    path = sources.spec / "closing.md"
    if not path.exists():
        return
    name = sources.relative(path)
    wanted = {str(one["code"]): (one["name"], one["meaning"]) for one in sources.close_codes}
    rows: dict[str, int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        cells = [_bare(cell) for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("|") or not cells[0].isdigit() or len(cells) < 3:
            continue
        rows[cells[0]] = number
        if cells[0] not in wanted:
            yield Problem(
                name, number, f"the close code {cells[0]} is not in {_toml(sources)}: take the row away"
            )
        elif (cells[1], cells[2]) != tuple(map(_bare, wanted[cells[0]])):
            right = " | ".join((cells[0], *wanted[cells[0]]))
            yield Problem(name, number, f"this row differs from {_toml(sources)}: write '{right}'")
    for code in wanted:
        if code not in rows:
            yield Problem(
                name, 1, f"the table of close codes lacks {code}: add the row 'code | name | meaning'"
            )


def _bare(cell: str) -> str:
    """A cell's words: no links, no marks."""
    return re.sub(r"[`*]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", cell)).strip()


def _fences(sources: Sources) -> Iterator[Problem]:
    """Every `hex` fence holds whole frames: bodies of JSON objects, or READY. No diagram breaks off early."""
    for chapter in sources.chapters.values():
        path = sources.path_of(chapter)
        if not path.exists():
            continue
        name = sources.relative(path)
        for block in blocks(path.read_text(encoding="utf-8")):
            if block.language == "hex" and (fault := frames_fault(block.text)):
                yield Problem(name, block.first_line, f"{fault}: write whole frames")
            if block.language == "mermaid" and ";" in block.text:
                line = block.first_line + block.text.count("\n", 0, block.text.index(";"))
                yield Problem(name, line, "a semicolon ends a statement of a diagram: write a comma")


def frames_fault(fence: str) -> str | None:
    """What is wrong with the frames of a `hex` fence, its marks included; None when nothing is."""
    lines = [line.partition("#")[0] for line in fence.splitlines()[1:-1]]
    try:
        data = bytes.fromhex("".join(lines))
    except ValueError as error:
        return f"no hexadecimal bytes ({error})"
    if not data:
        return "there are no bytes"
    while data:
        length, data = int.from_bytes(data[:4], "big"), data[4:]
        body, data = data[:length], data[length:]
        if not body or len(body) < length:
            return f"a length of {length} with {len(body)} bytes behind it"
        if body != READY:
            try:
                message = json.loads(body)
            except ValueError as error:
                return f"a body that is no JSON ({error})"
            if not isinstance(message, dict):
                return "a body that is no JSON object"
    return None


def _navigation(sources: Sources) -> Iterator[Problem]:
    """The site's navigation has every chapter, in reading order, where there is a site."""
    path = sources.root / "mkdocs.yml"
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    listed = [
        (found[1], number)
        for number, line in enumerate(lines, 1)
        if (found := NAV.search(line)) and found[1] in sources.chapters
    ]
    for name in sources.chapters:
        if name not in dict(listed):
            yield Problem("mkdocs.yml", 1, f"`nav` lacks the chapter {name!r}: add spec/{name}.md")
    order = [name for name in sources.chapters if name in dict(listed)]
    for (name, number), wanted in zip(listed, order, strict=False):
        if name != wanted:
            yield Problem(
                "mkdocs.yml", number, f"here {wanted!r} comes next, as in {_toml(sources)}: move it"
            )
            return


def _at(sources: Sources, one: Requirement, what: str) -> Problem:
    return Problem(_toml(sources), sources.line_of(one.id), f"{one.id}: {what}")


def _toml(sources: Sources) -> str:
    return sources.relative(sources.toml)
