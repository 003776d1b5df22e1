"""The supervisor of one arm as a lifecycle node: the only one that commands it; wiring only."""

from __future__ import annotations

import sys
import threading
import time
import traceback

from builtin_interfaces.msg import Time
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from magma_ros import arms
from magma_ros.errors import ArmConfigError, MagmaRosError
from magma_ros.msg import EndEffectorDelta
from magma_ros.ros import conversions, interface
from magma_ros.ros.diagnostics import Diagnostics
from magma_ros.ros.halting import Halting
from magma_ros.ros.measured_state import MeasuredState
from magma_ros.ros.motion_output import MotionOutput
from magma_ros.ros.motion_status import MotionReporter
from magma_ros.ros.parameters import declare, values
from magma_ros.ros.policy_link import PolicyLink
from magma_ros.ros.spin import run
from magma_ros.ros.teleop_link import TeleopLink
from magma_ros.ros.ticker import Ticker
from magma_ros.stops import Stop, StopReason
from magma_ros.supervision import Supervisor, SupervisorOptions
from magma_ros.teleoperation import Teleoperation
from magma_ros.types import Action, Proprio, SafeAction, StampedPose

_SLOWEST_TICK_HZ = 20.0
"""How often an arm that interpolates each step itself is watched [Hz]."""

