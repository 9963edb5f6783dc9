"""Write the documentation pages that come from the specification's data and from the core's state table.

generate_docs.py            write them
generate_docs.py --check    change nothing; exit status 1 and a list when a page is out of date
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Written by scripts/generate_docs.py; change its sources, then run `make generate`. -->\n"

LEVELS = {"MUST": "binding", "SHOULD": "binding unless there is a good reason", "MAY": "a choice"}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; line breaks and bars in a cell are made harmless."""

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |\n"

    head = list(head)
    return line(head) + line("---" for _ in head) + "".join(line(row) for row in rows)


def linked(text: str) -> str:
    """The text with every requirement id in it made a link to that requirement."""
    return re.sub(r"\b([A-Z]{2})-(\d\d)\b", lambda m: f"[{m[0]}](requirements.md#{m[0].lower()})", text)


# -- Requirements ----------------------------------------------------------------------------------


def requirements_page(spec: Path) -> str:
    """Every requirement by chapter, each with an anchor (`#fr-01`)."""
    document = tomllib.loads((spec / "requirements.toml").read_text(encoding="utf-8"))
    requirements: list[dict[str, str]] = document["requirement"]
    parts = [
        NOTE,
        "# Requirements\n\n",
        f"The {len(requirements)} requirements of Gate P2P {document['version']}. MUST, SHOULD and MAY "
        "are those of RFC 2119 and RFC 8174. An id is stable and never used again. The suite names the "
        "requirement that a node broke; a requirement that no case can test says why.\n\n",
        table(
            ("Level", "Meaning", "Requirements"),
            (
                (level, meaning, str(sum(entry["level"] == level for entry in requirements)))
                for level, meaning in LEVELS.items()
            ),
        ),
    ]
    for chapter in dict.fromkeys(entry["chapter"] for entry in requirements):
        parts.append(
            f"\n## {chapter.replace('-', ' ').capitalize().replace('Dns', 'DNS')} {{ #{chapter} }}\n\n"
        )
        parts.append(
            table(
                ("Id", "Level", "Binds", "Requirement"),
                (
                    (
                        f'<span id="{entry["id"].lower()}">{entry["id"]}</span>',
                        entry["level"],
                        entry["binds"],
                        requirement_text(entry),
                    )
                    for entry in requirements
                    if entry["chapter"] == chapter
                ),
            )
        )
        if chapter == "closing":
            parts.append(
                "\nThe application code of a close says why; "
                "a receiver acts on the close alone, whatever the code.\n\n"
            )
            codes: list[dict[str, Any]] = document["close_code"]
            parts.append(
                table(
                    ("Code", "Name", "Meaning"),
                    ((str(entry["code"]), entry["name"], entry["meaning"]) for entry in codes),
                )
            )
    return "".join(parts)


def requirement_text(entry: Mapping[str, str]) -> str:
    """The sentence, and why it has no case where it has none."""
    untested = entry.get("untested")
    return entry["text"] + (f" *Not tested: {untested}*" if untested else "")


# -- Messages --------------------------------------------------------------------------------------


def messages_page(spec: Path) -> str:
    """Every schema of a message: what it describes, its members, its examples; then the forms they share."""
    schemas = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted((spec / "schemas").glob("*.json"))
    ]
    messages = [schema for schema in schemas if "properties" in schema]
    shared: dict[str, Any] = next(schema for schema in schemas if schema["title"] == "Common definitions")
    parts = [
        NOTE,
        "# Messages\n\n",
        "A control message is one frame: the length of the body as an unsigned 32-bit big-endian integer, "
        "then the body, one JSON object in UTF-8 of 1 to 10,485,760 bytes. Members that nobody knows are "
        "ignored. The tables come from the JSON Schemas in `spec/schemas/`.\n",
    ]
    for schema in messages:
        parts.append(f"\n## {schema['title']}\n\n{linked(schema.get('description', ''))}\n\n")
        parts.append(f"Schema: `{schema['$id']}`\n\n")
        required = set(schema.get("required", ()))
        parts.append(
            table(
                ("Member", "Type", "Required", "Meaning"),
                (
                    (
                        f"`{name}`",
                        member_type(member),
                        "yes" if name in required else "no",
                        linked(member.get("description", "")),
                    )
                    for name, member in schema["properties"].items()
                ),
            )
        )
        for example in schema.get("examples", ()):
            parts.append(f"\n```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```\n")
    parts.append("\n## Forms\n\n")
    parts.append(
        table(
            ("Form", "Type", "Meaning", "Limits"),
            (
                (
                    f'<span id="{name}">{name}</span>',
                    member_type(form),
                    linked(form.get("description", "")),
                    ", ".join(f"{key} `{json.dumps(form[key])}`" for key in LIMITS if key in form),
                )
                for name, form in shared["$defs"].items()
            ),
        )
    )
    return "".join(parts)


