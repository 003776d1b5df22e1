"""The topic motion_status: what the arm is told, and why it holds when it does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rclpy.node import Node

from magma_ros.msg import MotionStatus
from magma_ros.ros.conversions import seconds
from magma_ros.ros.interface import MOTION_STATUS
from magma_ros.stops import Stop
from magma_ros.supervision import Command, MotionState, Supervisor

_PERIOD_S = 0.1
_STATES = {
    MotionState.HOLDING: MotionStatus.HOLDING,
    MotionState.MOVING: MotionStatus.MOVING,
    MotionState.HALTED: MotionStatus.HALTED,
}


class MotionReporter:
    """Publishes `MotionStatus` when state, reason or actor change, and ten times a second."""

    def __init__(self, node: Node, *, base_frame: str, dry_run: bool, person_acts: Callable[[], bool]) -> None:
        """Report on `node`; `person_acts` tells whether a person has the arm."""
        self._clock, self._logger = node.get_clock(), node.get_logger()
        self._frame, self._dry_run, self._person_acts = base_frame, dry_run, person_acts
        self._publisher = MOTION_STATUS.publisher(node)
        self._last = (-1, "", -1)
        self._published_s = 0.0

    def inactive(self, supervisor: Supervisor) -> None:
        """Nothing is commanded; a halt is kept for later."""
        state = MotionStatus.INACTIVE if supervisor.halted is None else MotionStatus.HALTED
        self._publish(MotionStatus(state=state), supervisor.halted, supervisor)

    def commanded(self, command: Command, supervisor: Supervisor) -> None:
        """One tick was commanded."""
        status, setpoint = MotionStatus(state=_STATES[command.state]), command.setpoint
        if setpoint is not None:
            status.speed_m_s = float(np.linalg.norm(setpoint.linear_velocity_m_s))
            status.speed_rad_s = float(np.linalg.norm(setpoint.angular_velocity_rad_s))
            status.dropped_m, status.dropped_rad = setpoint.dropped_m, setpoint.dropped_rad
        self._publish(status, command.stop, supervisor)

    def _publish(self, status: MotionStatus, stop: Stop | None, supervisor: Supervisor) -> None:
        now = self._clock.now().to_msg()
        status.reason, status.detail = ("", "") if stop is None else (stop.reason.value, stop.detail)
        status.actor = MotionStatus.PERSON if self._person_acts() else MotionStatus.POLICY
        news = (status.state, status.reason, status.actor)
        if news == self._last and 0 <= seconds(now) - self._published_s < _PERIOD_S:
            return
        if news[:2] != self._last[:2] and stop is not None:
            self._logger.warning(f"{stop.reason.value}: {stop.detail}")  # noqa: G004  rclpy formats nothing itself
        self._last, self._published_s = news, seconds(now)
        status.header.stamp, status.header.frame_id, status.dry_run = now, self._frame, self._dry_run
        status.num_taken, status.num_refused = supervisor.num_taken, supervisor.refused.total()
        self._publisher.publish(status)
