"""Film becomes conversations about marks and where they go, the same files each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from magma_ros import images
from magma_ros.cli import main
from magma_ros.errors import AnnotationError
from magma_ros.finetune.annotation.annotate import annotate
from magma_ros.finetune.annotation.clips import find_clips
from magma_ros.finetune.conversations import ConversationSource
from magma_ros.mark_text import GRID, parse_som, parse_tom, to_pixels
from tests.finetune.annotation.films import SIDE_PX, film, write_clips, write_episodes
from tests.finetune.annotation.jobs import PARAMETERS, job
from tests.finetune.networks import magma_tiny

PROGRAM = Path(__file__).parent / "killed_annotation.py"


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_episodes(tmp_path_factory.mktemp("data") / "episodes")


@pytest.fixture(scope="module")
def annotated(episodes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes, annotated in one process without a disturbance."""
    output = tmp_path_factory.mktemp("annotated")
    annotate(find_clips(episodes), job(output), source="episodes")
    return output


def records_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def picture(folder: Path, name: str) -> np.ndarray:
    return images.decode((folder / name).read_bytes()).astype(float)


def test_a_window_becomes_a_turn_on_the_clean_picture_and_one_on_the_marked(annotated: Path) -> None:
    """What the robot does, then where the marks go; between the pictures only discs differ."""
    record = records_of(annotated)[0]
    assert "episode_000000/image_trace_000000000_000000007" == record["id"]
    clean, marked = (picture(annotated, name) for name in record["image"])
    assert np.abs(clean - film(0)[0]).mean() < 2
    asked, answer, question, traces = (turn["value"] for turn in record["conversations"])
    assert ("<image>\n\nWhat is the robot doing in the image?\n", "push thing 0\n") == (asked, answer)
    listed = [int(number) for number in question.split("marks: [")[1].split("]")[0].split(", ")]
    assert list(range(1, len(listed) + 1)) == listed
    assert {trace.number for trace in parse_tom(traces)} < set(listed)
    changed = np.abs(clean - marked).max(axis=2) > 60
    assert 0.02 < changed.mean() < 0.5
    for trace in parse_tom(traces):
        x, y = to_pixels(trace.start, width_px=SIDE_PX, height_px=SIDE_PX)
        assert changed[round(float(y)) - 6 : round(float(y)) + 7, round(float(x)) - 6 : round(float(x)) + 7].any()
    assert {"episodes": "episodes", "episode": 0, "camera": "image", "picture": 0} == record["origin"]


def test_traces_go_where_the_thing_went(annotated: Path) -> None:
    """Three pixels to the right in each picture, in cells of the grid; marks at rest have none."""
    found = [
        trace
        for record in records_of(annotated)
        if "how to move" in record["conversations"][2]["value"]
        for trace in parse_tom(record["conversations"][3]["value"])
    ]
    assert len(found) >= 6
    ways = [np.diff([trace.start, *trace.future], axis=0).mean(axis=0) for trace in found]
    assert [3.0 * GRID / SIDE_PX, 0.5 * GRID / SIDE_PX] == pytest.approx(np.median(ways, axis=0).tolist(), abs=0.5)


def test_where_nothing_moves_the_marks_are_asked_for(annotated: Path) -> None:
    """The last episode stands still: its records ask where the marks are, and the summary says why."""
    still = [record for record in records_of(annotated) if record["origin"]["episode"] == 2]
    assert 2 == len(still)
    for record in still:
        assert record["conversations"][2]["value"].endswith("Please locate all the numerical marks in the image.\n")
        assert len(parse_som(record["conversations"][3]["value"])) >= 6
    summary = json.loads((annotated / "summary.json").read_text())
    assert {"traces": 4, "nothing_moves": 2} == summary["outcomes"]
    assert (3, 6, 6) == (summary["clips"], summary["windows"], summary["records"])


def test_the_trainer_reads_the_records(annotated: Path) -> None:
    """Every record is two samples, whose prompts hold one picture and two."""
    source = ConversationSource(annotated / "records.jsonl", processor=magma_tiny().processor, use_image_start_end=True)
    assert (6, 12) == (source.num_records, len(source))
    counts = [len(source.sample(index, np.random.default_rng(0)).model_input.images) for index in range(12)]
    assert [1, 2] * 6 == counts


def test_a_killed_annotation_goes_on_with_the_same_files(annotated: Path, episodes: Path, tmp_path: Path) -> None:
    """Killed while a picture is written, gone on with by another process: the files of an undisturbed one."""
    output = tmp_path / "killed"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(PROGRAM), str(episodes), str(output)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert -9 == ended.returncode, ended.stderr
    assert 1 == len((output / "clips.jsonl").read_text().splitlines())
    assert not (output / "records.jsonl").exists()
    annotate(find_clips(episodes), job(output), source="episodes")
    assert files_of(annotated) == files_of(output)


