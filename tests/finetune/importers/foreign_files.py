"""Files in foreign formats that hold invented episodes, right or with a planted mistake."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import h5py
import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.finetune.importers import tfrecord
from magma_ros.finetune.importers.tfrecord import masked_crc32c
from tests.finetune.quality.moving_pictures import reaching

TOOL_DOWN = Rotation.from_euler("xyz", [np.pi - 0.4, 0.3, 0.5])
BASE_IN_WORLD_M = np.array([-0.66, 0.0, 0.912])
MODEL = f"""<mujoco><worldbody><body name="robot0_base" pos="{" ".join(map(str, BASE_IN_WORLD_M))}"><geom/></body>
<body name="table" pos="0 0 0"/></worldbody></mujoco>"""
INSTRUCTION = "put the bowl on the plate"


@cache
def demos(count, *, num_steps=60):
    """Episodes of a hand that points down; the turns that it is told are those that it makes, in the base's axes."""
    found = []
    for seed in range(count):
        episode = reaching(seed, num_steps=num_steps)
        quats = (Rotation.from_quat(episode.ee_quat_xyzw) * TOOL_DOWN).as_quat()
        found.append(replace(episode, ee_quat_xyzw=quats, instruction=INSTRUCTION))
    return tuple(found)


def libero_rows(episode):
    """An episode as LIBERO records it: each row's picture and state come after its action."""
    actions, after = episode.actions[:-1], slice(1, None)
    opening = episode.gripper_opening[after, None]
    return {
        "actions": np.column_stack([actions[:, :3] / 0.05, actions[:, 3:6] / 0.5, 1.0 - 2.0 * actions[:, 6]]),
        "obs/ee_pos": episode.ee_position_m[after] + BASE_IN_WORLD_M,
        "obs/ee_ori": Rotation.from_quat(episode.ee_quat_xyzw[after]).as_rotvec(),
        "obs/gripper_states": np.hstack([0.04 * opening, -0.04 * opening]),
        "obs/joint_states": episode.joint_positions_rad[after],
        "obs/agentview_rgb": episode.images["image"][after],
        "obs/eye_in_hand_rgb": episode.images["image"][after][:, ::2, ::2],
    }


def write_libero(path, episodes, *, plant=lambda rows: rows, convention="opengl", control_freq=20, model=MODEL):
    """A file of LIBERO's layout; `plant` changes the rows of each demonstration."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["problem_info"] = json.dumps({"language_instruction": list(INSTRUCTION)})
        data.attrs["macros_image_convention"] = convention
        data.attrs["env_args"] = json.dumps({"env_kwargs": {"control_freq": control_freq}})
        for number, episode in enumerate(episodes):
            demo = data.create_group(f"demo_{number}")
            for name, values in plant(libero_rows(episode)).items():
                demo.create_dataset(name, data=values)
            demo.attrs["model_file"] = model
    return path


def example(features):
    """A serialized tf.train.Example."""
    message = tfrecord._example_class()()
    for name, values in features.items():
        feature = message.features.feature[name]
        if isinstance(values, list):
            feature.bytes_list.value.extend(values)
        elif values.dtype.kind == "f":
            feature.float_list.value.extend(values.tolist())
        else:
            feature.int64_list.value.extend(values.astype(int).tolist())
    return message.SerializeToString()


def frame(data):
    """A record of a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))


def bridge_steps(episode):
    """An episode as BridgeData V2 has it: state x y z roll pitch yaw gripper, pictures as PNG."""
    rpy = Rotation.from_quat(episode.ee_quat_xyzw).as_euler("xyz")
    state = np.column_stack([episode.ee_position_m, rpy, episode.gripper_opening])
    turns = Rotation.from_rotvec(episode.actions[:, 3:6].copy()).as_euler("xyz")
    action = np.column_stack([episode.actions[:, :3], turns, episode.actions[:, 6]])
    pictures = [cv2.imencode(".png", picture[..., ::-1])[1].tobytes() for picture in episode.images["image"]]
    return {
        "steps/observation/state": state.astype(np.float32).ravel(),
        "steps/action": action.astype(np.float32).ravel(),
        "steps/observation/image_0": pictures,
        "steps/language_instruction": [episode.instruction.encode()] * len(episode),
        "steps/is_first": np.arange(len(episode)) == 0,
        "episode_metadata/episode_id": np.array([episode.seed]),
    }


def write_rlds(folder: Path, shards, *, lengths=None):
    """A dataset of TFDS; `shards` are lists of the features of each episode."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, episodes in enumerate(shards):
        records = b"".join(frame(example(features)) for features in episodes)
        (folder / f"toy-train.tfrecord-{number:05d}-of-{len(shards):05d}").write_bytes(records)
    lengths = [str(len(episodes)) for episodes in shards] if lengths is None else lengths
    splits = [{"name": "train", "shardLengths": lengths}]
    (folder / "dataset_info.json").write_text(json.dumps({"name": "toy", "version": "1.0.0", "splits": splits}))
    (folder / "features.json").write_text(json.dumps(FEATURES))
    return folder


def _dict(**features):
    return {"pythonClassName": "tensorflow_datasets...FeaturesDict", "featuresDict": {"features": features}}


def _tensor(dtype, *dimensions, encoding="none"):
    shape = {"dimensions": [str(size) for size in dimensions]} if dimensions else {}
    return {"pythonClassName": "...Tensor", "tensor": {"shape": shape, "dtype": dtype, "encoding": encoding}}


_IMAGE = {"image": {"shape": {"dimensions": ["64", "64", "3"]}, "dtype": "uint8", "encodingFormat": "jpeg"}}
FEATURES = _dict(
    steps={
        "pythonClassName": "tensorflow_datasets.core.features.dataset_feature.Dataset",
        "sequence": {
            "feature": _dict(
                observation=_dict(
                    image_0=_IMAGE, state=_tensor("float32", 7), packed=_tensor("uint8", 9, encoding="zlib")
                ),
                action=_tensor("float32", 7),
                language_instruction={"pythonClassName": "...Text", "text": {}},
                is_first=_tensor("bool"),
            ),
            "length": "-1",
        },
    },
    episode_metadata=_dict(episode_id=_tensor("int32")),
)
