"""The log of attempts: what it counts, and what it forgets after a kill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from magma_ros.errors import EpisodeError
from magma_ros.sim.attempts import LOG_NAME, Attempt, AttemptLog, num_failures_in_a_row


def kept(seed: int, task: str = "reach") -> Attempt:
    return Attempt(task, seed, success=True, kept=True, num_frames=10, num_idle_frames=2)


def failed(seed: int, task: str = "reach") -> Attempt:
    return Attempt(task, seed, success=False, kept=False, num_frames=30, num_idle_frames=5)


def write(folder: Path, *attempts: Attempt) -> None:
    log = AttemptLog(folder, num_episodes=0)
    for attempt in attempts:
        log.append(attempt)


def test_reads_what_it_wrote(tmp_path: Path) -> None:
    """Attempts come back per task, in their order."""
    write(tmp_path, failed(1), kept(2), kept(1, "stack"))
    log = AttemptLog(tmp_path, num_episodes=2)
    assert log.of("reach") == (failed(1), kept(2))
    assert log.num_episodes("stack") == 1
    assert log.of("nothing") == ()


def test_reports_each_task(tmp_path: Path) -> None:
    """Frames of the episodes only, successes of all attempts."""
    write(tmp_path, failed(1), kept(2), kept(3), kept(1, "stack"))
    reach, stack = AttemptLog(tmp_path, num_episodes=3).reports()
    assert (reach.task, reach.num_episodes, reach.num_attempts, reach.num_frames) == ("reach", 2, 3, 20)
    assert (stack.task, stack.num_successes, stack.num_idle_frames) == ("stack", 1, 2)
    low, high = reach.success_interval
    assert 0.0 < low < 2 / 3 < high < 1.0
    assert json.loads(json.dumps(reach.to_dict()))["success_rate"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("torn", ["", '{"task": "rea', "{}"])
def test_forgets_what_has_no_episode(tmp_path: Path, torn: str) -> None:
    """A torn line and every attempt from the first kept one without an episode on are gone, from the file too."""
    write(tmp_path, kept(1), failed(2), kept(3), failed(4))
    with (tmp_path / LOG_NAME).open("a") as stream:
        stream.write(torn)
    assert AttemptLog(tmp_path, num_episodes=1).of("reach") == (kept(1), failed(2))
    assert len((tmp_path / LOG_NAME).read_text().splitlines()) == 2


def test_refuses_episodes_of_another_origin(tmp_path: Path) -> None:
    """More episodes than kept attempts, or a line that is no attempt: somebody else was here."""
    with pytest.raises(EpisodeError, match="attempts of 2 episodes, found 0"):
        AttemptLog(tmp_path, num_episodes=2)
    (tmp_path / LOG_NAME).write_text('{"seed": 1}\n')
    with pytest.raises(EpisodeError, match="cannot read an attempt"):
        AttemptLog(tmp_path, num_episodes=0)


def test_counts_failures_in_a_row() -> None:
    """Since the last kept attempt, or since the beginning."""
    assert num_failures_in_a_row([]) == 0
    assert num_failures_in_a_row([failed(1), failed(2)]) == 2
    assert num_failures_in_a_row([failed(1), kept(2), failed(3)]) == 1
    assert num_failures_in_a_row([failed(1), kept(2)]) == 0
