"""Bodies of frames from and around the schemas, as bytes: valid messages, and what becomes of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from .written_rules import MEMBERS, SCHEMAS

BY_ID = {one["$id"]: one for one in SCHEMAS}
COMMON = BY_ID["urn:gate-p2p:1.0:schema:common"]["$defs"]
# those that hold integers come more often: there is more to go wrong
TYPES = [*sorted(MEMBERS), *["Ping", "Pong"] * 2, *["DomainRegistrationRequest"] * 6]

NUMBERS = [
    *("0", "1", "255", "256", "-1", "-0", "1.0", "1e0", "10E-1", "-0.0", "0.5", "255.0", "255.5", "0e400"),
    *("9007199254740992", "9007199254740993", "9007199254740993.0", "1e19", "1e20", "2e-324", "1e-400"),
    *("-1e-400", "0.99999999999999999999999", "1e400", "-1e400", "9" * 400, "1" * 5000),
    *("18446744073709551615", "18446744073709551616", "18446744073709551615.0", "18446744073709551616.0"),
]
TEXTS = [
    *('""', '"r1"', '"a.example"', '"1"', '"Ping"', '"\\u0072\\/\\n"', '"\\u0000"', '"a\\n"', '"Größe 𝄞"'),
    *('"' + "x" * 129 + '"', '"' + "é" * 5000 + '"', '"\\ud83d\\ude00"'),
]
WORDS = ["null", "true", "false"]
SHAPES = ["[]", "{}", '{"a":1,"a":2}', '["x",1]', '{"type":"Ping","id":1}', "[" + "0," * 31 + "0]"]
SURROGATES = [
    *('"\\ud800"', '"\\udc00"', '"\\ude00\\ud83d"', '"\\ud83dx\\ude00"', '{"\\udfff":1}', '"\\uDBFF\\uDBFF"')
]
BROKEN = [
    *("NaN", "-Infinity", "01", "-01", "+1", "1.", ".5", "1e", "0x1", "tru", "'x'", "", "[1,]", "{,}"),
    *('"\t"', '"\x01"', '"\\x41"', '"\\u12"', '"', "{1:2}", '{"a"}', "//", "1 2", "[", "]", "\x0c1", "\xa01"),
]
SPACES = ["", "", " ", "\n", "\t \r\n"]
BOM = b"\xef\xbb\xbf"
GARBAGE = [b" x", b"}", b",", b"\x00", b"{}", b"\n\n", b" ", b"\x0c", BOM, b"garbage", b"\xff"]
INVALID_UTF_8 = [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe2\x82", b"\xf4\x90\x80\x80", b"\x80"]

Members = list[tuple[str, str]]
"""Names and values of an object as they are written."""


def nested(levels: int, shape: str) -> str:
    """A document of so many levels: arrays, objects, or the two in turn."""
    steps = {"[": [("[", "]")], "{": [('{"a":', "}")], "m": [("[", "]"), ('{"a":', "}")]}[shape]
    chosen = [steps[level % len(steps)] for level in range(levels)]
    return "".join(one for one, _ in chosen) + "1" + "".join(one for _, one in reversed(chosen))


# in an unknown member of a message these make up to 64 levels, or one and more too many
NESTED = st.builds(nested, st.sampled_from([2, 61, 62, 63, 64, 65, 66, 127, 1000]), st.sampled_from("[{m"))
PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
ANY_JSON = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
).map(json.dumps)
VALID = [*TEXTS, *WORDS, *SHAPES]
ODD: st.SearchStrategy[str] = st.one_of(
    *map(st.sampled_from, (NUMBERS, VALID, [*VALID, *SURROGATES, *BROKEN])), NESTED, ANY_JSON
)

# made once: to make a strategy takes longer than to draw from it
CHANGES = st.lists(
    st.sampled_from(
        [*["replace"] * 4, *["null"] * 2, "drop", "repeat", "unknown", "case", "escape", "order"],
    ),
    max_size=2,
)
NAME = st.sampled_from(
    ['"x"', '"x"', '"\\ud800"', '"ID"', '""', '"error"', '"domain"', '"id"', '"a\\u0000"', "x", "1"]
)
SPACE = st.sampled_from(SPACES)
TEXT = st.sampled_from(TEXTS)
# the nearest misses come more often than the far ones
NEAREST = ["-1", "256", "255.5", "18446744073709551616", "true", "01", "NaN"]
NUMBER = st.sampled_from([*NUMBERS, *WORDS, '"x"', *NEAREST * 3])
TYPE = st.sampled_from(TYPES)
PLACE = st.integers(0, 31)
"""Where something is done: taken modulo the number of places that there are."""


def value_of(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    """The values that a schema allows, as they are written; numbers and objects come with changes."""
    schema = COMMON[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "const" in schema:
        return st.just(json.dumps(schema["const"]))
    match schema["type"]:
        case "string":
            return TEXT
        case ["string", "null"]:
            return TEXT | st.just("null")
        case "boolean":
            return st.sampled_from(["true", "false"])
        case "integer":
            # numbers are where decoders differ: half of them are around the bounds or beyond
            return st.sampled_from([str(schema["minimum"]), "7", str(schema["maximum"])]) | NUMBER
        case "array":
            count = st.integers(schema.get("minItems", 0), schema.get("maxItems", 3))
            item = value_of(schema["items"])
            return st.builds(lambda one, times: "[" + ",".join([one] * times) + "]", item, count)
        case "object":
            return object_of(schema)
    raise AssertionError(schema["type"])


def object_of(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    """Objects with the members that the schema asks for and allows, up to two of them changed."""
    required = schema["required"]
    parts = [(name, name in required, value_of(part)) for name, part in schema["properties"].items()]

    @st.composite
    def objects(draw: DrawFn) -> str:
        left_out = draw(PLACE)  # as bits: which optional members
        found = [
            (json.dumps(name), draw(value))
            for index, (name, always, value) in enumerate(parts)
            if always or not left_out >> index & 1
        ]
        for change in draw(CHANGES):
            apply(change, found, draw)
        space = draw(SPACE)
        pairs = (f"{space}{name}{space}:{space}{value}{space}" for name, value in found)
        return space + "{" + ",".join(pairs) + "}" + space

    return objects()


def apply(change: str, found: Members, draw: DrawFn) -> None:
    """Change one member."""
    index = draw(PLACE) % max(len(found), 1)
    name, value = found[index] if found else ('"x"', "1")
    match change:
        case "replace":
            found[index : index + 1] = [(name, another(value, draw))]
        case "drop":
            del found[index : index + 1]
        case "null":
            found[index : index + 1] = [(name, "null")]
        case "repeat":
            again = draw(TYPE_NAME) if name == '"type"' else draw(ODD)
            found.insert(draw(PLACE) % (len(found) + 1), (name, again))
        case "unknown":
            found.insert(index, (draw(NAME), draw(ODD)))
        case "case":
            found[index : index + 1] = [(name, value.lower())]
        case "escape" if len(name) > 2 and name[1] not in '"\\':
            found[index : index + 1] = [(f'"\\u{ord(name[1]):04x}{name[2:]}', value)]
        case "order":
            found.reverse()


def another(value: str, draw: DrawFn) -> str:
    """Another value in the place of one: a number for a number, and of an array often one item alone."""
    if value.isdecimal():
        return draw(NUMBER)
    place = draw(PLACE)
    if value.startswith("[") and value.endswith("]") and place % 4:
        items = value[1:-1].split(",")
        items[place % len(items)] = draw(NUMBER)
        return "[" + ",".join(items) + "]"
    return draw(ODD)


TYPE_NAME = st.sampled_from([json.dumps(one) for one in TYPES]) | ODD
OF_TYPE = {one: object_of(BY_ID[f"urn:gate-p2p:1.0:schema:{one}"]) for one in MEMBERS}
MESSAGE = TYPE.flatmap(OF_TYPE.__getitem__)


@st.composite
def spoilt(draw: DrawFn) -> bytes:
    """A message of which some bytes were changed."""
    body = draw(MESSAGE).encode()
    at = draw(AT) % (len(body) + 1)
    way, piece = draw(WAY), draw(PIECE)
    match way:
        case "behind":
            return body + piece
        case "before":
            return piece + body
        case "inside":
            return body[:at] + piece + body[at:]
        case "cut":
            return body[:at]
        case _:
            return body[:at] + piece[:1] + body[at + 1 :]


AT = st.integers(0, 1000)
WAY = st.sampled_from(["behind", "before", "inside", "cut", "over"])
PIECE = st.sampled_from([*GARBAGE, *INVALID_UTF_8, *[BOM] * 4, b"0", b'"', b"\\", b","])
WHOLE = MESSAGE.map(str.encode)
ANY_BODY = st.one_of(WHOLE, WHOLE, WHOLE, spoilt(), ODD.map(str.encode)).filter(bool)
