"""The chapters and guides, completed in place: sentences of requirements, and links to them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from spec_pages.markdown import rewrite
from spec_pages.sources import Requirement, Sources
from spec_pages.traceability import linked


def pages(sources: Sources) -> Iterator[tuple[Path, str]]:
    """Every page that people write, and its completed text. Completing a completed page changes nothing."""
    for chapter in sources.chapters.values():
        path = sources.path_of(chapter)
        if path.exists():
            yield path, _completed(sources, path, path.read_text(encoding="utf-8"), chapter.name)
    for path in sources.readmes():
        yield path, _completed(sources, path, path.read_text(encoding="utf-8"))
    for path in sources.guides():
        yield path, _completed(sources, path, path.read_text(encoding="utf-8"))


def sentence(sources: Sources, one: Requirement) -> str:
    """The list item of a requirement, as it stands in its chapter."""
    return (
        f'- <span class="requirement {one.level.lower()}" id="{one.anchor}">'
        f"[{one.id}](traceability.md#{one.anchor})</span> {linked(sources, one.text)}"
    )


def _completed(sources: Sources, path: Path, text: str, chapter: str | None = None) -> str:
    # Guides see the specification as docs/spec; a symlink is not followed here.
    spec = sources.docs / "spec" if sources.docs in path.parents else sources.spec
    prefix = Path(os.path.relpath(spec, path.parent)).as_posix() + "/"
    prefix = prefix.removeprefix("./")

    def item(identifier: str) -> str | None:
        found = sources.requirements.get(identifier)
        return sentence(sources, found) if found and found.chapter == chapter else None

    def reference(identifier: str) -> str | None:
        target = sources.target(identifier, prefix)
        return f"[{identifier}]({target})" if target else None

    return rewrite(text, item=item, reference=reference)
