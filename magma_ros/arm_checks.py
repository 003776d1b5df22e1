"""What a schema cannot say of an arm: which of its values do not fit together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from magma_ros.arm import Arm, FixedPose, JointTrajectoryOutput, PoseOutput, TwistOutput
from magma_ros.calibration import FixedCamera

QUATERNION_TOLERANCE = 1e-4
"""How far the length of a quaternion may be from 1: four decimals are enough."""


def arm_faults(arm: Arm) -> list[str]:
    """One line per fault, "key: expected X, got Y"; empty for an arm that is right in itself."""
    checks: tuple[Callable[[Arm], Iterator[str]], ...] = (_frames, _limits, _ee_pose, _output, _gripper, _home)
    return [fault for check in checks for fault in check(arm)]


def _frames(arm: Arm) -> Iterator[str]:
    frames, pose = arm.frames, arm.frames.pose_ee_in_flange
    turns = {"frames.pose_ee_in_flange": pose.quat_xyzw} | {
        f"topics.cameras[{camera.name}].calibration": camera.calibration.quat_xyzw
        for camera in arm.topics.cameras
        if isinstance(camera.calibration, FixedCamera)
    }
    for key, quat_xyzw in turns.items():
        norm = math.hypot(*quat_xyzw)
        if abs(norm - 1.0) > QUATERNION_TOLERANCE:
            yield f"{key}.quat_xyzw: expected unit norm, got {norm:.6g}"
    if frames.base in (frames.flange, frames.end_effector):
        yield f"frames.base: expected another frame than the flange and the end effector, got {frames.base!r}"
    if frames.flange == frames.end_effector and pose != FixedPose(
        position_m=(0.0, 0.0, 0.0), quat_xyzw=(0.0, 0.0, 0.0, 1.0)
    ):
        yield f"frames.pose_ee_in_flange: expected the identity, as both are {frames.flange!r}, got {pose}"


def _limits(arm: Arm) -> Iterator[str]:
    limits, box = arm.limits, arm.limits.workspace
    for axis, low, high in zip("xyz", box.min_m, box.max_m, strict=True):
        if low >= high:
            yield f"limits.workspace: expected min_m below max_m on {axis}, got {low} and {high}"
    if box.min_m[2] < limits.table_height_m:
        table = f"table_height_m = {limits.table_height_m}"
        yield f"limits.workspace.min_m[2]: expected at least {table}, got {box.min_m[2]}"
    if limits.max_step_change_m < limits.max_translation_step_m:
        yield (
            "limits.max_step_change_m: expected at least max_translation_step_m = "
            f"{limits.max_translation_step_m} (a full step from rest must pass), got {limits.max_step_change_m}"
        )
    if arm.watch.max_identical_pictures == 1:
        yield "watch.max_identical_pictures: expected 0 (never) or at least 2, got 1"
    names = [camera.name for camera in arm.topics.cameras]
    if len(set(names)) != len(names):
        yield f"topics.cameras: expected different names, got {names}"


def _ee_pose(arm: Arm) -> Iterator[str]:
    frames, pose = arm.frames, arm.topics.ee_pose
    if pose.parent != frames.base:
        yield f"topics.ee_pose.parent: expected frames.base = {frames.base!r}, got {pose.parent!r}"
    if pose.child not in (frames.flange, frames.end_effector):
        expected = [frames.flange, frames.end_effector]
        yield f"topics.ee_pose.child: expected flange or end effector, one of {expected}, got {pose.child!r}"


def _output(arm: Arm) -> Iterator[str]:
    output, period_s = arm.output, 1.0 / arm.command_rate_hz
    if isinstance(output, TwistOutput | PoseOutput) and output.frame != arm.frames.base:
        yield f"output.frame: expected frames.base = {arm.frames.base!r}, got {output.frame!r}"
    if isinstance(output, TwistOutput) and output.command_timeout_s <= period_s:
        yield (
            f"output.command_timeout_s: expected more than the command period {period_s:.4g} s, "
            f"got {output.command_timeout_s}"
        )
    if isinstance(output, JointTrajectoryOutput):
        if output.time_from_start_s < period_s:
            yield (
                f"output.time_from_start_s: expected at least the command period {period_s:.4g} s, "
                f"got {output.time_from_start_s}"
            )
        if set(output.joints) != set(arm.home.joints):
            yield f"output.joints: expected those of home, {list(arm.home.joints)}, got {list(output.joints)}"


def _gripper(arm: Arm) -> Iterator[str]:
    gripper = arm.gripper
    closed, opened = gripper.closed_position, gripper.open_position
    if closed == opened:
        yield f"gripper: expected two different positions, got {closed} for closed and open"
    low, high = {"m": (-0.5, 0.5), "rad": (-6.3, 6.3), "opening": (0.0, 1.0)}[gripper.unit]
    for name, position in (("closed_position", closed), ("open_position", opened)):
        if not low <= position <= high:
            yield f"gripper.{name}: expected {low} to {high} for the unit {gripper.unit!r}, got {position}"
    if gripper.joint in arm.home.joints:
        yield f"gripper.joint: expected a joint that is not one of the arm's, got {gripper.joint!r}"


def _home(arm: Arm) -> Iterator[str]:
    home, box = arm.home, arm.limits.workspace
    if len(home.joints) != len(home.positions_rad):
        yield f"home.positions_rad: expected one for each of {len(home.joints)} joints, got {len(home.positions_rad)}"
    for axis, low, value, high in zip("xyz", box.min_m, home.ee_position_m, box.max_m, strict=True):
        if low < high and not low <= value <= high:
            yield f"home.ee_position_m: expected inside the workspace, {low} to {high} on {axis}, got {value}"
