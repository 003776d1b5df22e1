"""Small real values that many tests start from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.episodes import Episode
from magma_ros.normalization import NormStats
from magma_ros.pipeline import Pipeline, PipelineConfig
from magma_ros.safety import SafetyLimits
from magma_ros.types import Action, ActionChunk, Observation, Proprio

MASK = [True] * 6 + [False]
NO_TOKENS = np.empty((0, 7), dtype=np.int64)

CONTRACT = ActionContract(
    embodiment="toy_arm",
    frame="base_link",
    rotation_form="rpy",
    gripper_polarity="open_is_one",
    reference="target",
    control_rate_hz=5.0,
    max_translation_m=0.06,
    max_rotation_rad=0.5,
    cameras=(CameraSpec("image", 32, 48),),
)

LIMITS = SafetyLimits(
    max_translation_step_m=0.03,
    max_rotation_step_rad=0.2,
    max_observation_age_s=0.5,
    max_step_change_m=0.05,
    workspace_min_m=(0.1, -0.3, 0.0),
    workspace_max_m=(0.5, 0.3, 0.4),
)


def make_stats(**changes: object) -> NormStats:
    """Statistics of a toy arm: ±3 cm, ±0.2 rad, the gripper as it is."""
    bound = np.array([0.03] * 3 + [0.2] * 3 + [1.0])
    low = np.array([-0.03] * 3 + [-0.2] * 3 + [0.0])
    values = {
        "q01": low,
        "q99": bound,
        "mean": np.zeros(7),
        "std": np.ones(7),
        "minimum": low * 2,
        "maximum": bound * 2,
        "mask": MASK,
    }
    return NormStats(**{**values, **changes})


def make_config(**changes: object) -> PipelineConfig:
    """The toy arm's pipeline configuration."""
    config = PipelineConfig(contract=CONTRACT, norm_stats=make_stats(), base_vocab_size=4096, use_image_start_end=True)
    return dataclasses.replace(config, **changes)


def make_pipeline(**changes: object) -> Pipeline:
    """The toy arm's pipeline."""
    return Pipeline(make_config(**changes))


def make_observation(**changes: object) -> Observation:
    """A seeded picture, the arm in the middle of its workspace, at 10 s."""
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    values = {
        "images": {"image": picture},
        "instruction": "put carrot on plate",
        "stamp_s": 10.0,
        "proprio": make_proprio([0.3, 0.0, 0.2]),
    }
    return Observation(**{**values, **changes})


def make_proprio(position_m: list[float]) -> Proprio:
    """An end effector somewhere, half open."""
    return Proprio(position_m, [0.0, 0.0, 0.0, 1.0], 0.5, [0.1, 0.2])


def make_action(*row: float, frame: str = "base_link") -> Action:
    """An action from its leading numbers; the rest is no motion with the gripper open."""
    full = [*row, *[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0][len(row) :]]
    return Action.from_array(full, frame=frame)


def make_chunk(rows: list[list[float]], *, stamp_s: float = 10.0, frame: str = "base_link") -> ActionChunk:
    """A chunk of full action rows."""
    return ActionChunk(rows, frame, stamp_s, NO_TOKENS)


def make_episode(num_steps: int = 4, *, seed: int = 0, **changes: object) -> Episode:
    """A seeded episode of the toy arm."""
    draw = np.random.default_rng(seed)
    values = {
        "images": {"image": draw.integers(0, 256, (num_steps, 8, 10, 3), dtype=np.uint8)},
        "actions": np.concatenate([draw.uniform(-0.02, 0.02, (num_steps, 6)), np.ones((num_steps, 1))], axis=1),
        "ee_position_m": draw.normal(size=(num_steps, 3)),
        "ee_quat_xyzw": np.tile([0.0, 0.0, 0.0, 1.0], (num_steps, 1)),
        "gripper_opening": draw.uniform(0, 1, num_steps),
        "joint_positions_rad": draw.normal(size=(num_steps, 6)),
        "stamps_s": np.arange(num_steps) * 0.2,
        "instruction": "put carrot on plate",
        "seed": seed,
        "success": True,
    }
    return Episode(**{**values, **changes})


def write_pipeline(folder: Path, pipeline: Pipeline) -> None:
    """The part of a checkpoint folder that a pipeline is loaded from."""
    config = {
        "tokenizer_vocab_size": pipeline.config.base_vocab_size,
        "mm_use_image_start_end": pipeline.config.use_image_start_end,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    pipeline.save(folder)


class ScriptedPolicy:
    """Answers with the given chunks in turn, the last one for ever; an exception among them is raised."""

    def __init__(self, *answers: ActionChunk | Exception, contract: ActionContract = CONTRACT) -> None:
        self.contract = contract
        self.answers = answers
        self.num_inferences = 0
        self.seen: Observation | None = None

    def infer(self, observation: Observation) -> ActionChunk:
        self.seen = observation
        answer = self.answers[min(self.num_inferences, len(self.answers) - 1)]
        self.num_inferences += 1
        if isinstance(answer, Exception):
            raise answer
        return dataclasses.replace(answer, stamp_s=observation.stamp_s)

    def reset(self) -> None:
        self.num_inferences = 0

    def close(self) -> None:
        pass
