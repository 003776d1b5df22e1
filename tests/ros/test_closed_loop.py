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


@pytest.fixture(scope="module")
def demo():
    """The expert's actions for one seed, from the simulator alone, and where they left the end effector."""
    env = BridgeEnv(render=False)
    env.reset(seed=SEED)
    expert, actions = expert_for(env), []
    for _ in range(60):
        actions.append(expert.act())
        observation, _, _, _, info = env.step(actions[-1])
    assert info["success"]
    env.close()
    return [action.to_array().tolist() for action in actions], observation.proprio.ee_position_m


def test_recorded_actions_succeed_through_the_graph(peer, demo):
    """The expert's actions, sent picture by picture through all nodes, put the carrot on the plate."""
    actions, end_m = demo
    folder = peer.write_script("replay", actions=actions)
    poses, verdicts = peer.listen(interface.EE_POSE), peer.listen(interface.TASK_SUCCESS)
    peer.start("arm_node", "-m", "magma_ros.sim.arm_node")
    peer.start("motion_node", "-m", "magma_ros.ros.motion_node", arm="sim", autostart=True)
    peer.start("policy_node", SCRIPT, checkpoint=folder, autostart=True)
    peer.wait(lambda: verdicts, timeout_s=30, what="the arm")
    assert peer.reset_world(SEED).ok
    result = peer.result(peer.send_goal("put carrot on plate", step_budget=len(actions)), timeout_s=40).result
    assert (Outcome.BUDGET_SPENT, len(actions)) == (result.outcome, result.num_steps)
    count = len(verdicts)
    peer.wait(lambda: len(verdicts) > count + 2, what="the verdict")
    assert verdicts[-1].data
    p = poses[-1].pose.position
    assert np.array([p.x, p.y, p.z]) == pytest.approx(end_m, abs=0.003)
