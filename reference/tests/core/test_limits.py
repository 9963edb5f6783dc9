from __future__ import annotations

from typing import Any

import pytest

from gate_p2p.core import Limits

from .pair import established_acceptor


@pytest.mark.parametrize("options", [{"max_frame": 0}, {"dead_after": -1.0}, {"max_frame": 10_485_761}])
def test_a_bound_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Limits(**options)


def test_the_largest_frame_of_the_protocol_is_allowed() -> None:
    assert Limits(max_frame=10_485_760).max_frame == 10 * 1024 * 1024


def test_a_connection_says_how_much_of_a_frame_it_holds_and_lets_go_of_it_at_the_end() -> None:
    connection = established_acceptor()
    connection.receive_data(b"\x00\xa0\x00\x00" + b" " * 1000, 101.0)
    assert connection.unfinished == 1004
    connection.close(102.0)
    assert connection.unfinished == 0
    connection.receive_data(b" " * 1000, 103.0)
    assert connection.unfinished == 0
