"""Messages to and from the house's types, pictures aside (`pictures.py`); no node, no I/O."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, PoseStamped, Quaternion, Transform, Vector3
from geometry_msgs.msg import Pose as PoseMessage
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String

from magma_ros.contract import ActionContract
from magma_ros.errors import ContractError, InvalidInputError
from magma_ros.msg import ActionChunk as ActionChunkMessage
from magma_ros.msg import EndEffectorDelta
from magma_ros.types import ACTION_DIM, Action, ActionChunk, Pose, Proprio

LATEST_STAMP_S = 2**31 - 1
"""The last second that every stamp can hold, in 2038 [s]."""

_NANOSECONDS = 1_000_000_000
_QUATERNION_TOLERANCE = 1e-3
_MAX_CONTRACT_CHARACTERS = 65_536


def seconds(stamp: Time) -> float:
    """A stamp as seconds of its clock [s]; a float of today's date resolves 0.3 µs."""
    return float(stamp.sec) + float(stamp.nanosec) / _NANOSECONDS


def nanoseconds(stamp: Time) -> int:
    """A stamp as a whole number, without rounding [ns]."""
    return int(stamp.sec) * _NANOSECONDS + int(stamp.nanosec)


def time_message(stamp_s: float) -> Time:
    """The stamp nearest to `stamp_s` [s].

    Raises:
        InvalidInputError: not finite, negative, or beyond what a stamp holds.
    """
    if not 0 <= stamp_s <= LATEST_STAMP_S:
        raise InvalidInputError(f"stamp: expected seconds from 0 to {LATEST_STAMP_S}, got {stamp_s}")
    sec, nanosec = divmod(round(stamp_s * _NANOSECONDS), _NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


@dataclass(frozen=True, slots=True)
class GripperJoint:
    """Which entry of a JointState measures the gripper, and its positions when closed and open (own unit)."""

    name: str
    closed_position: float
    open_position: float

    def __post_init__(self) -> None:
        if not self.name or self.closed_position == self.open_position:
            raise InvalidInputError(f"gripper joint: expected a name and two different positions, got {self}")

    def opening(self, position: float) -> float:
        """0 closed … 1 open, clipped: a finger's stop is never exactly where the table says."""
        share = (position - self.closed_position) / (self.open_position - self.closed_position)
        return min(1.0, max(0.0, share))


def pose_from_message(message: PoseMessage | Transform) -> Pose:
    """The pose in a message, or the one that a transform gives the child frame in its parent.

    Raises:
        InvalidInputError: a number is not finite, or the quaternion is not of unit norm.
    """
    if isinstance(message, Transform):
        place, turn = message.translation, message.rotation
    else:
        place, turn = message.position, message.orientation
    position, quaternion = [place.x, place.y, place.z], [turn.x, turn.y, turn.z, turn.w]
    if not all(map(math.isfinite, (*position, *quaternion))):
        raise InvalidInputError(f"pose: expected finite numbers, got {position} and {quaternion}")
    if abs(math.hypot(*quaternion) - 1.0) > _QUATERNION_TOLERANCE:
        raise InvalidInputError(f"pose: expected a quaternion of unit norm, got {math.hypot(*quaternion):.4f}")
    return Pose(np.array(position), np.array(quaternion))


def positions_from_message(message: JointState, *, wanted: Collection[str]) -> dict[str, float]:
    """Positions of the `wanted` joints that the message has [rad or m], which may be none of them.

    Raises:
        InvalidInputError: names and positions differ in number, or a wanted joint is there twice or is not finite.
    """
    if len(message.name) != len(message.position):
        raise InvalidInputError(
            f"joint_states: expected a position per name, got {len(message.position)} for {len(message.name)} names"
        )
    found: dict[str, float] = {}
    for name, position in zip(message.name, message.position, strict=True):
        if name not in wanted:
            continue
        if name in found or not math.isfinite(position):
            raise InvalidInputError(f"joint_states: expected {name!r} once and finite, got {position}")
        found[name] = position
    return found


def joint_state_message(
    proprio: Proprio, *, joint_names: tuple[str, ...], gripper: GripperJoint, stamp: Time
) -> JointState:
    """Arm joints [rad] and the gripper joint (own unit) of `proprio`.

    Raises:
        InvalidInputError: another number of names than of joints.
    """
    if len(joint_names) != len(proprio.joint_positions_rad):
        raise InvalidInputError(f"joints: expected {len(proprio.joint_positions_rad)} names, got {joint_names}")
    span = gripper.open_position - gripper.closed_position
    message = JointState(header=Header(stamp=stamp))
    message.name = [*joint_names, gripper.name]
    message.position = [*proprio.joint_positions_rad.tolist(), gripper.closed_position + span * proprio.gripper_opening]
    return message


def pose_message(proprio: Proprio, *, frame: str, stamp: Time) -> PoseStamped:
    """The measured end effector in `frame`."""
    return stamped_pose_message(Pose(proprio.ee_position_m, proprio.ee_quat_xyzw), frame=frame, stamp=stamp)


def stamped_pose_message(pose_ee: Pose, *, frame: str, stamp: Time) -> PoseStamped:
    """A pose of the end effector in `frame`."""
    x, y, z = pose_ee.position_m.tolist()
    qx, qy, qz, qw = pose_ee.quat_xyzw.tolist()
    pose = PoseMessage(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
    return PoseStamped(header=Header(stamp=stamp, frame_id=frame), pose=pose)


def action_message(action: Action, *, stamp: Time) -> EndEffectorDelta:
    """The command for `action`, stamped with the capture time of the observation that it answers."""
    message = EndEffectorDelta(header=Header(stamp=stamp, frame_id=action.frame))
    message.translation_m = _vector(action.translation_m.tolist())
    message.rotation_vector_rad = _vector(action.rotation_vector_rad.tolist())
    message.gripper_opening = action.gripper_opening
    return message


def action_from_message(message: EndEffectorDelta) -> Action:
    """The action in a command, as it came: numbers are checked by whoever moves the arm."""
    return Action(
        _numbers(message.translation_m),
        _numbers(message.rotation_vector_rad),
        message.gripper_opening,
        message.header.frame_id,
    )


def chunk_message(chunk: ActionChunk, *, contract: ActionContract, stamp: Time) -> ActionChunkMessage:
    """Everything that one inference predicted, under the contract that gives the numbers their meaning."""
    message = ActionChunkMessage(header=Header(stamp=stamp, frame_id=chunk.frame))
    message.embodiment = contract.embodiment
    message.control_period_s = contract.control_period_s
    message.actions = [action_message(chunk[i], stamp=stamp) for i in range(len(chunk))]
    message.tokens = chunk.tokens.ravel().tolist()
    return message


def contract_message(contract: ActionContract) -> String:
    """`contract` as JSON."""
    return String(data=json.dumps(contract.to_dict()))


def contract_from_message(message: String) -> ActionContract:
    """The contract in a message.

    Raises:
        ContractError: it is too long, no JSON object, or no contract.
    """
    if len(message.data) > _MAX_CONTRACT_CHARACTERS:
        raise ContractError(f"expected at most {_MAX_CONTRACT_CHARACTERS} characters, got {len(message.data)}")
    try:
        data = json.loads(message.data)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"expected JSON: {error}") from error
    if not isinstance(data, dict):
        raise ContractError(f"expected a JSON object, got {type(data).__name__}")
    return ActionContract.from_dict(data)


def chunk_from_message(message: ActionChunkMessage) -> ActionChunk:
    """The chunk in a message.

    Raises:
        InvalidInputError: no action, actions in several frames, or tokens that are not seven to an action.
    """
    frames = {action.header.frame_id for action in message.actions}
    if frames != {message.header.frame_id}:
        raise InvalidInputError(
            f"action_chunk: expected every action in {message.header.frame_id!r}, got {sorted(frames)}"
        )
    if len(message.tokens) not in (0, ACTION_DIM * len(message.actions)):
        raise InvalidInputError(
            f"action_chunk: expected {ACTION_DIM} tokens an action or none, got {len(message.tokens)}"
        )
    return ActionChunk(
        actions=np.array([action_from_message(action).to_array() for action in message.actions]),
        frame=message.header.frame_id,
        stamp_s=seconds(message.header.stamp),
        tokens=np.array(message.tokens, dtype=np.int64).reshape(-1, ACTION_DIM),
    )


def _vector(xyz: list[float]) -> Vector3:
    return Vector3(x=xyz[0], y=xyz[1], z=xyz[2])


def _numbers(vector: Vector3) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([vector.x, vector.y, vector.z])
