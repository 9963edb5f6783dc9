"""The Markdown of the chapters, as the scripts that complete them read it."""

from __future__ import annotations

import pytest

from spec_pages import markdown
from spec_pages.checks import frames_fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FR-01 and (FR-02).", "<FR-01> and (<FR-02>)."),
        ("[FR-01](old.md#fr-01)", "<FR-01>"),
        ("[see FR-01](framing.md)", "[see FR-01](framing.md)"),
        ("`FR-01` and ``a ` FR-01``", "`FR-01` and ``a ` FR-01``"),
        ("`two\nlines FR-01`", "`two\nlines FR-01`"),
        ("a ` alone\n\nFR-01 ` there", "a ` alone\n\n<FR-01> ` there"),
        ("# FR-01\n", "# FR-01\n"),
        ("```\nFR-01\n```\nFR-01", "```\nFR-01\n```\n<FR-01>"),
        ("~~~hex\n```\nFR-01\n~~~\nFR-01", "~~~hex\n```\nFR-01\n~~~\n<FR-01>"),
        ("  ```text\n  FR-01\n  ```\nFR-01", "  ```text\n  FR-01\n  ```\n<FR-01>"),
        ("- FR-01\n- FR-02 too", "{FR-01}\n- <FR-02> too"),
        ('- <span class="requirement must" id="fr-01">[FR-01](x)</span> old FR-02\n', "{FR-01}\n"),
        ('<a title="FR-01">', '<a title="FR-01">'),
        ("AFR-01 FR-011 X-FR-01", "AFR-01 FR-011 X-FR-01"),
    ],
)
def test_ids_become_links_in_prose_alone(text: str, expected: str) -> None:
    assert markdown.rewrite(text, item=lambda one: f"{{{one}}}", reference=lambda one: f"<{one}>") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((f"It {word} be.", [(1, word)]) for word in markdown.KEYWORDS),
        ("a\n\nIt MUST NOT,\nor MAY.", [(3, "MUST"), (4, "MAY")]),
        ("- FR-01\n- It MUST.", [(2, "MUST")]),
        ('- <span class="requirement must" id="fr-01">[FR-01](x)</span> It MUST.\n  It MAY.', [(2, "MAY")]),
        ("# It MUST", [(1, "MUST")]),
        ("`MUST` and ``MAY``", []),
        ("```text\nIt MUST.\n```\n", []),
        ('The words "MUST", "MUST NOT" and "MAY".', []),
        ("MAYBE MUSTARD must may", []),
    ],
)
def test_keywords_outside_requirements_are_found(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(markdown.keywords(text)) == expected


@pytest.mark.parametrize(
    ("fence", "finding"),
    [
        ("00 00 00 02  7b 7d", None),
        ("00 00 00 05  52 45 41 44 59", None),
        ("00 00 00 02  7b 7d  # an empty object\n00 00 00 02\n7b 7d", None),
        ("", "there are no bytes"),
        ("00 00 00 0g", "no hexadecimal bytes"),
        ("00 00 00 00", "a length of 0 with 0 bytes behind it"),
        ("00 00 00 03  7b 7d", "a length of 3 with 2 bytes behind it"),
        ("00 00 00 02  7b 7d 00", "a length of 0 with 0 bytes behind it"),
        ("00 00 00 02  7b 7b", "a body that is no JSON"),
        ("00 00 00 02  5b 5d", "a body that is no JSON object"),
    ],
)
def test_a_byte_example_is_whole_frames(fence: str, finding: str | None) -> None:
    fault = frames_fault(f"```hex\n{fence}\n```\n")
    assert fault is None if finding is None else (fault or "").startswith(finding)
