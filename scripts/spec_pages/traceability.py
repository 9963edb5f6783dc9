"""`spec/traceability.md`: every requirement, and the cases that test it or why none does."""

from __future__ import annotations

from spec_pages.markdown import generated, link_ids, table
from spec_pages.sources import Requirement, Sources

LEVELS = {
    "MUST": "binding",
    "SHOULD": "binding unless there is a good reason",
    "MAY": "a permission, or a choice",
}


def page(sources: Sources) -> str:
    """Every requirement, by chapter and id, each under its anchor (`#fr-01`)."""
    requirements = list(sources.requirements.values())
    cases = sum(len(found) for found in sources.cases.values())
    parts = [
        f"The {len(requirements)} requirements of Gate P2P {sources.version} and the {cases} cases of the "
        "conformance suite, which name them. An id leads to its sentence in the chapter. A requirement is "
        "tested by the cases beside it, or says why it is not; ids are stable and never used again. "
        "The same as data: [requirements.toml](requirements.toml).\n\n",
        table(
            ("Level", "Meaning", "Requirements", "Tested", "Not tested"),
            (
                (
                    f'<span class="requirement {level.lower()}">{level}</span>',
                    meaning,
                    str(len(of_level := [one for one in requirements if one.level == level])),
                    str(sum(one.id in sources.cases for one in of_level)),
                    str(sum(one.id not in sources.cases for one in of_level)),
                )
                for level, meaning in LEVELS.items()
            ),
        ),
    ]
    for chapter in sources.chapters.values():
        of_chapter = sorted(
            (one for one in requirements if one.chapter == chapter.name), key=lambda one: one.id
        )
        rows = [_row(sources, one) for one in of_chapter]
        if rows:
            parts.append(f"\n## {chapter.title}\n\nChapter: [{chapter.title}]({chapter.name}.md)\n\n")
            parts.append(table(("Id", "Level", "Binds", "Requirement", "Cases"), rows))
    return generated("Traceability", *parts)


def linked(sources: Sources, text: str) -> str:
    """The text with every requirement in it linked to its sentence; for pages in `spec/` itself."""
    return link_ids(text, sources.target)


def _row(sources: Sources, one: Requirement) -> tuple[str, ...]:
    badge = f'<span class="requirement {one.level.lower()}" id="{one.anchor}">[{one.id}]({one.target})</span>'
    cases = ", ".join(f"`{case.id}`" for case in sources.cases.get(one.id, ()))
    untested = f"*Not tested:* {linked(sources, one.untested)}" if one.untested else ""
    return badge, one.level, one.binds, linked(sources, one.text), " ".join(filter(None, (cases, untested)))
