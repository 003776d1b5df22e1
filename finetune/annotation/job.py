"""What is asked of an annotation, as values that go to other processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from magma_ros.errors import AnnotationError
from magma_ros.finetune.trace_parameters import TraceParameters
from magma_ros.finetune.trackers import TrackerChoice
from magma_ros.prompts import TraceWording

FORMAT = 1
"""Version of what an annotation writes; a folder of another one is not gone on with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """How film is cut, and how much is said about a window of it.

    Attributes:
        window: Pictures that a trace goes through at most, at least 2.
        step: From the beginning of a window to that of the next [pictures].
        stride: Take one picture in so many.
        with_speed: Questions about traces say how fast the marks go.
        turns: The two questions about a window together in one record, as Magma was trained; or each in a record of its
            own, as a robot is asked.
    """

    window: int = 16
    step: int = 16
    stride: int = 1
    with_speed: bool = True
    turns: Literal["together", "apart"] = "together"

    def __post_init__(self) -> None:
        if self.window < 2 or self.step < 1 or self.stride < 1:
            raise AnnotationError(
                "expected a window of at least 2 pictures and a step and stride of at least 1, got "
                f"{self.window}, {self.step} and {self.stride}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How clips are annotated; it goes to other processes, so it pickles.

    Attributes:
        output: Folder of everything that is written.
        parameters: Of marks and traces.
        tracker: What follows the points.
        wording: Who does what the texts say.
        cutting: Windows, and what is said about each.
        seed: Of every draw, at least 0.
    """

    output: Path
    parameters: TraceParameters
    tracker: TrackerChoice
    wording: TraceWording
    cutting: Cutting
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise AnnotationError(f"seed: expected at least 0, got {self.seed}")

    def settings(self) -> dict[str, Any]:
        """Everything that decides what is written, as plain values."""
        plain = {**asdict(self), **asdict(self.cutting), "tracker": self.tracker.describe()}
        return {"format": FORMAT, **{key: value for key, value in plain.items() if key not in ("output", "cutting")}}
