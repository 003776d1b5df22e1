"""A person in the policy's place: twists become the supervisor's actions, and the policy waits; no ROS in here."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from magma_ros.arm import Arm, EeDeltaOutput
from magma_ros.contract import ActionContract, CameraSpec
from magma_ros.safety import MAX_FUTURE_STAMP_S
from magma_ros.stops import Stop, StopReason
from magma_ros.supervision import Supervisor
from magma_ros.types import Action, FloatArray, Proprio, SafeAction, StampedPose, frozen_array

RATE_HZ = 10.0
"""Actions that a person makes in a second where no policy has named its rate and the arm's motion is played out."""

_PICTURE_PX = 256
"""Size of the pictures in `own_contract`; nothing in the motion node looks at pictures."""

_LONGEST_WISH = 4.0
"""A person may want to go so many times as fast as the arm may, and is slowed down; anything faster is no wish."""

_EARLY_SHARE = 0.3
"""An arm that steps itself is told right after a step, as early as this share of a control period before the time."""

STALE, NOT_AT_REST, NO_OPENING = "stale twist", "not at rest first", "no opening"
"""Why a wish was dropped: too old, from a device that has not rested yet, a number that is no opening."""


@dataclass(frozen=True, slots=True)
class Twist:
    """How fast a person wants the end effector to move, as it came.

    Attributes:
        linear_m_s, angular_rad_s: Along and about the axes of `frame`, shape (3,) each [m/s, rad/s].
        stamp_s: When the person wanted it [s].
    """

    linear_m_s: FloatArray
    angular_rad_s: FloatArray
    frame: str
    stamp_s: float

    def __post_init__(self) -> None:
        for name in ("linear_m_s", "angular_rad_s"):
            value = frozen_array(getattr(self, name), shape=(3,), dtype=np.float64, name=name)
            object.__setattr__(self, name, value)

    @property
    def is_zero(self) -> bool:
        """Whether nothing is to move; a number that is not finite is no zero."""
        return not (self.linear_m_s.any() or self.angular_rad_s.any())

    @property
    def is_finite(self) -> bool:
        """Whether every number is one."""
        return bool(np.isfinite(self.linear_m_s).all() and np.isfinite(self.angular_rad_s).all())


def own_contract(arm: Arm, *, slack: float = 1.0) -> ActionContract:
    """What a person's actions mean where no policy has said what its own do; `slack` times the steps of `arm` count."""
    limits = arm.limits
    steps_itself = isinstance(arm.output, EeDeltaOutput)
    return ActionContract(
        embodiment=arm.name,
        frame=arm.frames.base,
        rotation_form="rotation_vector",
        gripper_polarity="open_is_one",
        reference="target",
        control_rate_hz=arm.command_rate_hz if steps_itself else min(RATE_HZ, arm.command_rate_hz),
        max_translation_m=slack * limits.max_translation_step_m,
        max_rotation_rad=slack * limits.max_rotation_step_rad,
        cameras=tuple(CameraSpec(camera.name, _PICTURE_PX, _PICTURE_PX) for camera in arm.topics.cameras),
    )


