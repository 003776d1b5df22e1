"""How right marks and traces are on videos of known motion, and what they cost beside their tracker.

`python benchmarks/som_tom.py` prints the tables of docs/som_tom.md; `--cotracker FILE` adds CoTracker to them.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from magma_ros.finetune.cotracker import load_cotracker
from magma_ros.finetune.lucas_kanade import LucasKanade
from magma_ros.finetune.trace_parameters import ROBOT
from magma_ros.finetune.traces import MarkedFrame, split, trace_of_mark
from magma_ros.finetune.tracks import Tracker, Tracks, VideoArray
from magma_ros.mark_text import mark_texts, som_answer, tom_answer
from magma_ros.marks import draw_marks
from magma_ros.sim.moving_pictures import Camera, Scene, Thing
from magma_ros.sim.provenance import provenance

CAMERA = Camera(pan_px=(2.5, -1.5), turn_rad=0.008, zoom=1.004, tilt=(1e-5, -5e-6))
POST = Thing(centre_px=(150.0, 130.0), radii_px=(10.0, 60.0))
NOISE_LEVELS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How right one video's marks are.

    Attributes:
        residual_px: Median distance of points of the plane from where they would be without the camera's motion.
        precision: Share of foreground points that are on a moving thing.
        recall: Share of the kept points on a moving thing that are foreground.
        kept: Share of the points on a moving thing, seen in more than half of the frames, that the tracker kept.
        trace_errors_px: Mean distance of each trace from the true one.
    """

    residual_px: float
    precision: float
    recall: float
    kept: float
    trace_errors_px: tuple[float, ...]


