"""The node-name vectors against base32 of the standard library."""

from __future__ import annotations

from typing import Any

import pytest

from .node_labels import named, z_base_32
from .vector_files import load

LABELS = load("names/labels.json")
RECOGNITION = load("names/recognition.json")


def test_an_id_has_these_labels() -> None:
    for vector in LABELS:
        data = bytes.fromhex(vector["node_id"])
        assert vector["z_base_32"] == z_base_32(data), vector["id"]
        assert vector["hex"] == data[:16].hex(), vector["id"]


def test_a_label_names_this_node_or_none() -> None:
    for vector in RECOGNITION:
        assert (vector["names"], vector.get("reason")) == named(vector["label"]), vector["id"]


def test_every_label_of_an_id_is_recognised() -> None:
    for vector in LABELS:
        for label in (vector["z_base_32"], vector["z_base_32"].upper()):
            assert named(label) == (vector["node_id"], None)
        assert named(vector["hex"].upper()) == (vector["hex"], None)


def test_the_vectors_show_every_way_in_which_a_label_names_no_node() -> None:
    assert {vector.get("reason") for vector in RECOGNITION} == {None, "length", "alphabet", "spare_bits"}
    lengths = {len(vector["label"]) for vector in RECOGNITION if vector.get("reason") == "length"}
    assert lengths >= {31, 33, 51, 53, 64}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda label: label[:-1] + "b",
        lambda label: label[:-1],
        lambda label: label[:20] + "l" + label[21:],
    ],
)
def test_the_check_itself_finds_a_wrong_label(wrong: Any) -> None:
    label = LABELS[0]["z_base_32"]
    assert named(label)[0] is not None
    assert named(wrong(label))[0] is None
