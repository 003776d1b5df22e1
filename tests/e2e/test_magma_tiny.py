"""The shipped checkpoint does the job that it is shipped for."""

from __future__ import annotations

from pathlib import Path

import pytest

from magma_ros.checkpoint import load_policy
from magma_ros.sim.evaluate import evaluate, make_env
from magma_ros.sim.suites import BRIDGE

CHECKPOINT = Path(__file__).parents[2] / "checkpoints" / "magma-tiny"
MAX_BYTES = 20 * 10**6


@pytest.mark.timeout(300)
def test_magma_tiny_puts_carrots_on_plates() -> None:
    """Whole and at most 20 MB, it succeeds in at least 4 of 8 trials that are neither in its data nor in its card."""
    assert sum(path.stat().st_size for path in CHECKPOINT.iterdir()) <= MAX_BYTES
    task = BRIDGE.task("carrot_on_plate")
    env = make_env(BRIDGE, task)
    try:
        result = evaluate(
            env, load_policy(CHECKPOINT), policy_name="magma-tiny", suite=BRIDGE, task=task, seeds=range(500, 508)
        )
    finally:
        env.close()
    assert 0 == result.count("error")
    assert result.count("success") >= 4, result.summary()
