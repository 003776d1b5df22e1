"""Every fault that is injected: how, on which graph, what has to follow, and what ends it."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import Transition
from std_srvs.srv import Trigger

from magma_ros.ros import interface
from magma_ros.sim.faults import disk, malformed
from magma_ros.sim.faults.graph import Graph, GraphKind
from magma_ros.sim.faults.measuring import DEATH_S, STOP_S, closest_pair
from magma_ros.sim.faults.policy import PAUSE_S
from magma_ros.sim.faults.settings import CONTRACT, INSTRUCTION, STEP_M
from magma_ros.types import StopReason

NUM_GOALS = 1000
_JUMP_S = 10.0
_DWELL_SLACK_S = 0.02


class Demand(Enum):
    """What has to follow from a fault."""

    STOPS = "stops"
    """The arm comes to rest in time, and stays so until the cause is gone or a person resets it."""
    BOUNDED = "bounded"
    """The arm may move on within all bounds; the emergency stop, pressed meanwhile, is what is timed."""
    DRIVER_STOPS = "driver stops"
    """Nobody is left to command: the arm's driver comes to rest by itself; the measured arm is timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row of the table.

    Attributes:
        name: For `--only`, and in the table.
        what: What is broken.
        inject: Breaks it; the instant of the onset [s, CLOCK_MONOTONIC].
        cure: Makes it whole.
        reasons: One of these has to be reported; none where nobody is left who could.
        graph, demand: What it is injected into, and what has to follow.
        death: A process was killed: the longer limit counts.
        watch_s: How long commands are judged after the onset [s].
        check: What else is wrong, from the graph and the onset.
    """

    name: str
    what: str
    inject: Callable[[Graph], float]
    cure: Callable[[Graph], None]
    reasons: tuple[StopReason, ...] = ()
    graph: GraphKind = GraphKind.PLAIN
    demand: Demand = Demand.STOPS
    death: bool = False
    watch_s: float = 0.7
    check: Callable[[Graph, float], list[str]] = lambda _graph, _onset_s: []

    def limit_s(self, command_rate_hz: float) -> float:
        """Longest time until the command is zero [s]: one command period and the allowance."""
        return 1.0 / command_rate_hz + (DEATH_S if self.death else STOP_S)


def ordered(process: str, name: str, what: str, *reasons: StopReason, order: str = "", **more: object) -> Fault:
    """A fault that a stand-in carries out when its switch says `order`, by default the fault's name."""
    wanted = order or name
    return Fault(
        name=name,
        what=what,
        inject=lambda graph: graph.inject(process, wanted),
        cure=lambda graph: graph.order(process, ""),
        reasons=reasons,
        **more,  # type: ignore[arg-type]
    )


def silenced(process: str, name: str, what: str, *reasons: StopReason, order: str, **more: object) -> Fault:
    """A stand-in that says nothing any more; counted from the order, before the first message that is missing."""

    def inject(graph: Graph) -> float:
        onset_s = time.monotonic()
        graph.order(process, order)
        return onset_s

    return Fault(
        name=name,
        what=what,
        inject=inject,
        cure=lambda graph: graph.order(process, ""),
        reasons=reasons,
        **more,  # type: ignore[arg-type]
    )


def misplaced(name: str, what: str, *reasons: StopReason, order: str) -> Fault:
    """The arm is measured where it must not be, while the policy leads it along the x axis."""

    def inject(graph: Graph) -> float:
        graph.inject("policy", "walk_out")
        return graph.inject("state", order)

    def cure(graph: Graph) -> None:
        graph.order("state", "")
        graph.order("policy", "")

    return Fault(name=name, what=what, inject=inject, cure=cure, reasons=reasons)


def walks(name: str, what: str) -> Fault:
    """The policy leads the arm to a wall, where it has to rest; then it goes back, and the emergency stop comes."""

    def inject(graph: Graph) -> float:
        onset_s = graph.inject("policy", name)
        graph.wait(lambda: graph.is_at_rest(for_s=0.5), timeout_s=8.0, what="the arm rests at the wall")
        graph.order("policy", "")
        return onset_s

    return Fault(name=name, what=what, inject=inject, cure=_nothing, demand=Demand.BOUNDED)


def killed(process: str, what: str, *reasons: StopReason, **more: object) -> Fault:
    """A process gets SIGKILL, and is started anew."""
    return Fault(
        name=f"kill_{process}",
        what=what,
        inject=lambda graph: graph.signal(process, signal.SIGKILL),
        cure=lambda graph: graph.restart(process),
        reasons=reasons,
        death=True,
        **more,  # type: ignore[arg-type]
    )


def asked_to_end(process: str, number: signal.Signals, what: str, *reasons: StopReason) -> Fault:
    """A node gets SIGINT or SIGTERM, ends with status 0, and is started anew."""

    def ended_well(graph: Graph, _onset_s: float) -> list[str]:
        status = graph.exit_status(process)
        return [] if status == 0 else [f"{process}: expected to end with 0 within 5 s, got {status}"]

    return Fault(
        name=f"{number.name.lower()}_{process}",
        what=what,
        inject=lambda graph: graph.signal(process, number),
        cure=lambda graph: graph.restart(process),
        reasons=reasons,
        check=ended_well,
    )


def paused(process: str, what: str, *reasons: StopReason, **more: object) -> Fault:
    """A process stands still for some seconds (SIGSTOP), and goes on."""
    return Fault(
        name=f"pause_{process}",
        what=what,
        inject=lambda graph: graph.signal(process, signal.SIGSTOP),
        cure=lambda graph: _ignore(graph.signal(process, signal.SIGCONT)),
        reasons=reasons,
        **more,  # type: ignore[arg-type]
    )


