"""What `magma-ros data curate` does: videos and their descriptions in, short clips and a manifest out."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import tyro

from magma_ros.errors import CurationError
from magma_ros.finetune.curation.curate import Job, curate
from magma_ros.finetune.curation.segments import Rules, read_segments
from magma_ros.finetune.line_log import read_lines
from magma_ros.finetune.progress import progress_bar
from magma_ros.json_files import write_object
from magma_ros.wording import counted

_LOG = logging.getLogger(__name__)


def curate_videos(
    videos: tyro.conf.Positional[Path],
    *,
    segments: Path,
    output: Path,
    rules: Annotated[Rules, tyro.conf.arg(name="")] = Rules(),  # noqa: B008 - frozen
    clip: Path | None = None,
    workers: int = 2,
    ray_address: str | None = None,
    json: Path | None = None,
) -> None:
    """Cut described videos into short clips of one shot each; goes on where it stopped, killed or not.

    Args:
        videos: Their folder.
        segments: JSON lines {"video", "start", "end", "text"}, times in seconds.
        output: Folder of the clips and of manifest.jsonl, which has a reason for all that was dropped.
        rules: What is kept.
        clip: Folder of a CLIP, as transformers saves it, that clips which do not fit their text are dropped with.
        workers: Processes, or with Ray segments that are worked on at a time, at least 1.
        ray_address: Of a Ray cluster: local, auto, or host:port; its nodes see the folders under the same paths.
        json: Write the numbers here, too, for programs.
    """
    if clip is None:
        _LOG.warning("no --clip: whether a clip shows what its text says is not looked at; the manifest says so, too")
    job = Job(videos=videos, segments=segments, output=output, rules=rules, clip=clip)
    with progress_bar(len(read_segments(segments)), of="segments") as tell:
        manifest = curate(job, workers=workers, ray_address=ray_address, on_segment=tell)
    found = counts(manifest)
    if json is not None:
        write_object(json, found)
    for reason, count in found["dropped"].items():
        print(f"dropped: {count}, {reason}")
    clips = f"{counted(found['clips'], 'clip')} of {found['seconds']:.1f} s"
    print(f"{counted(found['segments'], 'segment')}, {clips}, {manifest}", flush=True)


def counts(manifest: Path) -> dict[str, Any]:
    """Segments, clips and their length [s], and how much was dropped for each reason, of a manifest.

    Raises:
        CurationError: it cannot be read.
    """
    num_segments, num_clips, seconds, dropped = 0, 0, 0.0, Counter[str]()
    for line in read_lines(manifest, error=CurationError):
        num_segments += 1
        num_clips += len(line["clips"])
        seconds += sum(clip["num_pictures"] / clip["rate_hz"] for clip in line["clips"])
        dropped.update(drop["reason"] for drop in line["dropped"])
    return {"segments": num_segments, "clips": num_clips, "seconds": seconds, "dropped": dict(sorted(dropped.items()))}
