"""What the installed iroh cannot do is not asked of it."""

from __future__ import annotations

from importlib import metadata

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("iroh1")
    if marker is not None and metadata.version("iroh").startswith("0."):
        pytest.skip(marker.kwargs["reason"])
