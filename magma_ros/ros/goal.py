"""What the policy node is told to do, for how long, and how it ended; no ROS in here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from magma_ros.stops import Stop
from magma_ros.types import SafeAction
from magma_ros.wording import counted


class Outcome(IntEnum):
    """How an assignment ended; values as in ExecuteInstruction's result."""

    BUDGET_SPENT = 0
    CANCELED = 1
    TIMEOUT = 2
    STOPPED = 3
    PREEMPTED = 4


@dataclass(frozen=True, slots=True)
class Ending:
    """An outcome, a sentence for people, and for STOPPED the stop reason's value when a decision ended it."""

    outcome: Outcome
    message: str
    reason: str = ""


@dataclass(slots=True)
class Assignment:
    """One instruction under way.

    Attributes:
        instruction: The operator's sentence.
        epoch: Its number; answers of another epoch are not its own.
        step_budget: Steps allowed; 0 means no limit.
        deadline_s: When it must have ended, in the node's clock [s]; None means never.
        max_consecutive_stops: Held steps in a row that end it; 0 means that it goes on for ever.
        num_steps: Steps taken, held ones included.
    """

    instruction: str
    epoch: int
    step_budget: int = 0
    deadline_s: float | None = None
    max_consecutive_stops: int = 0
    num_steps: int = 0
    num_stops_in_a_row: int = 0

    def record(self, decision: SafeAction | Stop) -> Ending | None:
        """Count one step; an ending when it was the last one."""
        self.num_steps += 1
        if isinstance(decision, Stop):
            self.num_stops_in_a_row += 1
            if 0 < self.max_consecutive_stops <= self.num_stops_in_a_row:
                reason = decision.reason.value
                return Ending(Outcome.STOPPED, f"{reason}: {decision.detail}", reason)
        else:
            self.num_stops_in_a_row = 0
        if 0 < self.step_budget <= self.num_steps:
            return Ending(Outcome.BUDGET_SPENT, f"all {self.step_budget} steps were taken")
        return None

    def expired(self, now_s: float) -> Ending | None:
        """An ending when the deadline has passed at `now_s` [s]."""
        if self.deadline_s is None or now_s < self.deadline_s:
            return None
        return Ending(Outcome.TIMEOUT, f"not done in time, after {counted(self.num_steps, 'step')}")
