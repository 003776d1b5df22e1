"""Checks of the graph, from what was heard: cameras, measured state, clocks, and who commands the arm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from magma_ros.arm import Arm, GripperTopic, PoseOutput, TwistOutput
from magma_ros.doctor.finding import Finding, fail, ok, warn
from magma_ros.doctor.listening import Heard, Stream
from magma_ros.safety import MAX_FUTURE_STAMP_S
from magma_ros.stops import Stop, StopReason
from magma_ros.wording import counted

COMMANDER = "motion_node"
"""The only node that may command the arm."""
_AHEAD_S = 0.005
"""A stamp further ahead than this is no jitter of one clock."""
_OTHER_CLOCK_S = 1e6
_ENOUGH = 0.9
"""Share of the wanted rate that passes: a camera of 5 Hz is measured as 4.9 Hz on a busy machine."""
_PICTURES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_MOST_SHOWN = 8

_CURES = {
    StopReason.NO_TRANSFORM: "start robot_state_publisher; `ros2 run tf2_tools view_frames` shows what to name",
    StopReason.STALE_STATE: "check the driver's rate and the clocks of both machines",
}


def check_graph(heard: Heard, arm: Arm, *, control_rate_hz: float | None) -> Iterator[Finding]:
    """Everything about the graph; `control_rate_hz` is the policy's, None when no checkpoint was given."""
    max_age_s = arm.limits.max_observation_age_s
    for name, stream in heard.cameras.items():
        yield from _stream(f"camera {name}", stream, heard, needed_hz=control_rate_hz, max_age_s=max_age_s)
    yield from _stream("joint states", heard.joints, heard, needed_hz=control_rate_hz, max_age_s=max_age_s)
    if heard.gripper is not heard.joints:
        yield from _stream("gripper state", heard.gripper, heard, needed_hz=control_rate_hz, max_age_s=max_age_s)
    if heard.ee_pose is not None:
        yield from _stream("ee pose", heard.ee_pose, heard, needed_hz=control_rate_hz, max_age_s=max_age_s)
    yield measured_state(heard)
    yield commanders(heard)
    yield driver(heard)
    yield from _output(heard, arm)
    yield node_names(heard)


def _stream(
    check: str, stream: Stream, heard: Heard, *, needed_hz: float | None, max_age_s: float
) -> Iterator[Finding]:
    yield alive(check, stream, heard, needed_hz=needed_hz)
    if stream.ages_s:
        yield stamps(f"{check}, stamps", stream, heard, max_age_s=max_age_s)


def alive(check: str, stream: Stream, heard: Heard, *, needed_hz: float | None) -> Finding:
    """The topic is published in the expected type, and often enough."""
    if not stream.publishers:
        alike = [name for name, kinds in heard.topics.items() if name != stream.topic and stream.kind in kinds]
        cure = f"start what publishes it, or name its topic in the arm's file; {stream.kind} here: {_listed(alike)}"
        return fail(check, f"nobody publishes {stream.topic}", cure)
    found = f"{stream.topic} from {', '.join(stream.publishers)}"
    if stream.kind not in stream.kinds:
        pictures = stream.kind in _PICTURES and any(kind in _PICTURES for kind in stream.kinds)
        cure = "set image_transport" if pictures else "name another topic in the arm's file"
        return fail(check, f"{found}: expected {stream.kind}, got {', '.join(stream.kinds)}", cure)
    if not stream.received_s:
        cure = "is the driver running, or paused? Large pictures need the Fast DDS profile in the publisher's process"
        return fail(check, f"{found}: nothing came in {heard.listened_s:g} s", cure)
    found += f", {stream.hz:.1f} Hz ({counted(len(stream.received_s), 'message')})"
    if needed_hz is not None and stream.hz < _ENOUGH * needed_hz:
        return warn(check, f"{found}: slower than the policy's {needed_hz:g} Hz", "raise the rate of what publishes it")
    return ok(check, found)


