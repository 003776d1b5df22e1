"""Policy, supervisor and arm as three processes: the graph does to the world what the simulator does by itself."""

from pathlib import Path

import numpy as np
import pytest

from magma_ros.ros import interface
from magma_ros.ros.goal import Outcome
from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.sim.bridge.experts import expert_for

SCRIPT = str(Path(__file__).with_name("scripted_policy_node.py"))
SEED = 0
SPARE_STEPS = 20
"""For steps that a busy machine loses: the replay waits until a picture shows an action's effect."""


@pytest.fixture(scope="module")
def demo():
    """The expert's actions for one seed, and end effector [m] and gripper before and after each, without a graph."""
    env = BridgeEnv(render=False)
    observation, _ = env.reset(seed=SEED)
    expert, actions, states = expert_for(env), [], [_state(observation.proprio)]
    for _ in range(60):
        actions.append(expert.act())
        observation, _, _, _, info = env.step(actions[-1])
        states.append(_state(observation.proprio))
    assert info["success"]
    env.close()
    return [action.to_array().tolist() for action in actions], states


def test_recorded_actions_succeed_through_the_graph(peer, demo):
    """The expert's actions, sent picture by picture through all nodes, put the carrot on the plate."""
    actions, states = demo
    folder = peer.write_script("replay", actions=actions, states=states)
    poses, verdicts = peer.listen(interface.EE_POSE), peer.listen(interface.TASK_SUCCESS)
    peer.start("arm_node", "-m", "magma_ros.sim.arm_node")
    peer.start("motion_node", "-m", "magma_ros.ros.motion_node", arm="sim", autostart=True)
    peer.start("policy_node", SCRIPT, checkpoint=folder, autostart=True)
    peer.wait(lambda: verdicts, timeout_s=30, what="the arm")
    assert peer.reset_world(SEED).ok
    budget = len(actions) + SPARE_STEPS
    result = peer.result(peer.send_goal("put carrot on plate", step_budget=budget), timeout_s=40).result
    assert (Outcome.BUDGET_SPENT, budget) == (result.outcome, result.num_steps)
    count = len(verdicts)
    peer.wait(lambda: len(verdicts) > count + 2, what="the verdict")
    assert verdicts[-1].data
    p = poses[-1].pose.position
    assert np.array([p.x, p.y, p.z]) == pytest.approx(states[-1][:3], abs=0.003)


def _state(proprio):
    return [*proprio.ee_position_m.tolist(), 0.05 * proprio.gripper_opening]
