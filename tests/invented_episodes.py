"""A small dataset of invented episodes, for tests that train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from magma_ros.episodes import Episode, EpisodeWriter
from tests.model.random_checkpoints import CONTRACT


def invented_episode(seed: int, *, num_steps: int = 6) -> Episode:
    """Bright frames move up, dark frames move down: a rule that a network can learn."""
    generator = np.random.default_rng(seed)
    bright = generator.random(num_steps) < 0.5
    images = np.where(bright[:, None, None, None], 220, 30) + generator.integers(-20, 20, (num_steps, 64, 64, 3))
    actions = generator.uniform(-0.002, 0.002, (num_steps, 7))
    actions[:, 2] = np.where(bright, 0.02, -0.02)
    actions[:, 6] = bright
    return Episode(
        images={"image": images.astype(np.uint8)},
        actions=actions,
        ee_position_m=np.zeros((num_steps, 3)),
        ee_quat_xyzw=np.tile([0.0, 0.0, 0.0, 1.0], (num_steps, 1)),
        gripper_opening=np.ones(num_steps),
        joint_positions_rad=np.zeros((num_steps, 0)),
        stamps_s=0.2 * np.arange(num_steps),
        instruction="move with the light",
        seed=seed,
        success=True,
    )


@pytest.fixture(scope="session")
def episodes_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve invented episodes of six steps."""
    folder = tmp_path_factory.mktemp("episodes")
    with EpisodeWriter(folder, contract=CONTRACT, source={"env": "invented"}) as writer:
        for seed in range(12):
            writer.append(invented_episode(seed))
    return folder
