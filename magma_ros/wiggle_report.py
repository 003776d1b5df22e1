"""What a motion along and about each axis says of a driver: right, swapped, reversed, another unit or frame, dead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros.errors import InvalidInputError
from magma_ros.types import FloatArray, frozen_array

AXES = ("x", "y", "z", "roll", "pitch", "yaw")
"""Along, then about the axes of the base frame."""

SIZE_TOLERANCE = 0.25
"""A motion may be this share longer or shorter than commanded: controllers that are not closed on the pose lag."""
ALIGNED_RAD = math.radians(25.0)
"""A motion within this angle of an axis goes along it: what was commanded between two axes was neither."""
STRAIGHT_RAD = math.radians(12.0)
"""A motion within this angle of its own axis is right."""
RUNAWAY_GAIN = 3.0
"""A motion this many times as long as commanded was stopped on its way: its full size is not known."""
LEAST_GAIN = 0.05
"""An arm that sags or drifts by this share of what it was told is not being moved, unless a unit explains it."""
MAX_OFFSET_M = 0.004
"""A turn about the end effector leaves its origin where it is; in 5 degrees a point 0.05 m off moves by this much."""

_NOISE_WIDTHS = 5.0
_STILL_M, _STILL_RAD = 2e-6, 1e-5  # what arithmetic leaves of a motion that was none
_UNIT_LEAST, _UNIT_MOST = 0.65, 2.5  # of a unit's ratio; a controller that corrects drift adds to what it commands
_UNITS_M = {1e-3: "millimetres", 1e3: "millimetres"}
_UNITS_RAD = {math.radians(1.0): "degrees", math.degrees(1.0): "degrees"}


class Verdict(Enum):
    """What one axis does."""

    OK = "ok"
    NO_MOTION = "no motion"
    WRONG_SIGN = "wrong sign"
    SWAPPED = "swapped"
    WRONG_UNIT = "wrong unit"
    WRONG_FRAME = "wrong frame"
    WRONG_CENTRE = "wrong centre"
    WRONG_SIZE = "wrong size"
    NOT_ALONG_AXIS = "not along an axis"


@dataclass(frozen=True, slots=True)
class Trial:
    """One axis moved and measured, in the base frame.

    Attributes:
        axis: One of `AXES`.
        commanded: Translation [m] and rotation vector [rad] of the setpoint, shape (6,); of the same kind as the axis.
        measured: Same of the end effector.
        noise_m, noise_rad: Of a measured displacement at rest, one standard deviation.
    """

    axis: str
    commanded: FloatArray
    measured: FloatArray
    noise_m: float = 0.0
    noise_rad: float = 0.0

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise InvalidInputError(f"axis: expected one of {AXES}, got {self.axis!r}")
        for name in ("commanded", "measured"):
            value = frozen_array(getattr(self, name), shape=(6,), dtype=np.float64, name=name)
            object.__setattr__(self, name, value)
        if not np.isfinite([*self.commanded, *self.measured]).all() or not self.amplitude > 0.0:
            raise InvalidInputError(f"trial of {self.axis}: expected finite numbers and a motion along it, got {self}")

    @property
    def is_turn(self) -> bool:
        """About an axis, not along one."""
        return AXES.index(self.axis) >= 3

    @property
    def amplitude(self) -> float:
        """What was commanded along or about the axis [m] or [rad]."""
        return float(self.commanded[AXES.index(self.axis)])

    @property
    def response(self) -> FloatArray:
        """What was measured of the same kind, for each metre or radian commanded; shape (3,)."""
        return np.asarray(self.measured[3:] if self.is_turn else self.measured[:3]) / self.amplitude

    @property
    def is_still(self) -> bool:
        """Nothing was measured that is more than noise."""
        floor, noise = (_STILL_RAD, self.noise_rad) if self.is_turn else (_STILL_M, self.noise_m)
        return self._moved <= max(floor, _NOISE_WIDTHS * noise)

    @property
    def blur_rad(self) -> float:
        """How far noise alone may turn the direction of what was measured, which is not still."""
        return _NOISE_WIDTHS * (self.noise_rad if self.is_turn else self.noise_m) / self._moved

    @property
    def _moved(self) -> float:
        """[m] or [rad]."""
        return float(np.linalg.norm(self.response)) * self.amplitude


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one axis, and a sentence for a person, empty where all is well."""

    trial: Trial
    verdict: Verdict
    detail: str = ""


def judge(trials: Sequence[Trial]) -> tuple[Finding, ...]:
    """A finding for each trial, in their order; three axes of a kind together may show one rotated frame.

    Raises:
        InvalidInputError: an axis twice.
    """
    if len({trial.axis for trial in trials}) != len(trials):
        raise InvalidInputError(f"trials: expected each axis once, got {[trial.axis for trial in trials]}")
    singles = [_judge_alone(trial) for trial in trials]
    turned = {is_turn: _frame([trial for trial in trials if trial.is_turn is is_turn]) for is_turn in (False, True)}
    return tuple(_with_frame(finding, turned[finding.trial.is_turn]) for finding in singles)


