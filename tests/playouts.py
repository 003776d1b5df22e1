"""A playout with round limits, and what is done with it over and over."""

from __future__ import annotations

import dataclasses

import numpy as np

from magma_ros.playout import Playout, PlayoutLimits, Setpoint
from magma_ros.types import Action, Pose

PERIOD_S = 0.2
LIMITS = PlayoutLimits(
    max_speed_m_s=0.4,
    max_acceleration_m_s2=4.0,
    max_jerk_m_s3=60.0,
    max_speed_rad_s=3.0,
    max_acceleration_rad_s2=30.0,
    max_jerk_rad_s3=400.0,
    max_lag_m=0.02,
    max_lag_rad=0.2,
    expiry_s=0.3,
)
SLOW = dataclasses.replace(
    LIMITS, max_acceleration_m_s2=0.5, max_jerk_m_s3=3.0, max_acceleration_rad_s2=2.0, max_jerk_rad_s3=12.0
)
HOME = Pose(np.array([0.3, 0.0, 0.2]), np.array([0.5, -0.5, 0.5, 0.5]))
STEP = np.array([0.01, -0.005, 0.0, 0.05, 0.0, -0.03, 1.0])


def make_action(row: np.ndarray = STEP, *, frame: str = "base_link") -> Action:
    return Action.from_array(row, frame=frame)


def make_playout(limits: PlayoutLimits = LIMITS, **changes: object) -> Playout:
    playout = Playout(limits, **{"frame": "base_link", "control_period_s": PERIOD_S, **changes})
    playout.begin(HOME, 0.0)
    return playout


def run(playout: Playout, start_s: float, end_s: float, **options: object) -> Setpoint:
    for now_s in np.arange(start_s, end_s, 0.02):
        setpoint = playout.tick(float(now_s), **options)
    return setpoint
