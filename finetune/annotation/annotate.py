"""From clips to records: every window of film is tracked, marked, said and written, in the order of the clips.

The output holds `clips.jsonl`, a line for each clip; when all are done, `records.jsonl` for training, `page.html` and
`summary.json`; and pictures and filmstrips beside them. All of it depends on clips, settings and seed alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from magma_ros.errors import AnnotationError, MagmaRosError
from magma_ros.finetune.annotation.clips import AnyClip, in_windows
from magma_ros.finetune.annotation.filmstrip import filmstrip
from magma_ros.finetune.annotation.job import Job
from magma_ros.finetune.annotation.page import to_page
from magma_ros.finetune.annotation.records import Record, Said, apart, record_of
from magma_ros.finetune.annotation.summary import summarize
from magma_ros.finetune.line_log import going_on, read_lines
from magma_ros.finetune.traces import MarkedFrame, mark_clip
from magma_ros.finetune.tracks import VideoArray
from magma_ros.in_order import open_workers
from magma_ros.mark_text import mark_texts
from magma_ros.marks import draw_marks
from magma_ros.types import ImageArray
from magma_ros.whole_files import replacing

LOG_NAME, RECORDS_NAME, PAGE_NAME, SUMMARY_NAME = "clips.jsonl", "records.jsonl", "page.html", "summary.json"

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
"""Without halved colours, which would smear small red marks."""

Line = dict[str, Any]


class Annotator:
    """Annotates one clip after the other, in one process."""

    def __init__(self, job: Job) -> None:
        self._job, self._tracker = job, job.tracker.open()

    def __call__(self, item: tuple[AnyClip, bool], /) -> Line:
        """The line of a clip, whose pictures are on the disk by then; with a filmstrip if that is wanted.

        Raises:
            AnnotationError: the clip cannot be read, or its text cannot be used; names the clip.
        """
        (clip, is_shown), cutting = item, self._job.cutting
        windows: list[Line] = []
        records: list[Record] = []
        try:
            text, pictures = clip.read()
            taken = islice(pictures, 0, None, cutting.stride)
            for start, frames in in_windows(taken, window=cutting.window, step=cutting.step):
                window, record = self._annotate(clip, text, start, frames, is_shown=is_shown and not windows)
                windows.append(window)
                records += apart(record) if cutting.turns == "apart" else [record]
        except MagmaRosError as error:
            raise AnnotationError(f"{clip.name}: {error}") from error
        return {"clip": clip.name, "windows": windows, "records": records}

    def close(self) -> None:
        """It holds nothing that has to be released."""

    def _annotate(
        self, clip: AnyClip, text: str, start: int, frames: VideoArray, *, is_shown: bool
    ) -> tuple[Line, Record]:
        job, stem = self._job, f"{clip.name}/{start:06d}"
        seed = _seed(job.seed, stem)
        marked = mark_clip(frames, tracker=self._tracker, preset=job.parameters, seed=seed)
        height_px, width_px = frames.shape[1:3]
        said = Said(
            text=text,
            wording=job.wording,
            num_pictures=len(marked.history) + 1,
            marks=mark_texts(marked.marks, width_px=width_px, height_px=height_px),
            traces=marked.traces,
            num_steps=marked.num_steps,
            speed=marked.speed if job.cutting.with_speed else None,
        )
        clean = [(f"pictures/{stem}_{index:03d}.jpg", frames[index]) for index in (*marked.history, marked.frame)]
        drawn = draw_marks(frames[marked.frame], marked.marks)
        files = clean + ([(f"pictures/{stem}_marked.jpg", drawn)] if marked.marks else [])
        for name, picture in files:
            _write_jpeg(job.output / name, picture)
        preview = f"previews/{stem}.jpg" if is_shown else None
        if preview is not None:
            _write_jpeg(job.output / preview, filmstrip(frames, marked))
        stride = job.cutting.stride
        origin = {**dict(clip.origin), "picture": stride * (start + marked.frame)}
        name = f"{clip.name}_trace_{stride * start:09d}_{stride * (start + len(frames) - 1):09d}"
        record = record_of(said, name=name, images=[file for file, _ in files], origin=origin)
        return _window(name, text, marked, preview), record


def annotate(
    clips: Sequence[AnyClip],
    job: Job,
    *,
    source: str,
    num_previews: int = 24,
    workers: int = 1,
    ray_address: str | None = None,
    on_clip: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Annotate `clips` and give the summary; goes on where it stopped, killed or not.

    Args:
        clips: In the order of their records.
        job: How.
        source: Where the clips are from, for the page.
        num_previews: Clips, spread evenly, of which the page has a filmstrip.
        workers: Processes, or tasks on Ray at a time; 1 without Ray is this process.
        ray_address: Of a cluster, see `ray_cluster.connect`; its nodes see the folders under the same paths.
        on_clip: Hears how many clips are done.

    Raises:
        AnnotationError: no clip, one that cannot be annotated, or an output that was begun otherwise.
    """
    if not clips:
        raise AnnotationError(f"{source}: expected at least one clip, got none")
    numbers = np.linspace(0, len(clips) - 1, min(num_previews, len(clips))).round().astype(int)
    shown = frozenset(numbers.tolist())
    settings = {**job.settings(), "source": source, "clips": _fingerprint(clips), "num_previews": num_previews}
    with going_on(job.output, LOG_NAME, settings=settings, error=AnnotationError) as log:
        left = [(clip, number in shown) for number, clip in islice(enumerate(clips), len(log), None)]
        if left:
            make = partial(Annotator, replace(job, output=job.output.absolute()))  # Ray's workers are elsewhere
            row = open_workers(make, workers=workers, ray_address=ray_address, error=AnnotationError)
            with closing(row), closing(row.map(left)) as lines:
                for line in lines:
                    log.append(line)
                    if on_clip is not None:
                        on_clip(len(log))
        return _conclude(job.output, settings)


