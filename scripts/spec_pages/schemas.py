"""`spec/schemas/README.md`: which file holds which `$id`."""

from __future__ import annotations

from spec_pages.markdown import generated, link_ids, table
from spec_pages.sources import Sources


def page(sources: Sources) -> str:
    """Every schema: its stable `$id`, its file, and what it describes."""

    def about(schema: dict[str, object]) -> str:
        return link_ids(_about(schema), lambda identifier: sources.target(identifier, "../"))

    return generated(
        "Schemas",
        "JSON Schemas (2020-12). An `$id` names a schema for all of version 1.0 and leads nowhere: load "
        "the files below into your validator's registry under their `$id`s, and every `$ref` resolves "
        "without a network. How, and what a schema cannot see: "
        "[the specification](../README.md).\n\n",
        table(
            ("`$id`", "File", "What it describes"),
            (
                (_breakable(schema["$id"]), f"[{path}]({path})", about(schema))
                for path, schema in sources.schemas.items()
            ),
        ),
    )


def _breakable(identifier: str) -> str:
    """As code that may be broken after a colon: the table is wide."""
    return f"<code>{identifier.replace(':', ':<wbr>')}</code>"


def _about(schema: dict[str, object]) -> str:
    """The first sentence of the description."""
    text = str(schema.get("description", schema.get("title", "")))
    return text.partition(". ")[0].rstrip(".") + "."
