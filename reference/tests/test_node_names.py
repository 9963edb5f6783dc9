"""Node labels: the vectors, and what holds for every id and every text (DR-02)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate_p2p.node_names import ALPHABET, id_from_label, node_labels

NAMES = Path(__file__).resolve().parents[2] / "spec" / "vectors" / "names"
IDS = st.binary(min_size=32, max_size=32).map(bytes.hex)


def names_node(label: str, node_id: str) -> bool:
    found = id_from_label(label)
    return found is not None and node_id.startswith(found)


def load(name: str) -> list[Any]:
    return [pytest.param(one, id=one["id"]) for one in json.loads((NAMES / name).read_text("utf-8"))]


@pytest.mark.parametrize("vector", load("labels.json"))
def test_an_id_has_the_labels_of_the_vectors(vector: dict[str, str]) -> None:
    labels = node_labels(vector["node_id"])
    assert labels == (vector["z_base_32"], vector["hex"])
    for label in (*labels, labels.z_base_32.upper(), labels.hex.upper()):
        assert names_node(label, vector["node_id"])


@pytest.mark.parametrize("vector", load("recognition.json"))
def test_a_label_says_what_the_vectors_say(vector: dict[str, Any]) -> None:
    assert id_from_label(vector["label"]) == vector["names"]


@given(IDS, st.lists(st.booleans(), min_size=52, max_size=52))
def test_a_node_recognises_its_labels_in_any_case(node_id: str, upper: list[bool]) -> None:
    for label in node_labels(node_id):
        assert label == label.lower()
        cased = "".join(c.upper() if up else c for c, up in zip(label, upper, strict=False))
        assert names_node(cased, node_id)
    assert id_from_label(node_labels(node_id).z_base_32) == node_id


@given(IDS, IDS)
def test_a_label_names_no_other_node(one: str, other: str) -> None:
    labels = node_labels(one)
    assert names_node(labels.z_base_32, other) is (one == other)
    assert names_node(labels.hex, other) is (one[:32] == other[:32])


@given(IDS, st.integers(0, 51), st.sampled_from(ALPHABET))
def test_no_id_has_two_spellings_in_z_base_32(node_id: str, place: int, character: str) -> None:
    label = node_labels(node_id).z_base_32
    changed = label[:place] + character + label[place + 1 :]
    assert names_node(changed, node_id) is (changed == label)


@given(
    st.text(max_size=70)
    | st.text(ALPHABET, min_size=52, max_size=52)
    | st.from_regex("[0-9A-Fa-f]{32}", fullmatch=True)
)
def test_what_a_text_names_has_that_text_for_a_label(label: str) -> None:
    found = id_from_label(label)
    if found is not None:
        assert label.lower() in node_labels(found.ljust(64, "0"))
