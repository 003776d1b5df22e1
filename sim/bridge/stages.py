"""Where the arm stands and looks from: SimplerEnv's flat table and its sink, as data and as MJCF text.

World frame, metres, quaternions (w, x, y, z); the arm's base is turned by half a turn, so that it reaches along -x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from magma_ros.sim.bridge.arm import HOME_JOINTS_RAD, SINK_HOME_JOINTS_RAD

TABLE_TOP_M = 0.8685
BASE_POSITION_M = (0.147, 0.028, 0.870)
BASE_QUAT_WXYZ = (0.0, 0.0, 0.0, 1.0)
SOLID = 'friction="0.5 0.005 0.0001"'
HIDDEN = 'rgba="0 0 0 0"'


@dataclass(frozen=True, slots=True)
class Area:
    """A level rectangle that things may stand on, clear of source, target and the arm's way.

    Attributes:
        low_m, high_m: Its corners, x and y [m].
        height_m: [m]
    """

    low_m: tuple[float, float]
    high_m: tuple[float, float]
    height_m: float


@dataclass(frozen=True, slots=True)
class Stage:
    """A place to work at.

    Attributes:
        base_position_m: Of the arm.
        home_joints_rad: Of the arm when a trial begins.
        camera_position_m, camera_sapien_quat_wxyz: In the base frame; SAPIEN's axes: x forward, y left, z up.
        bench_m: Height of the surface that the arm stands on.
        source_floor_m, target_floor_m: Heights of what source and target stand on when a trial begins.
        obstacle_top_m: What is carried from source to target must be lifted over this height.
        spare: Where other things may stand.
        fixtures: MJCF of what is built in.
    """

    base_position_m: tuple[float, float, float]
    home_joints_rad: tuple[float, ...]
    camera_position_m: tuple[float, float, float]
    camera_sapien_quat_wxyz: tuple[float, float, float, float]
    bench_m: float
    source_floor_m: float
    target_floor_m: float
    obstacle_top_m: float
    spare: tuple[Area, ...]
    fixtures: str = ""


def box(low: tuple[float, float, float], high: tuple[float, float, float], look: str, *, bits: str = "1") -> str:
    """A solid box between two corners; `look` is its material or colour as MJCF attributes."""
    lows, highs = np.array(low), np.array(high)
    size, middle = (" ".join(f"{v:.6f}" for v in values) for values in ((highs - lows) / 2, (highs + lows) / 2))
    return f'<geom type="box" size="{size}" pos="{middle}" contype="{bits}" conaffinity="0" {SOLID} {look}/>'


SINK_FLOOR_M = 0.921
BASKET_FLOOR_M = 0.928
BASKET_TOP_M = 0.98


def _sink() -> str:
    """A steel sink let into a worktop: a bowl, beside it the lower place where the basket stands, a ledge behind.

    Measured on the collision mesh of SimplerEnv's sink, which stands at (-0.16, 0.13, 0.88).
    """
    back, bowl_back, bowl_front, front = -0.2945, -0.216, -0.056, -0.0255
    right, basket_right, strip_right, strip_left, bowl_left, left = -0.0665, -0.032, 0.095, 0.12, 0.285, 0.3265
    low, rim, ledge, strip, board = 0.84, 0.975, 0.99, 0.942, 0.012
    borders = (
        ((back, right), (bowl_back, left), ledge),
        ((bowl_front, right), (front, left), rim),
        ((bowl_back, right), (bowl_front, basket_right), rim),
        ((bowl_back, bowl_left), (bowl_front, left), rim),
    )
    floors = (
        ((bowl_back, strip_right), (bowl_front, strip_left), strip),
        ((bowl_back, strip_left), (bowl_front, bowl_left), SINK_FLOOR_M),
        ((bowl_back, basket_right), (bowl_front, strip_right), SINK_FLOOR_M),
    )
    basin = [*floors, *((lows, highs, top - board) for lows, highs, top in borders)]
    return "".join(
        (
            *(box((*lows, low), (*highs, top), 'material="steel"') for lows, highs, top in basin),
            *(box((*lows, top - board), (*highs, top), 'material="worktop"') for lows, highs, top in borders),
        )
    )


TABLE = Stage(
    base_position_m=BASE_POSITION_M,
    home_joints_rad=HOME_JOINTS_RAD,
    camera_position_m=(0.0, -0.16, 0.36),
    camera_sapien_quat_wxyz=(0.8992917, -0.09263245, 0.35892478, 0.23209205),
    bench_m=TABLE_TOP_M,
    source_floor_m=TABLE_TOP_M,
    target_floor_m=TABLE_TOP_M,
    obstacle_top_m=TABLE_TOP_M,
    spare=(
        Area((-0.46, -0.22), (-0.35, 0.22), TABLE_TOP_M),
        Area((-0.34, -0.27), (-0.05, -0.20), TABLE_TOP_M),
    ),
)
SINK = Stage(
    base_position_m=(0.127, 0.060, 0.850),
    home_joints_rad=SINK_HOME_JOINTS_RAD,
    camera_position_m=(-0.00300001, -0.21, 0.39),
    camera_sapien_quat_wxyz=(-0.907313, 0.0782, -0.36434, -0.194741),
    bench_m=0.8485,
    source_floor_m=SINK_FLOOR_M,
    target_floor_m=BASKET_FLOOR_M,
    obstacle_top_m=BASKET_TOP_M,
    spare=(Area((-0.26, -0.04), (-0.25, 0.29), 0.99),),
    fixtures=_sink(),
)
