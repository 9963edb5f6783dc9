"""`spec/messages/`: one page for each type of control message, and an index with the forms they share."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from spec_pages.markdown import generated, hex_text, identifiers, json_text, link_ids, plain, table
from spec_pages.sources import Requirement, Sources

LIMITS = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "enum")
LAYER = " Says which messages are well formed; members that it does not name are allowed and ignored (MS-01)."


class Facts(NamedTuple):
    """What no schema says: who sends it to whom, when, and the type of the answer."""

    chapter: str
    sent_by: str
    answer: str | None = None


FACTS = {
    "Handshake": Facts("handshake", "the dialer, first of all; later either side", "HandshakeResponse"),
    "HandshakeResponse": Facts("handshake", "whoever got a Handshake"),
    "Ping": Facts("liveness", "either side", "Pong"),
    "Pong": Facts("liveness", "whoever got a Ping"),
    "RequestSniStream": Facts("stream-requests", "either side; a relay, usually", "StreamReady"),
    "RequestInferenceStream": Facts("stream-requests", "either side", "StreamReady"),
    "StreamReady": Facts("stream-requests", "whoever got a RequestSniStream or a RequestInferenceStream"),
    "DnsChallengeCreate": Facts("dns-challenges", "either side; a daemon, usually", "DnsChallengeResponse"),
    "DnsChallengeCleanup": Facts("dns-challenges", "either side; a daemon, usually", "DnsChallengeResponse"),
    "DnsChallengeResponse": Facts(
        "dns-challenges", "whoever got a DnsChallengeCreate or a DnsChallengeCleanup"
    ),
    "DomainRegistrationRequest": Facts(
        "domain-registration", "either side; a daemon, usually", "DomainRegistrationResponse"
    ),
    "DomainRegistrationResponse": Facts("domain-registration", "whoever got a DomainRegistrationRequest"),
}


def pages(sources: Sources) -> Iterator[tuple[str, str]]:
    """Every page: its path below spec/, and its text."""
    yield "messages/index.md", _index(sources)
    for name in sources.messages:
        yield f"messages/{name}.md", _page(sources, name)


def _linked(sources: Sources, text: str, types: bool = True) -> str:
    """The text with its ids linked, and the types in it too."""
    text = link_ids(text, lambda identifier: sources.target(identifier, "../"))
    if types:
        text = re.sub(rf"(?<![\w`/\[-])({'|'.join(sources.messages)})(?![\w`]|\.\w)", r"[\1](\1.md)", text)
    return text


def _chapter(sources: Sources, name: str) -> str:
    return f"[{sources.chapters[name].title}](../{name}.md)"


# -- The index -------------------------------------------------------------------------------------


def _index(sources: Sources) -> str:
    common = sources.schemas["common.json"]
    return generated(
        "Messages",
        "The twelve types of control messages. Each page has the members of one type, its schema, "
        "examples, a frame byte by byte, the requirements that name it, and its vectors. What holds for "
        "all of them, unknown members and types included, is in "
        "[Message syntax and extensibility](../messages.md).\n\n",
        table(
            ("Type", "Sent by", "Answered with", "Chapter"),
            (
                (
                    f"[{name}]({name}.md)",
                    _linked(sources, FACTS[name].sent_by),
                    f"[{answer}]({answer}.md)" if (answer := FACTS[name].answer) else "",
                    _chapter(sources, FACTS[name].chapter),
                )
                for name in sources.messages
            ),
        ),
        "\n## Forms\n\n",
        "What the members are made of. A message whose member has the wrong JSON type is malformed; what "
        "else stands here is for the sender, and a request that breaks it is answered with a failure. "
        "The definitions are those of [common.json](../schemas/common.json).\n\n",
        table(
            ("Form", "Type", "Limits", "Meaning"),
            (
                (
                    f'<span id="{name}">`{name}`</span>',
                    _type(form, "index.md"),
                    ", ".join(f"{key} `{json.dumps(form[key])}`" for key in LIMITS if key in form),
                    _linked(sources, form.get("description", ""), types=False),
                )
                for name, form in common["$defs"].items()
            ),
        ),
    )


def _type(member: Mapping[str, Any], forms: str = "index.md") -> str:
    """A member's type in a word or two: `"Ping"`, string, array of string, or the name of a form."""
    if "const" in member:
        return f"`{json.dumps(member['const'])}`"
    for choice in ("oneOf", "anyOf"):
        if choice in member and "type" not in member:
            return " or ".join(_type(option, forms) for option in member[choice])
    if "$ref" in member:
        name = str(member["$ref"]).rsplit("/", 1)[-1]
        return f"[{name}]({forms}#{name})"
    kinds = member.get("type", "string" if "enum" in member else "any")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    items = member.get("items")
    of = f" of {_type(items, forms)}" if isinstance(items, dict) else ""
    return " or ".join(kind + (of if kind == "array" else "") for kind in kinds)


# -- One message -----------------------------------------------------------------------------------


