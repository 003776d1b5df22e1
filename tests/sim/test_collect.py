"""Demonstrations: clean labels on perturbed states, repeatable, resumable, in any simulator."""

from __future__ import annotations

import json
import signal
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from magma_ros.episodes import EpisodeDataset
from magma_ros.errors import EnvError, EpisodeError
from magma_ros.sim.attempts import LOG_NAME
from magma_ros.sim.bridge.env import BRIDGE_CONTRACT, BridgeEnv
from magma_ros.sim.collect import REPORT_NAME, CollectConfig, collect
from magma_ros.sim.shared_acting import Sharing
from magma_ros.sim.suites import BRIDGE, FIRST_DEMO_SEED, Suite, Task
from magma_ros.types import ActionChunk
from tests.examples import CONTRACT, NO_TOKENS
from tests.sim.toy_demos import SUITE, HelplessExpert, RecordableToy, ToyExpert, collect_and_die, config

BRIDGE_TASKS = ("carrot_on_plate", "stack_cube")


def small_bridge(_suite: Suite, task: Task, *, render: bool) -> BridgeEnv:
    """Pictures of 32 px."""
    return BridgeEnv(task.name, image_size_px=32, render=render)


def short_toy(_suite: Suite, _task: Task, *, render: bool) -> RecordableToy:
    """A world that ends before anybody can reach anything."""
    return RecordableToy(render=render, ends_at_step=1)


class DriftingPolicy:
    """A policy that always goes up a little with the gripper closed."""

    contract = CONTRACT

    def infer(self, observation):
        """1 cm up; it needs to see."""
        assert observation.images
        return ActionChunk([[0, 0, 0.01, 0, 0, 0, 0]], "base_link", observation.stamp_s, NO_TOKENS)

    def reset(self):
        """Nothing to forget."""

    def close(self):
        """Nothing to release."""


def contents(folder: Path) -> list[tuple[Any, ...]]:
    """Everything that an experiment would read from a dataset."""
    dataset = EpisodeDataset(folder)
    return [
        (e.instruction, e.seed, e.success, e.actions.tobytes(), e.images["image"].tobytes(), e.ee_position_m.tobytes())
        for e in map(dataset.read, range(len(dataset)))
    ]


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes of each toy task, made without a break in this process."""
    folder = tmp_path_factory.mktemp("toys")
    collect(folder, suite=SUITE, num_episodes=3, config=config(), workers=1)
    return folder


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes of each of two Bridge tasks, made without a break in this process."""
    folder = tmp_path_factory.mktemp("demos")
    collect(
        folder,
        suite=BRIDGE,
        tasks=BRIDGE_TASKS,
        num_episodes=2,
        config=CollectConfig(make_env=small_bridge),
        workers=1,
    )
    return folder


def test_two_tasks_in_two_processes_are_the_same_two_tasks(demos: Path, tmp_path: Path) -> None:
    """Pictures, labels, attempts and description do not depend on the number of workers."""
    collect(
        tmp_path,
        suite=BRIDGE,
        tasks=BRIDGE_TASKS,
        num_episodes=2,
        config=CollectConfig(make_env=small_bridge),
        workers=2,
    )
    assert contents(demos) == contents(tmp_path)
    for name in (LOG_NAME, "meta/magma_ros.json", "meta/info.json", "meta/stats.json"):
        assert (demos / name).read_bytes() == (tmp_path / name).read_bytes()


