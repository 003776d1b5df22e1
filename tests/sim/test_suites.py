"""The evaluation protocols."""

from __future__ import annotations

import pytest

from magma_ros.errors import EnvError
from magma_ros.safety import SafetyFilter
from magma_ros.sim.envs import make_env
from magma_ros.sim.policies import NoopPolicy
from magma_ros.sim.suites import SUITES, find_suite
from magma_ros.types import SafeAction


@pytest.mark.parametrize(
    ("name", "instruction", "step_budget"),
    [
        ("carrot_on_plate", "put carrot on plate", 60),
        ("spoon_on_towel", "put the spoon on the towel", 60),
        ("stack_cube", "stack the green block on the yellow block", 60),
        ("eggplant_in_basket", "put eggplant into yellow basket", 120),
    ],
)
@pytest.mark.parametrize(
    ("suite", "look"), [("bridge", "matching"), ("bridge_variants", "variants"), ("bridge_shifted", "shifted")]
)
def test_bridge_tasks_are_simplerenvs(suite: str, look: str, name: str, instruction: str, step_budget: int) -> None:
    """Sentences and step budgets at 5 Hz are SimplerEnv's, in visual matching, in variants and on the shifted robot."""
    found = find_suite(suite)
    task = found.task(name)
    assert (5.0, look) == (found.control_rate_hz, found.look)
    assert (instruction, step_budget) == (task.instruction, task.step_budget)


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
