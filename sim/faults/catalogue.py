"""Every fault that is injected, with what only one of them needs."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from geometry_msgs.msg import TwistStamped
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from magma_ros.msg import EndEffectorDelta
from magma_ros.ros import endpoints, interface
from magma_ros.sim.faults import disk, malformed
from magma_ros.sim.faults.fault import (
    Demand,
    Fault,
    asked_to_end,
    deactivated,
    killed,
    misplaced,
    nothing,
    ordered,
    paused,
    silenced,
    walks,
)
from magma_ros.sim.faults.graph import READY_S, Graph, GraphKind
from magma_ros.sim.faults.measuring import closest_pair, reason_problems
from magma_ros.sim.faults.policy import PAUSE_S
from magma_ros.sim.faults.settings import CONTRACT, INSTRUCTION, STEP_M
from magma_ros.stops import StopReason

NUM_GOALS = 1000
_JUMP_S = 10.0
_DWELL_SLACK_S = 0.02
_BETWEEN_S = 0.01
_ACQUAINTED_S = 0.3
"""After which a new publisher and its readers know each other; DDS may deliver what is said before late [s]."""


def _press(graph: Graph) -> float:
    onset_s = time.monotonic()
    graph.witness.press_emergency_stop()
    return onset_s


def _call_halt(graph: Graph) -> float:
    onset_s = time.monotonic()
    graph.witness.call(Trigger, interface.HALT.name)
    return onset_s


def _jump(graph: Graph, by_s: float) -> float:
    onset_s = time.monotonic()
    graph.witness.clock_offset_s += by_s
    graph.witness.publish_clock()
    return onset_s


def _break_motion_node(graph: Graph) -> float:
    graph.children["motion"].stop()
    graph.start("motion", module="magma_ros.sim.faults.motion_process")
    graph.make_moving()
    return graph.inject("motion", "exception")


def _second_publisher(graph: Graph) -> float:
    onset_s = time.monotonic()
    graph.witness.second_publisher = graph.witness.node.create_publisher(
        TwistStamped, graph.arm.output.topic, endpoints.COMMAND.profile()
    )
    return onset_s


def _remove_second_publisher(graph: Graph) -> None:
    graph.witness.take_off(graph.witness.second_publisher)
    graph.wait(
        lambda: graph.witness.node.count_publishers(graph.arm.output.topic) == 1, timeout_s=5.0, what="it has left"
    )


def _storm(graph: Graph) -> float:
    module, switch = "magma_ros.sim.faults.goals_process", str(graph.files.switch("goals"))
    graph.order("goals", "storm")
    graph.helpers["goals"] = graph.start_process("goals", ["-m", module, str(NUM_GOALS), switch])
    return graph.wait_until_begun("goals", timeout_s=READY_S)


def _storm_problems(graph: Graph, _onset_s: float) -> list[str]:
    child = graph.helpers.pop("goals")
    graph.wait(lambda: child.process.poll() is not None, timeout_s=READY_S, what="the storm is over", required=False)
    return [] if child.stop() == 0 else [f"expected an answer after the storm: {child.last_lines(3)}"]


def _foreign_action(graph: Graph) -> float:
    publisher = interface.POLICY_ACTION.publisher(graph.witness.node)
    graph.wait(lambda: publisher.get_subscription_count() > 0, timeout_s=5.0, what="policy_action is read")
    time.sleep(_ACQUAINTED_S)
    onset_s = time.monotonic()
    while time.monotonic() < onset_s + CONTRACT.control_period_s:  # one that comes right after another is too soon
        stamp = graph.witness.node.get_clock().now().to_msg()
        publisher.publish(EndEffectorDelta(header=Header(stamp=stamp, frame_id="camera")))
        time.sleep(_BETWEEN_S)
    graph.witness.take_off(publisher)
    return onset_s


def _start_jump(graph: Graph) -> float:
    graph.make_rest()
    graph.order("policy", "start_jump")
    graph.witness.instruct(INSTRUCTION)
    return graph.wait_until_begun("policy")


def _half_speed_problems(graph: Graph, onset_s: float) -> list[str]:
    """From the second control period on, commands of half the speed, give and take what plays out the first."""
    since_s, until_s = onset_s + 3 * CONTRACT.control_period_s, onset_s + 7 * CONTRACT.control_period_s
    fastest = max((s.speed_m_s for s in graph.witness.commands if since_s < s.t_s < until_s), default=math.inf)
    allowed = 0.75 * STEP_M * CONTRACT.control_rate_hz
    return [] if fastest <= allowed else [f"expected at most {allowed:.3f} m/s, got {fastest:.3f}"]


def _chatter_problems(graph: Graph, onset_s: float) -> list[str]:
    goals_s = [t_s for t_s in graph.witness.gripper_s if t_s > onset_s]
    dwell_s, between_s = graph.arm.gripper.dwell_s, closest_pair(goals_s)
    if len(goals_s) < 2:
        return [f"gripper: expected at least two goals while the policy alternates, got {len(goals_s)}"]
    return (
        [] if between_s >= dwell_s - _DWELL_SLACK_S else [f"gripper: two goals in {between_s:.3f} s, dwell {dwell_s} s"]
    )


def _pushed_problems(graph: Graph, onset_s: float) -> list[str]:
    return reason_problems(list(graph.witness.reports), onset_s=onset_s, reasons=(StopReason.ARM_BEHIND,), halts=False)


def _kill_server(graph: Graph) -> float:
    return graph.signal("server", signal.SIGKILL)


def _now(_graph: Graph) -> float:
    return time.monotonic()


_SILENT = (StopReason.POLICY_SILENT, StopReason.NO_OBSERVATION, StopReason.STALE_OBSERVATION)
_NO_STATE = (StopReason.STALE_STATE, StopReason.NO_PROPRIO)
_TF = (StopReason.NO_TRANSFORM, *_NO_STATE)

ACTIONS = (
    ordered("policy", "nan", "the policy's action holds NaN", StopReason.NON_FINITE),
    ordered("policy", "inf", "the policy's action holds Inf", StopReason.NON_FINITE),
    ordered("policy", "wrong_frame", "the policy's action is in another frame", StopReason.WRONG_FRAME, latches=False),
    Fault(name="foreign_action", what="actions in another frame that no policy node checked", inject=_foreign_action,
          cure=nothing, reasons=(StopReason.WRONG_FRAME,)),
    ordered("policy", "beyond_contract", "a step of twice what the contract allows", StopReason.OUT_OF_CONTRACT),
    ordered("policy", "gripper_beyond_contract", "a gripper opening of 3", StopReason.OUT_OF_CONTRACT),
    ordered("policy", "discontinuity", "a step straight back, at full speed", StopReason.DISCONTINUITY),
    Fault(name="start_jump", what="the first step from rest is four times as long as the others", inject=_start_jump,
          cure=lambda graph: graph.order("policy", ""), demand=Demand.BOUNDED),
    ordered("policy", "too_fast", "steps four times as long, within the contract", demand=Demand.BOUNDED),
    ordered("policy", "too_fast_turn", "turns of 0.45 rad a step, within the contract", demand=Demand.BOUNDED),
    walks("walk_out", "the policy walks into the workspace's wall"),
    walks("walk_down", "the policy walks down to the table"),
    ordered("policy", "gripper_chatter", "the gripper's goal alternates with every step", demand=Demand.BOUNDED,
            watch_s=1.5, check=_chatter_problems),
    ordered("policy", "undecodable", "the model's tokens are no action", StopReason.UNDECODABLE),
    ordered("policy", "high_entropy", "the model has no idea (5 nat a token)", StopReason.HIGH_ENTROPY,
            order="entropy_hold"),
    ordered("policy", "wavering", "the model wavers (4 nat a token)", demand=Demand.BOUNDED, order="entropy_slow",
            check=_half_speed_problems),
    ordered("policy", "policy_error", "the policy raises an error of its own", StopReason.POLICY_FAILED),
    ordered("policy", "policy_crash", "the policy raises an error that nobody foresaw", StopReason.INTERNAL_ERROR,
            order="exception"),
    ordered("policy", "policy_hang", "the policy does not answer", *_SILENT, StopReason.POLICY_FAILED, order="hang"),
)  # fmt: skip

SENSES = (
    ordered("camera", "camera_frozen", "new stamps, the same pixels", StopReason.FROZEN_CAMERA, order="frozen"),
    ordered("camera", "camera_stale", "pictures stamped 1 s ago", StopReason.STALE_OBSERVATION, order="stale"),
    ordered("camera", "camera_future", "pictures stamped 1 s ahead", StopReason.STALE_OBSERVATION, order="future"),
    silenced("camera", "camera_silent", "no more pictures", *_SILENT, order="silent"),
    ordered("camera", "camera_garbage", "pictures whose size is a lie", *_SILENT, order="garbage"),
    silenced("state", "state_silent", "no more joint states and poses", *_NO_STATE, order="silent"),
    silenced("state", "pose_silent", "joint states, but no more poses", *_NO_STATE, order="pose_silent"),
    ordered("state", "state_stale", "joint states and poses stamped 1 s ago", *_NO_STATE, order="stale"),
    ordered("state", "joints_stale", "joint states stamped 1 s ago", *_NO_STATE),
    ordered("state", "pose_nan", "the measured pose holds NaN", *_NO_STATE, StopReason.NON_FINITE, order="nan"),
    ordered("state", "pose_wrong_frame", "the measured pose is in another frame", *_NO_STATE,
            order="wrong_frame"),
    misplaced("outside_workspace", "the arm is measured beyond a wall and led on", StopReason.OUTSIDE_WORKSPACE,
              order="outside"),
    misplaced("below_table", "the arm is measured below the table's top", StopReason.BELOW_TABLE, order="below_table"),
    ordered("state", "pushed", "somebody lifts the arm by 7.5 cm",
            demand=Demand.BOUNDED, check=_pushed_problems),
    silenced("state", "tf_missing", "nobody sends the arm's transforms any more", *_TF, order="silent",
             graph=GraphKind.TF),
    Fault(name="clock_forward", what="the clock jumps 10 s ahead", inject=lambda graph: _jump(graph, _JUMP_S),
          cure=nothing, reasons=(StopReason.CLOCK_JUMP,), graph=GraphKind.SIM_TIME),
    Fault(name="clock_back", what="the clock jumps 10 s back", inject=lambda graph: _jump(graph, -_JUMP_S),
          cure=nothing, reasons=(StopReason.CLOCK_JUMP,), graph=GraphKind.SIM_TIME),
)  # fmt: skip

OPERATOR = (
    Fault(name="estop_topic", what="true on emergency_stop", inject=_press, cure=nothing,
          reasons=(StopReason.EMERGENCY_STOP,)),
    Fault(name="estop_service", what="the service emergency_stop is called", inject=_call_halt, cure=nothing,
          reasons=(StopReason.EMERGENCY_STOP,)),
    deactivated("motion"),
    deactivated("policy"),
    ordered("teleop", "teleop_stale", "a person's twists are stamped 1 s ago", StopReason.TELEOP_SILENT,
            graph=GraphKind.TELEOP),
    ordered("teleop", "teleop_nan", "a person's twist holds NaN", StopReason.NON_FINITE, graph=GraphKind.TELEOP),
    ordered("teleop", "teleop_too_fast", "a person's twist is four times as fast", demand=Demand.BOUNDED,
            graph=GraphKind.TELEOP),
    Fault(name="second_publisher", what="somebody else offers commands to the arm", inject=_second_publisher,
          cure=_remove_second_publisher, reasons=(StopReason.SECOND_COMMANDER,)),
)  # fmt: skip

PROCESSES = (
    ordered("policy", "pause_gc", f"the policy's interpreter stands still for {PAUSE_S} s", *_SILENT, order="pause",
            watch_s=PAUSE_S - 0.1),
    paused("policy", "the policy's process is stopped", *_SILENT),
    paused("teleop", "what a person moves the arm with is stopped", StopReason.TELEOP_SILENT, graph=GraphKind.TELEOP),
    paused("motion", "the motion node's process is stopped", demand=Demand.DRIVER_STOPS, death=True),
    paused("driver", "the arm's driver is stopped", *_NO_STATE),
    asked_to_end("policy", signal.SIGINT, "the policy node is interrupted"),
    asked_to_end("policy", signal.SIGTERM, "the policy node is terminated"),
    asked_to_end("motion", signal.SIGINT, "the motion node is interrupted"),
    asked_to_end("motion", signal.SIGTERM, "the motion node is terminated"),
    Fault(name="exception_motion", what="the motion node dies of an exception", inject=_break_motion_node,
          cure=lambda graph: graph.restart("motion")),
    killed("policy", "kill -9 of the policy", *_SILENT),
    killed("camera", "kill -9 of the camera", *_SILENT),
    killed("teleop", "kill -9 of what a person moves the arm with", StopReason.TELEOP_SILENT, graph=GraphKind.TELEOP),
    killed("driver", "kill -9 of the arm's driver", *_NO_STATE),
    killed("motion", "kill -9 of the motion node", demand=Demand.DRIVER_STOPS),
    Fault(name="server_gone", what="kill -9 of the policy server", inject=_kill_server, death=True,
          cure=lambda graph: graph.start_server(), reasons=(StopReason.SERVER_GONE,), graph=GraphKind.SERVED),
)  # fmt: skip

LOAD = (
    Fault(name="malformed_messages", what="messages of every kind that no honest sender would send",
          inject=malformed.send_all, cure=nothing, demand=Demand.BOUNDED, watch_s=1.0, check=malformed.problems),
    Fault(name="goal_storm", what=f"{NUM_GOALS} goals at once", inject=_storm, cure=nothing, demand=Demand.BOUNDED,
          check=_storm_problems),
    Fault(name="disk_full", what="the disk is full while recording", inject=disk.fill, cure=disk.clear,
          demand=Demand.BOUNDED, check=disk.problems),
    Fault(name="lost_datagrams", what="30 % of all datagrams are lost", inject=_now, cure=nothing,
          demand=Demand.BOUNDED, watch_s=3.0, graph=GraphKind.LOSSY),
)  # fmt: skip

FAULTS: Sequence[Fault] = (*ACTIONS, *SENSES, *OPERATOR, *PROCESSES, *LOAD)
"""In the order of the table; they are injected graph by graph."""

BY_NAME: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in FAULTS})
