"""What each task does and shows under fixed actions, as JSON: `python tests/sim/bridge/golden.py > golden.json`."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import numpy as np

from magma_ros.sim.bridge.env import BridgeEnv
from magma_ros.sim.bridge.tasks import TASKS
from magma_ros.types import Action, Observation

NUM_STEPS = 8
SEEDS = {"matching": 24, "variants": 3}
"""Set of looks → the trial; seed 3 of the variants has distractors."""


def trial(task: str, look: str) -> dict[str, Any]:
    """Digests of all states (rounded to a micrometre) and of all frames, and the last frame as 8 by 8 mean colours."""
    env = BridgeEnv(task, image_size_px=64, look=look)
    states, frames = hashlib.sha256(), hashlib.sha256()
    observation, _ = env.reset(seed=SEEDS[look])
    for step in range(NUM_STEPS + 1):
        states.update((np.round(_measured(env, observation), 6) + 0.0).tobytes())
        frames.update(observation.images["image"].tobytes())
        row = [0.01, 0.005 * (-1) ** step, -0.012, 0.0, 0.02, 0.05, step % 2]
        if step < NUM_STEPS:
            observation = env.step(Action.from_array(row, frame="base_link"))[0]
    blocks = observation.images["image"].reshape(8, 8, 8, 8, 3).mean(axis=(1, 3))
    env.close()
    return {"states": states.hexdigest(), "frames": frames.hexdigest(), "blocks": np.round(blocks).astype(int).tolist()}


def _measured(env: BridgeEnv, observation: Observation) -> np.ndarray:
    poses, proprio = env.poses(), observation.proprio
    assert proprio is not None
    things = [poses.source_position_m, poses.source_quat_xyzw, poses.target_position_m, poses.target_quat_xyzw]
    return np.concatenate([proprio.joint_positions_rad, proprio.ee_position_m, proprio.ee_quat_xyzw, *things])


def main() -> None:
    """Print all of it."""
    from OpenGL import GL  # noqa: PLC0415 - once MuJoCo has chosen the platform

    trials = {f"{task} {look}": trial(task, look) for task in TASKS for look in SEEDS}
    env = BridgeEnv(image_size_px=16)
    env.reset(seed=0)
    renderer = GL.glGetString(GL.GL_RENDERER).decode()
    env.close()
    json.dump({"renderer": renderer, "trials": trials}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
