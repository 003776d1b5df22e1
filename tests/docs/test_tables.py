"""The tables of the reference are those of the code."""

from __future__ import annotations

import docs_tables
import pytest


@pytest.mark.parametrize("name", docs_tables.pages())
def test_the_reference_is_up_to_date(name):
    """docs/reference holds what tools/docs_tables.py writes now."""
    assert docs_tables.pages()[name] == (docs_tables.REFERENCE / name).read_text(encoding="utf-8")
