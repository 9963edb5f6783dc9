"""Chapters, requirements and cases agree, and every way in which they can drift apart is noticed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import generate_docs
from gate_conformance import case as registry
from gate_conformance.codec import FrameReader, judge
from spec_pages import markdown
from spec_pages.sources import Sources

ROOT = Path(__file__).resolve().parents[2]
Check = Callable[[], tuple[int, str]]
NEW, UNKNOWN = (f"FR-{number}" for number in (98, 97))  # put together, since ids in tests have to exist too
NOT_THERE = f"{UNKNOWN} is no requirement: correct it, or add it to spec/requirements.toml"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the pages are made from and of the pages."""
    shutil.copytree(ROOT / "spec", tmp_path / "spec")
    shutil.copytree(ROOT / "docs", tmp_path / "docs", symlinks=True, ignore=shutil.ignore_patterns("*.js"))
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    return tmp_path


@pytest.fixture
def check(tree: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    """Runs `--check` on the copy: exit status and what it said."""

    def run() -> tuple[int, str]:
        capsys.readouterr()
        status = generate(tree, "--check")
        return status, capsys.readouterr().err

    return run


def generate(tree: Path, *arguments: str) -> int:
    return generate_docs.main([*arguments, "--spec", str(tree / "spec"), "--docs", str(tree / "docs")])


def edit(path: Path, old: str, new: str) -> int:
    """Replace the first `old`, which has to be there; the number of its line."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text.count("\n", 0, text.index(old)) + 1


def item(tree: Path, chapter: str, identifier: str) -> str:
    """The line of a requirement in its chapter."""
    text = (tree / "spec" / f"{chapter}.md").read_text(encoding="utf-8")
    return next(
        line for line in text.splitlines() if line.startswith("- <span") and f"[{identifier}]" in line
    )


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def requirement(identifier: str, text: str, level: str = "MUST") -> str:
    return (
        f'\n[[requirement]]\nid = "{identifier}"\nlevel = "{level}"\nbinds = "both"\n'
        f'chapter = "framing"\ntext = "{text}"\n'
    )


# -- The tree itself -------------------------------------------------------------------------------


def test_nothing_has_drifted(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate_docs.main(["--check"]) == 0, capsys.readouterr().err


def test_writing_again_changes_nothing(tree: Path, check: Check) -> None:
    before = {path: path.read_bytes() for path in tree.rglob("*.md")}
    assert generate(tree) == 0
    assert {path: path.read_bytes() for path in tree.rglob("*.md")} == before
    assert check() == (0, "")


def test_every_byte_example_is_whole_frames_of_good_messages() -> None:
    sources = Sources(ROOT / "spec", ROOT / "docs")
    examples = [
        (chapter.name, block.first_line, block.text.splitlines()[1:-1])
        for chapter in sources.chapters.values()
        for block in markdown.blocks(sources.path_of(chapter).read_text(encoding="utf-8"))
        if block.language == "hex"
    ]
    assert examples
    for name, line, rows in examples:
        reader = FrameReader()
        bodies = reader.feed(bytes.fromhex("".join(row.partition("#")[0] for row in rows)))
        while more := reader.feed(b""):
            bodies += more
        assert bodies, (name, line)
        assert reader.pending == 0, (name, line)
        for body in bodies:
            document = None if body == b"READY" else json.loads(body)
            known = isinstance(document, dict) and document.get("type") in sources.messages
            assert not known or judge(body).verdict == "accept", (name, line, body)


def test_the_registries_name_what_the_chapters_define() -> None:
    sources = Sources(ROOT / "spec", ROOT / "docs")
    texts = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "spec").glob("*.md")}
    section = texts["versioning"].partition("## Registries")[2].partition("\n## ")[0]
    rows = {cells[1].strip(): cells[2] for line in section.splitlines() if len(cells := line.split("|")) > 3}

    def named(registry: str) -> set[str]:
        return set(re.findall(r"`([^`]+)`", rows[registry]))

    def defined(chapter: str, heading: str) -> set[str]:
        part = texts[chapter].partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        return set(re.findall(r"^\| `([^`]+)` \|(?!.*\n\|--)", part, re.MULTILINE))

    assert named("failure codes") == defined("requests", "What a responder checks, in this order")
    assert named("ALPNs") == defined("transport", "Connections and ALPNs")
    assert named("capabilities") == defined("handshake", "Capabilities")
    assert named("inference error types") == defined("inference", "Errors")
    codes = [one["code"] for one in sources.close_codes]
    assert rows["close codes"].strip() == f"{codes[0]} to {codes[-1]}"
    assert codes == list(range(len(codes)))


# -- Drift of pages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "old", "new", "page"),
    [
        ("schemas/Ping.json", "sign of life", "sign of hope", "spec/messages/Ping.md"),
        ("vectors/messages/Pong.json", '"pong.plain"', '"pong.simple"', "spec/messages/Pong.md"),
        ("schemas/common.json", "title", "titled", "spec/schemas/README.md"),
        ("messages/Ping.md", "sign of life", "sign of hope", "spec/messages/Ping.md"),
        ("states.md", "## Dialer", "## The dialer", "spec/states.md"),
        ("traceability.md", "MUST", "SHOULD", "spec/traceability.md"),
        ("requirements.toml", " MUST ", " MUST also ", "spec/traceability.md"),
    ],
)
def test_a_page_that_is_out_of_date_is_named_until_it_is_written(
    tree: Path, check: Check, source: str, old: str, new: str, page: str
) -> None:
    if source == "schemas/common.json":
        old, new = '"description": "', '"description": "Indeed: '
    edit(tree / "spec" / source, old, new)
    status, said = check()
    assert (status, f"{page}:1: out of date, run: make generate" in said.splitlines()) == (1, True), said
    assert generate(tree) == 0
    assert check() == (0, "")


def test_a_sentence_that_differs_from_its_text_is_out_of_date_and_mended(tree: Path, check: Check) -> None:
    chapter = tree / "spec" / "framing.md"
    before = chapter.read_text(encoding="utf-8")
    edit(chapter, item(tree, "framing", "FR-04"), item(tree, "framing", "FR-04") + " Perhaps.")
    assert check() == (1, "spec/framing.md:1: out of date, run: make generate\n")
    assert generate(tree) == 0
    assert chapter.read_text(encoding="utf-8") == before


def test_a_page_that_nothing_generates_any_more_is_named(tree: Path, check: Check) -> None:
    shutil.copy(tree / "spec" / "messages" / "Ping.md", tree / "spec" / "messages" / "Peng.md")
    assert check() == (1, "spec/messages/Peng.md:1: nothing generates this page: remove it\n")


def test_an_id_in_a_guide_becomes_a_link(tree: Path, check: Check) -> None:
    guide = tree / "docs" / "guide.md"
    guide.write_text("See FR-04, not `FR-04`.\n", encoding="utf-8")
    assert check() == (1, "docs/guide.md:1: out of date, run: make generate\n")
    assert generate(tree) == 0
    assert guide.read_text(encoding="utf-8") == "See [FR-04](spec/framing.md#fr-04), not `FR-04`.\n"


# -- Drift of chapters -----------------------------------------------------------------------------


def test_a_missing_chapter_is_named(tree: Path, check: Check) -> None:
    (tree / "spec" / "liveness.md").unlink()
    status, said = check()
    assert status == 1
    assert "spec/liveness.md:1: the chapter 'liveness' is missing: write it" in said
    assert re.search(
        r"^spec/requirements\.toml:\d+: LV-01: it is missing from spec/liveness\.md", said, re.MULTILINE
    )


def test_a_wrong_title_is_named(tree: Path, check: Check) -> None:
    edit(tree / "spec" / "liveness.md", "# Liveness\n", "# Life\n")
    status, said = check()
    assert (status, said) == (
        1,
        "spec/liveness.md:1: the first line is not the chapter's title: write '# Liveness'\n",
    )


def test_a_requirement_without_an_item_is_named(tree: Path, check: Check) -> None:
    edit(tree / "spec" / "framing.md", item(tree, "framing", "FR-04") + "\n", "")
    status, said = check()
    assert status == 1
    assert re.fullmatch(
        r"spec/requirements\.toml:\d+: FR-04: it is missing from spec/framing\.md: "
        r"add the line '- FR-04' there\n",
        said,
    )


def test_a_second_item_is_named(tree: Path, check: Check) -> None:
    line = item(tree, "framing", "FR-04")
    at = edit(tree / "spec" / "framing.md", line, f"{line}\n{line}")
    expected = f"spec/framing.md:{at + 1}: FR-04 has an item already at spec/framing.md:{at}: leave one\n"
    assert check() == (1, expected)


def test_an_item_in_another_chapter_is_named(tree: Path, check: Check) -> None:
    append(tree / "spec" / "liveness.md", "\n- FR-04\n")
    status, said = check()
    assert status == 1
    assert "FR-04 belongs to the chapter 'framing': move the item there" in said


@pytest.mark.parametrize("page", ["framing.md", "overview.md", "README.md"])
def test_a_keyword_outside_a_requirement_is_named(tree: Path, check: Check, page: str) -> None:
    path = tree / "spec" / page
    line = path.read_text(encoding="utf-8").count("\n") + 2
    append(path, "\nA node SHOULD NOT try.\n")
    status, said = check()
    assert status == 1
    assert said.startswith(f"spec/{page}:{line}: SHOULD stands outside a requirement: make it one in ")


def test_a_keyword_in_code_or_quotes_is_none(tree: Path, check: Check) -> None:
    append(tree / "spec" / "framing.md", '\n`MUST` and the word "SHOULD", MAYBE.\n\n```text\nMAY\n```\n')
    assert check() == (0, "")


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("A node must try.", "its text has no MUST: write the sentence with the word of its level"),
        (
            "A node MUST try and MAY stop.",
            "its text has MAY, but its level is MUST: make it two requirements",
        ),
        ("A node MUST try", "its text does not end with a full stop: make it one whole sentence"),
    ],
)
def test_a_sentence_without_the_word_of_its_level_is_named(
    tree: Path, check: Check, text: str, finding: str
) -> None:
    append(tree / "spec" / "requirements.toml", requirement(NEW, text) + 'untested = "A test."\n')
    append(tree / "spec" / "framing.md", f"\n- {NEW}\n")
    assert generate(tree) == 1
    status, said = check()
    assert status == 1
    assert re.search(rf"^spec/requirements\.toml:\d+: {NEW}: {re.escape(finding)}$", said, re.MULTILINE), said


@pytest.mark.parametrize(
    "place",
    ["spec/framing.md", "spec/schemas/Ping.json", "spec/vectors/messages/Ping.json", "docs/suite.md"],
)
def test_an_id_that_does_not_exist_is_named(tree: Path, check: Check, place: str) -> None:
    at = edit(tree / place, "FR-06", UNKNOWN) if "vectors" in place else 0
    if not at and place.endswith(".json"):
        at = edit(tree / place, "MS-01", UNKNOWN)
    elif not at:
        at = (tree / place).read_text(encoding="utf-8").count("\n") + 2
        append(tree / place, f"\nSee {UNKNOWN}.\n")
    generate(tree)
    status, said = check()
    assert status == 1
    assert (
        f"{place}:{at}: {UNKNOWN} is no requirement: correct it, or add it to spec/requirements.toml" in said
    )


def test_an_id_that_does_not_exist_is_named_in_code_too(tree: Path, check: Check) -> None:
    code = tree / "reference" / "module.py"
    code.parent.mkdir()
    code.write_text(f'"""Meets {UNKNOWN}, by XY-01 alone."""\n', encoding="utf-8")
    assert check() == (1, f"reference/module.py:1: {NOT_THERE}\n")


# -- Drift of cases --------------------------------------------------------------------------------


def test_a_requirement_without_case_or_reason_is_named(tree: Path, check: Check) -> None:
    append(tree / "spec" / "requirements.toml", requirement(NEW, "A node MUST try."))
    append(tree / "spec" / "framing.md", f"\n- {NEW}\n")
    generate(tree)
    status, said = check()
    assert status == 1
    assert re.fullmatch(
        rf"spec/requirements\.toml:\d+: {NEW}: no case tests it: "
        r"write one, or say in `untested` why none can\n",
        said,
    )


def test_a_requirement_with_a_case_and_a_reason_is_named(tree: Path, check: Check) -> None:
    toml = tree / "spec" / "requirements.toml"
    line = edit(toml, 'id = "FR-04"\n', 'id = "FR-04"\nuntested = "Nobody dares."\n')
    generate(tree)
    status, said = check()
    assert status == 1
    assert re.fullmatch(rf"spec/requirements\.toml:{line}: FR-04: \S+ tests it: take `untested` away\n", said)


def test_a_case_of_a_requirement_that_is_gone_is_named(tree: Path, check: Check) -> None:
    toml = tree / "spec" / "requirements.toml"
    edit(toml, 'id = "FR-04"', f'id = "{NEW}"')
    status, said = check()
    assert status == 1
    assert re.search(
        r"cases/framing\S*\.py:\d+: framing\.\S+ tests FR-04, which is no requirement: name one of spec/",
        said,
    )


def test_a_case_that_the_registry_refuses_is_named(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        registry.case("framing.invented", requirement=UNKNOWN)

    monkeypatch.setattr(registry, "all_cases", refuse)
    status, said = check()
    assert status == 1
    assert f"requirements.toml has no '{UNKNOWN}': name a requirement that is there, or add this one" in said


# -- Drift of tables, bytes and navigation ---------------------------------------------------------


def close_code_row(tree: Path) -> str:
    text = (tree / "spec" / "closing.md").read_text(encoding="utf-8")
    return next(line for line in text.splitlines() if re.match(r"\| *4 *\|", line))


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (
            lambda row: row.replace("time-out", "late", 1),
            "this row differs from spec/requirements.toml: write '4 | ",
        ),
        (lambda row: "", "the table of close codes lacks 4: add the row"),
        (lambda row: f"{row}\n| 9 | nine | a number |", "the close code 9 is not in spec/requirements.toml"),
    ],
)
def test_a_table_of_close_codes_that_differs_is_named(
    tree: Path, check: Check, change: Callable[[str], str], finding: str
) -> None:
    row = close_code_row(tree)
    edit(tree / "spec" / "closing.md", row, change(row))
    status, said = check()
    assert (status, said.count("\n")) == (1, 1)
    assert re.match(rf"spec/closing\.md:\d+: {re.escape(finding)}", said)


def test_a_byte_example_that_is_no_whole_frames_is_named(tree: Path, check: Check) -> None:
    path = tree / "spec" / "framing.md"
    line = path.read_text(encoding="utf-8").count("\n") + 2
    append(path, "\n```hex\n00 00 00 03  7b 7d\n```\n")
    expected = f"spec/framing.md:{line}: a length of 3 with 2 bytes behind it: write whole frames\n"
    assert check() == (1, expected)


def test_a_diagram_that_breaks_off_is_named(tree: Path, check: Check) -> None:
    path = tree / "spec" / "framing.md"
    line = path.read_text(encoding="utf-8").count("\n") + 4
    append(path, "\n```mermaid\nsequenceDiagram\n    A->>B: one; two\n```\n")
    assert check() == (
        1,
        f"spec/framing.md:{line}: a semicolon ends a statement of a diagram: write a comma\n",
    )


def test_a_chapter_that_the_site_leaves_out_or_moves_is_named(tree: Path, check: Check) -> None:
    navigation = tree / "mkdocs.yml"
    line = edit(navigation, "      - spec/framing.md\n", "")
    assert check() == (1, "mkdocs.yml:1: `nav` lacks the chapter 'framing': add spec/framing.md\n")
    edit(navigation, "      - spec/overview.md\n", "      - spec/framing.md\n      - spec/overview.md\n")
    status, said = check()
    assert status == 1
    assert (
        said == f"mkdocs.yml:{line - 2}: here 'overview' comes next, as in spec/requirements.toml: move it\n"
    )
