"""`magma-ros wiggle`: moves each axis a little and back through the motion node, and judges the driver by it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
import tyro

from magma_ros import arms, exit_codes
from magma_ros.errors import MagmaRosError
from magma_ros.ros.wiggle_client import Leg, WiggleClient
from magma_ros.types import FloatArray
from magma_ros.wiggle_motion import WiggleMotion, no_room
from magma_ros.wiggle_report import AXES, RUNAWAY_GAIN, Trial, Verdict, judge, report

Axis = Literal["x", "y", "z", "roll", "pitch", "yaw"]


def wiggle(
    *,
    arm: str,
    axes: tuple[Axis, ...] = AXES,  # type: ignore[assignment]
    motion: Annotated[WiggleMotion, tyro.conf.arg(name="")] = WiggleMotion(),  # noqa: B008 - frozen
    namespace: str = "",
    dry_run: bool = False,
    yes: bool = False,
) -> int:
    """Move each axis and back, compare with what is measured, and report swapped axes, signs, units and frames.

    The arm's driver and the motion node must run, and no policy. Keep a hand on the emergency stop.

    Args:
        arm: Name or file of the arm.
        axes: Some of x y z (along the base axes) and roll pitch yaw (about them).
        motion: How far and how fast.
        namespace: Of the arm's nodes.
        dry_run: Check everything and say what would be moved; nothing moves.
        yes: Move without asking.

    Raises:
        MagmaRosError: something is missing, halted or in the way; nothing more moves.
    """
    described = arms.load(arm)
    client = WiggleClient(described, motion, namespace=namespace)
    try:
        at_m = client.join(may_be_dry=dry_run)
        obstacle = no_room(described, at_m, motion, axes)
        if obstacle:
            raise MagmaRosError(obstacle)
        size = f"{motion.distance_m * 1000:g} mm or {motion.angle_deg:g} degrees"
        print(f"{described.name}: {', '.join(axes)} by {size}, and back")
        if dry_run:
            print("dry run: nothing was moved")
            return exit_codes.OK
        if not (yes or _confirmed()):
            raise MagmaRosError("not confirmed: nothing was moved")
        client.begin()
        findings = judge(_trials(client, motion, axes))
    finally:
        client.close()
    print(report(findings))
    untested = axes[len(findings) :]
    if untested:
        print(f"not tested, as the arm moved far more than it was told: {', '.join(untested)}")
    is_sound = not untested and all(finding.verdict is Verdict.OK for finding in findings)
    return exit_codes.OK if is_sound else exit_codes.FAILED


def _trials(client: WiggleClient, motion: WiggleMotion, axes: Iterable[Axis]) -> list[Trial]:
    """Each axis out and back; ends after an axis that ran away, which is not driven back."""
    trials = []
    for axis in axes:
        print(f"{axis} ...", file=sys.stderr)
        out = client.go(motion.displacement(axis))
        if _length(out.measured, axis) > RUNAWAY_GAIN * _length(out.commanded, axis):
            trials.append(_trial(axis, out.commanded, out.measured, out))
            break
        back = client.go(-out.commanded)
        trials.append(_trial(axis, (out.commanded - back.commanded) / 2, (out.measured - back.measured) / 2, out))
    return trials


def _trial(axis: Axis, commanded: FloatArray, measured: FloatArray, leg: Leg) -> Trial:
    return Trial(axis, commanded, measured, leg.noise_m, leg.noise_rad)


def _length(displacement: FloatArray, axis: Axis) -> float:
    return float(np.linalg.norm(displacement[3:] if AXES.index(axis) >= 3 else displacement[:3]))


def _confirmed() -> bool:
    """Whether the person at the terminal agrees; nobody there does not."""
    print("The arm will move. Keep a hand on the emergency stop. Move it? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