_ONE_MOMENT_S = 0.01
_DONE, _FAILED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class MotionNode(LifecycleNode):
    """Turns `policy_action` into the arm's commands while active, and stops the arm for every reason there is."""

    def __init__(self) -> None:
        """Read the arm, declare the graph; with the parameter `autostart`, configure and activate too.

        Raises:
            ArmConfigError: there is no such arm, its file has faults, or what its output needs is not installed.
        """
        super().__init__("motion_node")
        declare(self, interface.MOTION_PARAMETERS)
        parameters = values(self, interface.MOTION_PARAMETERS)
        self._arm = arms.load(parameters["arm"])
        self._options = SupervisorOptions(speed_scale=parameters["speed_scale"], dry_run=parameters["dry_run"])
        self._supervisor = Supervisor(self._arm, options=self._options)
        self._teleoperation = Teleoperation(self._arm, self._supervisor, release_s=parameters["teleop_release_s"])
        self._measured = MeasuredState(self._arm)
        self._diagnostics = Diagnostics(self, hardware_id=self._arm.name)
        self._diagnostics.follow("refused actions", lambda: self._supervisor.refused)
        self._diagnostics.follow("refused state", lambda: self._measured.rejected)
        self._diagnostics.follow("refused teleoperation", lambda: self._teleoperation.refused)
        self._diagnostics.follow("second choices of the playout", lambda: self._supervisor.num_fallbacks)
        self._report = MotionReporter(
            self,
            base_frame=self._arm.frames.base,
            dry_run=self._options.dry_run,
            person_acts=lambda: self._teleoperation.acts,
        )
        self._output: MotionOutput | None = None
        self._is_active = False
        self._lock = threading.RLock()  # of the ticker's thread and the executor's
        self._setpoints = interface.SETPOINT.publisher(self)
        self._taken = interface.TAKEN_ACTION.publisher(self)
        self._measured.subscribe(self)
        self._policy = PolicyLink(
            self, self._teleoperation, lock=self._lock, now_s=self._now_s, diagnostics=self._diagnostics
        )
        self._person = TeleopLink(self, self._teleoperation, now_s=self._now_s)
        interface.POLICY_ACTION.subscribe(self, self._on_action)
        self._halting = Halting(
            self,
            self._supervisor,
            lock=self._lock,
            reset=self._teleoperation.reset,
            present_cause=self._other_cause,
        )
        for name in self._arm.unverified():
            self.get_logger().warning(f"arm {self._arm.name!r}: {name} was not verified, check it before the arm moves")
        rate_hz = max(self._arm.command_rate_hz, _SLOWEST_TICK_HZ)
        self._ticker = Ticker(self._tick, period_s=1.0 / rate_hz)
        if parameters["autostart"] and (self.trigger_configure() != _DONE or self.trigger_activate() != _DONE):
            raise ArmConfigError("autostart: the motion node could not become active; the reason is in the log above")

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002  rclpy's signature
        """Make the arm's outputs; says why when something that they need is missing."""
        try:
            if self._output is None:
                self._output = MotionOutput(self._arm, self)
                self._diagnostics.follow("gripper goals kept back", self._output.gripper_counts)
        except MagmaRosError as error:
            self.get_logger().error(f"not configured: {error}")
            return _FAILED
        return _DONE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Command the arm from now on: at first, to rest where it is."""
        with self._lock:
            self._teleoperation.begin_afresh()
            self._is_active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A zero command is the last one."""
        self._fall_silent()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002  rclpy's signature
        """Nothing is held beyond deactivation."""
        return _DONE

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:  # noqa: ARG002  rclpy's signature
        """As deactivation, from whatever state."""
        self.close()
        return _DONE

    def close(self) -> None:
        """Send the last zero command, before the node is destroyed."""
        self._ticker.close()
        self._fall_silent()

    def _on_action(self, message: EndEffectorDelta) -> None:
        stamp_s, action = conversions.seconds(message.header.stamp), conversions.action_from_message(message)
        with self._lock:
            self._policy.listen()
            if not self._is_active or self._output is None:
                return
            now_s = self._now_s()
            decision = self._teleoperation.offer(action, stamp_s=stamp_s, now_s=now_s, measured=self._measure(now_s)[1])
            if isinstance(decision, SafeAction):
                self._diagnostics.stage("capture to command").add(now_s - stamp_s)
                self._do(decision.action, stamp=message.header.stamp, now_s=now_s)

    def _do(self, action: Action, *, stamp: Time, now_s: float) -> None:
        """Hand on an action that passed every check; the caller holds the lock."""
        if self._output is not None and not self._options.dry_run:
            self._output.take(action, stamp=stamp, now_s=now_s)
            self._taken.publish(conversions.action_message(action, stamp=stamp))

    def _tick(self) -> None:
        try:
            with self._lock:
                self._command()
        except Exception as error:  # noqa: BLE001  the node's tick: whatever failed, the arm must stop and the node must live
            self.get_logger().error(f"the tick failed, the arm is halted:\n{traceback.format_exc()}")
            with self._lock:
                self._supervisor.halt(Stop(StopReason.INTERNAL_ERROR, f"{type(error).__name__}: {error}"[:500]))
                self._command_rest()

    def _command(self) -> None:
        self._policy.listen()
        self._person.listen()
        if not self._is_active or self._output is None:
            self._report.inactive(self._supervisor)
            return
        now_s, steady_s = self._read_clocks()
        self._diagnostics.rate("ticks").tick(now_s)
        second = self._output.second_commander()
        if second:
            self._supervisor.halt(Stop(StopReason.SECOND_COMMANDER, second))
        state, pose = self._measure(now_s)
        stamp = self.get_clock().now().to_msg()
        decision = self._teleoperation.tick(now_s, state=state, pose=pose)
        if isinstance(decision, SafeAction):
            self._do(decision.action, stamp=stamp, now_s=now_s)
        command = self._supervisor.tick(now_s, steady_s=steady_s, measured=pose)
        if not self._options.dry_run:
            refusal = self._output.send(command, stamp=stamp, now_s=now_s, measured=state)
            if refusal is not None:
                self._supervisor.hold(refusal)
        if command.setpoint is not None:
            frame = self._arm.frames.base
            self._setpoints.publish(conversions.stamped_pose_message(command.setpoint.pose, frame=frame, stamp=stamp))
        self._report.commanded(command, self._supervisor)

    def _other_cause(self) -> str:
        return "" if self._output is None else self._output.second_commander()

    def _fall_silent(self) -> None:
        with self._lock:
            self._command_rest()
            self._is_active = False
            self._report.inactive(self._supervisor)

    def _command_rest(self) -> None:
        """The caller holds the lock."""
        if self._is_active and self._output is not None and not self._options.dry_run:
            self._output.hold(stamp=self.get_clock().now().to_msg())

    def _measure(self, now_s: float) -> tuple[Proprio | Stop, StampedPose | Stop]:
        """The arm's state, and the pose in it with its time; both say why when they are not known."""
        state = self._measured.proprio(since_s=now_s - self._arm.watch.max_state_age_s)
        pose = self._measured.pose()
        if isinstance(state, Stop) or pose is None:
            unknown = state if isinstance(state, Stop) else Stop(StopReason.NO_PROPRIO, "no pose was measured")
            return unknown, unknown
        return state, pose

    def _read_clocks(self) -> tuple[float, float | None]:
        """The node's clock and a steady one, at one moment; simulated time may run at any speed."""
        if self.get_parameter("use_sim_time").value:
            return self._now_s(), None
        while True:  # a process that is put to sleep in between reads again
            before_s, now_s, after_s = time.monotonic(), self._now_s(), time.monotonic()
            if after_s - before_s < _ONE_MOMENT_S:
                return now_s, after_s

    def _now_s(self) -> float:
        return conversions.seconds(self.get_clock().now().to_msg())


def main() -> int:
    """Run the motion node until SIGINT or SIGTERM; returns the exit status."""
    return run(MotionNode)


if __name__ == "__main__":
    sys.exit(main())