LIMITS = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "enum")


def member_type(member: Mapping[str, Any]) -> str:
    """A member's type in a word or two: `"Ping"`, string, array of string, or the name of a form."""
    if "const" in member:
        return f"`{json.dumps(member['const'])}`"
    for choice in ("oneOf", "anyOf"):
        if choice in member:
            return " or ".join(member_type(option) for option in member[choice])
    if "$ref" in member:
        name = str(member["$ref"]).rsplit("/", 1)[-1]
        return f"[{name}](#{name})"
    kinds = member.get("type", "string" if "enum" in member else "any")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    items = member.get("items")
    of = f" of {member_type(items)}" if isinstance(items, dict) else ""
    return " or ".join(kind + (of if kind == "array" else "") for kind in kinds)


# -- States ----------------------------------------------------------------------------------------


def states_page(_spec: Path) -> str:
    """The core's transition table: what changes the state, and the answer to every stimulus."""
    from gate_p2p.core.states import TABLE, Action, State, Stimulus

    def words(name: str) -> str:
        return name.lower().replace("_", " ")

    def changes() -> Iterator[tuple[str, str, str, str]]:
        for state, row in TABLE.items():
            for stimulus, transition in row.items():
                if transition.state != state:
                    yield (
                        words(state.name),
                        words(stimulus.name),
                        words(transition.state.name),
                        words(transition.action.name),
                    )

    parts = [
        NOTE,
        "# States\n\n",
        "One control stream, as the reference core sees it. Dialer and acceptor share the table and differ "
        "in the state they begin in: a dialer in *awaiting response*, an acceptor in *awaiting handshake*. "
        "The table is total: every stimulus has an answer in every state.\n\n## What changes the state\n\n",
        table(("In state", "on", "goes to", "and does"), changes()),
        "\n## Every stimulus in every state\n\n",
        "A cell says what is done; an arrow names the state that follows where it is another one.\n\n",
        table(
            ("Stimulus", *(words(state.name) for state in State)),
            (
                (
                    words(stimulus.name),
                    *(
                        words(TABLE[state][stimulus].action.name)
                        + (
                            ""
                            if TABLE[state][stimulus].state == state
                            else f" → {words(TABLE[state][stimulus].state.name)}"
                        )
                        for state in State
                    ),
                )
                for stimulus in Stimulus
            ),
        ),
        f"\n{len(State)} states, {len(Stimulus)} stimuli, {len(Action)} actions.\n",
    ]
    return "".join(parts)


PAGES = {"requirements.md": requirements_page, "messages.md": messages_page, "states.md": states_page}


def main(arguments: list[str] | None = None) -> int:
    """Write or check every page; 0 done or up to date, 1 out of date."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing, report pages that are out of date"
    )
    parser.add_argument("--spec", type=Path, default=ROOT / "spec", help="directory of the specification")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="directory of the pages")
    options = parser.parse_args(arguments)
    stale = []
    for name, render in PAGES.items():
        page: Path = options.docs / name
        text = render(options.spec)
        if page.exists() and page.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not options.check:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
    for name in stale:
        print(
            f"docs/{name}: {'out of date, run: make generate' if options.check else 'written'}",
            file=sys.stderr,
        )
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
