from __future__ import annotations

from typing import Any

import pytest

from gate_p2p.core import Limits


@pytest.mark.parametrize("options", [{"max_frame": 0}, {"dead_after": -1.0}, {"max_frame": 10_485_761}])
def test_a_bound_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Limits(**options)


def test_the_largest_frame_of_the_protocol_is_allowed() -> None:
    assert Limits(max_frame=10_485_760).max_frame == 10 * 1024 * 1024