class Teleoperation:
    """Stands between the policy, a person and the supervisor: one of the two has the arm, and only that one is heard.

    A person takes the arm with a twist that is not zero or with a wish for the gripper, and gives it back by letting
    go: twists of zero for `release_s`. While a person has the arm, each control period the newest twist is offered to
    the supervisor as one action, which passes every check that a policy's does.

    A device has to rest before it moves anything: after the start, after a halt and after each silence a twist of zero
    has to come first. A device that falls silent while its person has the arm brings the arm to rest, and keeps it.

    Attributes:
        refused: Wishes that were dropped, by why.
    """

    def __init__(self, arm: Arm, supervisor: Supervisor, *, release_s: float) -> None:
        self._supervisor, self._own, self._release_s = supervisor, own_contract(arm, slack=_LONGEST_WISH), release_s
        self._timeout_s = arm.watch.policy_timeout_s
        self._steps_itself = isinstance(arm.output, EeDeltaOutput)
        self._acts = self._has_rested = False
        self._twist: Twist | None = None
        self._heard_s = self._wished_s = self._due_s = -math.inf
        self._answered_s = math.nan  # stamp of the pose after which the arm was told last
        self._opening: float | None = None  # what the gripper was last told
        self._next_contract: ActionContract | None = None
        self.refused: Counter[str] = Counter()

    @property
    def acts(self) -> bool:
        """Whether a person has the arm."""
        return self._acts

    # The policy's way to the supervisor

    def offer(self, action: Action, *, stamp_s: float, now_s: float, measured: StampedPose | Stop) -> SafeAction | Stop:
        """As `Supervisor.offer`, for an action of the policy; dropped while a person has the arm."""
        if self._acts:
            stop = Stop(StopReason.INTERVENTION, "a person has the arm")
            self._supervisor.refused[stop.reason.value] += 1
            return stop
        return self._pass(action, stamp_s=stamp_s, now_s=now_s, measured=measured)

    def policy_said(self, *, ended: Stop | None, now_s: float) -> None:
        """As `Supervisor.policy_said`; a policy that stops does not stop a person."""
        if not self._acts:
            self._supervisor.policy_said(ended=ended, now_s=now_s)

    def adopt(self, contract: ActionContract) -> None:
        """As `Supervisor.adopt`, once no person has the arm."""
        if self._acts:
            self._next_contract = contract
        else:
            self._supervisor.adopt(contract)

    # A person's way to the supervisor

    def wish(self, twist: Twist, *, now_s: float) -> None:
        """A twist came at `now_s` [s]; one that is too old is as good as silence."""
        if not -MAX_FUTURE_STAMP_S <= now_s - twist.stamp_s <= self._timeout_s:
            self.refused[STALE] += 1
            return
        self._twist, self._heard_s = twist, now_s
        if twist.is_zero:
            self._has_rested = True
        elif self._has_rested:
            self._take(now_s)
            if not twist.is_finite:
                self._due_s = now_s  # to be refused at once, not in its turn
        else:
            self.refused[NOT_AT_REST] += 1

    def wish_opening(self, opening: float, *, now_s: float) -> None:
        """A wish for the gripper came at `now_s` [s], 0 closed … 1 open."""
        if not 0.0 <= opening <= 1.0:
            self.refused[NO_OPENING] += 1
        elif not self._has_rested or self._silence(now_s):
            self.refused[NOT_AT_REST] += 1
        else:
            self._opening = opening
            self._take(now_s)

    def tick(self, now_s: float, *, state: Proprio | Stop, pose: StampedPose | Stop) -> SafeAction | Stop | None:
        """What became of the action that is due at `now_s` [s]; None when none is, or no person has the arm.

        Args:
            now_s: The present [s].
            state: What is measured, or why it is not known.
            pose: The end effector in it, with its time; same.
        """
        if self._supervisor.halted is not None:
            self._has_rested = False
        if not self._acts:
            return None
        silence = self._silence(now_s)
        if silence:
            self._has_rested = False
        elif not self._has_rested:
            silence = "the device has to rest first: let go of it"
        if silence:
            self._wished_s = now_s  # letting go counts from when the device is back
            self._supervisor.policy_said(ended=Stop(StopReason.TELEOP_SILENT, silence), now_s=now_s)
            return None
        self._supervisor.policy_said(ended=None, now_s=now_s)
        if now_s - self._wished_s > self._release_s:
            self._give_back()
            return None
        return self._act(now_s, state=state, pose=pose)

    def begin_afresh(self) -> None:
        """As `Supervisor.begin_afresh`; nobody has the arm."""
        self._forget()
        self._supervisor.begin_afresh()

    def reset(self) -> None:
        """As `Supervisor.reset`; nobody has the arm."""
        self._forget()
        self._supervisor.reset()

    def _take(self, now_s: float) -> None:
        self._wished_s = now_s
        if not self._acts:
            self._acts, self._due_s, self._answered_s = True, now_s, math.nan

    def _give_back(self) -> None:
        self._acts = False
        contract, self._next_contract = self._next_contract, None
        if contract is not None:
            self._supervisor.adopt(contract)

    def _forget(self) -> None:
        self._give_back()
        self._has_rested, self._twist, self._heard_s = False, None, -math.inf

    def _silence(self, now_s: float) -> str:
        """Why the device counts as silent; empty when it does not."""
        silent_s = now_s - self._heard_s
        return "" if 0.0 <= silent_s <= self._timeout_s else f"no twist was heard for {silent_s:.2f} s"

    def _act(self, now_s: float, *, state: Proprio | Stop, pose: StampedPose | Stop) -> SafeAction | Stop | None:
        twist = self._twist
        assert twist is not None
        if self._supervisor.contract is None:
            self._supervisor.adopt(self._own)
        period_s = (self._supervisor.contract or self._own).control_period_s
        early_s = _EARLY_SHARE * period_s if self._steps_itself else 0.0
        if early_s < self._due_s - now_s <= period_s + early_s or not self._is_new(pose):
            return None
        decision = self._pass(self._action(twist, period_s, state), stamp_s=now_s, now_s=now_s, measured=pose)
        if not (isinstance(decision, Stop) and decision.reason is StopReason.TOO_SOON):  # right after the policy's last
            is_in_time = -early_s <= now_s - self._due_s < period_s
            self._due_s = (self._due_s if is_in_time else now_s) + period_s
            self._answered_s = pose.stamp_s if isinstance(pose, StampedPose) else math.nan
        return decision

    def _is_new(self, pose: StampedPose | Stop) -> bool:
        """An arm that steps itself shows its pose after each step: an action just before that would race with it."""
        if not self._steps_itself or isinstance(pose, Stop):
            return True
        if math.isnan(self._answered_s):  # the first action waits for the next step
            self._answered_s = pose.stamp_s
        return pose.stamp_s != self._answered_s

    def _action(self, twist: Twist, period_s: float, state: Proprio | Stop) -> Action:
        """`twist` for one control period; the gripper stays where it was told to be, at first where it is."""
        if self._opening is None and isinstance(state, Proprio):
            self._opening = state.gripper_opening
        opening = 0.0 if self._opening is None else self._opening  # without a measured state nothing passes
        return Action(period_s * twist.linear_m_s, period_s * twist.angular_rad_s, opening, twist.frame)

    def _pass(self, action: Action, *, stamp_s: float, now_s: float, measured: StampedPose | Stop) -> SafeAction | Stop:
        decision = self._supervisor.offer(action, stamp_s=stamp_s, now_s=now_s, measured=measured)
        if isinstance(decision, SafeAction):
            self._opening = decision.action.gripper_opening
        return decision
