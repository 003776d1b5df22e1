"""Playout against naive republishing, arms that are late or drift, and stops from full speed: tables and a picture.

`python benchmarks/playout_plot.py`; all of it is computed, no clock is read.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
from scipy.spatial.transform import Rotation

from magma_ros import arms
from magma_ros.arm import Limits
from magma_ros.geometry import compose_ee_delta, quat_distance_rad
from magma_ros.playout import Playout, PlayoutLimits
from magma_ros.servoing import TwistTracker, playout_share
from magma_ros.sim.kinematic_arm import DriverFault, KinematicArm
from magma_ros.types import Action, FloatArray, Pose

mpl.use("Agg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).parents[1]
PERIOD_S, TICK_S, EXPIRY_S = 0.2, 0.02, 0.3
HOME = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
LONGEST_TURN_RAD = 3.0  # of one action; half a circle and more is refused
NOISE_M, NOISE_RAD = 1e-3, math.radians(0.3)


def main() -> None:
    """Print the three tables and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=1000, help="of each late arm")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "images" / "playout.png")
    options = parser.parse_args()
    compare(options.plot)
    late_arms(options.sequences)
    stops()


def limits_of(arm: Limits) -> PlayoutLimits:
    """The arm's own, with a fixed expiry."""
    names = ("speed_m_s", "acceleration_m_s2", "jerk_m_s3", "speed_rad_s", "acceleration_rad_s2", "jerk_rad_s3")
    rates = {f"max_{name}": getattr(arm, f"max_{name}") for name in names}
    return PlayoutLimits(**rates, max_lag_m=arm.max_lag_m, max_lag_rad=arm.max_lag_rad, expiry_s=EXPIRY_S)


def head(*columns: str) -> None:
    """Print a Markdown table's first two lines."""
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")


# Against naive republishing


def compare(path: Path) -> None:
    """One stream of 60 actions at 5 Hz: jittered by up to 60 ms, one of them a second late."""
    rng = np.random.default_rng(0)
    due_s = 0.1 + np.arange(60) * PERIOD_S + rng.uniform(0.0, 0.06, 60)
    due_s[30:] += 1.0
    angles = np.linspace(0.0, 4 * math.pi, 60)
    steps = np.zeros((60, 3))
    steps[:, :2] = 0.012 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    steps += rng.normal(0, 0.002, (60, 3))
    now_s = np.arange(0.0, due_s[-1] + 1.5, TICK_S)
    tracks = {
        "last velocity repeated": integrated(steps, due_s, now_s, lasts_s=math.inf),
        "stop and go": integrated(steps, due_s, now_s, lasts_s=PERIOD_S),
        "playout": played(steps, due_s, now_s),
    }
    wanted_m = steps.sum(axis=0)
    head("60 actions", "net error [mm]", "peak speed [m/s]", "peak acceleration [m/s²]", "peak jerk [m/s³]")
    for name, track in tracks.items():
        peaks = [np.linalg.norm(np.diff(track, n, axis=0), axis=1).max() / TICK_S**n for n in (1, 2, 3)]
        error_mm = 1e3 * float(np.linalg.norm(track[-1] - wanted_m))
        print(f"| {name} | {error_mm:.2f} | {peaks[0]:.3f} | {peaks[1]:.2f} | {peaks[2]:.0f} |")
    plot(tracks, now_s, due_s, path)


def integrated(steps: FloatArray, due_s: FloatArray, now_s: FloatArray, *, lasts_s: float) -> FloatArray:
    """Positions (ticks, 3) [m] of an arm that is told the velocity of the last action, for `lasts_s` of it at most.

    After the very last action both go on for one period only: a policy that ends says so.
    """
    index = np.searchsorted(due_s, now_s, side="right") - 1
    age_s = now_s - due_s[index]
    allowed_s = np.where(index == len(steps) - 1, PERIOD_S, lasts_s)
    velocity = np.where(((index >= 0) & (age_s < allowed_s))[:, None], steps[index] / PERIOD_S, 0.0)
    return np.concatenate([np.zeros((1, 3)), np.cumsum(velocity * TICK_S, axis=0)[:-1]])


