"""What is freed is used again."""

from __future__ import annotations

import subprocess
import sys

import pytest

TOUCHED = """
import resource
import numpy as np
from magma_ros.finetune.freed_memory import keep_freed_memory
assert not {keeps} or keep_freed_memory()
for _ in range(2):
    np.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    np.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Prints how many pages the system had to give for eight arrays of 128 MiB, one after the other."""


@pytest.mark.parametrize("keeps", [True, False])
def test_the_next_array_takes_the_pages_of_the_last(*, keeps: bool) -> None:
    """With freed memory kept, hardly a page is new; otherwise those of each array are."""
    run = subprocess.run(
        [sys.executable, "-c", TOUCHED.format(keeps=keeps)], capture_output=True, text=True, check=True, timeout=60
    )
    assert (int(run.stdout) < 100) == keeps
