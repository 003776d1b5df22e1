"""A trial whose states and last picture are in the repository; run as a program, this writes them anew.

`python -m tests.sim.libero.golden` in a checkout, after a change that is meant to change LIBERO's numbers.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from magma_ros.sim.libero import guard
from magma_ros.sim.libero.convention import FRAME
from magma_ros.sim.libero.env import LiberoEnv
from magma_ros.sim.libero.protocol import AGENTVIEW
from magma_ros.sim.libero.simulation import LiberoState
from magma_ros.types import Action, FloatArray, Observation

SUITE, TASK, IMAGE_SIZE_PX = guard.GOLDEN_SUITE, guard.GOLDEN_TASK, guard.GOLDEN_SIZE_PX
SEED, NUM_STEPS = 7, 20
STATES = Path(__file__).with_name("golden.npz")
PICTURE = Path(__file__).with_name("golden_frame.png")


def golden_actions() -> list[Action]:
    """20 random motions of up to a third of OSC's box, the gripper closing half-way."""
    draw = np.random.default_rng(5)
    limits = np.array([0.017] * 3 + [0.17] * 3)
    rows = draw.uniform(-limits, limits, (NUM_STEPS, 6))
    return [Action(row[:3], row[3:], float(step < NUM_STEPS // 2), FRAME) for step, row in enumerate(rows)]


def roll_out(env: LiberoEnv, *, seed: int = SEED) -> tuple[list[Observation], list[LiberoState]]:
    """What is seen and what is, after the reset to `seed` and after each golden action."""
    observations = [env.reset(seed=seed)[0]]
    states = [env.get_state()]
    for action in golden_actions():
        observations.append(env.step(action)[0])
        states.append(env.get_state())
    return observations, states


def digest(states: list[LiberoState]) -> str:
    """Of every bit of every state."""
    total = hashlib.sha256()
    for state in states:
        for array in (state.physics, state.fixture_positions_m, state.fixture_quats_wxyz, state.gripper_command):
            total.update(array.tobytes())
        total.update(state.goal_position_m.tobytes() + state.goal_rotation.tobytes())
        total.update(state.sight.joints.tobytes() + state.sight.site_alpha.tobytes())
    return total.hexdigest()


def numbers(states: list[LiberoState]) -> dict[str, FloatArray]:
    """What is kept of a roll-out: joints that its pictures show, where fixtures are, the gripper's command."""
    return {
        "joints": np.stack([state.sight.joints for state in states]),
        "fixtures": np.concatenate([states[0].fixture_positions_m.ravel(), states[0].fixture_quats_wxyz.ravel()]),
        "gripper": np.stack([state.gripper_command for state in states]),
    }


def main() -> None:
    """Write the states, the picture, and the guard's picture."""
    env = LiberoEnv(SUITE, TASK, image_size_px=IMAGE_SIZE_PX)
    observations, states = roll_out(env)
    env.close()
    np.savez_compressed(STATES, digest=np.array(digest(states)), **numbers(states))
    Image.fromarray(observations[-1].images[AGENTVIEW]).save(PICTURE, optimize=True)
    Image.fromarray(guard.draw_golden_frame()).save(guard.GOLDEN_FRAME, optimize=True)


if __name__ == "__main__":
    main()
