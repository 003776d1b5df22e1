"""The policy node with scripted policies that say how long they load and what robot they are for; run as a process."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scripted_policy_node import CONTRACT

from magma_ros.errors import CheckpointError
from magma_ros.ros.policy_node import PolicyNode
from magma_ros.ros.spin import run
from magma_ros.types import ActionChunk


class Swappable:
    """Answers every picture with the script's action, as sure of it as the script says."""

    def __init__(self, script):
        self._action, self._entropy = script["action"], script.get("entropy_nats", 0.0)
        self.contract = replace(CONTRACT, **script.get("contract", {}))

    def infer(self, observation):
        entropy, tokens = np.full((1, 7), self._entropy), np.arange(7, dtype=np.int64)[None]
        return ActionChunk(np.array([self._action]), "base_link", observation.stamp_s, tokens, entropy)

    def reset(self):
        pass

    def close(self):
        pass


def load(name, _options, _deadline_s):
    path = Path(name) / "script.json"
    if not path.is_file():
        raise CheckpointError(f"{name}: expected script.json")
    script = json.loads(path.read_text())
    end = time.monotonic() + script.get("load_s", 0.0)
    while time.monotonic() < end:  # as a checkpoint does: it keeps Python busy
        sorted(range(1000))
    return Swappable(script)


if __name__ == "__main__":
    sys.exit(run(lambda: PolicyNode(load=load)))
