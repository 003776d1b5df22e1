"""Measured values at the times when pictures were taken: interpolated between samples, exact where a sample is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation, Slerp

from magma_ros.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Samples at increasing times.

    Attributes:
        times_s: Shape (n,), n at least 1 [s].
        values: Shape (n, k).
    """

    times_s: FloatArray
    values: FloatArray

    @classmethod
    def of(cls, times_s: ArrayLike, values: ArrayLike) -> Series:
        """The samples in the order of their times; of several at one time the first."""
        times, rows = np.asarray(times_s, np.float64), np.asarray(values, np.float64)
        kept, first = np.unique(times, return_index=True)
        return cls(kept, rows[first].reshape(len(kept), -1))

    def covers(self, wanted_s: FloatArray, *, max_gap_s: float) -> NDArray[np.bool_]:
        """Which of the times have a sample, or lie between two that are at most `max_gap_s` apart, (m,)."""
        after = np.searchsorted(self.times_s, wanted_s)
        last = len(self.times_s) - 1
        hit = self.times_s[np.minimum(after, last)] == wanted_s
        between = (after > 0) & (after <= last)
        gaps = self.times_s[np.minimum(after, last)] - self.times_s[np.maximum(after - 1, 0)]
        return np.asarray(hit | (between & (gaps <= max_gap_s)))

    def at(self, wanted_s: FloatArray) -> FloatArray:
        """Values at covered times, linear between samples, (m, k)."""
        columns = [np.interp(wanted_s, self.times_s, column) for column in self.values.T]
        return self._with_samples(wanted_s, np.stack(columns, axis=1))

    def quats_at(self, wanted_s: FloatArray) -> FloatArray:
        """Orientations at covered times, on the shortest turn between samples, (m, 4) xyzw, as `values` are."""
        if len(self.times_s) == 1:
            return np.repeat(self.values, len(wanted_s), axis=0)
        turned = Slerp(self.times_s, Rotation.from_quat(self.values))(
            np.clip(wanted_s, self.times_s[0], self.times_s[-1])
        )
        return self._with_samples(wanted_s, np.asarray(turned.as_quat()))

    def _with_samples(self, wanted_s: FloatArray, values: FloatArray) -> FloatArray:
        """`values`, with the samples themselves, to the bit, at their times."""
        index = np.minimum(np.searchsorted(self.times_s, wanted_s), len(self.times_s) - 1)
        hit = self.times_s[index] == wanted_s
        return np.where(hit[:, None], self.values[index], values)
