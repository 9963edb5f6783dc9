"""The specification as the suite reads it: requirements and schemas from ``spec/``."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Requirement:
    """One row of requirements.toml."""

    id: str
    level: str
    binds: str
    chapter: str
    text: str
    untested: str | None = None


@lru_cache(maxsize=1)
def spec_root() -> Path:
    """The directory that holds requirements.toml and schemas/: packaged, else of the checkout."""
    packaged = Path(__file__).resolve().parent / "spec"
    checkout = Path(__file__).resolve().parents[2] / "spec"
    for candidate in (packaged, checkout):
        if (candidate / "requirements.toml").is_file():
            return candidate
    raise FileNotFoundError(f"no specification at {packaged} or {checkout}: is the installation complete?")


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    with (spec_root() / "requirements.toml").open("rb") as file:
        return tomllib.load(file)


@lru_cache(maxsize=1)
def requirements() -> dict[str, Requirement]:
    """All requirements by id, in the order of the specification."""
    return {
        row["id"]: Requirement(
            row["id"], row["level"], row["binds"], row["chapter"], row["text"], row.get("untested")
        )
        for row in _document()["requirement"]
    }


def chapter_title(name: str) -> str:
    """The title of the chapter of this name; the name itself when there is none."""
    titles = {row["name"]: str(row["title"]) for row in _document().get("chapter", ())}
    return titles.get(name, name)


def chapter_file(name: str) -> Path:
    """Where the chapter of this name is written."""
    return spec_root() / f"{name}.md"


def requirement(requirement_id: str) -> Requirement:
    """One requirement. Raises KeyError, with the id in the text, when there is none."""
    try:
        return requirements()[requirement_id]
    except KeyError:
        raise KeyError(f"requirements.toml has no {requirement_id!r}") from None


def is_domain(text: str) -> bool:
    """Whether a text has the form of a domain (DC-03)."""
    from jsonschema import Draft202012Validator

    return bool(Draft202012Validator(schemas()["common.json"]["$defs"]["domain"]).is_valid(text))


@lru_cache(maxsize=1)
def schemas() -> dict[str, dict[str, Any]]:
    """All JSON Schemas by file name."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((spec_root() / "schemas").glob("*.json")):
        found[path.name] = json.loads(path.read_text(encoding="utf-8"))
    if not found:
        raise FileNotFoundError(f"no schemas in {spec_root() / 'schemas'}")
    return found
