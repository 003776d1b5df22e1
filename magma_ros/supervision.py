"""The supervisor of one arm: checks every action on the robot's side, plays it out, holds and halts; no ROS in here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from magma_ros.arm import Arm, TwistOutput
from magma_ros.arms import playout_limits, safety_limits
from magma_ros.clock_watch import ClockWatch
from magma_ros.contract import ActionContract
from magma_ros.errors import ContractError, MagmaRosError
from magma_ros.geometry import quat_distance_rad
from magma_ros.playout import Playout, Setpoint
from magma_ros.safety import MAX_FUTURE_STAMP_S, SafetyFilter
from magma_ros.stops import Severity, Stop, StopReason
from magma_ros.types import Action, Pose, SafeAction, StampedPose

_SOONEST_SHARE = 0.5
"""An action that comes sooner after the last one than this share of a control period is one too many."""

SPREAD = 1.5
"""Control periods that one action's motion takes: the setpoint keeps moving, and lags by half a period."""


class MotionState(Enum):
    """What the arm is told; values as in MotionStatus."""

    HOLDING = 1
    MOVING = 2
    HALTED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorOptions:
    """How one arm is supervised.

    Attributes:
        speed_scale: Share of the arm's speeds and steps that is used, more than 0 … 1.
        dry_run: Nothing moves, so each action is shown from where the arm is.
    """

    speed_scale: float = 1.0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """What is to be published in one tick.

    Attributes:
        setpoint: Where the end effector should be; None before a contract and a measured pose came.
        state: For the status.
        stop: Why the arm holds or is halted; None in motion, and at rest without a fault.
    """

    setpoint: Setpoint | None
    state: MotionState
    stop: Stop | None