def stamps(check: str, stream: Stream, heard: Heard, *, max_age_s: float) -> Finding:
    """Stamps are capture times in the node's clock: not of the future, and not older than the arm's file allows."""
    age_s, youngest_s, oldest_s = stream.age_s, min(stream.ages_s), max(stream.ages_s)
    found = (
        f"age {1e3 * age_s:.1f} ms ({1e3 * youngest_s:.1f} … {1e3 * oldest_s:.1f} ms), at most {1e3 * max_age_s:g} ms"
    )
    if abs(age_s) > _OTHER_CLOCK_S:
        simulated = "/clock is published: use --use-sim-time here and use_sim_time in every node; else "
        cure = f"{simulated if '/clock' in heard.topics else ''}let the driver stamp with the ROS clock"
        return fail(check, f"stamps are from another clock, {age_s:.0f} s away", cure)
    if age_s < -MAX_FUTURE_STAMP_S or age_s > max_age_s:
        cure = "synchronise the machines' clocks (chrony) and let the driver stamp at capture; then look at its queues"
        return fail(check, f"{found}: every one is refused", cure)
    if youngest_s < -_AHEAD_S:
        return warn(check, f"{found}: stamps of the future", "synchronise the machines' clocks (chrony)")
    if oldest_s > max_age_s:
        return warn(check, f"{found}: some are refused", "look at the load of this machine and of the network")
    return ok(check, found)


def measured_state(heard: Heard) -> Finding:
    """Joints, gripper and end effector are known and fresh, as the nodes will want them."""
    check = "measured state"
    refused = ", ".join(f"{reason} {n}" for reason, n in sorted(heard.rejected.items()))
    refused = f"; messages refused: {refused}" if refused else ""
    if isinstance(heard.measured, Stop):
        cure = _CURES.get(heard.measured.reason, "check `topics`, `home.joints` and `gripper.joint` in the arm's file")
        return fail(check, f"{heard.measured.reason.value}: {heard.measured.detail}{refused}", cure)
    position = ", ".join(f"{coordinate:.3f}" for coordinate in heard.measured.ee_position_m)
    found = f"end effector at {position} m, gripper opening {heard.measured.gripper_opening:.2f}"
    if refused:
        return warn(check, found + refused, "find who else publishes on these topics")
    return ok(check, found)


def commanders(heard: Heard) -> Finding:
    """At most one node commands the arm, and it is the motion node."""
    check, names = "command publishers", heard.commanders
    found = f"{heard.command}: {', '.join(names) or 'nobody yet'}"
    if len(names) > 1:
        return fail(check, f"{found}: expected one, got {len(names)}", "stop the others: the arm would obey both")
    if names and names[0].rpartition("/")[2] != COMMANDER:
        return fail(check, f"{found}: expected {COMMANDER}", "stop it before the motion node starts")
    return ok(check, found)


def driver(heard: Heard) -> Finding:
    """Somebody takes the commands."""
    found = f"{heard.command}: {', '.join(heard.drivers) or 'nobody listens'}"
    if heard.drivers:
        return ok("command subscribers", found)
    return fail("command subscribers", found, "start the arm's driver or controller, or correct `output.topic`")


def node_names(heard: Heard) -> Finding:
    """No two nodes of the namespace share a name, which would make one of them unreachable."""
    ours = [name for name in heard.nodes if name.startswith(heard.full(""))]
    twice = sorted(name for name, count in Counter(ours).items() if count > 1)
    if twice:
        return fail("node names", f"more than one {', '.join(twice)}", "stop one of each, or give it a namespace")
    others = [name for name in ours if name.rpartition("/")[2] != "doctor"]
    return ok("node names", f"{len(others)} nodes: {_listed(others)}")


def _output(heard: Heard, arm: Arm) -> Iterator[Finding]:
    """What this form of output and of gripper needs on the graph."""
    if heard.has_robot_description is not None:
        yield _needed("robot description", "topic", heard.has_robot_description, "start robot_state_publisher")
    if isinstance(arm.output, TwistOutput | PoseOutput) and arm.output.command_type_service:
        name = heard.full(arm.output.command_type_service)
        cure = "start MoveIt Servo, or correct `output.command_type_service`"
        yield _needed("command type service", name, name in heard.services, cure)
    if isinstance(arm.gripper.command, GripperTopic):
        return
    name = heard.full(arm.gripper.command.action)
    cure = "start the gripper's controller, or correct `gripper.command.action`"
    yield _needed("gripper action", name, f"{name}/_action/send_goal" in heard.services, cure)


def _needed(check: str, name: str, is_there: bool, cure: str) -> Finding:  # noqa: FBT001 - the last two are its answer
    return ok(check, f"{name}: there") if is_there else fail(check, f"{name}: not there", cure)


def _listed(names: list[str]) -> str:
    rest = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return (", ".join(names[:_MOST_SHOWN]) or "none") + rest