def test_kept_episodes_succeed_and_end_when_nothing_is_left_to_do(demos: Path) -> None:
    """Each demonstration succeeded, fits the contract, and only its last three labels ask for nothing."""
    dataset = EpisodeDataset(demos)
    dataset.verify()
    assert len(dataset) == 4
    assert dataset.contract == BRIDGE_CONTRACT
    for index in range(4):
        episode = dataset.read(index)
        assert episode.success
        assert episode.instruction == BRIDGE.task(BRIDGE_TASKS[index // 2]).instruction
        assert (np.abs(episode.actions[-3:, :6]).max(axis=1) < 1e-3).all()
        assert np.abs(episode.actions[-4, :6]).max() > 1e-3


@pytest.mark.parametrize("after_attempts", [2, 5])
def test_after_a_kill_nothing_is_lost_or_made_twice(toys: Path, tmp_path: Path, after_attempts: int) -> None:
    """Killed in either task and begun again, the dataset is the one that was made without a break."""
    child = get_context("spawn").Process(target=collect_and_die, args=(str(tmp_path), after_attempts))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    before = len((tmp_path / LOG_NAME).read_text().splitlines())
    assert before == after_attempts
    collect(tmp_path, suite=SUITE, num_episodes=3, config=config(), workers=1)
    assert contents(toys) == contents(tmp_path)
    assert (toys / LOG_NAME).read_bytes() == (tmp_path / LOG_NAME).read_bytes()


def test_an_attempt_whose_episode_was_not_written_is_made_again(toys: Path, tmp_path: Path) -> None:
    """Killed between the two writes, the log is ahead by one: that seed is not skipped."""
    collect(tmp_path, suite=SUITE, num_episodes=2, config=config(), workers=1, tasks=["reach"])
    rows = tmp_path / "meta/episodes/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(rows).slice(0, 1), rows)
    with (tmp_path / LOG_NAME).open("a") as stream:
        stream.write('{"task": "rea')
    collect(tmp_path, suite=SUITE, num_episodes=3, config=config(), workers=1)
    assert contents(toys) == contents(tmp_path)


def test_the_report_counts_the_failures_too(toys: Path) -> None:
    """Rates per task are of all attempts, frames of the episodes, with Wilson's interval."""
    report = json.loads((toys / REPORT_NAME).read_text())
    dataset = EpisodeDataset(toys)
    assert [task["task"] for task in report["tasks"]] == ["reach", "reach_later"]
    assert sum(task["num_frames"] for task in report["tasks"]) == sum(len(dataset.read(i)) for i in range(6))
    for task in report["tasks"]:
        assert task["num_episodes"] == task["num_successes"] == 3
        assert task["num_attempts"] > 3
        low, high = task["wilson_95"]
        assert low < task["success_rate"] < high
    assert report["last_call"]["workers"] == 1
    assert report["last_call"]["frames_per_s"] > 0
    assert "commit" in report


def test_more_episodes_follow_those_that_are_there(toys: Path, tmp_path: Path) -> None:
    """A second call with a higher number adds seeds that were not tried yet; a finished dataset stays as it is."""
    collect(tmp_path, suite=SUITE, tasks=["reach"], num_episodes=1, config=config(), workers=1)
    collect(tmp_path, suite=SUITE, tasks=["reach"], num_episodes=3, config=config(), workers=1)
    assert contents(toys)[:3] == contents(tmp_path)
    again = collect(tmp_path, suite=SUITE, tasks=["reach"], num_episodes=3, config=config(), workers=1)
    assert again.num_new_frames == 0
    assert contents(toys)[:3] == contents(tmp_path)


def test_a_hopeless_task_is_left_after_its_failures_in_a_row(tmp_path: Path) -> None:
    """It does not go on forever, and a second call does not begin anew."""
    settings = config(HelplessExpert, give_up_after=4)
    for _ in range(2):
        report = collect(tmp_path, suite=SUITE, num_episodes=1, config=settings, workers=1)
        assert [(task.num_episodes, task.num_attempts) for task in report.tasks] == [(0, 4), (0, 4)]


def test_other_settings_do_not_go_into_the_same_folder(toys: Path) -> None:
    """What decides the episodes is in the description, and a difference is refused by name."""
    with pytest.raises(EpisodeError, match="first_seed"):
        collect(toys, suite=SUITE, num_episodes=3, first_seed=5_000_000, config=config(), workers=1)
    with pytest.raises(EpisodeError, match="reach, reach_later"):
        collect(toys, suite=SUITE, num_episodes=3, config=config(max_steps=7), workers=1)


def test_settling_is_not_recorded(toys: Path) -> None:
    """The first frame of a task with settle steps is seen after them, from the state that the other task begins in."""
    dataset = EpisodeDataset(toys)
    assert dataset.read(0).stamps_s[0] == 0.0
    assert dataset.read(3).stamps_s[0] == pytest.approx(3 * CONTRACT.control_period_s)
    assert np.array_equal(dataset.read(0).ee_position_m[0], dataset.read(3).ee_position_m[0])


def test_an_episode_ends_where_the_world_ends_it(tmp_path: Path) -> None:
    """A world that ends by itself gets no action after that."""

    def ending(_suite: Suite, _task: Task, *, render: bool) -> RecordableToy:
        return RecordableToy(render=render, ends_at_step=2)

    settings = config(ToyExpert, make_env=ending, give_up_after=3)
    collect(tmp_path, suite=SUITE, tasks=["reach"], num_episodes=1, config=settings, workers=1)
    lines = (tmp_path / LOG_NAME).read_text().splitlines()
    assert {json.loads(line)["num_frames"] for line in lines} == {2}


def test_a_policys_mistakes_are_labelled(tmp_path: Path) -> None:
    """With a policy as actor every frame is kept, failure or not, and the labels are the expert's."""
    settings = config(ToyExpert, actor=partial(DriftingPolicy), max_steps=6)
    report = collect(tmp_path, suite=SUITE, tasks=["reach"], num_episodes=2, config=settings, workers=1)
    assert [(t.num_episodes, t.num_attempts, t.num_successes) for t in report.tasks] == [(2, 2, 0)]
    episode = EpisodeDataset(tmp_path).read(0)
    assert len(episode) == 6
    assert not episode.success
    assert episode.ee_position_m[-1, 2] > episode.ee_position_m[0, 2]
    assert (episode.actions[:, 0] > 0).all()
    assert not episode.interventions.any()


def test_another_policy_does_not_go_on(tmp_path: Path) -> None:
    """Mistakes of one policy are not mixed with another's: it is refused by name, and what is there stays."""

    def led_by(**identity: Any) -> CollectConfig:
        return config(ToyExpert, actor=partial(DriftingPolicy), actor_identity=identity, max_steps=6)

    collect(tmp_path, suite=SUITE, tasks=["reach"], num_episodes=1, config=led_by(checkpoint="a"), workers=1)
    before = contents(tmp_path)
    with pytest.raises(EpisodeError, match=r"other settings \(checkpoint\)"):
        collect(tmp_path, suite=SUITE, tasks=["reach"], num_episodes=2, config=led_by(checkpoint="b"), workers=1)
    assert before == contents(tmp_path)
    collect(tmp_path, suite=SUITE, tasks=["reach"], num_episodes=2, config=led_by(checkpoint="a"), workers=1)
    assert before == contents(tmp_path)[:1]
    assert 2 == len(EpisodeDataset(tmp_path))


def test_where_the_expert_acted_in_a_policys_place_is_marked(tmp_path: Path) -> None:
    """A share of the steps is the expert's own and marked as an intervention; without a policy there is none."""
    settings = config(ToyExpert, actor=partial(DriftingPolicy), sharing=Sharing(expert_share=0.5), max_steps=20)
    collect(tmp_path / "shared", suite=SUITE, tasks=["reach"], num_episodes=2, config=settings, workers=1)
    steps = np.concatenate([EpisodeDataset(tmp_path / "shared").read(index).interventions for index in range(2)])
    assert 0.2 < steps.mean() < 0.8
    collect(tmp_path / "expert", suite=SUITE, tasks=["reach"], num_episodes=1, config=config(ToyExpert), workers=1)
    assert not EpisodeDataset(tmp_path / "expert").read(0).interventions.any()


def test_an_expert_takes_over_where_the_policy_has_led(tmp_path: Path) -> None:
    """Only the expert's part is recorded, all of it the expert's own, ended well, from as far as the policy drifted."""
    settings = config(ToyExpert, actor=partial(DriftingPolicy), sharing=Sharing(takeover=True), max_steps=40)
    report = collect(tmp_path / "a", suite=SUITE, tasks=["reach"], num_episodes=8, config=settings, workers=1)
    assert [8] == [task.num_episodes for task in report.tasks]
    dataset = EpisodeDataset(tmp_path / "a")
    episodes = [dataset.read(index) for index in range(8)]
    assert all(episode.success and episode.interventions.all() for episode in episodes)
    rises_m = [episode.ee_position_m[0, 2] for episode in episodes]
    assert max(rises_m) - min(rises_m) > 0.04  # up to ten steps of a centimetre, with noise
    collect(tmp_path / "b", suite=SUITE, tasks=["reach"], num_episodes=8, config=settings, workers=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    other = config(ToyExpert, actor=partial(DriftingPolicy), max_steps=40)
    with pytest.raises(EpisodeError, match="takeover"):
        collect(tmp_path / "a", suite=SUITE, tasks=["reach"], num_episodes=9, config=other, workers=1)


def test_an_expert_that_came_too_late_leaves_no_episode(tmp_path: Path) -> None:
    """Where the world ends in the policy's hands there is nothing to record, and the next seed is tried."""
    settings = config(
        ToyExpert, actor=partial(DriftingPolicy), sharing=Sharing(takeover=True), make_env=short_toy, give_up_after=30
    )
    report = collect(tmp_path, suite=SUITE, tasks=["reach"], num_episodes=1, config=settings, workers=1)
    assert [(0, 30)] == [(task.num_episodes, task.num_attempts) for task in report.tasks]


def test_a_task_that_nobody_perturbs_is_refused(tmp_path: Path) -> None:
    """The simulator must say how far its demonstrations may be led astray."""
    with pytest.raises(EnvError, match="toy/reach: no perturbation"):
        collect(tmp_path, suite=SUITE, num_episodes=1, config=config(perturbation=None), workers=1)
    assert not list(tmp_path.iterdir())


def test_the_first_seed_is_beyond_those_of_evaluation(toys: Path) -> None:
    """Collection begins at a million."""
    first = json.loads((toys / LOG_NAME).read_text().splitlines()[0])
    assert first["seed"] == FIRST_DEMO_SEED == 1_000_000
