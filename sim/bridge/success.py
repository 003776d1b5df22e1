"""SimplerEnv's rules on a state of the world: success, grasped and moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from magma_ros.types import FloatArray

XY_SLACK_M = 0.003
MOVED_DISTANCE_M = 0.03
CONSECUTIVE_GRASP_STEPS = 5
MIN_GRASP_FORCE_N = 0.5
FINGER_BODIES = frozenset({"left_finger_link", "right_finger_link"})
"""The parts of the robot that touch anything."""


@dataclass(frozen=True, slots=True)
class Contacts:
    """What the source touches now: names of bodies, and the normal force on each finger pad [N]."""

    bodies: frozenset[str]
    left_force_n: float
    right_force_n: float

    @property
    def grasped(self) -> bool:
        """Both pads press on the source."""
        return min(self.left_force_n, self.right_force_n) >= MIN_GRASP_FORCE_N


@dataclass(frozen=True, slots=True)
class SuccessRule:
    """When the source counts as put where it shall be.

    Attributes:
        completely: "full" in SimplerEnv: it touches the target, and nothing else but the robot.
        z_slack_m: How far above resting on the target its centre may be [m].
    """

    completely: bool
    z_slack_m: float = 0.02

    def is_on_target(self, offset_m: FloatArray, source_half_m: FloatArray, target_half_m: FloatArray) -> bool:
        """The source's centre is over the target and just above it.

        Args:
            offset_m: From the target's centre to the source's, the third upwards, shape (3,) [m].
            source_half_m: Half sizes of the box around the source, shape (3,) [m].
            target_half_m: The same of the target.
        """
        xy_limit = float(np.linalg.norm(target_half_m[:2])) + XY_SLACK_M
        z_limit = source_half_m[2] + target_half_m[2] + self.z_slack_m
        return bool(np.linalg.norm(offset_m[:2]) <= xy_limit and 0.0 < offset_m[2] <= z_limit)

    def allows(self, contacts: Contacts, *, target: str) -> bool:
        """What the source touches is no obstacle to success."""
        return not self.completely or contacts.bodies - FINGER_BODIES == {target}


def has_moved(start_position_m: FloatArray, position_m: FloatArray) -> bool:
    """The source is more than 3 cm from where it began."""
    return bool(np.linalg.norm(position_m - start_position_m) > MOVED_DISTANCE_M)
