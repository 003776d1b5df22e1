"""Appending: whole or not at all, however the writer ends, and no dearer for being the thousandth."""

from __future__ import annotations

import signal
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from time import monotonic

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from magma_ros.episodes import EpisodeDataset, EpisodeWriter, Pictures, frames, holds_episodes, tables
from magma_ros.errors import EpisodeError
from tests.episodes.folders import append_and_die, append_until_killed, assert_same, numbered_episode, write
from tests.examples import CONTRACT, make_episode

SUMMARIES = ("meta/info.json", "meta/stats.json", "meta/magma_ros.json")


@pytest.fixture(scope="module")
def processes():
    """Children that have imported everything already."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.episodes.folders"])
    return context


def assert_holds_numbered_episodes(dataset: EpisodeDataset) -> None:
    """Every episode is whole, and every file is one that any reader of Parquet opens."""
    for number in range(len(dataset)):
        assert_same(numbered_episode(number), dataset.read(number), picture_error=3)
    for path in dataset.folder.rglob("*.parquet"):
        assert len(pq.read_table(path)) > 0


def num_episodes(folder: Path) -> int:
    """Of which each one is whole."""
    if not holds_episodes(folder):
        return 0
    dataset = EpisodeDataset(folder)
    assert_holds_numbered_episodes(dataset)
    return len(dataset)


def assert_like_without_a_break(folder: Path, *, whole: Path, pictures: Pictures) -> None:
    """After one more episode, everything is as if no writer had ever been killed."""
    number = num_episodes(folder)
    for target, numbers in ((folder, [number]), (whole, range(number + 1))):
        with EpisodeWriter(target, contract=CONTRACT, source={}, pictures=pictures) as writer:
            for index in numbers:
                writer.append(numbered_episode(index))
    assert num_episodes(folder) == number + 1
    for name in SUMMARIES:
        assert (whole / name).read_text() == (folder / name).read_text()
    assert not list(folder.rglob("*.partial"))


@pytest.mark.parametrize(("pictures", "anew"), [("png", True), ("png", False), ("video", False)])
def test_killed_at_every_step_of_an_append(tmp_path: Path, pictures: Pictures, anew: bool, processes) -> None:  # noqa: FBT001
    """Half a file, or a file without its row: the episode is there whole or not at all, those before it always are."""
    num_lost = 0
    for at_sync in count():
        folder = tmp_path / (f"killed_{at_sync}" if anew else "killed")
        before = num_episodes(folder)
        child = processes.Process(target=append_and_die, args=(folder, pictures, at_sync))
        child.start()
        child.join()
        assert before <= num_episodes(folder) <= before + 1
        num_lost += num_episodes(folder) == before
        if anew or child.exitcode == 0:
            assert_like_without_a_break(folder, whole=tmp_path / f"whole_{at_sync}", pictures=pictures)
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
    assert at_sync >= (12 if pictures == "png" else 14)
    assert 8 <= num_lost < at_sync


@pytest.mark.parametrize("pictures", ["png", "video"])
def test_killed_at_any_moment(tmp_path: Path, pictures: Pictures, processes) -> None:
    """Killed again and again at random, nothing that was promised is lost, and the next writer goes on."""
    draw, folder = np.random.default_rng(7), tmp_path / "killed"
    for _ in range(4):
        listening, speaking = processes.Pipe(duplex=False)
        child = processes.Process(target=append_until_killed, args=(folder, pictures, speaking))
        child.start()
        speaking.close()
        num_promised = listening.recv() + 1
        end_s = monotonic() + draw.uniform(0.0, 0.08)
        while listening.poll(max(0.0, end_s - monotonic())):
            num_promised = listening.recv() + 1
        child.kill()
        child.join()
        while listening.poll():
            try:
                num_promised = listening.recv() + 1
            except EOFError:
                break
        assert num_promised <= num_episodes(folder) <= num_promised + 1
    assert_like_without_a_break(folder, whole=tmp_path / "whole", pictures=pictures)


@pytest.mark.parametrize("pictures", ["png", "video"])
def test_an_append_leaves_full_files_alone(tmp_path: Path, pictures: Pictures, monkeypatch) -> None:
    """Only the last files are written anew: an append costs what its episode and one small file cost."""
    monkeypatch.setattr(frames, "_MAX_BYTES", 16_000 if pictures == "png" else 6_000)
    monkeypatch.setattr(frames, "ROWS_PER_FILE", 4)
    most = 0
    with EpisodeWriter(tmp_path, contract=CONTRACT, source={}, pictures=pictures) as writer:
        for number in range(14):
            before = {path: path.stat().st_ino for path in tmp_path.rglob("*-*.*") if path.is_file()}
            writer.append(numbered_episode(number))
            after = {path: path.stat().st_ino for path in tmp_path.rglob("*-*.*") if path.is_file()}
            written = {path for path in after if after[path] != before.get(path)}
            most = max(most, len(written))
            assert {path.parent for path in written} == {path.parent for path in after}
    assert most == (2 if pictures == "png" else 3)
    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*-*.*") if path.is_file()]
    kinds = {name.split("/")[0] for name in files}
    for kind in kinds:
        assert sum(name.startswith(kind) for name in files) > 2, kind
    dataset = EpisodeDataset(tmp_path)
    assert_holds_numbered_episodes(dataset)
    dataset.verify()


def test_memory_does_not_grow_with_the_dataset(tmp_path: Path, monkeypatch) -> None:
    """After the first files are full, twenty more episodes need no more of Arrow's memory at any moment."""
    monkeypatch.setattr(frames, "ROWS_PER_FILE", 4)
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(pool)
    try:
        with EpisodeWriter(tmp_path, contract=CONTRACT, source={}) as writer:
            peaks = []
            for number in range(28):
                writer.append(make_episode(4, seed=number))
                peaks.append(pool.max_memory())
    finally:
        pa.set_memory_pool(usual)
    assert 0 < peaks[7]
    assert peaks[-1] <= 1.1 * peaks[7]


def test_a_failed_append_leaves_the_writer_usable(tmp_path: Path, monkeypatch) -> None:
    """A full disk is an error of ours; once there is room again the same writer appends the episode."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with EpisodeWriter(tmp_path, contract=CONTRACT, source={}) as writer:
        writer.append(numbered_episode(0))
        with monkeypatch.context() as patch:
            patch.setattr(tables, "write", fail)
            with pytest.raises(EpisodeError, match="No space left on device"):
                writer.append(numbered_episode(1))
        assert writer.append(numbered_episode(1)) == 1
    assert_holds_numbered_episodes(EpisodeDataset(tmp_path))


def test_statistics_that_are_behind_are_made_again(tmp_path: Path) -> None:
    """A writer finds summaries of fewer episodes than there are rows, and mends them to the bit."""
    write(tmp_path, *map(numbered_episode, range(2)))
    old = {name: (tmp_path / name).read_bytes() for name in SUMMARIES}
    write(tmp_path, numbered_episode(2))
    new = {name: (tmp_path / name).read_bytes() for name in SUMMARIES}
    assert old["meta/stats.json"] != new["meta/stats.json"]
    for name, content in old.items():
        (tmp_path / name).write_bytes(content)
    write(tmp_path)
    assert new == {name: (tmp_path / name).read_bytes() for name in SUMMARIES}
    write(tmp_path, numbered_episode(3))
    write(tmp_path / "whole", *map(numbered_episode, range(4)))
    assert (tmp_path / "whole/meta/stats.json").read_text() == (tmp_path / "meta/stats.json").read_text()