class Supervisor:
    """All times are in one clock of the caller's; `measured` is the newest pose of the end effector in the base frame.

    What follows from a fault is its reason's severity: the action is dropped, the arm comes to rest until the cause is
    gone and a good action comes, or it comes to rest until a person calls `reset`.

    Attributes:
        num_taken: Actions that passed.
        refused: Actions that did not, by the value of the reason.
    """

    def __init__(self, arm: Arm, *, options: SupervisorOptions) -> None:
        self._arm, self._options = arm, options
        self._filter: SafetyFilter | None = None
        self._playout: Playout | None = None
        self._setpoint: Setpoint | None = None
        self._begun = False
        self._hold: Stop | None = None
        self._halt: Stop | None = None
        self._policy_heard_s = self._taken_s = self._newest_stamp_s = -math.inf
        self._clock = ClockWatch()
        self.num_taken = 0
        self.refused: Counter[str] = Counter()

    @property
    def halted(self) -> Stop | None:
        """Why the arm stays at rest until `reset`; None when it does not."""
        return self._halt

    @property
    def contract(self) -> ActionContract | None:
        """What the policy's numbers mean; None before it said so."""
        return None if self._filter is None else self._filter.contract

    @property
    def num_fallbacks(self) -> Mapping[str, int]:
        """How often the playout took a second choice, see `Playout.num_fallbacks`; of the present contract."""
        return {} if self._playout is None else self._playout.num_fallbacks

    def adopt(self, contract: ActionContract) -> None:
        """Actions are of `contract` from now on; a contract that this arm cannot follow halts it.

        The arm is at rest after a change: what was under way is not part of the new contract.
        """
        if contract == self.contract:
            return
        self._filter = self._playout = None
        self._begun = False
        try:
            scale = self._options.speed_scale
            self._filter = SafetyFilter(safety_limits(self._arm, contract, speed_scale=scale), contract)
            self._playout = Playout(
                playout_limits(self._arm, contract, speed_scale=scale),
                frame=contract.frame,
                control_period_s=contract.control_period_s,
                reference=contract.reference,
                spread=SPREAD,
            )
        except ContractError as error:
            self._filter = self._playout = None
            self.halt(Stop(StopReason.WRONG_FRAME, str(error)))

    def policy_said(self, *, ended: Stop | None, now_s: float) -> None:
        """A sign of life of whom the arm follows, the policy or a person; with `ended` the arm is to rest."""
        self._policy_heard_s = now_s
        if ended is not None:
            self.hold(ended)

    def offer(self, action: Action, *, stamp_s: float, now_s: float, measured: StampedPose | Stop) -> SafeAction | Stop:
        """Take `action`, which answers the picture of `stamp_s` [s], or say why not.

        Args:
            action: What the policy wants, as it came.
            stamp_s: Capture time of its picture [s].
            now_s: The present [s].
            measured: The end effector, or why it is not known.
        """
        self._policy_heard_s = now_s
        verdict = self._judge(action, stamp_s=stamp_s, now_s=now_s, measured=measured)
        if isinstance(verdict, Stop):
            self.refused[verdict.reason.value] += 1
            if verdict.reason.severity is Severity.HALT:
                self.halt(verdict)
            elif verdict.reason.severity is Severity.HOLD:
                self.hold(verdict)
            return verdict
        self.num_taken += 1
        self._taken_s, self._newest_stamp_s, self._hold = now_s, stamp_s, None
        return verdict

    def hold(self, stop: Stop) -> None:
        """Come to rest and stay there until the next good action."""
        self._hold = stop
        if self._filter is not None:
            self._filter.reset()

    def halt(self, stop: Stop) -> None:
        """Come to rest and stay there until `reset`; the first reason is kept."""
        if self._halt is None:
            self._halt = stop

    def reset(self) -> None:
        """Let the next good action move the arm again, from where it is."""
        self._halt = None
        self.begin_afresh()

    def begin_afresh(self) -> None:
        """Forget what was under way, a halt excepted: the arm rests where it is measured."""
        self._hold, self._begun = None, False
        self._newest_stamp_s = self._taken_s = -math.inf
        self._clock.forget()

    def tick(self, now_s: float, *, steady_s: float | None, measured: StampedPose | Stop) -> Command:
        """What is to be commanded at `now_s` [s].

        Args:
            now_s: The present [s].
            steady_s: A clock that nobody sets [s]; None when the time is simulated and may run at any speed.
            measured: The end effector, or why it is not known.
        """
        jump_s = self._clock.jump_s(now_s, steady_s)
        if jump_s is not None:  # its times are counted afresh from here
            self.halt(Stop(StopReason.CLOCK_JUMP, f"the node's clock jumped by {jump_s:+.3f} s"))
            self._begun = False
        fault = self._halt or self._world_fault(now_s, measured) or self._hold
        setpoint = self._setpoint = self._play(now_s, measured, rest=fault is not None)
        fault = fault or self._hold
        state = MotionState.MOVING if fault is None and _is_moving(setpoint) else MotionState.HOLDING
        return Command(setpoint, state if self._halt is None else MotionState.HALTED, fault)

    def _judge(
        self, action: Action, *, stamp_s: float, now_s: float, measured: StampedPose | Stop
    ) -> SafeAction | Stop:
        if self._halt is not None:
            return self._halt
        if self._filter is None or self._playout is None:
            return Stop(StopReason.POLICY_FAILED, "the policy has not said what its numbers mean (action_contract)")
        fault = self._filter.check_action(action) or self._state_fault(now_s, measured)
        if fault is not None:
            return fault
        assert isinstance(measured, StampedPose)
        soonest_s = self._taken_s + _SOONEST_SHARE * self._playout.control_period_s
        if self._taken_s <= now_s < soonest_s or stamp_s <= self._newest_stamp_s:
            return Stop(StopReason.TOO_SOON, f"an action for each {self._playout.control_period_s:.3f} s and picture")
        try:
            self._begin_if_needed(now_s, measured.pose)
            verdict = self._filter.filter(
                action,
                stamp_s=stamp_s,
                now_s=now_s,
                ee_position_m=measured.pose.position_m,
                base_m=self._playout.base_m(measured.pose),
            )
            if isinstance(verdict, SafeAction):
                self._playout.accept(verdict.action, now_s, measured=measured.pose)
        except MagmaRosError as error:
            return Stop(StopReason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
        return verdict

    def _begin_if_needed(self, now_s: float, pose: Pose) -> None:
        """Start from the measured pose: at first, in a dry run always, and where an arm at rest was moved by others."""
        assert self._playout is not None
        if self._begun and not self._options.dry_run:
            setpoint = self._playout.tick(now_s)
            if _is_moving(setpoint) or not self._is_away(pose, setpoint):
                return
        self._playout.begin(pose, now_s)
        self._begun = True

    def _play(self, now_s: float, measured: StampedPose | Stop, *, rest: bool) -> Setpoint | None:
        playout = self._playout
        if playout is None:
            return None
        pose = measured.pose if isinstance(measured, StampedPose) else None
        if not self._begun:
            if pose is None:
                return None
            playout.begin(pose, now_s)
            self._begun = True
        if rest:
            playout.stop(now_s)
        if pose is None or self._options.dry_run:
            return playout.tick(now_s)
        if not isinstance(self._arm.output, TwistOutput):
            return playout.tick(now_s, pose)
        # An arm that integrates speeds would follow a setpoint that waits near it wherever it is pushed.
        setpoint = playout.tick(now_s)
        if rest or not self._is_away(pose, setpoint):
            return setpoint
        far = f"{playout.limits.max_lag_m} m or {playout.limits.max_lag_rad} rad"
        self.hold(Stop(StopReason.ARM_BEHIND, f"the end effector is more than {far} from where it was to be"))
        playout.stop(now_s)
        return playout.tick(now_s)

    def _is_away(self, pose: Pose, setpoint: Setpoint) -> bool:
        """Whether the measured `pose` is further from the setpoint than it may be behind."""
        assert self._playout is not None
        far_m = float(np.linalg.norm(setpoint.pose.position_m - pose.position_m))
        far_rad = quat_distance_rad(setpoint.pose.quat_xyzw, pose.quat_xyzw)
        return far_m > self._playout.limits.max_lag_m or far_rad > self._playout.limits.max_lag_rad

    def _world_fault(self, now_s: float, measured: StampedPose | Stop) -> Stop | None:
        silent_s = now_s - self._policy_heard_s
        if silent_s > self._arm.watch.policy_timeout_s:
            heard = f"for {silent_s:.2f} s" if math.isfinite(silent_s) else "so far"
            self.hold(Stop(StopReason.POLICY_SILENT, f"nothing was heard of the policy {heard}"))
            return self._hold
        unknown = self._state_fault(now_s, measured)
        if unknown is not None and self._filter is not None:
            self._filter.reset()
        return unknown or self._place_fault(measured)

    def _place_fault(self, measured: StampedPose | Stop) -> Stop | None:
        """The motion under way leads further out of the workspace: an action that said so is too late to wait for."""
        if self._filter is None or not _is_moving(self._setpoint) or not isinstance(measured, StampedPose):
            return None
        assert self._setpoint is not None
        way = self._setpoint.linear_velocity_m_s
        misplaced = self._filter.check_place(measured.pose.position_m, direction=way)
        if misplaced is not None:
            self.hold(misplaced)
        return misplaced

    def _state_fault(self, now_s: float, measured: StampedPose | Stop) -> Stop | None:
        if isinstance(measured, Stop):
            return measured
        age_s, allowed_s = now_s - measured.stamp_s, self._arm.watch.max_state_age_s
        if -MAX_FUTURE_STAMP_S <= age_s <= allowed_s:
            return None
        return Stop(StopReason.STALE_STATE, f"the measured pose is {age_s:.3f} s old, allowed are {allowed_s} s")


def _is_moving(setpoint: Setpoint | None) -> bool:
    return setpoint is not None and bool(setpoint.linear_velocity_m_s.any() or setpoint.angular_velocity_rad_s.any())
