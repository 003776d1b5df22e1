"""The first steps of a policy that was swapped in: how many of them were refused or unsure; no ROS in here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from magma_ros.stops import Stop, StopReason
from magma_ros.types import SafeAction
from magma_ros.wording import counted


@dataclass(frozen=True, slots=True)
class TrialBound:
    """What a new policy has to keep.

    Attributes:
        num_steps: Steps that it is watched for; 0 watches none.
        max_share: Share of them, 0 … 1, that may be refused or unsure.
    """

    num_steps: int
    max_share: float


@dataclass(slots=True)
class SwapTrial:
    """Counts the steps that the new policy answers for.

    A step is refused when its answer, or the lack of one, holds the arm, or when the motion node does not take it. It
    is unsure when its tokens' entropy slows it. What holds the arm without the policy (a camera, the measured state)
    does not count: going back would not mend it.

    Attributes:
        bound: What it has to keep.
        num_steps: Steps so far.
        refused: Of these, refused here, by the value of the reason.
        num_unsure: Of these, unsure.
        num_refused_by_motion: Of these, by the motion node.
    """

    bound: TrialBound
    num_steps: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    num_unsure: int = 0
    num_refused_by_motion: int = 0
    _refused_before: int | None = field(default=None, repr=False)

    def step(self, decision: SafeAction | Stop, *, answered: bool) -> None:
        """One step was decided; `answered` tells that the policy was asked for it, and gave an answer or an error."""
        if isinstance(decision, SafeAction):
            self.num_unsure += "entropy" in decision.limited_by
        elif answered or decision.reason is StopReason.POLICY_FAILED:
            self.refused[decision.reason.value] += 1
        else:
            return
        self.num_steps += 1

    def hear(self, num_refused: int) -> None:
        """What the motion node has refused since it was activated; a smaller number tells that it was anew."""
        if self._refused_before is None or num_refused < self._refused_before:
            self._refused_before = num_refused
        self.num_refused_by_motion += num_refused - self._refused_before
        self._refused_before = num_refused

    @property
    def num_bad(self) -> int:
        """Steps that were refused, here or there, or unsure."""
        return self.refused.total() + self.num_unsure + self.num_refused_by_motion

    @property
    def has_failed(self) -> bool:
        """More steps are bad than the whole trial may have; it need not be over for that."""
        return self.bound.num_steps > 0 and self.num_bad > self.bound.max_share * self.bound.num_steps

    @property
    def is_over(self) -> bool:
        """All steps were watched."""
        return self.num_steps >= self.bound.num_steps

    def __str__(self) -> str:
        reasons = "".join(f" {reason} {count}," for reason, count in self.refused.most_common())
        return (
            f"{self.num_bad} bad of {counted(self.num_steps, 'step')} "
            f"({self.refused.total()} refused:{reasons or ' none,'} "
            f"{self.num_refused_by_motion} refused by the motion node, {self.num_unsure} unsure), allowed are "
            f"{self.bound.max_share:.0%} of {self.bound.num_steps}"
        )
