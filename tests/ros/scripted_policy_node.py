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
        self._num_asked = 0

    def infer(self, observation):
        if observation.instruction.startswith("fail"):
            raise PolicyError("told to fail")
        if observation.instruction.startswith("crash"):
            raise RuntimeError("told to crash")
        time.sleep(self._script["delay_s"])
        actions = self._script["actions"]
        row = actions[min(self._num_asked, len(actions) - 1)]
        self._num_asked += 1
        tokens = np.arange(7, dtype=np.int64)[None]
        return ActionChunk(np.array([row]), "base_link", observation.stamp_s, tokens)

    def reset(self):
        self._num_asked = 0

    def close(self):
        pass


def load(name, _options, _deadline_s):
    folder = Path(name)
    script = folder / "script.json"
    if not script.is_file():
        raise CheckpointError(f"{folder}: expected script.json, found {sorted(p.name for p in folder.iterdir())}")
    return ScriptedPolicy(json.loads(script.read_text()))


if __name__ == "__main__":
    sys.exit(run(lambda: PolicyNode(load=load)))