def _conclude(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Write what is made of the whole log: records, summary and page."""
    log = folder / LOG_NAME

    def lines() -> Iterator[Line]:
        return read_lines(log, error=AnnotationError)

    with replacing(folder / RECORDS_NAME) as partial_file, partial_file.open("w", encoding="utf-8") as file:
        for line in lines():
            file.writelines(json.dumps(record) + "\n" for record in line["records"])
    summary = summarize(lines(), settings=json.loads(json.dumps(settings)))
    with replacing(folder / SUMMARY_NAME) as partial_file:
        partial_file.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    shown = [window for line in lines() for window in line["windows"] if window["preview"] is not None]
    with replacing(folder / PAGE_NAME) as partial_file:
        partial_file.write_text(to_page(summary, shown, folder=folder), encoding="utf-8")
    return summary


def _window(name: str, text: str, marked: MarkedFrame, preview: str | None) -> Line:
    return {
        "name": name,
        "outcome": "traces" if marked.no_trace is None else marked.no_trace.value,
        "text": text,
        "num_marks": len(marked.marks),
        "num_traces": len(marked.traces),
        "num_steps": marked.num_steps,
        "speed": marked.speed,
        "camera_moved": marked.camera_moved,
        "num_clipped": marked.num_clipped,
        "preview": preview,
    }


def _write_jpeg(path: Path, picture: ImageArray) -> None:
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[:, :, ::-1]), _JPEG)
    with replacing(path) as partial_file:
        partial_file.write_bytes(bytes(data))


def _seed(seed: int, stem: str) -> int:
    """Its own for each window, whoever works on it."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{stem}".encode()).digest()[:7], "big")


def _fingerprint(clips: Sequence[AnyClip]) -> str:
    """SHA-256 (hex) of the clips' names and origins."""
    whole = hashlib.sha256()
    for clip in clips:
        whole.update(json.dumps([clip.name, clip.origin]).encode() + b"\n")
    return whole.hexdigest()
