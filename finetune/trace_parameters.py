"""What decides which points of a clip become marks and traces: Magma's values for three kinds of video."""

from __future__ import annotations

from dataclasses import dataclass

from magma_ros.errors import InvalidInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceParameters:
    """Parameters of `traces.trace_of_mark`; pixels are those of the tracked frames, cells those of a 256 x 256 grid.

    Attributes:
        grid_size: Points along each side that are tracked.
        start_share: The marked frame is drawn from those before this share of all motion is over; 0 takes the first.
        num_history: Most earlier frames that are drawn to be shown before the marked one.
        skip_share: Share of clips that get no mark.
        visible_share: Points seen in no more than this share of the frames from the marked one on are dropped.
        moving_step_px: A point moves if its mean step is longer.
        moving_share: The camera moves if more than this share of the points do.
        assume_moving: Compensate whatever the test says.
        reprojection_px: See `camera_motion.homographies`.
        foreground_step_px: A point is foreground if its mean step is longer.
        split_before: Measure that step before the camera's motion is taken out, not after.
        foreground_marks, background_marks: Fewest and most marks on each.
        static_cells: Positions closer than this to the last one are left out of a trace; 0 keeps all.
        min_length_share: A trace needs more positions than this share of the steps.
        min_speed_cells: And at least this mean step, those that are left out included.
    """

    grid_size: int
    start_share: float = 0.0
    num_history: int = 0
    skip_share: float = 0.0
    visible_share: float = 0.5
    moving_step_px: float = 1.0
    moving_share: float = 0.8
    assume_moving: bool = False
    reprojection_px: float = 4.0
    foreground_step_px: float
    split_before: bool = False
    foreground_marks: tuple[int, int]
    background_marks: tuple[int, int]
    static_cells: float = 2.0
    min_length_share: float = 0.0
    min_speed_cells: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.start_share, self.skip_share, self.visible_share, self.moving_share, self.min_length_share)
        if not all(0.0 <= share <= 1.0 for share in shares):
            raise InvalidInputError(f"expected shares within 0 … 1, got {self}")
        if not all(1 <= fewest <= most for fewest, most in (self.foreground_marks, self.background_marks)):
            raise InvalidInputError(f"expected at least one mark, and no more fewest than most, got {self}")


DEMO = TraceParameters(
    grid_size=15,
    moving_step_px=0.5,
    foreground_step_px=2.0,
    split_before=True,
    foreground_marks=(2, 5),
    background_marks=(6, 14),
    static_cells=0.0,
)
"""Upstream's demonstration, whose videos are 512 px high."""
HUMAN_VIDEO = TraceParameters(
    grid_size=32,
    start_share=0.5,
    num_history=3,
    skip_share=0.2,
    assume_moving=True,
    foreground_step_px=3.0,
    foreground_marks=(2, 5),
    background_marks=(6, 14),
    min_length_share=0.25,
    min_speed_cells=2.0,
)
"""Videos of people, filmed by head cameras (Ego4D, Epic-Kitchens, Something-Something)."""
ROBOT = TraceParameters(
    grid_size=16,
    foreground_step_px=1.0,
    foreground_marks=(2, 4),
    background_marks=(4, 9),
    min_speed_cells=1.0,
)
"""Demonstrations of robots, mostly before a still camera."""
