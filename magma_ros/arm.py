"""One robot arm as data: a tree of frozen values that `arms.load` reads from a checked file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from magma_ros.calibration import Calibration

Vector3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPose:
    """A pose that never changes: origin [m] and unit quaternion, xyzw."""

    position_m: Vector3
    quat_xyzw: Quaternion


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """tf frames of the arm; all poses, limits and displacements are in `base`.

    Attributes:
        base, flange, end_effector: First and last frame of the arm, and the frame that the policy moves.
        pose_ee_in_flange: The end effector's fixed pose in the flange.
        end_effector_in_urdf: The arm's own description has `end_effector`; otherwise the measured flange is carried on.
    """

    base: str
    flange: str
    end_effector: str
    pose_ee_in_flange: FixedPose
    end_effector_in_urdf: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Corners of the box that the end effector's origin may be in [m]; `margin_m` as in `SafetyLimits`."""

    min_m: Vector3
    max_m: Vector3
    margin_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the arm may be told; speeds and their derivatives as in `PlayoutLimits`, steps as in `SafetyLimits`.

    Attributes:
        table_height_m: Height of the table's top in the base frame [m].
    """

    workspace: Workspace
    table_height_m: float
    max_speed_m_s: float
    max_acceleration_m_s2: float
    max_jerk_m_s3: float
    max_speed_rad_s: float
    max_acceleration_rad_s2: float
    max_jerk_rad_s3: float
    max_lag_m: float
    max_lag_rad: float
    max_translation_step_m: float
    max_rotation_step_rad: float
    max_step_change_m: float
    max_observation_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How long each source of information may be silent before the arm holds [s].

    Attributes:
        camera_timeout_s: Age of the newest picture.
        max_identical_pictures: As many in a row with the same pixels are a frozen camera; 0 means never.
        max_state_age_s: Age of the measured pose and joints.
        policy_timeout_s: Silence of the policy node.
    """

    camera_timeout_s: float
    max_identical_pictures: int
    max_state_age_s: float
    policy_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraTopic:
    """One camera; `name` is its picture's in the action contract."""

    name: str
    topic: str
    calibration: Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseFromTopic:
    """The measured pose of `child` in `parent` comes as PoseStamped."""

    kind: Literal["topic"] = "topic"
    topic: str
    parent: str
    child: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseFromTf:
    """The measured pose of `child` in `parent` is looked up in tf."""

    kind: Literal["tf"] = "tf"
    parent: str
    child: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """What the arm and its cameras publish; relative names, so that a namespace holds a whole arm."""

    cameras: tuple[CameraTopic, ...]
    joint_states: str
    ee_pose: PoseFromTopic | PoseFromTf


@dataclass(frozen=True, slots=True, kw_only=True)
class EeDeltaOutput:
    """Commands are `magma_ros/EndEffectorDelta`, one for each policy step."""

    kind: Literal["ee_delta"] = "ee_delta"
    topic: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TwistOutput:
    """Commands are TwistStamped in m/s and rad/s, as MoveIt Servo takes them with `command_in_type: speed_units`.

    Attributes:
        frame: `frame_id` of the commands.
        command_timeout_s: After this long without a command the controller stops by itself [s].
        command_type_service: Makes the controller listen to twists; empty where none is needed.
    """

    kind: Literal["twist"] = "twist"
    topic: str
    frame: str
    command_timeout_s: float
    command_type_service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseOutput:
    """Commands are PoseStamped of the end effector; the other fields as in `TwistOutput`."""

    kind: Literal["pose"] = "pose"
    topic: str
    frame: str
    command_type_service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JointTrajectoryOutput:
    """Commands are JointTrajectory of one point, from differential inverse kinematics on the arm's URDF.

    Attributes:
        controller: As the controller manager names it; has to be active.
        joints: The controller's, in its order.
        time_from_start_s: When the point is to be reached, counted from the command [s].
        robot_description_topic: Has the URDF.
    """

    kind: Literal["joint_trajectory"] = "joint_trajectory"
    topic: str
    controller: str
    joints: tuple[str, ...]
    time_from_start_s: float
    robot_description_topic: str


Output = EeDeltaOutput | TwistOutput | PoseOutput | JointTrajectoryOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class GripperTopic:
    """Gripper goals go out on a topic; `message` is the ROS name of its type."""

    kind: Literal["gripper_topic"] = "gripper_topic"
    topic: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GripperCommandAction:
    """Gripper goals go to a `control_msgs/action/GripperCommand`; an effort of 0 is the driver's own [N]."""

    kind: Literal["gripper_command"] = "gripper_command"
    action: str
    max_effort_n: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelGripperCommandAction:
    """Gripper goals go to a `control_msgs/action/ParallelGripperCommand`; an effort of 0 is the driver's own [N]."""

    kind: Literal["parallel_gripper_command"] = "parallel_gripper_command"
    action: str
    max_effort_n: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gripper:
    """How openings (0 closed … 1 open) become positions of a joint, in `unit`, and how often.

    Attributes:
        joint, joint_states: The entry that measures it, and the topic that has this entry.
        hysteresis: Smallest change of the wanted opening that is a new goal.
        dwell_s: Shortest time between two goals [s].
    """

    joint: str
    joint_states: str
    unit: Literal["m", "rad", "opening"]
    closed_position: float
    open_position: float
    command: GripperTopic | GripperCommandAction | ParallelGripperCommandAction
    hysteresis: float
    dwell_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where the arm waits: joints from base to wrist, their positions [rad], the end effector there in base [m]."""

    joints: tuple[str, ...]
    positions_rad: tuple[float, ...]
    ee_position_m: Vector3


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the numbers of one group come from; `verified` is false for what is to be checked on the robot first."""

    kind: Literal["manufacturer", "description", "driver", "simulator", "own_choice"]
    reference: str
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The source of every group of numbers in the file."""

    frames: Source
    workspace: Source
    motion: Source
    steps: Source
    watch: Source
    observation: Source
    command_rate: Source
    topics: Source
    output: Source
    gripper: Source
    home: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One arm as its file describes it; every key's unit, range and meaning is in `docs/arms.md`.

    Attributes:
        command_rate_hz: Commands published in a second; the policy's rate is the contract's [Hz].
    """

    name: str
    command_rate_hz: float
    frames: Frames
    limits: Limits
    watch: Watch
    topics: Topics
    output: Output
    gripper: Gripper
    home: Home
    sources: Sources

    def unverified(self) -> list[str]:
        """The groups of numbers that nobody has compared with their source or tried on the arm."""
        return [field.name for field in fields(self.sources) if not getattr(self.sources, field.name).verified]

    def to_dict(self) -> dict[str, Any]:
        """Plain YAML values; `arms.from_dict` reads them back."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
