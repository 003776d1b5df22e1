"""Between a command topic and an arm: every command is checked, used at most once, and dropped when it is late."""

from __future__ import annotations

import math

import numpy as np

from magma_ros.contract import ActionContract
from magma_ros.types import Action


class CommandGate:
    """Holds the newest command that may still move the arm."""

    def __init__(self, contract: ActionContract, *, max_age_s: float) -> None:
        """Let commands of `contract` through that answer a picture of at most `max_age_s` ago [s]."""
        self._contract = contract
        self._max_age_s = max_age_s
        self._pending: tuple[Action, float] | None = None
        self._newest_stamp_s = self._last_change_s = -math.inf

    def offer(self, action: Action, *, stamp_s: float) -> str:
        """Why `action`, answering the picture of `stamp_s` [s], is refused; empty when it waits for the next tick."""
        refusal = self._fault(action, stamp_s)
        if not refusal:
            self._pending, self._newest_stamp_s = (action, stamp_s), stamp_s
        return refusal

    def take(self, now_s: float) -> tuple[Action | None, str]:
        """The waiting command, once, and why one was dropped, empty when none was; `now_s` in the stamps' clock [s]."""
        pending, self._pending = self._pending, None
        if pending is None:
            return None, ""
        action, stamp_s = pending
        age_s = now_s - stamp_s
        if not 0 <= age_s <= self._max_age_s:
            return None, f"stale: it answers a picture of {age_s:.3f} s ago, allowed are 0 to {self._max_age_s:.3f} s"
        self._last_change_s = now_s
        return action, ""

    def clear(self, now_s: float) -> None:
        """Forget the waiting command, and refuse answers to pictures of before `now_s`, in the stamps' clock [s]."""
        self._pending, self._last_change_s = None, now_s

    def _fault(self, action: Action, stamp_s: float) -> str:
        contract, values = self._contract, action.to_array()
        if not (np.isfinite(values).all() and math.isfinite(stamp_s)):
            return "non-finite: expected seven finite numbers"
        if action.frame != contract.frame:
            return f"wrong frame: expected {contract.frame!r}, got {action.frame[:64]!r}"
        length_m, angle_rad = np.linalg.norm(values[:3]), np.linalg.norm(values[3:6])
        if length_m > contract.max_translation_m or angle_rad > contract.max_rotation_rad:
            return (
                f"too long: at most {contract.max_translation_m} m and {contract.max_rotation_rad} rad a step, "
                f"got {length_m:.4f} m and {angle_rad:.4f} rad"
            )
        if not 0 <= action.gripper_opening <= 1:
            return f"gripper: expected an opening from 0 to 1, got {action.gripper_opening}"
        return self._untimely(stamp_s)

    def _untimely(self, stamp_s: float) -> str:
        if stamp_s <= self._newest_stamp_s:
            return "repeated: it answers the same picture as an earlier command, or an older one"
        if stamp_s < self._last_change_s:
            return "outdated: it answers a picture from before the arm's last motion or reset"
        return ""
