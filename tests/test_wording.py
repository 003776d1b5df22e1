"""Numbers in sentences."""

from __future__ import annotations

import pytest

from magma_ros.wording import counted


@pytest.mark.parametrize(("number", "expected"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (1000, "1000 steps")])
def test_only_one_is_no_plural(number: int, expected: str) -> None:
    """None are many, too; large numbers are plain."""
    assert expected == counted(number, "step")
