"""What every reader of a foreign format hands on: an episode's numbers and pictures as they were recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from magma_ros.errors import ImportDataError
from magma_ros.types import FloatArray, ImageArray


@dataclass(frozen=True, slots=True, eq=False)
class ForeignEpisode:
    """T rows, in the units and conventions of whoever recorded them.

    Attributes:
        numbers: Feature → its values, (T, n) float64.
        pictures: Feature → (T, height, width, 3) uint8 RGB.
        instruction: The sentence that was recorded; empty where there is none.
        seed: Number of the episode in its source.
        stamps_s: Capture times (T,) [s], or None where the format has none.
    """

    numbers: Mapping[str, FloatArray]
    pictures: Mapping[str, ImageArray]
    instruction: str
    seed: int
    stamps_s: FloatArray | None = None

    def number(self, feature: str) -> FloatArray:
        """The values of `feature`, (T, n).

        Raises:
            ImportDataError: there is no such feature.
        """
        if feature not in self.numbers:
            raise ImportDataError(f"feature: expected one of {sorted(self.numbers)}, got {feature!r}")
        return self.numbers[feature]


class ForeignEpisodes(Protocol):
    """Recorded episodes in one foreign format."""

    @property
    def rate_hz(self) -> float | None:
        """Rows per second as the source itself says; None where it doesn't."""
        ...

    @property
    def origin(self) -> Mapping[str, Any]:
        """Where they come from, as plain JSON."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int, *, features: Collection[str]) -> ForeignEpisode:
        """Episode `index`, with at least these features: pictures that are not among them are not decoded.

        Raises:
            ImportDataError: it is damaged, or a feature is not there.
        """
        ...
