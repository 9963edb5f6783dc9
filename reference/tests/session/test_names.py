"""Whose a name is: short labels (DR-09), registered names (AU-04), and where visitors are led (SP-10)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gate_p2p.dns import DnsChallengeError
from gate_p2p.node_names import node_labels
from gate_p2p.session.names import RecordingRegistrar, ShortLabels
from gate_p2p.session.policy import NamePolicy

FIRST = "ab" * 16 + "01" * 16
SECOND = "ab" * 16 + "02" * 16  # nobody can make such a pair; a table tells them apart
OTHER = "cd" * 32
SHORT = "ab" * 16 + ".nodes.example"


def full(node_id: str) -> str:
    return f"{node_labels(node_id).z_base_32}.nodes.example"


def test_a_short_label_is_the_first_users_and_of_no_other_node() -> None:
    names = NamePolicy("nodes.example")
    assert names.may_act_for(SECOND, SHORT.upper())
    assert not names.may_act_for(FIRST, SHORT)
    assert names.may_act_for(SECOND, SHORT)
    assert not names.may_act_for(OTHER, SHORT)
    assert names.may_act_for(FIRST, full(FIRST))
    assert names.peer_of(SHORT, [FIRST]) == SECOND


def test_a_request_that_is_refused_claims_nothing() -> None:
    names = NamePolicy("nodes.example")
    assert not names.may_act_for(OTHER, SHORT)
    assert not names.may_act_for(FIRST, "ab" * 16 + ".other.example")
    assert names.may_act_for(SECOND, SHORT)


def test_the_table_is_bounded_and_forgets_the_oldest() -> None:
    table = ShortLabels(most=2)
    for digit in "abc":
        assert table.claim(digit * 32, digit * 64)
    assert (len(table), table.owner("a" * 32), table.owner("c" * 32)) == (2, None, "c" * 64)


@pytest.mark.parametrize(
    ("name", "nodes", "peer"),
    [
        (full(FIRST), [], FIRST),
        (full(FIRST).upper(), [], FIRST),
        (f"www.{full(FIRST)}", [], FIRST),
        (f"a.www.{full(FIRST)}", [], None),
        (SHORT, [FIRST, OTHER], FIRST),
        (f"www.{SHORT}", [FIRST], FIRST),
        (SHORT, [FIRST, SECOND], None),  # whose it is nobody can tell
        (SHORT, [OTHER], None),
        ("nodes.example", [FIRST], None),
        (f"{node_labels(FIRST).z_base_32}.evilnodes.example", [FIRST], None),
        (f"{FIRST}.nodes.example", [FIRST], None),
        ("shop.example", [], FIRST),
        ("www.shop.example", [], FIRST),
        ("www.shop.example.org", [], None),
        ("shared.example", [SECOND], SECOND),
        ("all.example", [FIRST], None),
        ("apex.shop.example", [], SECOND),  # exact before wildcard
    ],
)
def test_visitors_are_led_to_the_peer_of_the_name_or_of_the_name_above(
    name: str, nodes: Sequence[str], peer: str | None
) -> None:
    given = {
        FIRST: ["shop.example", "shared.example"],
        SECOND: ["shared.example", "apex.shop.example"],
        "*": ["all.example"],
    }
    assert NamePolicy("nodes.example", given).peer_of(name, nodes) == peer


async def test_a_registered_name_is_its_peers_from_its_success_on() -> None:
    class Registrar:
        async def register(self, peer_id: str, addresses: Sequence[str]) -> str:
            return "Fox.people.example" if peer_id == FIRST else full(peer_id)

    names = NamePolicy("nodes.example")
    registrar = names.recording(Registrar())
    assert not names.may_act_for(FIRST, "fox.people.example")
    assert names.peer_of("fox.people.example", []) is None
    await registrar.register(FIRST, ())
    await registrar.register(OTHER, ())
    assert names.may_act_for(FIRST, "fox.people.example")
    assert not names.may_act_for(OTHER, "fox.people.example")
    assert names.peer_of("www.fox.people.example", []) == FIRST
    assert len(names._registered) == 1


async def test_the_names_that_a_registrar_gave_are_bounded() -> None:
    class Registrar:
        asked = 0

        async def register(self, peer_id: str, addresses: Sequence[str]) -> str:
            self.asked += 1
            return f"{peer_id[:2]}-{self.asked}.people.example"

    registrar, registered = Registrar(), dict[str, str]()
    recording = RecordingRegistrar(registrar, registered, most=2)
    await recording.register(FIRST, ())
    await recording.register(FIRST, ())
    for peer, asked in ((OTHER, 2), (FIRST, 3)):  # one that has a name may get it again, which only it knows
        with pytest.raises(DnsChallengeError, match="no name left") as caught:
            await recording.register(peer, ())
        assert caught.value.code == "quota"
        assert registrar.asked == asked
    assert len(registered) == 2
