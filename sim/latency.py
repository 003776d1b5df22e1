"""How long a policy thinks in a simulated trial: constant, jittered, or drawn from what was measured on a robot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from magma_ros.errors import EnvError
from magma_ros.json_files import read_object
from magma_ros.telemetry import LONGEST_S


class Latency(Protocol):
    """Times from a picture to the action that follows from it [s]."""

    def draw(self, generator: np.random.Generator) -> float:
        """The next one, at least 0 [s]."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, for reports."""
        ...


@dataclass(frozen=True, slots=True)
class UniformLatency:
    """Anything from `low_s` to `high_s` [s] is as likely; the same number twice is a constant latency."""

    low_s: float
    high_s: float

    def __post_init__(self) -> None:
        if not (0 <= self.low_s <= self.high_s and math.isfinite(self.high_s)):
            raise EnvError(f"latency: expected 0 <= low <= high in seconds, got {self.low_s} and {self.high_s}")

    def draw(self, generator: np.random.Generator) -> float:
        """A number from the range."""
        return float(generator.uniform(self.low_s, self.high_s))

    def to_dict(self) -> dict[str, Any]:
        """The range."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class MeasuredLatency:
    """A histogram as `/diagnostics` reports it: how many latencies were at most each upper edge [ms].

    Attributes:
        buckets: Upper edge [ms] to count.
    """

    buckets: Mapping[float, int]

    def __post_init__(self) -> None:
        edges, counts = list(self.buckets), list(self.buckets.values())
        if not (sum(counts) > 0 and min(counts) >= 0 and all(math.isfinite(e) and e >= 0 for e in edges)):
            raise EnvError(f"latency: expected counts by upper edge in ms, some above zero, got {dict(self.buckets)}")

    def draw(self, generator: np.random.Generator) -> float:
        """The upper edge of a bucket, which is at most one bucket too late, as often as it was measured."""
        edges_ms, counts = np.array(list(self.buckets)), np.array(list(self.buckets.values()))
        return float(generator.choice(edges_ms, p=counts / counts.sum())) / 1e3

    def to_dict(self) -> dict[str, Any]:
        """The histogram."""
        return {"buckets, up to [ms]": {str(edge): count for edge, count in self.buckets.items()}}


def parse(text: str) -> Latency:
    """`0.15` (constant), `0.1..0.3` (jittered), both in seconds, or a JSON file with a measured histogram.

    The file holds one object from upper edges in ms to counts: the value "buckets, up to [ms]" of a latency on
    `/diagnostics`, as it is. What was longer than any edge ("inf") counts as the last one, `telemetry.LONGEST_S`.

    Raises:
        EnvError: none of these.
    """
    if text.endswith(".json"):
        found = read_object(Path(text), error=EnvError)
        try:
            return MeasuredLatency(_finite({float(edge): int(count) for edge, count in found.items()}))
        except (TypeError, ValueError) as error:
            raise EnvError(f"{text}: expected counts by upper edge in ms: {error}") from error
    low, dots, high = text.partition("..")
    try:
        return UniformLatency(float(low), float(high if dots else low))
    except ValueError as error:
        raise EnvError(
            f"latency: expected seconds such as 0.15, a range 0.1..0.3 or a .json file, got {text!r}"
        ) from error


def _finite(counts: Mapping[float, int]) -> dict[float, int]:
    """The counts with those above the histogram's last edge at that edge, which is the least that they were."""
    finite = {edge_ms: count for edge_ms, count in counts.items() if edge_ms != math.inf}
    if math.inf in counts:
        last_ms = 1e3 * LONGEST_S
        finite[last_ms] = finite.get(last_ms, 0) + counts[math.inf]
    return finite
