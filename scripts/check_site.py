"""Read the built documentation (`make docs`) as its readers do: every link, and every page in Chromium.

Each page is opened at the width of a desk and of a phone, light and dark: no error on the console, no request
to another host, no broken link or image, every diagram drawn, nothing wider than the window; and search finds
what it should.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from site_check import browser, links
from site_check.browser import BrowserError, Tab

ROOT = Path(__file__).resolve().parent.parent
HEIGHT = 900
SETTLED = 3.0  # seconds that a page may take to settle after a change of its width
WIDTHS = {"desk": 1280, "phone": 390}
SCHEMES = {"light": "default", "dark": "slate"}
SEARCHED, FOUND = "DnsChallengeCreate", "spec/messages/DnsChallengeCreate.html"
STATES = "spec/states.html"

REPORT = (ROOT / "scripts" / "site_check" / "report.js").read_text(encoding="utf-8")


class Handler(SimpleHTTPRequestHandler):
    """Serves the site, and says nothing about it."""

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The site on the loopback interface; gives `127.0.0.1:<port>`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def read(tab: Tab, page: str, scheme: str, shots: Path | None) -> Iterator[str]:
    """Open one page, look at it in one width and then in the other, and say what is wrong with it."""
    looks = list(WIDTHS.items()) if scheme == "dark" else list(reversed(WIDTHS.items()))
    for width, pixels in looks:
        tab.resize(pixels, HEIGHT)
        if width == looks[0][0]:
            tab.open(f"http://{tab.host}/{page}")
            tab.until(
                "document.documentElement.dataset.diagrams || !document.querySelector('pre.diagram')",
                "the diagrams were not drawn",
            )
        seen = tab.evaluate(REPORT)
        until = time.monotonic() + SETTLED
        while seen["wider"] > 0 and time.monotonic() < until:  # the header moves into its new size
            time.sleep(0.1)
            seen = tab.evaluate(REPORT)
        for fault in faults(seen, scheme):
            yield f"{width}: {fault}"
        if shots is not None:
            name = page.removesuffix(".html").replace("/", ".")
            tab.screenshot(shots / f"{name}.{width}.{scheme}.png")
    yield from tab.complaints


def faults(seen: dict[str, Any], scheme: str) -> Iterator[str]:
    """What is wrong in a page's report about itself."""
    if seen["scheme"] != SCHEMES[scheme]:
        yield f"the colours are {seen['scheme']}, not {SCHEMES[scheme]}"
    if seen["wider"] > 0:
        yield f"it is {seen['wider']} pixels wider than the window: {seen['widest']}"
    for image in seen["images"]:
        yield f"a broken image: {image}"
    if seen["drawn"] < seen["sources"]:
        yield f"{seen['sources'] - seen['drawn']} of {seen['sources']} diagrams are not drawn"
    if seen["shown"]:
        yield f"the sources of {seen['shown']} diagrams are shown beside them"
    if seen["plain"]:
        yield "a diagram that nobody draws: its fence has not become the class `diagram`"


def search(tab: Tab) -> Iterator[str]:
    """Type a name into the search and look whether its page comes first."""
    tab.resize(WIDTHS["desk"], HEIGHT)
    tab.open(f"http://{tab.host}/index.html")
    tab.evaluate("document.querySelector('.md-search__input').focus()")
    tab.type(SEARCHED)
    hits = "[...document.querySelectorAll('.md-search-result__item > a')].map((one) => one.href)"
    tab.until(f"{hits}.length", f"search finds nothing for {SEARCHED}")
    first = str(tab.evaluate(hits)[0]).partition("?")[0]
    if not first.endswith(FOUND):
        yield f"search for {SEARCHED} finds {first} first, not {FOUND}"
    yield from tab.complaints


def redrawn(tab: Tab) -> Iterator[str]:
    """Switch the colours of a page with diagrams: they are drawn again."""
    tab.open(f"http://{tab.host}/{STATES}")
    shown = "document.documentElement.dataset.diagrams"
    tab.until(shown, "the diagrams were not drawn")
    before = tab.evaluate(shown)
    tab.evaluate("document.querySelector('form[data-md-component=palette] label:not([hidden])').click()")
    tab.until(f"{shown} !== {before!r}", "the diagrams were not drawn again when the colours changed")
    yield from tab.complaints


TASKS = {FOUND: search, STATES: redrawn}


def check(devtools: str, host: str, pages: list[str], shots: Path | None, scheme: str) -> list[str]:
    """Every page in one scheme; then what the search finds, and what becomes of diagrams."""
    found = []
    with browser.tab(devtools, host, scheme) as tab:
        tasks = [(page, partial(read, tab, page, scheme, shots)) for page in pages]
        if scheme == "light":
            tasks += [(page, partial(task, tab)) for page, task in TASKS.items() if page in pages]
        for page, task in tasks:
            try:
                found += [f"{page} ({scheme}): {what}" for what in task()]
            except BrowserError as error:
                found.append(f"{page} ({scheme}): {error}")
    return found


def main(arguments: list[str] | None = None) -> int:
    """0 all well (or skipped), 1 something is wrong, or there is no browser or no site."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--site", type=Path, default=ROOT / "site", help="directory of the built site")
    parser.add_argument("--only", default="*", help="open the pages that match, `spec/*` for instance")
    parser.add_argument("--screenshots", type=Path, help="write a picture of each page into this directory")
    parser.add_argument("--or-skip", action="store_true", help="succeed where there is no Chromium")
    options = parser.parse_args(arguments)
    site: Path = options.site.resolve()
    if not (site / "index.html").is_file():
        print(f"error: there is no site in {site}: run make docs", file=sys.stderr)
        return 1
    found = list(links.problems(site))
    program = browser.find()
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    pages = [name for name in names if fnmatch.fnmatch(name, options.only)]
    started = time.monotonic()
    if program is not None:
        with served(site) as host, browser.running(program) as devtools, ThreadPoolExecutor() as pool:
            for some in pool.map(partial(check, devtools, host, pages, options.screenshots), SCHEMES):
                found += some
    for problem in found:
        print("\n    ".join(problem.splitlines()[:4]), file=sys.stderr)
    if program is None:
        missing = f"no Chromium on the path ({', '.join(browser.NAMES)}), and CHROMIUM names none"
        if found or not options.or_skip:
            print(f"error: {missing}: install one (Debian, Ubuntu: apt install chromium)", file=sys.stderr)
            return 1
        print(f"skipped: {missing}; the links of {len(names)} pages are good")
        return 0
    seconds = time.monotonic() - started
    summary = f"{len(pages)} pages, {len(WIDTHS)} widths, light and dark, in {seconds:.0f} s"
    print(f"{summary}: {f'{len(found)} problems' if found else 'all well'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