def _ignore(_value: object) -> None:
    pass


def _press(graph: Graph) -> float:
    onset_s = time.monotonic()
    graph.witness.press_emergency_stop()
    return onset_s


def _call_halt(graph: Graph) -> float:
    onset_s = time.monotonic()
    graph.witness.call(Trigger, interface.HALT.name)
    return onset_s


def _nothing(_graph: Graph) -> None:
    """The cause is gone already."""


def _deactivated(node: str, *reasons: StopReason) -> Fault:
    return Fault(
        name=f"deactivate_{node}",
        what=f"a person deactivates the {node} node",
        inject=lambda graph: graph.transition(f"{node}_node", Transition.TRANSITION_DEACTIVATE),
        cure=lambda graph: _ignore(graph.transition(f"{node}_node", Transition.TRANSITION_ACTIVATE)),
        reasons=reasons,
    )


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
        TwistStamped, graph.arm.output.topic, interface.COMMAND.profile()
    )
    return onset_s


def _remove_second_publisher(graph: Graph) -> None:
    graph.witness.node.destroy_publisher(graph.witness.second_publisher)
    graph.wait(
        lambda: graph.witness.node.count_publishers(graph.arm.output.topic) == 1, timeout_s=5.0, what="it has left"
    )


def _storm(graph: Graph) -> float:
    graph.start_process(
        "goals", ["-m", "magma_ros.sim.faults.goals_process", str(NUM_GOALS), str(graph.files.switch("goals"))]
    )
    return graph.inject("goals", "storm")


def _storm_problems(graph: Graph, _onset_s: float) -> list[str]:
    status = graph.exit_status("goals", timeout_s=30.0)
    child = graph.children.pop("goals")
    return [] if status == 0 else [f"goals: expected {NUM_GOALS} answers, got: {child.last_lines(3)}"]


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
    ordered("policy", "wrong_frame", "the policy's action is in another frame", StopReason.WRONG_FRAME),
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
    ordered("state", "pose_wrong_frame", "the measured pose is in another frame", *_NO_STATE, StopReason.WRONG_FRAME,
            order="wrong_frame"),
    misplaced("outside_workspace", "the arm is measured beyond a wall and led on", StopReason.OUTSIDE_WORKSPACE,
              order="outside"),
    misplaced("below_table", "the arm is measured below the table's top", StopReason.BELOW_TABLE, order="below_table"),
    silenced("state", "tf_missing", "nobody sends the arm's transforms any more", *_TF, order="silent",
             graph=GraphKind.TF),
    Fault(name="clock_forward", what="the clock jumps 10 s ahead", inject=lambda graph: _jump(graph, _JUMP_S),
          cure=_nothing, reasons=(StopReason.CLOCK_JUMP,), graph=GraphKind.SIM_TIME),
    Fault(name="clock_back", what="the clock jumps 10 s back", inject=lambda graph: _jump(graph, -_JUMP_S),
          cure=_nothing, reasons=(StopReason.CLOCK_JUMP,), graph=GraphKind.SIM_TIME),
)  # fmt: skip

OPERATOR = (
    Fault(name="estop_topic", what="true on emergency_stop", inject=_press, cure=_nothing,
          reasons=(StopReason.EMERGENCY_STOP,)),
    Fault(name="estop_service", what="the service emergency_stop is called", inject=_call_halt, cure=_nothing,
          reasons=(StopReason.EMERGENCY_STOP,)),
    _deactivated("motion"),
    _deactivated("policy"),
    Fault(name="second_publisher", what="somebody else offers commands to the arm", inject=_second_publisher,
          cure=_remove_second_publisher, reasons=(StopReason.SECOND_COMMANDER,)),
)  # fmt: skip

PROCESSES = (
    ordered("policy", "pause_gc", f"the policy's interpreter stands still for {PAUSE_S} s", *_SILENT, order="pause",
            watch_s=PAUSE_S - 0.1),
    paused("policy", "the policy's process is stopped", *_SILENT),
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
    killed("driver", "kill -9 of the arm's driver", *_NO_STATE),
    killed("motion", "kill -9 of the motion node", demand=Demand.DRIVER_STOPS),
    Fault(name="server_gone", what="kill -9 of the policy server", inject=_kill_server, death=True,
          cure=lambda graph: graph.start_server(), reasons=(StopReason.SERVER_GONE,), graph=GraphKind.SERVED),
)  # fmt: skip

LOAD = (
    Fault(name="malformed_messages", what="messages of every kind that no honest sender would send",
          inject=malformed.send_all, cure=_nothing, demand=Demand.BOUNDED, watch_s=1.0, check=malformed.problems),
    Fault(name="goal_storm", what=f"{NUM_GOALS} goals at once", inject=_storm, cure=_nothing, demand=Demand.BOUNDED,
          check=_storm_problems),
    Fault(name="disk_full", what="the disk is full while recording", inject=disk.fill, cure=disk.clear,
          demand=Demand.BOUNDED, check=disk.problems),
    Fault(name="lost_datagrams", what="30 % of all datagrams are lost", inject=_now, cure=_nothing,
          demand=Demand.BOUNDED, watch_s=3.0, graph=GraphKind.LOSSY),
)  # fmt: skip

FAULTS: Sequence[Fault] = (*ACTIONS, *SENSES, *OPERATOR, *PROCESSES, *LOAD)
"""In the order of the table; they are injected graph by graph."""

BY_NAME: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in FAULTS})
