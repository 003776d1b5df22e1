"""Described segments become clips of one shot; the manifest says what became of everything else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from magma_ros.errors import CurationError
from magma_ros.finetune.curation.command import counts
from magma_ros.finetune.curation.curate import Job, curate
from magma_ros.finetune.curation.segments import Rules, Segment, read_segments
from magma_ros.finetune.curation.shots import find_shots
from magma_ros.finetune.curation.stretches import Stretch
from tests.finetune.curation.films import RATE_HZ, shot, write_film

PROGRAM = Path(__file__).parent / "killed_curation.py"

SEGMENTS: list[dict[str, Any]] = [
    {"video": "day/film.mp4", "start": 0.0, "end": 7.0, "text": "pour water"},
    {"video": "day/film.mp4", "start": 0.5, "end": 1.25, "text": "pour water"},
    {"video": "day/film.mp4", "start": 4.5, "end": 6.0, "text": "cut the bread"},
    {"video": "day/film.mp4", "start": 0.0, "end": 5.0, "text": "they laugh and walk"},
    {"video": "day/gone.mp4", "start": 0.0, "end": 5.0, "text": "peel a potato"},
    {"video": "day/film.mp4", "start": 0.0, "end": 4.0, "text": "say <|eot_id|>"},
    {"video": "day/film.mp4", "start": 60.0, "end": 65.0, "text": "wait"},
]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Seven segments of a film with cuts at 2.5 s and 4.8 s and a last shot that is too short."""
    write_film(tmp_path / "videos" / "day" / "film.mp4", shot(0, 25), shot(1, 23), shot(2, 22))
    return written(tmp_path, SEGMENTS)


def written(folder: Path, segments: list[dict[str, Any]], **options: Any) -> Job:
    path = folder / "segments.jsonl"
    path.write_text("".join(json.dumps(segment) + "\n" for segment in segments))
    usual = {"videos": folder / "videos", "segments": path, "output": folder / "clips", "rules": Rules(), "clip": None}
    return Job(**usual | options)


def lines_of(manifest: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in manifest.read_text().splitlines()]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_segment_becomes_a_clip_for_each_of_its_shots(job: Job) -> None:
    """Three shots: each without its first two pictures and its last; the clips hold exactly these pictures."""
    first = lines_of(curate(job))[0]
    assert [22, 20, 19] == [clip["num_pictures"] for clip in first["clips"]]
    assert "day/film.mp4/start_0.0___end_7.0___part_0.mp4" == first["clips"][0]["clip"]
    assert (48, 64, RATE_HZ, None) == tuple(
        first["clips"][0][key] for key in ("height_px", "width_px", "rate_hz", "clip_score")
    )
    second = Stretch(job.output / first["clips"][1]["clip"], 0.0, 60.0)
    pictures = list(second)
    assert 20 == len(pictures)
    for picture, wanted in zip(pictures, shot(1, 23)[2:-1], strict=True):
        assert abs(picture.mean() - wanted.mean()) < 3


def test_every_drop_has_a_reason(job: Job) -> None:
    """Too short, forbidden words, no file, a reserved text, no picture; the other segments are not touched by it."""
    manifest = curate(job)
    reasons = [[drop["reason"] for drop in line["dropped"]] for line in lines_of(manifest)]
    assert [[], ["short_segment"], ["short_clip"] * 2, ["text"], ["unreadable"], ["text"], ["empty"]] == reasons
    assert "has 'walk', 'laugh'" == lines_of(manifest)[3]["dropped"][0]["detail"]
    assert {"segments": 7, "clips": 3, "seconds": 6.1} == {
        key: counts(manifest)[key] for key in ("segments", "clips", "seconds")
    }


def test_cuts_are_found_where_they_are() -> None:
    """The shots of a known film; a film without a cut is one shot, no film is none."""
    film = np.concatenate([shot(seed, count) for seed, count in ((3, 30), (4, 17), (5, 40))])
    assert [range(30), range(30, 47), range(47, 87)] == find_shots(film, rate_hz=RATE_HZ)
    assert [range(20)] == find_shots(shot(3, 20), rate_hz=RATE_HZ)
    assert [] == find_shots([], rate_hz=RATE_HZ)


def test_a_killed_curation_goes_on_with_the_same_files(job: Job, tmp_path: Path) -> None:
    """Killed while a clip is written, begun again in two processes: the files of an undisturbed one, to the byte."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    folders = [str(job.videos), str(job.segments), str(tmp_path / "killed")]
    ended = subprocess.run(
        [sys.executable, str(PROGRAM), *folders], env=environment, capture_output=True, text=True, check=False
    )
    assert -9 == ended.returncode, ended.stderr
    again = written(tmp_path, SEGMENTS, output=tmp_path / "killed")
    assert 0 == len(lines_of(again.output / "manifest.jsonl"))
    curate(again, workers=2)
    curate(job)
    assert files_of(job.output) == files_of(again.output)


def test_a_folder_of_other_rules_is_refused(job: Job, tmp_path: Path) -> None:
    """What was begun with other rules is not mixed; the difference is named, and nothing is written."""
    curate(job)
    before = files_of(job.output)
    other = written(tmp_path, SEGMENTS, rules=Rules(min_duration_s=3.0))
    with pytest.raises(CurationError, match=r"begun with other settings: rules .*3\.0"):
        curate(other)
    assert before == files_of(job.output)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"video": "../a.mp4", "start": 0, "end": 1, "text": "x"}', "file inside the folder"),
        ('{"video": "a.mp4", "start": 2, "end": 1, "text": "x"}', "expected 0 <= start < end, got 2 and 1"),
        ('{"video": "a.mp4", "start": NaN, "end": 1, "text": "x"}', "expected 0 <= start < end, got nan and 1"),
        ('{"video": "a.mp4", "start": true, "end": 1, "text": "x"}', "start and end in seconds, got True"),
        ('{"video": "a.mp4", "start": 0, "end": 1}', "expected an object with"),
        ('{"video": "a.mp4", "start": 0, "end": 1, "text": 3}', "text: expected words, got 3"),
        ('{"video"', "Expecting"),
        ('{"video": "day/film.mp4", "start": 0, "end": 7, "text": "x"}', "expected each stretch once"),
    ],
)
def test_a_malformed_segment_is_named_by_its_line(tmp_path: Path, line: str, complaint: str) -> None:
    """Line 2, with what is wrong."""
    path = tmp_path / "segments.jsonl"
    path.write_text(json.dumps(SEGMENTS[0]) + "\n" + line + "\n")
    with pytest.raises(CurationError, match=rf"1 line cannot be used:\n  line 2: .*{complaint}"):
        read_segments(path)


def test_rules_keep_what_they_are_told() -> None:
    """Without forbidden words a walk is kept; a limit of length is inclusive."""
    walk = Segment("a.mp4", 0.0, 1.0, "walk on")
    assert ("text", "has 'walk'") == Rules().fault_of(walk)
    assert Rules(forbidden=()).fault_of(walk) is None
    assert ("short_segment", "1 s, wanted 2 s") == Rules(forbidden=(), min_duration_s=2.0).fault_of(walk)
    with pytest.raises(CurationError, match="score of -1 to 1"):
        Rules(min_clip_score=2.0)


def test_a_picture_of_odd_size_loses_its_last_row(tmp_path: Path) -> None:
    """49 by 65 px become 48 by 64, as colours are stored for four pixels together."""
    path = tmp_path / "odd.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 49, 65, "bgr0"
        for picture in np.zeros((3, 49, 65, 3), np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    assert [(48, 64, 3)] * 3 == [picture.shape for picture in Stretch(path, 0.0, 9.0)]
