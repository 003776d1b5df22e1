"""How far the tool went from where a policy saw it going: executed against predicted trace, in pixels."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from magma_ros.errors import InvalidInputError
from magma_ros.types import FloatArray, frozen_array

MAX_PLACES = 4096
"""Measured places that a path remembers: more than a minute at 50 a second."""


class ToolPath:
    """Where the tool was in a camera's picture, newest places only."""

    def __init__(self) -> None:
        """Nothing was measured."""
        self._places: deque[tuple[float, float, float]] = deque(maxlen=MAX_PLACES)

    def add(self, stamp_s: float, place_px: ArrayLike) -> None:
        """The tool was at `place_px` (2,) [px] at `stamp_s` [s]; what is not newer than the last place is left out."""
        x_px, y_px = np.asarray(place_px, dtype=np.float64).tolist()
        if np.isfinite((x_px, y_px)).all() and (not self._places or stamp_s > self._places[-1][0]):
            self._places.append((stamp_s, x_px, y_px))

    def clear(self) -> None:
        """Forget everything."""
        self._places.clear()

    @property
    def newest_s(self) -> float:
        """When the newest place was measured [s]; minus infinity before there is one."""
        return self._places[-1][0] if self._places else float("-inf")

    def at(self, stamps_s: ArrayLike) -> FloatArray | None:
        """Places (n, 2) at `stamps_s` (n,), between two measurements on the line; None unless all lie within them."""
        stamps = np.atleast_1d(np.asarray(stamps_s, dtype=np.float64))
        if not self._places or stamps.min() < self._places[0][0] or stamps.max() > self._places[-1][0]:
            return None
        known = np.array(self._places)
        return np.stack([np.interp(stamps, known[:, 0], known[:, column]) for column in (1, 2)], axis=1)


@dataclass(frozen=True, slots=True)
class PredictedPath:
    """Where the tool was seen going.

    Attributes:
        points_px: Where it was, then where it would be after each step, shape (num_steps + 1, 2) [px].
        began_s: When the picture was taken [s].
        step_s: Time between two points [s].
    """

    points_px: FloatArray
    began_s: float
    step_s: float

    def __post_init__(self) -> None:
        points = frozen_array(self.points_px, shape=(-1, 2), dtype=np.float64, name="points_px")
        if len(points) < 2 or not np.isfinite(points).all():
            raise InvalidInputError(f"points_px: expected at least two finite places, got {points.tolist()}")
        object.__setattr__(self, "points_px", points)

    @property
    def ends_s(self) -> float:
        """When the last point is due [s]."""
        return self.began_s + (len(self.points_px) - 1) * self.step_s

    def divergence_px(self, executed: ToolPath) -> float | None:
        """Mean distance of the places at the times of the points from these [px]; None until all were measured.

        The start is left out: it was given, not predicted.
        """
        places = executed.at(self.began_s + self.step_s * np.arange(1, len(self.points_px)))
        if places is None:
            return None
        return float(np.linalg.norm(places - self.points_px[1:], axis=1).mean())
