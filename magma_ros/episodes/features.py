"""Which features an episode has in a LeRobot dataset, and its steps as rows of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from magma_ros.episodes.episode import Episode
from magma_ros.episodes.layout import CAMERA_PREFIX, Pictures
from magma_ros.errors import EpisodeError
from magma_ros.types import ImageArray

ACTION_NAMES = (
    *(f"translation_{axis}_m" for axis in "xyz"),
    *(f"rotation_{axis}_rad" for axis in "xyz"),
    "gripper_opening",
)
"""Columns of `action`: those of `Action.to_array`."""
STATE_NAMES = (*(f"ee_position_{axis}_m" for axis in "xyz"), *(f"ee_quat_{axis}" for axis in "xyzw"), "gripper_opening")
"""Columns of `observation.state`; the joints follow."""

Features = dict[str, dict[str, Any]]
"""Feature → `dtype`, `shape` and `names`, as `info.json` has them."""

_ALWAYS: Mapping[str, str] = MappingProxyType(
    {
        "stamp_s": "float64",
        "intervention": "bool",
        "timestamp": "float32",
        "frame_index": "int64",
        "episode_index": "int64",
        "index": "int64",
        "task_index": "int64",
    }
)
_IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_PNG_EFFORT = (cv2.IMWRITE_PNG_COMPRESSION, 3)  # a third smaller than OpenCV's own setting, for a millisecond


def lerobot_fps(rate_hz: float) -> float:
    """The rate as `info.json` has it: whole rates are whole numbers there."""
    return int(rate_hz) if float(rate_hz).is_integer() else rate_hz


def features_of(episode: Episode | None, *, pictures: Pictures, rate_hz: float) -> Features:
    """The features of a dataset that begins with `episode`; without one, those that every dataset has.

    Raises:
        EpisodeError: a camera whose name cannot be that of a folder.
    """
    features: Features = {}
    for name, array in {} if episode is None else sorted(episode.images.items()):
        if not name or "/" in name or name.startswith("."):
            raise EpisodeError(f"camera {name!r}: expected a name without a slash, that does not begin with a dot")
        features[f"{CAMERA_PREFIX}{name}"] = _camera(array.shape[1:], pictures=pictures, rate_hz=rate_hz)
    if episode is not None:
        joints = [f"joint_{number}_rad" for number in range(episode.joint_positions_rad.shape[1])]
        features["observation.state"] = _vector((*STATE_NAMES, *joints))
    features["action"] = _vector(ACTION_NAMES)
    return features | {name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in _ALWAYS.items()}


def columns_of(episode: Episode, *, index: int, first_frame: int, task_index: int, rate_hz: float) -> dict[str, Any]:
    """The numbers of episode `index` of the dataset by feature, each (T,) or (T, n)."""
    steps = np.arange(len(episode))
    state = (episode.ee_position_m, episode.ee_quat_xyzw, episode.gripper_opening[:, None], episode.joint_positions_rad)
    return {
        "observation.state": np.concatenate(state, axis=1),
        "action": episode.actions,
        "stamp_s": episode.stamps_s,
        "intervention": episode.interventions,
        "timestamp": (steps / rate_hz).astype(np.float32),
        "frame_index": steps,
        "episode_index": np.full(len(steps), index),
        "index": first_frame + steps,
        "task_index": np.full(len(steps), task_index),
    }


def to_table(columns: Mapping[str, NDArray[Any]], pictures: Mapping[str, ImageArray], features: Features) -> pa.Table:
    """Rows of `data/`, a column per feature but for the videos; pictures become PNG files."""
    arrays = {}
    for name, feature in features.items():
        if feature["dtype"] == "image":
            files = [{"bytes": to_png(picture), "path": None} for picture in pictures[name]]
            arrays[name] = pa.array(files, _IMAGE_TYPE)
        elif feature["dtype"] != "video":
            arrays[name] = _to_arrow(columns[name], feature)
    return pa.table(arrays).replace_schema_metadata({"huggingface": _huggingface(features)})


def to_png(picture: ImageArray) -> bytes:
    """A lossless file of `picture`, (height, width, 3) RGB."""
    is_done, data = cv2.imencode(".png", picture[..., ::-1], _PNG_EFFORT)
    if not is_done:
        raise EpisodeError(f"expected a picture that can be written as PNG, got {picture.shape}")
    return bytes(data)


def _camera(shape: tuple[int, ...], *, pictures: Pictures, rate_hz: float) -> dict[str, Any]:
    height, width, channels = shape
    feature: dict[str, Any] = {"shape": [height, width, channels], "names": ["height", "width", "channels"]}
    if pictures == "png":
        return {"dtype": "image", **feature}
    info = {
        "video.height": height,
        "video.width": width,
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": lerobot_fps(rate_hz),
        "video.channels": channels,
        "has_audio": False,
    }
    return {"dtype": "video", **feature, "info": info}


def _vector(names: tuple[str, ...]) -> dict[str, Any]:
    return {"dtype": "float64", "shape": [len(names)], "names": list(names)}


def _to_arrow(values: NDArray[Any], feature: dict[str, Any]) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), pa.from_numpy_dtype(np.dtype(feature["dtype"])))
    return flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, feature["shape"][0])


def _huggingface(features: Features) -> str:
    """What the `datasets` library reads the types of the columns from."""

    def typed(feature: dict[str, Any]) -> dict[str, Any]:
        if feature["dtype"] == "image":
            return {"_type": "Image"}
        value = {"dtype": feature["dtype"], "_type": "Value"}
        return value if feature["shape"] == [1] else {"feature": value, "length": feature["shape"][0], "_type": "List"}

    known = {name: typed(feature) for name, feature in features.items() if feature["dtype"] != "video"}
    return json.dumps({"info": {"features": known}})