def played(steps: FloatArray, due_s: FloatArray, now_s: FloatArray) -> FloatArray:
    """Positions (ticks, 3) [m] of the setpoint within the wx250s's limits."""
    playout = Playout(limits_of(arms.load("wx250s").limits), frame="base_link", control_period_s=PERIOD_S)
    playout.begin(HOME, 0.0)
    track, waiting = [], list(zip(due_s, steps, strict=True))
    for tick_s in now_s:
        while waiting and waiting[0][0] <= tick_s:
            due, step = waiting.pop(0)
            playout.accept(Action.from_array(np.array([*step, 0, 0, 0, 1.0]), frame="base_link"), float(due))
        track.append(playout.tick(float(tick_s)).pose.position_m)
    return np.array(track)


def plot(tracks: dict[str, FloatArray], now_s: FloatArray, due_s: FloatArray, path: Path) -> None:
    """Position along x, speed and acceleration along it, around the late action."""
    part = (now_s > due_s[30] - 3.0) & (now_s < due_s[30] + 1.5)
    figure, panels = plt.subplots(3, 1, sharex=True, figsize=(9, 7))
    for name, track in tracks.items():
        for order, panel in enumerate(panels):
            values = track[:, 0]
            for _ in range(order):
                values = np.gradient(values, TICK_S)
            panel.plot(now_s[part], values[part], label=name, lw=1.3)
    for panel, label in zip(panels, ("x [m]", "speed [m/s]", "acceleration [m/s²]"), strict=True):
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
    panels[0].legend()
    panels[-1].set_xlabel("time [s]; one action is a second late")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=90)


# Arms that are late or drift


def late_arms(num_sequences: int) -> None:
    """Where arms end up after 3 to 6 jittered actions, measured with noise, without and with the correction."""
    spread = "p50 / p99 / max"
    head(f"{num_sequences} sequences each", f"error [mm] {spread}", f"[deg] {spread}", "above 1 mm or 0.2°")
    for name, output, is_corrected in (
        ("takes poses", "pose", False),
        ("takes speeds, setpoint's velocity only", "twist", False),
        ("takes speeds, corrected", "twist", True),
    ):
        errors = np.array([late_arm(seed, output, is_corrected=is_corrected) for seed in range(num_sequences)])
        shown = [" / ".join(f"{v:.2f}" for v in np.percentile(column, (50, 99, 100))) for column in errors.T]
        print(f"| {name} | {shown[0]} | {shown[1]} | {((errors > (1.0, 0.2)).any(axis=1)).sum()} |", flush=True)


def late_arm(seed: int, output: str, *, is_corrected: bool) -> tuple[float, float]:
    """A net error, [mm] and [deg]: lag 60 to 150 ms, poses up to two ticks old, a gain of 0.95 to 1.05 on speeds."""
    rng = np.random.default_rng(seed)
    limits = arms.load("ur5e").limits
    gain = rng.uniform(0.95, 1.05) * np.eye(3) if output == "twist" else np.eye(3)
    arm = KinematicArm(
        HOME, lag_s=rng.uniform(0.06, 0.15), max_speed_m_s=9.0, max_speed_rad_s=9.0, fault=DriverFault(gain, gain)
    )
    whole, tracker = limits_of(limits), TwistTracker(limits)
    playout = Playout(
        playout_share(whole) if output == "twist" else whole, frame="base_link", control_period_s=PERIOD_S
    )
    playout.begin(HOME, 0.0)
    delay, seen, wanted, now_s, rest_s = int(rng.integers(0, 3)), [HOME], HOME, 0.0, 0.0
    actions = late_actions(rng)
    due: tuple[float, Action] | None = next(actions)
    while due is not None or rest_s < 2.0:
        gap_s = rng.uniform(0.01, 0.03)
        now_s += gap_s
        arm.advance(gap_s)
        seen = [*seen[-delay:], noisy(arm.pose, rng)] if delay else [noisy(arm.pose, rng)]
        if due is not None and due[0] <= now_s:
            playout.accept(due[1], now_s)
            wanted = Pose(*compose_ee_delta(wanted.position_m, wanted.quat_xyzw, due[1]))
            due = next(actions, None)
        setpoint = playout.tick(now_s, seen[0] if output == "pose" else None)
        rest_s = rest_s + gap_s if setpoint.done else 0.0
        if output == "pose":
            arm.follow_pose(setpoint.pose)
        else:
            arm.follow_twist(*tracker.twist(setpoint, seen[0] if is_corrected else None, now_s=now_s))
    far_mm = 1e3 * float(np.linalg.norm(arm.pose.position_m - wanted.position_m))
    return far_mm, math.degrees(quat_distance_rad(arm.pose.quat_xyzw, wanted.quat_xyzw))


