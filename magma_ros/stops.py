"""Why an arm stops, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """What follows from a fault."""

    CONTINUE = "continue"
    """The offending message or action is dropped and counted; the motion under way goes on."""
    HOLD = "hold"
    """The arm comes to rest; the next action that passes every check moves it again."""
    HALT = "halt"
    """The arm comes to rest, and stays so until a person resets it."""


class StopReason(Enum):
    """Why the arm must not move; the value is what status messages carry."""

    NO_INSTRUCTION = "no_instruction"
    NO_OBSERVATION = "no_observation"
    STALE_OBSERVATION = "stale_observation"
    FROZEN_CAMERA = "frozen_camera"
    NON_FINITE = "non_finite"
    WRONG_FRAME = "wrong_frame"
    OUT_OF_CONTRACT = "out_of_contract"
    NO_PROPRIO = "no_proprio"
    STALE_STATE = "stale_state"
    NO_TRANSFORM = "no_transform"
    OUTSIDE_WORKSPACE = "outside_workspace"
    BELOW_TABLE = "below_table"
    START_JUMP = "start_jump"
    DISCONTINUITY = "discontinuity"
    UNREACHABLE = "unreachable"
    ARM_BEHIND = "arm_behind"
    OUTPUT_NOT_READY = "output_not_ready"
    UNDECODABLE = "undecodable"
    HIGH_ENTROPY = "high_entropy"
    POLICY_FAILED = "policy_failed"
    SERVER_GONE = "server_gone"
    POLICY_SILENT = "policy_silent"
    TELEOP_SILENT = "teleop_silent"
    CLOCK_JUMP = "clock_jump"
    TOO_SOON = "too_soon"
    INTERVENTION = "intervention"
    GRIPPER_CHATTER = "gripper_chatter"
    SECOND_COMMANDER = "second_commander"
    EMERGENCY_STOP = "emergency_stop"
    SWAPPING = "swapping"
    INTERNAL_ERROR = "internal_error"

    @property
    def severity(self) -> Severity:
        """What follows; a reason that is not listed holds."""
        return _SEVERITIES.get(self, Severity.HOLD)


_SEVERITIES = {
    StopReason.TOO_SOON: Severity.CONTINUE,
    StopReason.INTERVENTION: Severity.CONTINUE,
    StopReason.GRIPPER_CHATTER: Severity.CONTINUE,
    StopReason.WRONG_FRAME: Severity.HALT,
    StopReason.CLOCK_JUMP: Severity.HALT,
    StopReason.SECOND_COMMANDER: Severity.HALT,
    StopReason.EMERGENCY_STOP: Severity.HALT,
}


@dataclass(frozen=True, slots=True)
class Stop:
    """The arm must hold still: a reason for programs and a sentence for people."""

    reason: StopReason
    detail: str
