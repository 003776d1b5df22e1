"""A smooth setpoint against naive republishing: the same jittered actions, their motion, and milliseconds per tick."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np

from magma_ros.playout import Playout, PlayoutLimits
from magma_ros.types import Action, Pose

mpl.use("Agg")
from matplotlib import pyplot as plt

PERIOD_S, TICK_S = 0.2, 0.02
SPREADS = (1.0, 1.5, 2.0)
LIMITS = PlayoutLimits(
    max_speed_m_s=0.3,
    max_acceleration_m_s2=2.0,
    max_jerk_m_s3=20.0,
    max_speed_rad_s=1.5,
    max_acceleration_rad_s2=10.0,
    max_jerk_rad_s3=100.0,
    max_lag_m=0.05,
    max_lag_rad=0.5,
    expiry_s=0.3,
)


def main() -> None:
    """Print a table and write the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actions", type=int, default=300)
    parser.add_argument("--plot", type=Path, default=Path("outputs/playout.png"))
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    due_s = np.arange(options.actions) * PERIOD_S + rng.uniform(0.0, 0.06, options.actions)
    due_s[len(due_s) // 2 :] += 1.0  # one inference that comes too late
    angles = np.linspace(0.0, 12.0, options.actions)
    rows = np.zeros((options.actions, 7))
    rows[:, :2] = 0.012 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rows[:, :6] += rng.normal(0, [0.002] * 3 + [0.02] * 3, (options.actions, 6))
    actions = [Action.from_array(row, frame="base_link") for row in rows]
    now_s = np.arange(0.0, due_s[-1] + 2.0, TICK_S)
    wanted_m = np.sum([action.translation_m for action in actions], axis=0)

    tracks = {"naive": naive(actions, due_s, now_s)}
    for spread in SPREADS:
        tracks[f"spread {spread}"], times_s, dropped_m = smooth(actions, due_s, now_s, spread)
        p50, p99 = 1e3 * np.percentile(times_s, (50, 99))
        print(f"spread {spread}: tick p50 {p50:.3f} ms, p99 {p99:.3f} ms, dropped {1e3 * dropped_m:.3f} mm")
    print(
        f"{'':<12} {'speed m/s':>10} {'acc. m/s2':>10} {'jerk m/s3':>10} {'rms acc.':>10} {'lag s':>7} {'error mm':>9}"
    )
    for name, track in tracks.items():
        rates = [np.diff(track, n, axis=0) / TICK_S**n for n in (1, 2, 3)]
        peaks = [np.linalg.norm(rate, axis=1).max() for rate in rates]
        rms = np.sqrt((rates[1] ** 2).sum(axis=1).mean())
        error_mm = 1e3 * np.linalg.norm(track[-1] - wanted_m)
        lag = lag_s(tracks["naive"], track)
        print(f"{name:<12} " + " ".join(f"{v:>10.3f}" for v in [*peaks, rms]) + f" {lag:>7.2f} {error_mm:>9.4f}")
    plot(tracks, now_s, due_s, options.plot)


def naive(actions: list[Action], due_s: np.ndarray, now_s: np.ndarray) -> np.ndarray:
    """Positions (ticks, 3) [m] of a setpoint that leaps to each goal."""
    goals = np.concatenate([np.zeros((1, 3)), np.cumsum([action.translation_m for action in actions], axis=0)])
    return goals[np.searchsorted(due_s, now_s, side="right")]


def smooth(
    actions: list[Action], due_s: np.ndarray, now_s: np.ndarray, spread: float
) -> tuple[np.ndarray, list[float], float]:
    """Positions (ticks, 3) [m], the time of each tick [s], and what was dropped [m]."""
    playout = Playout(LIMITS, frame="base_link", control_period_s=PERIOD_S, spread=spread)
    playout.begin(Pose(np.zeros(3), np.array([0.0, 0, 0, 1])), 0.0)
    measured = None
    track, times_s, waiting = [], [], list(zip(due_s, actions, strict=True))
    for tick_s in now_s:
        while waiting and waiting[0][0] <= tick_s:
            due, action = waiting.pop(0)
            playout.accept(action, float(due))
        started_s = time.perf_counter()
        setpoint = playout.tick(float(tick_s), measured)
        times_s.append(time.perf_counter() - started_s)
        track.append(setpoint.pose.position_m)
        measured = setpoint.pose  # an arm that follows at once
    return np.array(track), times_s, setpoint.dropped_m


def lag_s(leading: np.ndarray, track: np.ndarray) -> float:
    """By how many seconds `track` follows `leading`, at the best fit."""
    shifts = range(50)
    errors = [np.square(leading[: len(leading) - n] - track[n:]).mean() for n in shifts]
    return TICK_S * shifts[int(np.argmin(errors))]


def plot(tracks: dict[str, np.ndarray], now_s: np.ndarray, due_s: np.ndarray, path: Path) -> None:
    """Position, speed and acceleration along x around the late action."""
    middle_s = due_s[len(due_s) // 2]
    part = (now_s > middle_s - 3.0) & (now_s < middle_s + 2.0)
    figure, panels = plt.subplots(3, 1, sharex=True, figsize=(11, 9))
    for name, track in tracks.items():
        for order, panel in enumerate(panels):
            values = np.gradient(track[:, 0], TICK_S) if order else track[:, 0]
            values = np.gradient(values, TICK_S) if order == 2 else values
            panel.plot(now_s[part], values[part], label=name, lw=1.2)
    for panel, label, top in zip(panels, ("x [m]", "speed [m/s]", "acceleration [m/s²]"), (None, 0.3, 4), strict=True):
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
        if top:
            panel.set_ylim(-top, top)
    panels[0].legend()
    panels[-1].set_xlabel("time [s]; one action is a second late")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