def late_actions(rng: np.random.Generator) -> Iterator[tuple[float, Action]]:
    """Three to six of up to 20 mm and 60 mrad, each with the time at which it comes [s]."""
    due_s = 0.1
    for _ in range(rng.integers(3, 7)):
        vectors = rng.normal(size=(2, 3))
        vectors *= np.array([[0.02], [0.06]]) * rng.random((2, 1)) / np.linalg.norm(vectors, axis=1)[:, None]
        yield due_s, Action.from_array(np.append(vectors, 1.0), frame="base_link")
        due_s += PERIOD_S + rng.choice([0.0, 0.03, 0.2, 1.0], p=[0.5, 0.3, 0.15, 0.05]) + rng.uniform(0, 0.02)


def noisy(pose: Pose, rng: np.random.Generator) -> Pose:
    """`pose` with errors of 1 mm and 0.3 degrees, root mean squares of their lengths."""
    shift, turn = rng.normal(size=(2, 3)) / math.sqrt(3.0)
    turned = Rotation.from_rotvec(NOISE_RAD * turn) * Rotation.from_quat(pose.quat_xyzw)
    return Pose(pose.position_m + NOISE_M * shift, turned.as_quat())


# Stops


def stops() -> None:
    """How long every arm's setpoint takes to rest: from full speed along and across the axes, and from any moment."""
    head("arm", "full speed along one axis [s]", "along the diagonal [s]", "from any moment of a motion, longest [s]")
    diagonal = np.ones(3) / math.sqrt(3.0)
    for name in arms.available():
        limits = limits_of(arms.load(name).limits)
        full = [stop_s(limits, direction, 0.7) for direction in (np.eye(3)[0], diagonal)]
        longest = max(stop_s(limits, diagonal, at_s) for at_s in np.arange(0.005, 0.3, 0.005))
        print(f"| {name} | {full[0]:.3f} | {full[1]:.3f} | {longest:.3f} |")


def stop_s(limits: PlayoutLimits, direction: FloatArray, after_s: float) -> float:
    """From the stop, `after_s` into a long motion and turn along `direction`, to rest [s], to a millisecond."""
    playout = Playout(limits, frame="base_link", control_period_s=1.0, spread=1.0)
    playout.begin(HOME, 0.0)
    share = 1.2 if direction.all() else 1.2 / math.sqrt(3.0)  # of a second: position and turn end together
    turn = 0.9 * share * limits.max_speed_rad_s * direction
    turn *= min(1.0, LONGEST_TURN_RAD / float(np.linalg.norm(turn)))
    reach = np.concatenate([share * limits.max_speed_m_s * direction, turn, [1.0]])
    playout.accept(Action.from_array(reach, frame="base_link"), 0.0)
    for now_s in np.arange(0.0, after_s, 0.01):
        playout.tick(float(now_s))
    playout.tick(after_s)
    playout.stop(after_s)
    return first_rest_s(lambda s: playout.tick(after_s + s).done)


def first_rest_s(is_done: Callable[[float], bool]) -> float:
    """The first millisecond at which it rests [s]."""
    return next(ms / 1e3 for ms in range(1, 1000) if is_done(ms / 1e3 + 1e-9))


if __name__ == "__main__":
    main()