def _page(sources: Sources, name: str) -> str:
    schema = sources.schemas[f"{name}.json"]
    facts = FACTS[name]
    rows = [("Sent by", _linked(sources, facts.sent_by))]
    if facts.answer:
        rows.append(("Answered with", f"[{facts.answer}]({facts.answer}.md)"))
    rows += [
        ("Chapter", _chapter(sources, facts.chapter)),
        ("Schema", f"[{name}.json](../schemas/{name}.json), `{schema['$id']}`"),
        ("As a sender writes it", f"{_sent(sources, name)} (`sent-message.json#/$defs/{name}`)"),
    ]
    description = str(schema["description"]).replace(LAYER, "")
    return generated(
        name,
        f"{_linked(sources, description)}\n\n",
        *(f"- **{name}:** {value}\n" for name, value in rows),
        "\n## Members\n\n",
        _members(sources, schema),
        "\nMembers that stand in no schema are allowed and ignored "
        f"({_linked(sources, 'MS-01')}); the order of members means nothing.\n",
        "\n## Examples\n",
        *(f"\n```json\n{json_text(example)}\n```\n" for example in schema["examples"]),
        "\n## A frame, byte by byte\n\nThe first example as a sender may write it: "
        "the length of the body in four bytes, then the body.\n\n",
        f"```hex\n{_frame(schema['examples'][0])}\n```\n",
        "\n## Requirements\n\nThose that name this message or a member of it.\n\n",
        _requirements(sources, name, schema),
        "\n## Schema\n\nWell-formed messages, without the examples above. `$ref` leads to "
        "[common.json](../schemas/common.json); how to resolve it: [schemas](../schemas/README.md).\n\n",
        f"```json\n{json_text({key: schema[key] for key in schema if key != 'examples'})}\n```\n",
        "\n## Vectors\n\n",
        _vectors(sources, name),
    )


def _sent(sources: Sources, name: str) -> str:
    return _linked(sources, sources.schemas["sent-message.json"]["$defs"][name]["description"])


def _members(sources: Sources, schema: Mapping[str, Any]) -> str:
    common = sources.schemas["common.json"]["$defs"]

    def form(member: Mapping[str, Any]) -> str:
        """The form a sender keeps to, where it is stricter than the type."""
        name = str(member.get("$ref", "")).rsplit("/", 1)[-1]
        told = common.get(name, member.get("items", {})).get("$comment", "")
        found = re.search(r"#/\$defs/(\w+)", told)
        return f"[{found[1]}](index.md#{found[1]})" if found else ""

    def rows(schema: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str, str, str, str]]:
        required = set(schema.get("required", ()))
        for name, member in schema["properties"].items():
            yield (
                f"`{above}{name}`",
                _type(member),
                form(member),
                "yes" if name in required else "no",
                _linked(sources, member.get("description", "")),
            )
            inner = common.get(str(member.get("$ref", "")).rsplit("/", 1)[-1], {})
            if "properties" in inner:
                yield from rows(inner, f"{above}{name}.")

    return table(("Member", "Type", "Form", "Required", "Meaning"), rows(schema))


def _frame(example: Mapping[str, Any]) -> str:
    body = json.dumps(example, separators=(",", ":"), ensure_ascii=False).encode()
    frame = len(body).to_bytes(4, "big") + body
    comments = {0: f"length {len(body)}"}
    for offset in range(0, len(body), 16):
        piece = body[offset : offset + 16].decode("ascii", "replace")
        comments[4 + offset] = piece
    return hex_text(frame, comments)


def _requirements(sources: Sources, name: str, schema: Mapping[str, Any]) -> str:
    """Whose text names the type or a member, and those that the schema's descriptions name."""
    common = sources.schemas["common.json"]["$defs"]
    members: Mapping[str, Mapping[str, Any]] = schema["properties"]
    words = [
        str(schema["description"]).replace(LAYER, ""),
        sources.schemas["sent-message.json"]["$defs"][name]["description"],
    ]
    for member in members.values():
        used = common.get(str(member.get("$ref", "")).rsplit("/", 1)[-1], {})
        words += [member.get("description", ""), json.dumps(used)]
    cited = {identifier for text in words for _, identifier in identifiers(text)}
    named = re.compile(rf"\b{name}\b|`({'|'.join(members)})`")

    def row(one: Requirement) -> tuple[str, str]:
        badge = f'<span class="requirement {one.level.lower()}">[{one.id}](../{one.target})</span>'
        return badge, _linked(sources, one.text)

    found = [one for one in sources.requirements.values() if one.id in cited or named.search(one.text)]
    return table(("Id", "Requirement"), map(row, found))


def _vectors(sources: Sources, name: str) -> str:
    path = f"messages/{name}.json"
    vectors = sources.vectors(path)
    counts = Counter(vector["verdict"].replace("_", " ") for vector in vectors)
    transcripts = [
        entry["path"]
        for entry in sources.manifest
        if entry["kind"] == "transcripts"
        and any(
            (frame.get("message") or {}).get("type") == name
            for one in sources.vectors(entry["path"])
            for frame in one.get("frames", ())
        )
    ]

    def row(vector: Mapping[str, Any]) -> tuple[str, str, str, str]:
        verdict = vector["verdict"].replace("_", " ")
        if vector.get("form") == "bad":
            verdict += ", in bad form"
        if "allowed" in vector:
            verdict += ": " + " or ".join(one.replace("_", " ") for one in vector["allowed"])
        return (
            f"`{vector['id']}`",
            plain(vector["description"]),
            verdict,
            _linked(sources, vector["requirement"]),
        )

    seen = ", ".join(f"[{one.removeprefix('transcripts/')}](../vectors/{one})" for one in transcripts)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return (
        f"{len(vectors)} bodies and their verdicts ({summary}) stand in [{path}](../vectors/{path}); "
        f"what the verdicts mean: [vectors](../vectors/README.md). "
        + (f"Whole exchanges with this message: {seen}." if seen else "")
        + "\n\n"
        + table(("Vector", "Body", "Verdict", "Requirement"), map(row, vectors))
    )
