"""The check of the built documentation finds what is broken, in the files and in the browser."""

from __future__ import annotations

from pathlib import Path

import pytest

import check_site
from site_check import browser, links

GOOD = """<!doctype html><html>
<head><link rel="icon" href="data:,"><link rel="stylesheet" href="style.css"></head>
<body data-md-color-scheme="default"><main class="md-content"><h1 id="top">Good</h1>
<a href="#top">here</a> <a href="other.html#there">there</a> <a href="https://example.org/">elsewhere</a>
<img src="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/%3E"></main>
<script>
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
document.body.dataset.mdColorScheme = dark ? "slate" : "default";
</script></body></html>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(GOOD, encoding="utf-8")
    (tmp_path / "other.html").write_text(
        GOOD.replace('id="top"', 'id="top"><a name="there"'), encoding="utf-8"
    )
    (tmp_path / "style.css").write_text("main { background: url(style.css) }\n", encoding="utf-8")
    return tmp_path


def spoil(site: Path, old: str, new: str) -> None:
    page = site / "index.html"
    text = page.read_text(encoding="utf-8")
    assert old in text
    page.write_text(text.replace(old, new), encoding="utf-8")


def test_a_good_site_has_no_broken_links(site: Path) -> None:
    assert list(links.problems(site)) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("other.html", "gone.html", "index.html: a broken link to gone.html#there"),
        ("#there", "#gone", "index.html: a link to other.html#gone, where there is no such anchor"),
        ('"#top"', '"#gone"', "index.html: a link to #gone, where there is no such anchor"),
        ("style.css", "gone.css", "index.html: a broken link to gone.css"),
        ("style.css", "//example.org/a.css", "index.html: loads //example.org/a.css from elsewhere"),
        ("here</a>", '--8 < --"a.py"</a>', 'index.html: an include that was not carried out: --8 < --"a.py"'),
        ("<script>", '<script src="https://example.org/a.js">', "index.html: loads https://example.org/a.js"),
    ],
)
def test_a_broken_link_or_include_is_named(site: Path, old: str, new: str, finding: str) -> None:
    spoil(site, old, new)
    (found,) = links.problems(site)
    assert found.startswith(finding)


def test_a_style_sheet_that_loads_from_elsewhere_is_named(site: Path) -> None:
    (site / "style.css").write_text('@import "https://example.org/a.css";\n', encoding="utf-8")
    assert list(links.problems(site)) == ["style.css: loads https://example.org/a.css from elsewhere"]


def test_without_a_site_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_site.main(["--site", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: there is no site in {tmp_path}: run make docs\n"


def test_without_chromium_there_is_one_line(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMIUM", "no-such-browser")
    assert check_site.main(["--site", str(site)]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n"), said.err.startswith("error: no Chromium")) == ("", 1, True)
    assert check_site.main(["--site", str(site), "--or-skip"]) == 0
    said = capsys.readouterr()
    assert (said.err, said.out.startswith("skipped: no Chromium")) == ("", True)


FAULTS = {
    "an error on the console: spoilt": "<script>console.error('spoilt')</script>",
    "an exception: Error: thrown": "<script>throw new Error('thrown')</script>",
    "a request to elsewhere: http://elsewhere.invalid/a.png": (
        "<script>new Image().src = 'http://elsewhere.invalid/a.png'</script>"
    ),
    "phone: it is": "<p style='width: 500px'>wide</p>",
    "desk: a broken image: http://": "<img src='index.html'>",
    "desk: 1 of 1 diagrams are not drawn": "<pre class='diagram'>source</pre>",
    "desk: the sources of 1 diagrams are shown": "",
    "desk: a diagram that nobody draws": "<pre><code class='language-mermaid'>source</code></pre>",
    "desk: the colours are other, not ": "<script>document.body.dataset.mdColorScheme = 'other'</script>",
}


@pytest.mark.skipif(browser.find() is None, reason="there is no Chromium")
def test_what_a_browser_shows_is_named(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    waiting = "<script>document.documentElement.dataset.diagrams = 'light'</script>"
    spoil(site, "</body>", waiting + "".join(FAULTS.values()) + "</body>")
    assert check_site.main(["--site", str(site), "--only", "index.html"]) == 1
    said = capsys.readouterr().err
    for scheme in check_site.SCHEMES:
        assert [what for what in FAULTS if f"index.html ({scheme}): {what}" not in said] == [], said
    assert check_site.main(["--site", str(site), "--only", "other.html"]) == 0, capsys.readouterr().err