def main() -> None:
    """Print both tables, and write the figures where they are wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=16, help="of each kind")
    parser.add_argument("--clips", type=int, default=200, help="timed; 1000 for the memory over many")
    parser.add_argument("--cotracker", type=Path, help="checkpoint of CoTracker 3 (offline)")
    parser.add_argument("--checkout", type=Path, help="of facebookresearch/co-tracker; else the installed package")
    parser.add_argument("--device", default="cpu", help="of CoTracker")
    parser.add_argument("--json", type=Path, help="file for all figures")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    trackers: dict[str, Tracker] = {"Lucas-Kanade": LucasKanade()}
    if options.cotracker:
        trackers["CoTracker 3"] = load_cotracker(options.cotracker, checkout=options.checkout, device=options.device)
    quality = {name: judged(tracker, options.videos) for name, tracker in trackers.items()}
    for name, kinds in quality.items():
        print(f"\n{name}, {options.videos} videos of each kind\n\n{table(kinds)}")
    cost = {name: timed(tracker, options.clips) for name, tracker in trackers.items()}
    for name, figures in cost.items():
        print(f"\n{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items()))
    if options.json:
        shown = {
            name: {kind: list(map(asdict, all_)) for kind, all_ in kinds.items()} for name, kinds in quality.items()
        }
        document = {"quality": shown, "cost": cost, **provenance(device=options.device)}
        options.json.write_text(json.dumps(document, indent=1), encoding="utf-8")


def scenes(seed: int) -> dict[str, Scene]:
    """One video of each kind: 16 frames of 256 px with two moving things, whose places depend on the seed."""
    generator = np.random.default_rng(seed)
    first = Thing(
        centre_px=(70.0 + generator.uniform(-10, 30), 80.0 + generator.uniform(-15, 15)),
        radii_px=(34.0, 28.0),
        velocity_px=(generator.uniform(3, 6), generator.uniform(0, 3)),
        turn_rad=0.02,
    )
    second = Thing(
        centre_px=(190.0 + generator.uniform(-10, 15), 190.0 + generator.uniform(-15, 15)),
        radii_px=(26.0, 30.0),
        velocity_px=(generator.uniform(-6, -3), generator.uniform(-3, 0)),
    )
    things = (first, second)
    return {
        "still camera": Scene(things=things, seed=seed),
        "moving camera": Scene(things=things, camera=CAMERA, seed=seed),
        "occlusion": Scene(things=(*things, POST), camera=CAMERA, seed=seed),
        "noise": Scene(things=(*things, POST), camera=CAMERA, seed=seed, noise_levels=NOISE_LEVELS),
    }


def judged(tracker: Tracker, num_videos: int) -> dict[str, list[Figures]]:
    """Figures of each kind of video."""
    kinds: dict[str, list[Figures]] = {}
    for seed in range(num_videos):
        for kind, scene in scenes(seed).items():
            tracks = tracker.track(scene.film(), grid_size=ROBOT.grid_size)
            kinds.setdefault(kind, []).append(figures_of(scene, tracks, seed))
    return kinds


def figures_of(scene: Scene, tracks: Tracks, seed: int) -> Figures:
    """What the tracks of a scene give, against what its makers know."""
    begin = tracks.points[0]
    speeds = np.array([np.hypot(*thing.velocity_px) for thing in scene.things] + [0.0])
    moves = speeds[scene.owners(begin)] > 0.0
    parts = split(tracks, frame=0, preset=ROBOT)
    foreground, kept = (np.isin(np.arange(len(begin)), part) for part in (parts.foreground, parts.background))
    kept |= foreground
    plane = kept & (scene.owners(begin) == -1)
    off_px = np.linalg.norm(parts.paths - scene.plane_paths(begin), axis=2)
    shown = moves & (scene.visible(begin).mean(axis=0) > ROBOT.visible_share)
    marked = trace_of_mark(tracks, width_px=scene.width_px, height_px=scene.height_px, preset=ROBOT, seed=seed)
    return Figures(
        residual_px=float(np.median(off_px[:, plane])),
        precision=float((foreground & moves).sum() / max(1, foreground.sum())),
        recall=float((foreground & moves).sum() / max(1, (kept & moves).sum())),
        kept=float((kept & shown).sum() / max(1, shown.sum())),
        trace_errors_px=tuple(trace_errors_px(scene, tracks, marked)),
    )


def trace_errors_px(scene: Scene, tracks: Tracks, marked: MarkedFrame) -> list[float]:
    """Mean distance of each trace from the true path of its mark, up to where the mark is last seen."""
    errors = []
    for trace in marked.traces:
        mark = marked.marks[trace.number - 1]
        place = (mark.x_px, mark.y_px)
        index = int(np.linalg.norm(tracks.points[marked.frame] - place, axis=1).argmin())
        last_seen = int(np.flatnonzero(tracks.visible[:, index])[-1])
        off_px = np.linalg.norm(marked.paths[:, trace.number - 1] - scene.plane_paths([place])[:, 0], axis=1)
        errors.append(float(off_px[marked.frame : last_seen + 1].mean()))
    return errors


def table(kinds: Mapping[str, Sequence[Figures]]) -> str:
    """Markdown: means over videos, and over all traces."""
    lines = ["| video | camera residual [px] | precision | recall | kept | trace error [px] | traces within 2 px |"]
    lines.append("|---|---|---|---|---|---|---|")
    for kind, figures in kinds.items():
        means = [
            np.mean([getattr(one, name) for one in figures]) for name in ("residual_px", "precision", "recall", "kept")
        ]
        errors = np.concatenate([one.trace_errors_px for one in figures])
        numbers = " | ".join(f"{mean:.2f}" for mean in means)
        shares = f"{errors.mean():.2f} (median {np.median(errors):.2f}) | {(errors <= 2.0).mean():.0%} of {len(errors)}"
        lines.append(f"| {kind} | {numbers} | {shares} |")
    return "\n".join(lines)


def timed(tracker: Tracker, num_clips: int) -> dict[str, float]:
    """Clips per second of the whole way (tracks, marks, drawing, text), and what it adds to its tracker."""
    films = [scene.film() for scene in scenes(0).values()]
    annotated(tracker, films[0], 0)
    spent_s = {"tracker": 0.0, "rest": 0.0}
    before_mib = peak_mib()
    for index in range(num_clips):
        tracker_s, rest_s = annotated(tracker, films[index % len(films)], index)
        spent_s["tracker"] += tracker_s
        spent_s["rest"] += rest_s
    return {
        "clips per second": num_clips / sum(spent_s.values()),
        "tracker's clips per second": num_clips / spent_s["tracker"],
        "overhead": spent_s["rest"] / spent_s["tracker"],
        "clips": num_clips,
        "peak memory grew [MiB]": peak_mib() - before_mib,
    }


def annotated(tracker: Tracker, film: VideoArray, seed: int) -> tuple[float, float]:
    """Seconds in the tracker and in all the rest, for one clip."""
    started_s = time.perf_counter()
    tracks = tracker.track(film, grid_size=ROBOT.grid_size)
    tracked_s = time.perf_counter()
    _, height_px, width_px, _ = film.shape
    marked = trace_of_mark(tracks, width_px=width_px, height_px=height_px, preset=ROBOT, seed=seed)
    picture: NDArray[np.uint8] = draw_marks(film[marked.frame], marked.marks)
    texts = mark_texts(marked.marks, width_px=width_px, height_px=height_px)
    answer = tom_answer(marked.traces) if marked.traces else som_answer(texts)
    assert picture.shape == film.shape[1:]
    assert answer
    return tracked_s - started_s, time.perf_counter() - tracked_s


def peak_mib() -> float:
    """Most memory that this process has held [MiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


if __name__ == "__main__":
    main()
