"""The policy node with a policy that reads what to do from `script.json` in its checkpoint folder; run as a process."""

import json
import sys
import time
from pathlib import Path

import numpy as np

from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.errors import CheckpointError, PolicyError
from magma_ros.ros.policy_node import PolicyNode
from magma_ros.ros.spin import run
from magma_ros.types import ActionChunk

CONTRACT = ActionContract(
    embodiment="bridge_widowx",
    frame="base_link",
    rotation_form="rpy",
    gripper_polarity="open_is_one",
    reference="target",
    control_rate_hz=5.0,
    max_translation_m=0.05,
    max_rotation_rad=0.5,
    cameras=(CameraSpec("image", 128, 128),),
)


class ScriptedPolicy:
    """The script's actions in turn, the last one for ever; the instructions `fail` and `crash` are obeyed."""

    def __init__(self, script):
        self.contract = CONTRACT
        self._script = script
        self.reset()

    def infer(self, observation):
        if observation.instruction.startswith("fail"):
            raise PolicyError("told to fail")
        if observation.instruction.startswith("crash"):
            raise RuntimeError("told to crash")
        time.sleep(self._script["delay_s"])
        row = self._next_row(observation)
        tokens = np.arange(7, dtype=np.int64)[None]
        return ActionChunk(np.array([row]), "base_link", observation.stamp_s, tokens)

    def reset(self):
        self._num_asked = 0

    def close(self):
        pass

    def _next_row(self, observation):
        actions = self._script["actions"]
        row = actions[min(self._num_asked, len(actions) - 1)]
        self._num_asked += 1
        return row


class Replay(ScriptedPolicy):
    """Each of the script's actions until a picture shows that it was done: a busy machine may lose a step."""

    def reset(self):
        self._num_done, self._sent_s = 0, None

    def _next_row(self, observation):
        actions = self._script["actions"]
        if self._sent_s is not None:
            if observation.stamp_s < self._sent_s:  # taken before the action: shows nothing about it
                return [0.0] * 6 + [actions[self._num_done][6]]
            self._num_done += self._is_done(observation.proprio)
        self._sent_s = None if self._num_done == len(actions) else time.time()
        return [0.0] * 6 + [actions[-1][6]] if self._sent_s is None else actions[self._num_done]

    def _is_done(self, proprio):
        now = np.array([*proprio.ee_position_m, 0.05 * proprio.gripper_opening])
        before, after = (np.array(self._script["states"][self._num_done + n]) for n in (0, 1))
        return bool(np.linalg.norm(now - after) <= max(np.linalg.norm(now - before), 0.001))


def load(name, _options, _deadline_s):
    folder = Path(name)
    script = folder / "script.json"
    if not script.is_file():
        raise CheckpointError(f"{folder}: expected script.json, found {sorted(p.name for p in folder.iterdir())}")
    content = json.loads(script.read_text())
    return Replay(content) if "states" in content else ScriptedPolicy(content)


if __name__ == "__main__":
    sys.exit(run(lambda: PolicyNode(load=load)))
