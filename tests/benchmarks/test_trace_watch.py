"""The arm that is held and the ear of the benchmark of the trace divergence: a wrong one would flatter the watch."""

from __future__ import annotations

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from magma_ros.types import Action
from tests.sim.toy_env import ToyEnv

FORWARD = Action([0.01, 0.0, 0.0], [0.0, 0.0, 0.0], 0.5, ToyEnv().contract.frame)


@pytest.fixture
def trace_watch(benchmark_module):
    return benchmark_module("trace_watch")


def ways_m(env, *, num_steps):
    """How far the arm went in each step."""
    observation, _ = env.reset(seed=0)
    positions = [observation.proprio.ee_position_m[0]]
    positions += [env.step(FORWARD)[0].proprio.ee_position_m[0] for _ in range(num_steps)]
    return pytest.approx(np.diff(positions))


def test_an_arm_is_held_after_so_many_steps_of_each_trial(trace_watch):
    """It makes the steps before, none after, and all of them again when the next trial begins."""
    env = trace_watch.StiffEnv(ToyEnv(), hold_after=2)
    for _ in range(2):
        assert [0.01, 0.01, 0.0, 0.0] == ways_m(env, num_steps=4)


def test_a_held_gripper_still_moves(trace_watch):
    """Only the arm is stiff."""
    toy = ToyEnv()
    env = trace_watch.StiffEnv(toy, hold_after=0)
    env.reset(seed=0)
    env.step(FORWARD)
    assert (0.5, FORWARD.frame) == (toy.actions[0].gripper_opening, toy.actions[0].frame)


def test_no_picture_of_an_arm_at_rest_repeats_the_last(trace_watch):
    """The camera's noise is of one grey level, and the picture below it stays."""
    env = trace_watch.StiffEnv(ToyEnv(), hold_after=0)
    before, _ = env.reset(seed=0)
    after = env.step(FORWARD)[0]
    difference = after.images["image"].astype(int) - before.images["image"]
    assert 0 < np.abs(difference).max() <= 2  # each of the two has noise of one


def diagnostics(num_compared, px, *, level=DiagnosticStatus.OK, name="policy: trace divergence"):
    values = {"traces compared": str(num_compared), "trace divergence [px]": str(px)}
    status = DiagnosticStatus(
        name=name, level=level, message=f"{px} px", values=[KeyValue(key=k, value=v) for k, v in values.items()]
    )
    return DiagnosticArray(status=[status])


def test_each_comparison_is_heard_once(trace_watch):
    """A message that repeats the last comparison, tells of none or is of something else adds nothing."""
    rclpy.init()
    try:
        listener = trace_watch.Listener()
        for message in (
            diagnostics(0, 0.0),
            diagnostics(1, 2.5),
            diagnostics(1, 2.5),
            diagnostics(7, 9.0, name="policy: latency"),
            diagnostics(2, 30.0, level=DiagnosticStatus.WARN),
        ):
            listener._hear(message)
        listener.close()
    finally:
        rclpy.shutdown()
    assert [(False, 2.5), (True, 30.0)] == listener.compared
    assert {". px"} == listener.said
