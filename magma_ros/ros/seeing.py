"""What people are shown of the newest messages: the caption of a picture, and markers for RViz; no node in here."""

from __future__ import annotations

from itertools import product

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from magma_ros.arm import Arm
from magma_ros.camera_model import CameraModel
from magma_ros.msg import MotionStatus, PolicyStatus, PredictedTraces
from magma_ros.overlay import Caption
from magma_ros.ros.mark_messages import points_px
from magma_ros.types import Action

TRACE_LIFE_S = 5
"""Predicted traces are shown for this time [s]."""
ARROW_GAIN = 5.0
"""The arrow of an action is this many times as long as the displacement, which is a few millimetres."""
MARKER_LIFE_S = 1
"""Markers of what moves vanish by themselves after this time [s], should nobody delete them."""

_POLICY_STATES = {
    PolicyStatus.UNCONFIGURED: "UNCONFIGURED",
    PolicyStatus.IDLE: "IDLE",
    PolicyStatus.ACTING: "ACTING",
    PolicyStatus.STOPPED: "STOPPED",
}
_MOTION_STATES = {
    MotionStatus.INACTIVE: "INACTIVE",
    MotionStatus.HOLDING: "HOLDING",
    MotionStatus.MOVING: "MOVING",
    MotionStatus.HALTED: "HALTED",
}
_SILENT = "SILENT"
_LINE_M, _SPHERE_M = 0.003, 0.02


def caption(policy: PolicyStatus | None, motion: MotionStatus | None) -> Caption:
    """What is written on a picture; None stands for a node that has not been heard of lately."""
    if motion is None:
        return Caption(instruction=_instruction(policy), policy=_policy_text(policy), motion=_SILENT)
    latency_s = policy.observation_age_s if policy is not None and policy.state == PolicyStatus.ACTING else 0.0
    return Caption(
        instruction=_instruction(policy),
        policy=_policy_text(policy),
        motion=_motion_text(motion),
        latency_s=latency_s or None,
        detail=motion.detail or (policy.detail if policy is not None else ""),
        is_halted=motion.state == MotionStatus.HALTED,
        is_dry_run=motion.dry_run,
        is_moving=motion.state == MotionStatus.MOVING,
    )


def planned_motion(arm: Arm, *, pose_ee_in_base: Pose | None, action: Action | None, stamp: Time) -> MarkerArray:
    """The arm's workspace and table, and what moves in it; everything in the arm's base frame.

    Args:
        arm: Names the frame and the limits.
        pose_ee_in_base: Where the end effector is, drawn as a sphere; None deletes sphere and arrow.
        action: What it does next, drawn as an arrow `ARROW_GAIN` times as long; None deletes the arrow, and so does an
            action in another frame or of numbers that are not finite.
        stamp: Of every marker.
    """
    header = Header(stamp=stamp, frame_id=arm.frames.base)
    markers = [_workspace(arm, header), _table(arm, header)]
    arrow = sphere = None
    if pose_ee_in_base is not None:
        sphere = _marker("setpoint", header, Marker.SPHERE, (0.3, 0.6, 1.0, 0.9), _SPHERE_M, moves=True)
        sphere.pose = pose_ee_in_base
        arrow = None if action is None else _arrow(pose_ee_in_base.position, action, header)
    markers += [sphere or _deletion("setpoint", header), arrow or _deletion("action", header)]
    return MarkerArray(markers=markers)


def trace_markers(predicted: PredictedTraces, camera: CameraModel) -> MarkerArray:
    """Predicted traces as lines 1 m in front of the camera, in its frame; they vanish after `TRACE_LIFE_S`."""
    markers = []
    for trace in predicted.traces:
        points = points_px(trace)
        marker = _marker("trace", predicted.header, Marker.LINE_STRIP, (0.98, 0.7, 0.15, 0.9), _LINE_M, moves=True)
        marker.id, marker.lifetime = int(trace.number) % 2**31, Duration(sec=TRACE_LIFE_S)
        if len(points):
            marker.points = [Point(x=x, y=y, z=z) for x, y, z in camera.rays(points).tolist()]
            markers.append(marker)
    return MarkerArray(markers=markers)


def _instruction(policy: PolicyStatus | None) -> str:
    return "" if policy is None else str(policy.instruction)


def _policy_text(policy: PolicyStatus | None) -> str:
    if policy is None:
        return _SILENT
    state = _POLICY_STATES.get(policy.state, f"state {policy.state}")
    if policy.state == PolicyStatus.ACTING:
        return f"{state} {policy.step}/{policy.step_budget}" if policy.step_budget else f"{state} {policy.step}"
    return f"{state} {policy.stop_reason}".rstrip()


def _motion_text(motion: MotionStatus) -> str:
    state = _MOTION_STATES.get(motion.state, f"state {motion.state}")
    if motion.state == MotionStatus.MOVING:
        return f"{state} {motion.speed_m_s:.2f} m/s"
    return f"{state} {motion.reason}".rstrip()


def _arrow(start: Point, action: Action, header: Header) -> Marker | None:
    if action.frame != header.frame_id or not np.isfinite(action.translation_m).all():
        return None
    marker = _marker("action", header, Marker.ARROW, (0.3, 0.85, 0.45, 1.0), 0.0, moves=True)
    marker.scale = Vector3(x=0.008, y=0.016, z=0.0)  # shaft and head; the head's length is RViz's own
    x, y, z = (ARROW_GAIN * action.translation_m).tolist()
    marker.points = [start, Point(x=start.x + x, y=start.y + y, z=start.z + z)]
    return marker


def _workspace(arm: Arm, header: Header) -> Marker:
    """The twelve edges of the box."""
    box = arm.limits.workspace
    marker = _marker("workspace", header, Marker.LINE_LIST, (0.98, 0.7, 0.15, 0.9), _LINE_M)
    corners = list(product(*zip(box.min_m, box.max_m, strict=True)))
    for index, corner in enumerate(corners):
        for other in corners[index + 1 :]:
            if sum(a != b for a, b in zip(corner, other, strict=True)) == 1:
                marker.points += [Point(x=x, y=y, z=z) for x, y, z in (corner, other)]
    return marker


def _table(arm: Arm, header: Header) -> Marker:
    """A sheet under the box, its top at the table's height."""
    low, high = np.array(arm.limits.workspace.min_m), np.array(arm.limits.workspace.max_m)
    x, y, _ = ((low + high) / 2).tolist()
    width, depth, _ = (high - low).tolist()
    marker = _marker("table", header, Marker.CUBE, (0.6, 0.6, 0.6, 0.4), 0.0)
    marker.pose.position = Point(x=x, y=y, z=arm.limits.table_height_m - _LINE_M / 2)
    marker.scale = Vector3(x=width, y=depth, z=_LINE_M)
    return marker


def _marker(
    name: str, header: Header, kind: int, rgba: tuple[float, float, float, float], size_m: float, *, moves: bool = False
) -> Marker:
    red, green, blue, alpha = rgba
    marker = Marker(header=header, ns=name, type=kind, action=Marker.ADD)
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=alpha)
    marker.scale = Vector3(x=size_m, y=size_m, z=size_m)
    marker.pose.orientation = Quaternion(w=1.0)
    marker.lifetime = Duration(sec=MARKER_LIFE_S if moves else 0)
    return marker


def _deletion(name: str, header: Header) -> Marker:
    return Marker(header=header, ns=name, action=Marker.DELETE)
