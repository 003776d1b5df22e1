"""From described segments of videos to short clips of one shot each, and why everything else was left out.

`manifest.jsonl` in the output has a line for each segment, in their order: what it was, its `clips`, and what was
`dropped` of it, with a reason. What is written depends on the segments and the rules alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from magma_ros.episodes import video
from magma_ros.errors import CurationError
from magma_ros.finetune.curation.segments import Rules, Segment, read_segments
from magma_ros.finetune.curation.shots import find_shots
from magma_ros.finetune.curation.stretches import Stretch
from magma_ros.finetune.digests import digest
from magma_ros.finetune.line_log import going_on
from magma_ros.in_order import open_workers
from magma_ros.types import ImageArray
from magma_ros.whole_files import replacing

MANIFEST_NAME = "manifest.jsonl"
FORMAT = 1

_FIRST_LEFT_OUT, _LAST_LEFT_OUT = 2, 1
"""Pictures at the ends of a clip, which may still show the shot beside it (upstream's)."""
_NUM_COMPARED = 4
"""Pictures of a clip that are compared with its text (upstream's)."""

Line = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is curated; it goes to other processes, so it pickles.

    Attributes:
        videos: Folder that the segments' videos are relative to.
        segments: File of the segments, see `read_segments`.
        output: Folder of clips and manifest.
        rules: What is kept.
        clip: Folder of a CLIP; None leaves likeness out.
    """

    videos: Path
    segments: Path
    output: Path
    rules: Rules
    clip: Path | None


class SegmentCurator:
    """Cuts one segment after the other, in one process."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._likeness: Any = None
        if job.clip is not None:
            from magma_ros.finetune.curation.likeness import Likeness  # noqa: PLC0415 - only with weights of the user's

            self._likeness = Likeness(job.clip)

    def __call__(self, segment: Segment, /) -> Line:
        """The line of `segment` in the manifest; its clips are on the disk by then."""
        line: Line = {"video": segment.video, "start": segment.start_s, "end": segment.end_s, "text": segment.text}
        line |= {"clips": [], "dropped": []}
        fault = self._job.rules.fault_of(segment)
        if fault is None:
            stretch = Stretch(self._job.videos / segment.video, segment.start_s, segment.end_s)
            try:
                self._cut(segment, stretch, line)
            except CurationError as error:
                fault = "unreadable", str(error)
        if fault is not None:
            line |= {"clips": [], "dropped": [_dropped(None, *fault)]}
        return line

    def close(self) -> None:
        """Release the network."""
        self._likeness = None

    def _cut(self, segment: Segment, stretch: Stretch, line: Line) -> None:
        rate_hz, rules = stretch.rate_hz(), self._job.rules
        shots = find_shots(stretch, rate_hz=rate_hz)
        if not shots:
            line["dropped"].append(_dropped(None, "empty", "no picture between its start and end"))
        pictures, place = iter(stretch), 0
        for part, shot in enumerate(shots):
            kept = range(shot.start + _FIRST_LEFT_OUT, shot.stop - _LAST_LEFT_OUT)
            if len(kept) < max(1.0, rules.min_duration_s * rate_hz):
                detail = f"{len(kept) / rate_hz:.2f} s, wanted {rules.min_duration_s:g} s"
                line["dropped"].append(_dropped(part, "short_clip", detail))
                continue
            skipped = islice(pictures, kept.start - place, kept.stop - place)
            place = kept.stop
            self._write(segment, part, skipped, len(kept), rate_hz, line)

    def _write(
        self, segment: Segment, part: int, pictures: Iterable[ImageArray], count: int, rate_hz: float, line: Line
    ) -> None:
        """The clip of `count` pictures, unless its text does not fit it."""
        compared: list[ImageArray] = []
        numbers = np.linspace(0, count - 1, _NUM_COMPARED).astype(int).tolist()
        content = video.encode(_watched(pictures, numbers, compared), rate_hz=rate_hz)
        score = None
        if self._likeness is not None:
            score = round(self._likeness.best(compared, segment.text), 4)
            if score < self._job.rules.min_clip_score:
                detail = f"{score}, wanted {self._job.rules.min_clip_score:g}"
                line["dropped"].append(_dropped(part, "clip_score", detail))
                return
        name = f"{segment.video}/start_{segment.start_s}___end_{segment.end_s}___part_{part}.mp4"
        with replacing(self._job.output / name) as partial_file:
            partial_file.write_bytes(content)
        height, width = compared[0].shape[:2]
        size = {"num_pictures": count, "rate_hz": rate_hz, "height_px": height, "width_px": width}
        line["clips"].append({"clip": name, "part": part, **size, "clip_score": score})


def curate(
    job: Job,
    *,
    workers: int = 1,
    ray_address: str | None = None,
    on_segment: Callable[[int], None] | None = None,
) -> Path:
    """Cut every segment of `job` and give the manifest; goes on where it stopped, killed or not.

    Args:
        job: What is curated.
        workers: Processes, or tasks on Ray at a time; 1 without Ray is this process.
        ray_address: Of a cluster, see `ray_cluster.connect`; its nodes see the folders under the same paths.
        on_segment: Hears how many segments are done.

    Raises:
        CurationError: segments or CLIP cannot be used, or the output was begun with others.
    """
    segments = read_segments(job.segments)
    settings = {
        "format": FORMAT,
        "segments": digest(job.segments),
        "num_segments": len(segments),
        "rules": asdict(job.rules),
        "clip": None if job.clip is None else digest(job.clip),
    }
    with going_on(job.output, MANIFEST_NAME, settings=settings, error=CurationError) as log:
        left = segments[len(log) :]
        if left:
            row = open_workers(
                partial(SegmentCurator, _placed(job)), workers=workers, ray_address=ray_address, error=CurationError
            )
            with closing(row), closing(row.map(left)) as lines:
                for line in lines:
                    log.append(line)
                    if on_segment is not None:
                        on_segment(len(log))
    return job.output / MANIFEST_NAME


def _placed(job: Job) -> Job:
    """`job` with whole paths: workers on Ray have another working directory."""
    clip = None if job.clip is None else job.clip.absolute()
    return replace(job, videos=job.videos.absolute(), output=job.output.absolute(), clip=clip)


def _watched(pictures: Iterable[ImageArray], numbers: list[int], seen: list[ImageArray]) -> Iterator[ImageArray]:
    """`pictures`, of which those with `numbers` are kept in `seen`."""
    for number, picture in enumerate(pictures):
        if number in numbers:
            seen.append(picture)
        yield picture


def _dropped(part: int | None, reason: str, detail: str) -> Line:
    return {"part": part, "reason": reason, "detail": detail}
