"""Our episodes in the layout of LIBERO's HDF5 files: one file for each instruction, for tools that read those.

Beside LIBERO's datasets each demonstration has a group `magma_ros` with our own numbers to the bit: LIBERO's unit of
5 cm has no exact number for every length, and its gripper is open or closed. Pictures, proprioception and action of a
row stand as they do in our episodes, the action *after* the picture; what only the simulator knows (`states`,
`model_file`) is not there, so robosuite can't play them back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.contract import ActionContract
from magma_ros.episodes import Episode, EpisodeDataset
from magma_ros.errors import EpisodeError
from magma_ros.types import FloatArray
from magma_ros.whole_files import to_disk

FORMAT = 1
GROUP = "magma_ros"
"""Attribute of `data` and of each demonstration, and group in it, that hold what LIBERO's layout has no place for."""
FLOATS = ("actions", "ee_position_m", "ee_quat_xyzw", "gripper_opening", "joint_positions_rad", "stamps_s")
"""Arrays of an `Episode` that are kept to the bit, beside `interventions`."""
OSC_TRANSLATION_M, OSC_ROTATION_RAD = 0.05, 0.5
"""What 1.0 in LIBERO's actions means: limits of robosuite's OSC_POSE controller."""
FINGER_OPEN_M = 0.04
"""Position of one of the Panda's fingers at its stop; the other one's has the other sign."""

_PICTURES = {"agentview": "agentview_rgb", "robot0_eye_in_hand": "eye_in_hand_rgb"}
_MAX_NAME = 120


@dataclass(frozen=True, slots=True)
class Hdf5Report:
    """What was written.

    Attributes:
        files: One for each instruction.
        num_episodes: In all of them.
        num_beyond: Steps that LIBERO's controller would cut: a number of their action is outside -1 … 1.
    """

    files: tuple[Path, ...]
    num_episodes: int
    num_beyond: int


def export_hdf5(
    dataset: EpisodeDataset, output: Path, *, on_episode: Callable[[int], None] = lambda _: None
) -> Hdf5Report:
    """Write `dataset` into the folder `output`, a file for each instruction; each appears whole or not at all.

    Raises:
        EpisodeError: the folder holds HDF5 files, cannot be written, or an episode is damaged.
    """
    _require_empty(output)
    convention = _picture_convention(dataset.contract)
    files: dict[str, tuple[Path, Any]] = {}
    num_beyond = 0
    try:
        for index in range(len(dataset)):
            episode = dataset.read(index)
            if episode.instruction not in files:
                taken = {path.name.removesuffix("_demo.hdf5") for path, _ in files.values()}
                path = output / f"{_stem(episode.instruction, len(files), taken)}_demo.hdf5"
                file = h5py.File(path.with_suffix(".partial"), "w")
                files[episode.instruction] = path, file
                _describe(file.create_group("data"), episode, dataset, convention=convention)
            data = files[episode.instruction][1]["data"]
            num_beyond += _write(data.create_group(f"demo_{len(data)}"), episode, index)
            on_episode(index + 1)
        for path, file in files.values():
            _close(file)
            to_disk(path.with_suffix(".partial"))
            path.with_suffix(".partial").replace(path)
    except OSError as error:
        raise EpisodeError(f"{output}: cannot be written: {error}") from error
    return Hdf5Report(tuple(path for path, _ in files.values()), len(dataset), num_beyond)


def libero_actions(actions: FloatArray) -> FloatArray:
    """LIBERO's numbers of our actions, (T, 7): in OSC's units, not clipped; gripper -1 open, 1 closed."""
    arm = np.concatenate([actions[:, :3] / OSC_TRANSLATION_M, actions[:, 3:6] / OSC_ROTATION_RAD], axis=1)
    return np.concatenate([arm, -np.sign(2.0 * actions[:, 6:] - 1.0)], axis=1)