def _judge_alone(trial: Trial) -> Finding:
    response = trial.response
    gain = float(np.linalg.norm(response))
    size = _size(trial, gain)
    if trial.is_still or size.verdict is Verdict.NO_MOTION:
        return Finding(trial, Verdict.NO_MOTION, _still_detail(trial) if trial.is_still else size.detail)
    index, along = AXES.index(trial.axis) % 3, int(np.argmax(np.abs(response)))
    aslant_rad = math.acos(min(1.0, abs(response[along]) / gain))
    if aslant_rad > (STRAIGHT_RAD if along == index else ALIGNED_RAD):
        shown = ", ".join(f"{share:+.2f} {name}" for share, name in zip(response, _names(trial), strict=True))
        return Finding(trial, Verdict.NOT_ALONG_AXIS, f"for each unit of {trial.axis} it moves {shown}")
    if along != index:
        sign = "" if response[along] > 0 else "reversed "
        return Finding(trial, Verdict.SWAPPED, f"moves {sign}{_names(trial)[along]} instead" + size.also)
    if response[along] < 0:
        return Finding(trial, Verdict.WRONG_SIGN, "moves the other way" + size.also)
    return _judge_centre(trial) if size.verdict is Verdict.OK else Finding(trial, size.verdict, size.detail)


@dataclass(frozen=True, slots=True)
class _Size:
    verdict: Verdict
    detail: str = ""

    @property
    def also(self) -> str:
        return f"; {self.detail}" if self.detail else ""


def _size(trial: Trial, gain: float) -> _Size:
    """What the size of a motion means, `gain` times the commanded one."""
    if 1.0 - SIZE_TOLERANCE <= gain <= 1.0 + SIZE_TOLERANCE:
        return _Size(Verdict.OK)
    units, expected = (_UNITS_RAD, "radians") if trial.is_turn else (_UNITS_M, "metres")
    for ratio, name in units.items():
        if _UNIT_LEAST < gain / ratio < _UNIT_MOST:
            taken = f"{expected} are taken as {name}" if ratio < 1 else f"{name} are taken as {expected}"
            return _Size(Verdict.WRONG_UNIT, f"moves {gain:.3g} times as far: {taken}")
    if gain >= RUNAWAY_GAIN:
        other = units[max(units)]
        return _Size(Verdict.WRONG_UNIT, f"moved {gain:.3g} times as far until it was stopped: {other} for {expected}?")
    if gain < LEAST_GAIN:
        return _Size(Verdict.NO_MOTION, f"moves {100 * gain:.1f} % of what was commanded")
    return _Size(Verdict.WRONG_SIZE, f"moves {gain:.2f} times as far")


def _judge_centre(trial: Trial) -> Finding:
    moved_m = float(np.linalg.norm(trial.measured[:3]))
    if not trial.is_turn or moved_m <= max(MAX_OFFSET_M, _NOISE_WIDTHS * trial.noise_m):
        return Finding(trial, Verdict.OK)
    distance_m = moved_m / (2.0 * math.sin(abs(trial.amplitude) / 2.0))
    detail = f"turns about a line {distance_m:.3f} m away from the end effector, not about the end effector itself"
    return Finding(trial, Verdict.WRONG_CENTRE, detail)


def _frame(trials: Sequence[Trial]) -> Rotation | None:
    """The rotation from commanded to measured axes that explains three trials of a kind; None if none does."""
    if len(trials) < 3 or any(trial.is_still for trial in trials):
        return None
    matrix = np.column_stack([trial.response for trial in sorted(trials, key=lambda trial: AXES.index(trial.axis))])
    left, sizes, right = np.linalg.svd(matrix)
    alike = sizes[-1] > (1.0 - SIZE_TOLERANCE) / (1.0 + SIZE_TOLERANCE) * sizes[0]
    turn = left @ right
    if not alike or np.linalg.det(turn) < 0.0:
        return None
    rotation = Rotation.from_matrix(turn)
    least_rad = STRAIGHT_RAD + max(trial.blur_rad for trial in trials)
    return rotation if rotation.magnitude() > least_rad else None


def _with_frame(finding: Finding, frame: Rotation | None) -> Finding:
    """A swap or a sign that a rotation of all three axes explains is that rotation."""
    if frame is None or finding.verdict not in (Verdict.SWAPPED, Verdict.WRONG_SIGN, Verdict.NOT_ALONG_AXIS):
        return finding
    vector = frame.as_rotvec()
    angle_rad = float(np.linalg.norm(vector))
    axis = ", ".join(f"{value:+.2f}" for value in vector / angle_rad)
    size = _size(finding.trial, float(np.linalg.norm(finding.trial.response)))
    detail = f"moves as in a frame turned by {math.degrees(angle_rad):.0f} degrees about ({axis}) of the base"
    return replace(finding, verdict=Verdict.WRONG_FRAME, detail=detail + size.also)


def _still_detail(trial: Trial) -> str:
    unit = "radians as degrees" if trial.is_turn else "metres as millimetres"
    return f"nothing was measured above the noise; where all axes are like this, the driver may take {unit}"


def _names(trial: Trial) -> tuple[str, ...]:
    return AXES[3:] if trial.is_turn else AXES[:3]


def report(findings: Sequence[Finding]) -> str:
    """A table for a person, a line for each axis: commanded, measured along all three axes of its kind, verdict."""
    lines = [f"{'axis':<6}{'commanded':>12}   {'measured':<30}{'across':>8}   verdict"]
    for finding in findings:
        trial = finding.trial
        scale, unit = (math.degrees(1.0), "deg") if trial.is_turn else (1000.0, "mm")
        parts = " ".join(f"{scale * value:+9.3f}" for value in trial.response * trial.amplitude)
        across = _across(trial)
        verdict = finding.verdict.value + (f": {finding.detail}" if finding.detail else "")
        commanded = f"{scale * trial.amplitude:+8.2f} {unit}"
        lines.append(f"{trial.axis:<6}{commanded:>12}   {parts:<30}{across:>7.0%}   {verdict}")
    return "\n".join(lines)


def _across(trial: Trial) -> float:
    """Length of the measured motion's part across the axis, as a share of what was commanded."""
    return float(np.linalg.norm(np.delete(trial.response, AXES.index(trial.axis) % 3)))
