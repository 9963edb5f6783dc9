"""What the README promises: its snippet runs, its commands and tables are those of the project."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Runs a program for which only the standard library, msgspec and gate_p2p.core can be imported.
BARE = """
import sys

class Bare:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in {*sys.stdlib_module_names, "msgspec", "gate_p2p"}:
            raise ModuleNotFoundError(f"not in a bare installation: {name}", name=name)

sys.meta_path.insert(0, Bare())
exec(compile(sys.stdin.read(), "README.md", "exec"))
"""


def snippet() -> str:
    found = re.search(
        r"<!-- --8<-- \[start:core-snippet\] -->\n```python\n(.*?)```\n<!-- --8<-- \[end:core-snippet\] -->",
        README,
        re.DOTALL,
    )
    assert found, "the README has lost the marks of its snippet"
    return found[1]


def run_bare(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BARE], input=program, capture_output=True, text=True, check=False
    )


def test_the_snippet_runs_in_a_bare_installation_and_establishes_both_sides() -> None:
    done = run_bare(snippet())
    assert done.returncode == 0, done.stderr
    assert [line.partition("(")[0] for line in done.stdout.splitlines()] == ["[Established", "[Established"]


def test_the_guide_to_the_core_runs_in_a_bare_installation() -> None:
    guide = (ROOT / "docs" / "core.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    done = run_bare(program)
    assert (done.stderr, done.stdout) == ("", f"abc.private.example {'x' * 43}\nTrue None\n")


def test_the_bare_installation_of_these_tests_is_bare() -> None:
    done = run_bare("import iroh")
    assert done.returncode == 1
    assert "not in a bare installation: iroh" in done.stderr


def test_the_snippet_has_five_lines() -> None:
    assert len([line for line in snippet().splitlines() if line]) == 5


def test_the_make_targets_exist() -> None:
    named = set(re.findall(r"\bmake ([a-z0-9.-]*[a-z0-9])", README))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"conformance", "test"} <= named
    assert named <= set(re.findall(r"^([a-z0-9.-]+):", makefile, re.MULTILINE))


def test_the_table_of_extras_is_that_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = README.partition("| Extra |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(project["optional-dependencies"])


def test_the_linked_files_exist() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
