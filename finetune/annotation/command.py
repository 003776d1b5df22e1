"""What `magma-ros annotate` does: film in; records about marks and traces, and a page out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from magma_ros.episodes import holds_episodes
from magma_ros.finetune.annotation.annotate import PAGE_NAME, RECORDS_NAME, annotate
from magma_ros.finetune.annotation.clips import find_clips
from magma_ros.finetune.annotation.job import Cutting, Job
from magma_ros.finetune.plain_values import build, override, to_plain
from magma_ros.finetune.progress import progress_bar
from magma_ros.finetune.trace_parameters import DEMO, HUMAN_VIDEO, ROBOT, TraceParameters
from magma_ros.finetune.trackers import TrackerChoice
from magma_ros.json_files import write_object
from magma_ros.prompts import TraceWording
from magma_ros.wording import counted

_PRESETS = {"demo": DEMO, "human-video": HUMAN_VIDEO, "robot": ROBOT}


def annotate_film(  # noqa: PLR0913 - each is a flag
    source: tyro.conf.Positional[Path],
    *,
    output: Path,
    cutting: Annotated[Cutting, tyro.conf.arg(name="")] = Cutting(),  # noqa: B008 - frozen
    tracking: Annotated[TrackerChoice, tyro.conf.arg(name="")] = TrackerChoice(),  # noqa: B008 - same
    wording: TraceWording | None = None,
    cameras: tuple[str, ...] = (),
    preset: Literal["demo", "human-video", "robot"] | None = None,
    assignments: Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE")] = (),
    seed: int = 0,
    previews: int = 24,
    workers: int = 2,
    ray_address: str | None = None,
    json: Path | None = None,
) -> None:
    """Write conversations about marks and where they go; goes on where it stopped, killed or not.

    Args:
        source: A dataset of episodes, or the output of `magma-ros data curate`.
        output: Folder of records.jsonl, the pictures, page.html and summary.json.
        cutting: How film is cut, and how much is said about a window of it.
        tracking: What follows points.
        wording: Who does what the texts say; by default robot for episodes, video (a person) for clips.
        cameras: Of episodes, which ones; all when none is named.
        preset: Parameters of marks and traces; by default robot for episodes, human-video for clips.
        assignments: Values in place of the preset's, such as grid_size=20 skip_share=0.
        seed: Of every draw; the same one makes the same files.
        previews: Clips of which the page has a filmstrip.
        workers: Processes, or with Ray clips that are worked on at a time, at least 1.
        ray_address: Of a Ray cluster: local, auto, or host:port; its nodes see the folders under the same paths.
        json: Write the numbers here, too, for programs.
    """
    of_episodes = holds_episodes(source)
    clips = find_clips(source, cameras=cameras)
    job = Job(
        output=output,
        parameters=_parameters(preset or ("robot" if of_episodes else "human-video"), assignments),
        tracker=tracking,
        wording=wording or ("robot" if of_episodes else "video"),
        cutting=cutting,
        seed=seed,
    )
    with progress_bar(len(clips), of="clips") as tell:
        summary = annotate(
            clips,
            job,
            source=source.name,
            num_previews=previews,
            workers=workers,
            ray_address=ray_address,
            on_clip=tell,
        )
    if json is not None:
        write_object(json, summary)
    for outcome, count in summary["outcomes"].items():
        print(f"{outcome.replace('_', ' ')}: {counted(count, 'window')}")
    print(
        f"{counted(summary['clips'], 'clip')}, {counted(summary['records'], 'record')}, "
        f"{output / RECORDS_NAME}, {output / PAGE_NAME}",
        flush=True,
    )


def _parameters(preset: str, assignments: tuple[str, ...]) -> TraceParameters:
    plain = to_plain(_PRESETS[preset])
    for assignment in assignments:
        override(plain, assignment)
    return build(TraceParameters, plain, where=preset)
