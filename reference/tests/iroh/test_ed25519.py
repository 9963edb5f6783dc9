"""Public keys against RFC 8032, 7.1, and against the iroh that can tell them."""

from __future__ import annotations

import pytest

from gate_p2p.iroh.ed25519 import public_key

RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    ),
]


@pytest.mark.parametrize(("secret", "public"), RFC_8032)
def test_the_vectors_of_rfc_8032(secret: str, public: str) -> None:
    assert public_key(bytes.fromhex(secret)).hex() == public


@pytest.mark.iroh1(reason="iroh 0.35 cannot tell the id of a key")
def test_the_id_is_the_one_that_iroh_makes() -> None:
    from gate_p2p.iroh.iroh1 import node_id_of

    for number in range(20):
        key = bytes([number]) * 32
        assert public_key(key).hex() == node_id_of(key)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length(size: int) -> None:
    with pytest.raises(ValueError, match=f"has {size}"):
        public_key(bytes(size))