def picture_name(camera: str) -> str:
    """The dataset of a camera's pictures, by LIBERO's name where it has one."""
    return _PICTURES.get(camera, f"{camera}_rgb")


def _describe(data: Any, episode: Episode, dataset: EpisodeDataset, *, convention: str) -> None:
    """What LIBERO's files say about all of their demonstrations, and what ours say."""
    kwargs = {"control_freq": dataset.contract.control_rate_hz}
    data.attrs["env_args"] = json.dumps({"type": 1, "env_name": "", "env_kwargs": kwargs})
    data.attrs["problem_info"] = json.dumps({"language_instruction": episode.instruction})
    data.attrs["macros_image_convention"] = convention
    ours = {"format": FORMAT, "contract": dataset.contract.to_dict(), "source": dict(dataset.source)}
    data.attrs[GROUP] = json.dumps({**ours, "cameras": sorted(episode.images)})


def _write(demo: Any, episode: Episode, index: int) -> int:
    """One demonstration; gives how many of its steps the controller would cut."""
    actions = libero_actions(episode.actions)
    ends = np.zeros(len(episode), np.uint8)
    ends[-1] = 1
    fingers = FINGER_OPEN_M * np.stack([episode.gripper_opening, -episode.gripper_opening], axis=1)
    turns = Rotation.from_quat(episode.ee_quat_xyzw).as_rotvec()
    arrays: Mapping[str, Any] = {
        "actions": actions,
        "dones": ends,
        "rewards": ends * np.uint8(episode.success),
        "robot_states": np.concatenate([fingers, episode.ee_position_m, episode.ee_quat_xyzw], axis=1),
        "obs/ee_pos": episode.ee_position_m,
        "obs/ee_ori": turns,
        "obs/ee_states": np.concatenate([episode.ee_position_m, turns], axis=1),
        "obs/gripper_states": fingers,
        "obs/joint_states": episode.joint_positions_rad,
        **{f"{GROUP}/{name}": getattr(episode, name) for name in (*FLOATS, "interventions")},
    }
    for name, values in arrays.items():
        demo.create_dataset(name, data=values)
    for camera, pictures in episode.images.items():
        name = f"obs/{picture_name(camera)}"
        demo.create_dataset(
            name, data=pictures, chunks=(1, *pictures.shape[1:]), compression="gzip", compression_opts=1
        )
    demo.attrs["num_samples"] = len(episode)
    ours = {"index": index, "seed": episode.seed, "success": episode.success, "operator": episode.operator}
    demo.attrs[GROUP] = json.dumps(ours)
    return int((np.abs(actions[:, :6]) > 1.0).any(axis=1).sum())


def _close(file: Any) -> None:
    data = file["data"]
    data.attrs["num_demos"] = len(data)
    data.attrs["total"] = sum(int(demo.attrs["num_samples"]) for demo in data.values())
    file.close()


def _picture_convention(contract: ActionContract) -> str:
    """The word of robosuite for how the pictures stand."""
    turned = {camera.rotate_180 for camera in contract.cameras}
    if len(turned) != 1:
        raise EpisodeError(
            "cameras: expected rotate_180 to be the same for all of them, as LIBERO's layout has one for all"
        )
    return "opengl" if turned.pop() else "opencv"


def _require_empty(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EpisodeError(f"{output}: expected a folder to write to: {error}") from error
    present = sorted(path.name for path in output.glob("*.hdf5"))
    if present:
        raise EpisodeError(f"{output}: expected no HDF5 files in it, got {present[:3]}")


def _stem(instruction: str, number: int, taken: Collection[str]) -> str:
    """A file's name for an instruction, none of the `taken`; it counts on from `number` until one is free."""
    plain = re.sub(r"[^a-z0-9]+", "_", instruction.lower()).strip("_")[:_MAX_NAME]
    is_whole = plain and plain == instruction.replace(" ", "_")
    names = chain([plain] if is_whole else [], (f"{plain}_{following}" for following in count(number)))
    return next(name for name in names if name not in taken)
