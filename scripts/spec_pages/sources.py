"""What the pages are written from: the specification's data, the guides, and the cases of the suite."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spec_pages.markdown import is_generated


@dataclass(frozen=True, order=True)
class Problem:
    """Something that only a person can mend: where, what, and what to do."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True)
class Chapter:
    """One `[[chapter]]`; it stands in `spec/<name>.md`."""

    name: str
    title: str
    prefix: str | None = None


@dataclass(frozen=True)
class Requirement:
    """One `[[requirement]]`."""

    id: str
    level: str
    binds: str
    chapter: str
    text: str
    untested: str | None = None

    @property
    def anchor(self) -> str:
        return self.id.lower()

    @property
    def target(self) -> str:
        """Where the sentence stands, as a link from `spec/`."""
        return f"{self.chapter}.md#{self.anchor}"


@dataclass(frozen=True)
class Case:
    """One case of the suite: its id, the requirement it tests, and where it is written."""

    id: str
    requirement: str
    path: Path
    line: int


class Sources:
    """Everything below a checkout's root; what is read is kept. Raises OSError, tomllib.TOMLDecodeError."""

    def __init__(self, spec: Path, docs: Path) -> None:
        self.spec = spec
        self.docs = docs
        self.root = spec.parent

    def relative(self, path: Path) -> str:
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    @cached_property
    def _document(self) -> dict[str, Any]:
        return tomllib.loads(self.toml_text)

    @cached_property
    def toml(self) -> Path:
        return self.spec / "requirements.toml"

    @cached_property
    def toml_text(self) -> str:
        return self.toml.read_text(encoding="utf-8")

    @cached_property
    def version(self) -> str:
        return str(self._document["version"])

    @cached_property
    def chapters(self) -> dict[str, Chapter]:
        """The chapters by name, in reading order."""
        return {row["name"]: Chapter(**row) for row in self._document["chapter"]}

    @cached_property
    def requirements(self) -> dict[str, Requirement]:
        """The requirements by id, in the order of the chapters and then of the file."""
        order = list(self.chapters)
        rows = [Requirement(**row) for row in self._document["requirement"]]
        rows.sort(key=lambda one: order.index(one.chapter) if one.chapter in order else len(order))
        return {row.id: row for row in rows}

    def target(self, identifier: str, prefix: str = "") -> str | None:
        """The link to a requirement's sentence from `spec/`, or from where `prefix` leads there."""
        found = self.requirements.get(identifier)
        return prefix + found.target if found else None

    @cached_property
    def close_codes(self) -> list[dict[str, Any]]:
        codes: list[dict[str, Any]] = self._document["close_code"]
        return codes

    def line_of(self, identifier: str) -> int:
        """The line of requirements.toml on which this requirement's id stands."""
        found = re.search(rf'^id = "{identifier}"$', self.toml_text, re.MULTILINE)
        return self.toml_text.count("\n", 0, found.start()) + 1 if found else 1

    def path_of(self, chapter: Chapter) -> Path:
        return self.spec / f"{chapter.name}.md"

    def guides(self) -> list[Path]:
        """The pages that people write beside the chapters."""
        inside = [path for path in self.docs.rglob("*.md") if self.docs / "spec" not in path.parents]
        return sorted(inside)

    def readmes(self) -> list[Path]:
        """The specification's own pages that are no chapters and are not generated."""
        named = {self.path_of(chapter) for chapter in self.chapters.values()}
        pages = sorted(path for path in self.spec.rglob("*.md") if path not in named)
        return [page for page in pages if not is_generated(page.read_text(encoding="utf-8"))]

    @cached_property
    def schemas(self) -> dict[str, dict[str, Any]]:
        """The schemas by their path below schemas/."""
        found = sorted((self.spec / "schemas").rglob("*.json"))
        return {
            path.relative_to(self.spec / "schemas").as_posix(): json.loads(path.read_text(encoding="utf-8"))
            for path in found
        }

    @cached_property
    def messages(self) -> list[str]:
        """The twelve types, in the order of the specification."""
        return [str(one["$ref"]).rpartition(":")[2] for one in self.schemas["control-message.json"]["oneOf"]]

    @cached_property
    def manifest(self) -> list[dict[str, Any]]:
        files: list[dict[str, Any]] = json.loads(
            (self.spec / "vectors" / "manifest.json").read_text("utf-8")
        )["files"]
        return files

    def vectors(self, path: str) -> list[dict[str, Any]]:
        vectors: list[dict[str, Any]] = json.loads((self.spec / "vectors" / path).read_text(encoding="utf-8"))
        return vectors

    @cached_property
    def _cases(self) -> tuple[dict[str, list[Case]], list[Problem]]:
        from gate_conformance.case import all_cases

        try:
            known = all_cases()
        except KeyError as unknown:
            return {}, [self._unknown(unknown)]
        cases: dict[str, list[Case]] = {}
        for one in known:
            code = inspect.unwrap(one.body).__code__
            place = (Path(code.co_filename), code.co_firstlineno)
            cases.setdefault(one.requirement, []).append(Case(one.id, one.requirement, *place))
        return cases, []

    def _unknown(self, error: KeyError) -> Problem:
        """The registry refused a case: the innermost line of the cases is the one to mend."""
        trace, where, line = error.__traceback__, "gate_conformance/cases", 1
        while trace is not None:
            path = Path(trace.tb_frame.f_code.co_filename)
            if "cases" in path.parts:
                where, line = self.relative(path), trace.tb_lineno
            trace = trace.tb_next
        return Problem(where, line, f"{error.args[0]}: name a requirement that is there, or add this one")

    @property
    def cases(self) -> dict[str, list[Case]]:
        """The cases by the requirement that they test; empty when they could not be read."""
        return self._cases[0]

    @property
    def unreadable_cases(self) -> list[Problem]:
        return self._cases[1]
