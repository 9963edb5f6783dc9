"""Write the specification's generated pages, and complete its chapters and the guides from its data.

generate_docs.py            write what has changed; exit status 1 when something is left for a person to mend
generate_docs.py --check    change nothing; exit status 1 and a list when anything has drifted
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from spec_pages import chapters, messages, schemas, states, traceability
from spec_pages.checks import problems
from spec_pages.markdown import is_generated
from spec_pages.sources import Problem, Sources

ROOT = Path(__file__).resolve().parent.parent


def rendered(sources: Sources) -> Iterator[tuple[Path, str]]:
    """Every page that this command answers for, and what it should hold."""
    for name, text in messages.pages(sources):
        yield sources.spec / name, text
    yield sources.spec / "schemas" / "README.md", schemas.page(sources)
    yield sources.spec / "states.md", states.page(sources)
    if not sources.unreadable_cases:
        yield sources.spec / "traceability.md", traceability.page(sources)
    yield from chapters.pages(sources)


def write(path: Path, text: str) -> None:
    """Replace a page in one step, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def main(arguments: list[str] | None = None) -> int:
    """Write or check every page; 0 all well, 1 something to mend."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing, list what has drifted")
    parser.add_argument("--spec", type=Path, default=ROOT / "spec", help="directory of the specification")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="directory of the guides")
    options = parser.parse_args(arguments)
    sources = Sources(options.spec.resolve(), options.docs.resolve())
    found: list[Problem] = []
    pages = dict(rendered(sources))
    for path, text in pages.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if options.check:
            found.append(Problem(sources.relative(path), 1, "out of date, run: make generate"))
        else:
            write(path, text)
            print(f"{sources.relative(path)}: written")
    for path in sorted(sources.spec.rglob("*.md")):
        if path not in pages and is_generated(path.read_text(encoding="utf-8")):
            found.append(Problem(sources.relative(path), 1, "nothing generates this page: remove it"))
    found += problems(sources)
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
