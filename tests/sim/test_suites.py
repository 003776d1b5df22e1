"""The evaluation protocols."""

from __future__ import annotations

import pytest

from magma_ros.errors import EnvError
from magma_ros.safety import SafetyFilter
from magma_ros.sim.envs import make_env
from magma_ros.sim.policies import NoopPolicy
from magma_ros.sim.suites import SUITES, find_suite
from magma_ros.types import SafeAction


def test_carrot_task_is_simplerenvs() -> None:
    """Sixty steps at 5 Hz with SimplerEnv's sentence."""
    suite = find_suite("bridge")
    task = suite.task("carrot_on_plate")
    assert (suite.control_rate_hz, task.step_budget) == (5.0, 60)
    assert task.instruction == "put carrot on plate"


def test_unknown_names_list_what_is_available() -> None:
    """A wrong suite or task says which there are."""
    with pytest.raises(EnvError, match="bridge"):
        find_suite("nowhere")
    with pytest.raises(EnvError, match="carrot_on_plate"):
        find_suite("bridge").task("fly")


IN_BRIDGE = [suite for suite in SUITES.values() if suite.simulator == "bridge"]


@pytest.mark.parametrize(
    ("suite", "task"), [(suite, task) for suite in IN_BRIDGE for task in suite.tasks], ids=lambda item: item.name
)
def test_environment_follows_the_protocol_and_starts_inside_its_limits(suite: object, task: object) -> None:
    """Every task's environment can be made, and its first observation passes the suite's safety filter.

    LIBERO's 130 take minutes: one of them is tried in tests/sim/libero.
    """
    env = make_env(suite, task, render=False)
    try:
        observation, _ = env.reset(seed=0)
        safety = SafetyFilter(suite.limits, env.contract)
        action = NoopPolicy(env.contract).infer(observation)[0]
        now_s, position = observation.stamp_s, observation.proprio.ee_position_m
        decision = safety.filter(action, stamp_s=now_s, now_s=now_s, ee_position_m=position)
        assert isinstance(decision, SafeAction)
        assert decision.limited_by == ()
    finally:
        env.close()
