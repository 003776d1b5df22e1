"""What a check of demonstrations says: a code, how bad it is, where, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Severity = Literal["error", "warning", "note"]
"""An error spoils training, a warning may, a note is for the eye."""
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Kind:
    """What findings of one code have in common.

    Attributes:
        meaning: What is wrong, for the table of codes.
        fix: What to do.
        explains: Codes that are a consequence of this one; in the same episode they are not said as well.
    """

    meaning: str
    fix: str
    explains: tuple[str, ...] = ()


CODES: Mapping[str, Kind] = MappingProxyType(
    {
        "unreadable": Kind(
            "An episode's file is damaged, cut off or contradicts itself",
            "Import or record this episode again, or leave it out; training would refuse it as well.",
        ),
        "not_finite": Kind(
            "NaN or infinity among the numbers of an episode",
            "Find the sensor or the division that made it; cut the episode before that step, or leave it out.",
        ),
        "out_of_contract": Kind(
            "Steps longer than the action contract allows, or a camera of the contract that is missing",
            "Import with the contract of the robot that recorded the data, or correct its longest honest step.",
        ),
        "units_suspect": Kind(
            "Degrees where radians are meant, millimetres where metres are, or quaternions that are none",
            "Import again with the unit named in the mapping.",
            ("out_of_contract", "outlier", "saturated", "action_state_offset", "stuck", "idle"),
        ),
        "gap": Kind(
            "Missing frames: two steps are farther apart than the control period",
            "Cut the episode at the gap; look for a full disk, a slow camera or a dropped connection.",
        ),
        "irregular_rate": Kind(
            "Steps at another rate than the contract's, or unevenly spaced",
            "Resample by the capture stamps on import, or correct the contract's control rate.",
        ),
        "sync_error": Kind(
            "Two cameras do not show the same moment",
            "Synchronise the cameras, or import with the lag of the late one.",
        ),
        "camera_lag": Kind(
            "The pictures show what the arm did some steps before or after",
            "Shift the pictures by the lag on import; measure the camera's latency, or stamp at capture.",
            ("sync_error",),
        ),
        "frozen_frames": Kind(
            "Pictures repeat while the arm moves",
            "Cut the stretch or leave the episode out; look for a camera that stalls or is too slow.",
            ("camera_lag", "sync_error"),
        ),
        "dark_picture": Kind(
            "Pictures without anything to see: black, white or of one colour",
            "Leave the episode out; look at exposure, lens cap and the camera's topic.",
        ),
        "action_state_offset": Kind(
            "Actions and measured motion are shifted against each other",
            "Shift the actions by that many steps on import: step t's action must follow step t's observation.",
            ("stuck", "gripper_inverted"),
        ),
        "idle": Kind(
            "Nothing is commanded and nothing moves",
            "Trim the stretch; a policy that learns to wait may wait for ever.",
        ),
        "stuck": Kind(
            "Motion is commanded and none is measured",
            "Look for a collision, an emergency stop or a joint limit; cut the stretch.",
        ),
        "saturated": Kind(
            "Many actions are as long as the contract allows",
            "If they were clipped on import, allow longer steps in the contract; else demonstrate slower.",
        ),
        "outlier": Kind(
            "Actions or measured poses far outside of all others",
            "Look at the steps; statistics that are fitted over them flatten everything else.",
        ),
        "gripper_inverted": Kind(
            "The gripper opens where it is told to close",
            "Import with the other gripper polarity.",
        ),
        "gripper_out_of_range": Kind(
            "A gripper opening that is not between 0 (closed) and 1 (open)",
            "Scale it on import: percent, metres and -1 … 1 are common.",
            ("gripper_inverted",),
        ),
        "duplicate_episode": Kind(
            "An episode that is in the dataset twice",
            "Leave one of them out; in training and held-out data alike it hides what was not learnt.",
            ("near_duplicate",),
        ),
        "near_duplicate": Kind(
            "Two episodes with almost the same motion and pictures",
            "See whether one is a copy with other compression, or a replay; keep both out of different splits.",
        ),
        "instruction_suspect": Kind(
            "Instructions that are empty, differ in letter case or spaces only, are rare, or all the same",
            "Write one wording per task, or several on purpose.",
        ),
    }
)
"""Code → what it means; `docs/data_quality.md` lists the rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong or odd.

    Attributes:
        code: A key of `CODES`.
        severity: How bad it is.
        text: What was seen, with numbers.
        episode: Its number; None for what concerns the dataset.
        steps: First and last step that it concerns; None for all.
    """

    code: str
    severity: Severity
    text: str
    episode: int | None = None
    steps: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        assert self.code in CODES, f"{self.code} is not listed"

    @property
    def fix(self) -> str:
        """What to do."""
        return CODES[self.code].fix


def without_consequences(findings: list[Finding], *, num_episodes: int) -> list[Finding]:
    """The findings that no error of the same episode or of the whole dataset explains.

    An error of most episodes explains those of the others, too, but nothing that is said of the whole dataset.
    """
    causes = {(finding.episode, finding.code) for finding in findings if finding.severity == "error"}
    counts = Counter(code for _, code in causes)
    common = {explained for code in counts if 2 * counts[code] > num_episodes for explained in CODES[code].explains}
    explained = {(episode, code) for episode, cause in causes for code in CODES[cause].explains}
    return [
        finding
        for finding in findings
        if not {(finding.episode, finding.code), (None, finding.code)} & explained
        and (finding.episode is None or finding.code not in common)
    ]
