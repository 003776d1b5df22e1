"""What the stand-ins of the fault suite agree on: the contract, the arm, the camera, and the files of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from magma_ros import arms
from magma_ros.arm import Arm, PoseFromTopic
from magma_ros.contract import ActionContract, CameraSpec

STEP_M = 0.01
"""Motion of one action in the run of things [m]."""

RADIUS_M = 0.03
"""Of the circle around home that the stand-in policy follows [m]: its speed is never zero."""

CAMERA_RATE_HZ, CAMERA_SIZE_PX = 30.0, (160, 120)
"""Pictures a second, and width and height: one is one datagram."""

CONTRACT = ActionContract(
    embodiment="stand_in",
    frame="base_link",
    rotation_form="rotation_vector",
    gripper_polarity="open_is_one",
    reference="target",
    control_rate_hz=10.0,
    max_translation_m=0.05,
    max_rotation_rad=0.5,
    cameras=(CameraSpec("image", 120, 160),),
)

INSTRUCTION = "circle"

_ARM: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "limits": {
            "max_speed_m_s": 0.2,
            "max_acceleration_m_s2": 6.0,
            "max_jerk_m_s3": 1200.0,
            "max_translation_step_m": 0.012,
            "max_step_change_m": 0.013,
            "max_observation_age_s": 0.08,
        },
        "watch": {
            "camera_timeout_s": 0.05,
            "max_identical_pictures": 2,
            "max_state_age_s": 0.04,
            "policy_timeout_s": 0.045,
        },
    }
)
"""What differs from config/arms/stand_in.yaml, so that each fault can be seen in time.

A stop from 0.1 m/s takes 0.022 s; Franka allows its arm 13 m/s2 and 6500 m/s3. A step back is a discontinuity, one from
rest is none. Pictures come every 0.033 s, measured state every 0.01 s, signs of life of the policy every 0.02 s; each
may be silent for 1.5 to 4 times as long.
"""


def pose_topic(arm: Arm) -> str:
    """Where the arm's measured pose comes as a message; empty where tf has it."""
    source = arm.topics.ee_pose
    return source.topic if isinstance(source, PoseFromTopic) else ""


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Where the processes of one graph find their orders and their arm."""

    folder: Path

    @property
    def arm(self) -> Path:
        """Description of the arm."""
        return self.folder / "arm.yaml"

    @property
    def checkpoint(self) -> Path:
        """The stand-in policy's checkpoint: a folder with its switch."""
        return self.folder / "checkpoint"

    def switch(self, process: str) -> Path:
        """Orders to the stand-in called `process`."""
        return self.checkpoint / "switch" if process == "policy" else self.folder / f"{process}.switch"

    def log(self, process: str, number: int) -> Path:
        """What the `number`-th process of a name printed."""
        return self.folder / f"{process}_{number}.log"

    def write(self, *, pose_from_tf: bool) -> None:
        """Make the folder, and the arm's description from that of `stand_in`."""
        self.checkpoint.mkdir(parents=True, exist_ok=True)
        arm = arms.load("stand_in").to_dict()
        for section, values in _ARM.items():
            arm[section].update(values)
        if pose_from_tf:
            frames = arm["frames"]
            arm["topics"]["ee_pose"] = {"kind": "tf", "parent": frames["base"], "child": frames["end_effector"]}
        self.arm.write_text(yaml.safe_dump(arm), encoding="utf-8")
