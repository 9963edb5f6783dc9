"""Every link, anchor, image and include of the built pages, and that they load nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Elements that load what their attribute names; a plain link loads nothing.
LOADING = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}

# What `pymdownx.snippets` replaces by a file; a space more, and it stays in the page.
INCLUDE = re.compile(r"-+\s*8\s*<\s*-+.*")


class Page(HTMLParser):
    """The anchors of a page, where it leads to, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag in {"a", "area"} and "href" in values:
            self.links.append(values["href"])
        if tag in LOADING and LOADING[tag] in values:
            self.loads.append(values[LOADING[tag]])

    def handle_data(self, data: str) -> None:
        self.text += data


def problems(site: Path) -> Iterator[str]:
    """What is broken, one line each, in the order of the files."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(site)
        for found in INCLUDE.finditer(page.text):
            yield f"{name}: an include that was not carried out: {found[0]}"
        for link in sorted(set(page.links + page.loads)):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loads and parts.scheme != "data":
                    yield f"{name}: loads {link} from elsewhere"
                continue
            target = _target(site, path, unquote(parts.path))
            if not target.is_file():
                yield f"{name}: a broken link to {link}"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{name}: a link to {link}, where there is no such anchor"
    for path in sorted(site.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", text):
            yield f"{path.relative_to(site)}: loads {found[1]} from elsewhere"


def _target(site: Path, page: Path, link: str) -> Path:
    if not link:
        return page
    target = site / link.lstrip("/") if link.startswith("/") else page.parent / link
    target = target.resolve()
    return target / "index.html" if target.is_dir() else target