def test_a_torn_line_is_worked_on_again(annotated: Path, episodes: Path, tmp_path: Path) -> None:
    """The power went while the log's second line was written."""
    annotate(find_clips(episodes), job(tmp_path), source="episodes")
    log = tmp_path / "clips.jsonl"
    log.write_bytes(log.read_bytes()[: len(log.read_bytes().splitlines()[0]) + 40])
    annotate(find_clips(episodes), job(tmp_path), source="episodes")
    assert files_of(annotated) == files_of(tmp_path)


def test_another_seed_draws_other_marks(annotated: Path, episodes: Path, tmp_path: Path) -> None:
    """And a folder that was begun with one seed is refused with another."""
    annotate(find_clips(episodes), job(tmp_path, seed=6), source="episodes")
    answers = [
        [record["conversations"][3]["value"] for record in records_of(folder)] for folder in (annotated, tmp_path)
    ]
    assert answers[0] != answers[1]
    with pytest.raises(AnnotationError, match="begun with other settings: seed 6, now 5"):
        annotate(find_clips(episodes), job(tmp_path), source="episodes")


def test_turns_may_stand_apart_and_begin_with_earlier_pictures(episodes: Path, tmp_path: Path) -> None:
    """Two records of each window; the first shows up to two pictures from before the marked one, in their order."""
    parameters = replace(PARAMETERS, num_history=2, start_share=0.9)
    annotate(find_clips(episodes)[:2], job(tmp_path, parameters=parameters, turns="apart"), source="episodes")
    records = records_of(tmp_path)
    assert ["_turn_0", "_turn_1"] * 4 == [record["id"][-7:] for record in records]
    counts = [len(record["image"]) for record in records]
    assert [1] * 4 == counts[1::2]
    assert 3 in counts[::2]
    for record in records:
        assert len(record["image"]) == record["conversations"][0]["value"].count("<image>\n")
        assert record["image"] == sorted(record["image"])


def test_curated_clips_are_annotated_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person is said to do it; every second picture is taken; a clip that is shorter than a window has no record."""
    source, output = write_clips(tmp_path / "clips"), tmp_path / "out"
    options = ["--window", "5", "--step", "5", "--stride", "2", "--no-with-speed", "--workers", "1", "--previews", "2"]
    values = ["--set", "grid_size=12", "skip_share=0", "start_share=0", "assume_moving=false", "num_history=0"]
    files = ["--output", str(output), "--json", str(tmp_path / "numbers.json")]
    assert 0 == main(["annotate", str(source), *files, *options, *values])
    (record,) = records_of(output)
    assert "a.mp4/part_0_trace_000000000_000000008" == record["id"]
    assert "The person is doing: push the thing. To finish" in record["conversations"][2]["value"]
    assert "with speed" not in record["conversations"][2]["value"]
    (way, *_) = parse_tom(record["conversations"][3]["value"])
    assert 6.0 * GRID / SIDE_PX == pytest.approx(np.diff([way.start, *way.future], axis=0)[:, 0].mean(), abs=1.5)
    assert "2 clips, 1 record," in capsys.readouterr().out
    assert {"traces": 1} == json.loads((tmp_path / "numbers.json").read_text())["outcomes"]


def test_the_page_shows_what_was_made(annotated: Path) -> None:
    """One file that needs nothing else, with a filmstrip of each clip and the counts."""
    page = (annotated / "page.html").read_text()
    assert 3 == page.count("data:image/jpeg;base64,")
    assert "4 of 6 windows (67 %) have traces, 6 records." in page
    assert "nothing moves" in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"window": 1}, "window of at least 2"), ({"stride": 0}, "stride of at least 1"), ({"seed": -1}, "seed")],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, int], said: str, tmp_path: Path) -> None:
    """Before anything is read or written."""
    with pytest.raises(AnnotationError, match=said):
        job(tmp_path, **changes)


def test_what_is_no_film_is_refused(episodes: Path, tmp_path: Path) -> None:
    """An empty folder, a camera that is not there, and a curation that is not finished."""
    with pytest.raises(AnnotationError, match=r"a dataset of episodes, or a folder with the manifest\.jsonl"):
        find_clips(tmp_path)
    with pytest.raises(AnnotationError, match=r"expected some of \['image'\], got \['wrist'\]"):
        find_clips(episodes, cameras=("wrist",))
    clips = write_clips(tmp_path / "clips")
    (clips / "settings.json").write_text('{"num_segments": 2}')
    with pytest.raises(AnnotationError, match="expected a finished curation, got 1 of 2 segments"):
        find_clips(clips)
