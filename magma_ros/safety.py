"""Limits in physical units between a policy and an arm, checked on every tick; every doubt ends in `Stop`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from magma_ros.contract import ActionContract
from magma_ros.errors import ContractError
from magma_ros.stops import Stop, StopReason
from magma_ros.types import Action, FloatArray, SafeAction

MAX_FUTURE_STAMP_S = 0.1
"""A picture may be stamped this much later than now (clocks of two machines) [s]."""

GRIPPER_SLACK = 0.05
"""How far outside 0 … 1 a gripper goal may be and still be clipped."""

_CONTRACT_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class SafetyLimits:
    """What an arm may be told in one control step.

    Attributes:
        max_translation_step_m, max_rotation_step_rad: Longer steps are shortened to this, keeping their direction.
        max_observation_age_s: An older picture stops the arm [s].
        max_step_change_m: Longest difference between two successive translations, the first one against rest [m].
        workspace_min_m, workspace_max_m: Corners of the box that the end effector may move in, in `workspace_frame`
            [m]; None for no box.
        workspace_margin_m: Beyond this outside the box, an action that leads further out stops the arm [m].
        workspace_frame: Frame of the box; the contract's displacement must use it too.
        table_height_m: The end effector goes no lower, whatever the box says [m]; None for no table.
        entropy_slow_nats, entropy_hold_nats: A mean entropy of the action's tokens above the first halves its
            displacement, above the second stops the arm [nat].
    """

    max_translation_step_m: float
    max_rotation_step_rad: float
    max_observation_age_s: float
    max_step_change_m: float
    workspace_min_m: tuple[float, float, float] | None = None
    workspace_max_m: tuple[float, float, float] | None = None
    workspace_margin_m: float = 0.02
    workspace_frame: str = "base_link"
    table_height_m: float | None = None
    entropy_slow_nats: float = math.inf
    entropy_hold_nats: float = math.inf

    def __post_init__(self) -> None:
        for name in [field.name for field in fields(self) if field.name.startswith("max_")]:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ContractError(f"{name}: expected a finite number above zero, got {value!r}")
        if not (math.isfinite(self.workspace_margin_m) and self.workspace_margin_m >= 0):
            raise ContractError(f"workspace_margin_m: expected zero or more, got {self.workspace_margin_m!r}")
        low, high = self.workspace_min_m, self.workspace_max_m
        if (low is None) != (high is None):
            raise ContractError("workspace: expected both corners or none")
        if low is not None and high is not None:
            finite = all(math.isfinite(value) for value in (*low, *high))
            if len(low) != 3 or len(high) != 3 or not finite or any(a >= b for a, b in zip(low, high, strict=True)):
                raise ContractError(f"workspace: expected min below max on three axes, got {low} and {high}")
        if self.table_height_m is not None and not math.isfinite(self.table_height_m):
            raise ContractError(f"table_height_m: expected a finite number or None, got {self.table_height_m!r}")
        if not 0 < self.entropy_slow_nats <= self.entropy_hold_nats:
            raise ContractError(
                f"entropy: expected 0 < slow <= hold, got {self.entropy_slow_nats} and {self.entropy_hold_nats}"
            )


class SafetyFilter:
    """Passes, shortens or stops actions; remembers the last translation that the arm was given."""

    def __init__(self, limits: SafetyLimits, contract: ActionContract) -> None:
        """Filter actions of `contract` by `limits`.

        Raises:
            ContractError: workspace or table is in another frame than the actions.
        """
        is_placed = limits.workspace_min_m is not None or limits.table_height_m is not None
        if is_placed and limits.workspace_frame != contract.frame:
            raise ContractError(
                f"workspace: given in {limits.workspace_frame!r}, but actions are in {contract.frame!r}; "
                "expected one frame"
            )
        self.limits = limits
        self.contract = contract
        self._lowest_m, self._highest_m = _bounds(limits)
        self._previous_m: FloatArray | None = None

    def reset(self) -> None:
        """The arm is at rest."""
        self._previous_m = None

    def check_age(self, stamp_s: float, now_s: float) -> Stop | None:
        """Why nothing may be done on a picture of `stamp_s` at `now_s` [s, one clock]; None when it is fresh."""
        age_s = now_s - stamp_s
        if not math.isfinite(age_s):
            return Stop(StopReason.NON_FINITE, f"observation stamped {stamp_s} s at {now_s} s")
        if age_s > self.limits.max_observation_age_s:
            limit = self.limits.max_observation_age_s
            return Stop(StopReason.STALE_OBSERVATION, f"observation is {age_s:.3f} s old, allowed {limit} s")
        if age_s < -MAX_FUTURE_STAMP_S:
            return Stop(StopReason.STALE_OBSERVATION, f"observation is stamped {-age_s:.3f} s in the future")
        return None

    def filter(
        self,
        action: Action,
        *,
        stamp_s: float,
        now_s: float,
        ee_position_m: FloatArray | None,
        base_m: FloatArray | None = None,
        entropy_nats: float = 0.0,
    ) -> SafeAction | Stop:
        """`action` within the limits, or why the arm must hold still.

        Args:
            action: What the policy wants, in the contract's frame.
            stamp_s: Capture time of the picture that it answers [s].
            now_s: The present, in the clock of `stamp_s` [s].
            ee_position_m: Measured end effector in the same frame, shape (3,) [m]; needed if there is a workspace or
                a table.
            base_m: What the displacement is added to in the same frame, shape (3,) [m], where that is not the measured
                end effector but a goal that it is still on its way to; neither is led out of the workspace.
            entropy_nats: Mean over the tokens of the answer that the action is from [nat]; 0 when not known.
        """
        verdict = (
            self.check_age(stamp_s, now_s)
            or self.check_action(action)
            or self._check_entropy(entropy_nats)
            or self.check_place(ee_position_m, direction=action.translation_m)
        )
        if verdict is None:
            limited = self._limit(action, ee_position_m, base_m, entropy_nats)
            verdict = self._check_change(limited.action)
            if verdict is None:
                self._previous_m = limited.action.translation_m
                return limited
        self.reset()
        return verdict

    def check_action(self, action: Action) -> Stop | None:
        """Why `action` is none of the contract's, wherever the arm is; None when it is one."""
        values = action.to_array()
        if not np.isfinite(values).all():
            return Stop(StopReason.NON_FINITE, f"action {values.tolist()}")
        if action.frame != self.contract.frame:
            detail = f"expected frame {self.contract.frame!r}, got {action.frame[:64]!r}"
            return Stop(StopReason.WRONG_FRAME, detail)
        for name, vector, longest in (
            ("translation_m", action.translation_m, self.contract.max_translation_m),
            ("rotation_vector_rad", action.rotation_vector_rad, self.contract.max_rotation_rad),
        ):
            if not np.linalg.norm(vector) <= longest * (1.0 + _CONTRACT_SLACK):
                detail = f"{name}: length {np.linalg.norm(vector):.4g}, the contract allows {longest}"
                return Stop(StopReason.OUT_OF_CONTRACT, detail)
        if not -GRIPPER_SLACK <= action.gripper_opening <= 1.0 + GRIPPER_SLACK:
            return Stop(StopReason.OUT_OF_CONTRACT, f"gripper_opening {action.gripper_opening:.4g}, expected 0 to 1")
        return None

    def _check_entropy(self, entropy_nats: float) -> Stop | None:
        hold = self.limits.entropy_hold_nats
        if entropy_nats <= hold:
            return None
        return Stop(StopReason.HIGH_ENTROPY, f"the action's tokens have {entropy_nats:.2f} nat each, allowed {hold}")

    def check_place(self, position: FloatArray | None, *, direction: FloatArray) -> Stop | None:
        """Why nothing may move along `direction`, shape (3,), from the measured `position` [m]; None when it may."""
        low, high, margin = self._lowest_m, self._highest_m, self.limits.workspace_margin_m
        if not (np.isfinite(low).any() or np.isfinite(high).any()):
            return None
        if position is None:
            return Stop(StopReason.NO_PROPRIO, "a workspace is set, but nothing measures the end effector")
        if not np.isfinite(position).all():
            return Stop(StopReason.NON_FINITE, f"measured end effector at {position.tolist()}")
        table_m = self.limits.table_height_m
        if table_m is not None and position[2] < table_m - margin and direction[2] <= 0:
            return Stop(StopReason.BELOW_TABLE, f"end effector at {position[2]:.4f} m, the table's top at {table_m} m")
        below = (position < low - margin) & (direction < 0)
        above = (position > high + margin) & (direction > 0)
        if (below | above).any():
            detail = f"end effector at {position.round(4).tolist()} m leaves the box further"
            return Stop(StopReason.OUTSIDE_WORKSPACE, detail)
        return None

    def _check_change(self, action: Action) -> Stop | None:
        starts = self._previous_m is None
        previous = np.zeros(3) if self._previous_m is None else self._previous_m
        change_m, allowed_m = float(np.linalg.norm(action.translation_m - previous)), self.limits.max_step_change_m
        if change_m <= allowed_m:
            return None
        if starts:
            return Stop(StopReason.START_JUMP, f"the first step from rest is {change_m:.4g} m, allowed {allowed_m}")
        detail = f"translation changes by {change_m:.4g} m in one step, allowed {allowed_m}"
        return Stop(StopReason.DISCONTINUITY, detail)

    def _limit(
        self, action: Action, position: FloatArray | None, base: FloatArray | None, entropy_nats: float
    ) -> SafeAction:
        limited_by = []
        translation, rotation = action.translation_m, action.rotation_vector_rad
        if entropy_nats > self.limits.entropy_slow_nats:
            limited_by.append("entropy")
            translation, rotation = 0.5 * translation, 0.5 * rotation
        translation, shortened = _shorten(translation, self.limits.max_translation_step_m)
        if shortened:
            limited_by.append("translation_step")
        rotation, shortened = _shorten(rotation, self.limits.max_rotation_step_rad)
        if shortened:
            limited_by.append("rotation_step")
        if position is not None:
            places = np.array([position, position if base is None else base])
            inside = _keep_inside(translation, places, self._lowest_m, self._highest_m)
            if not np.array_equal(inside, translation):
                limited_by.append("workspace")
                translation = inside
        opening = min(1.0, max(0.0, action.gripper_opening))
        return SafeAction(Action(translation, rotation, opening, action.frame), tuple(limited_by))


def _bounds(limits: SafetyLimits) -> tuple[FloatArray, FloatArray]:
    """Corners of where the end effector may be, infinite where nothing bounds it; the table is a floor."""
    low = np.full(3, -np.inf) if limits.workspace_min_m is None else np.array(limits.workspace_min_m)
    high = np.full(3, np.inf) if limits.workspace_max_m is None else np.array(limits.workspace_max_m)
    if limits.table_height_m is not None:
        low[2] = max(low[2], limits.table_height_m)
    return low, high


def _shorten(vector: FloatArray, longest: float) -> tuple[FloatArray, bool]:
    length = float(np.linalg.norm(vector))
    return (vector, False) if length <= longest else (vector * (longest / length), True)


def _keep_inside(translation: FloatArray, places: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """`translation`, each component cut where it would take one of `places` through a wall; never turned around."""
    room_below, room_above = np.minimum(low - places.min(axis=0), 0.0), np.maximum(high - places.max(axis=0), 0.0)
    return np.clip(translation, room_below, room_above)
