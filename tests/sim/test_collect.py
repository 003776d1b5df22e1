"""Demonstrations: clean labels on perturbed states, repeatable, resumable, and a policy's own mistakes labelled."""

from functools import partial

import numpy as np
import pytest

from magma_ros.episodes import EpisodeDataset
from magma_ros.sim.bridge.env import BRIDGE_CONTRACT, BridgeEnv
from magma_ros.sim.collect import CollectConfig, Perturbation, Perturber, collect, count_idle, roll_out
from magma_ros.sim.experts import CarrotExpert
from magma_ros.types import Action, ActionChunk

SMALL = CollectConfig(image_size_px=32)
SEED = 1_000_000


class DriftingPolicy:
    """A policy that always goes up a little with the gripper closed."""

    contract = BRIDGE_CONTRACT

    def infer(self, observation):
        """1 cm up."""
        row = [[0, 0, 0.01, 0, 0, 0, 0]]
        return ActionChunk(row, "base_link", observation.stamp_s, np.empty((0, 7)))

    def reset(self):
        """Nothing to forget."""

    def close(self):
        """Nothing to release."""


def contents(folder):
    """Everything that an experiment would read from a dataset."""
    dataset = EpisodeDataset(folder)
    return [
        (e.seed, e.success, e.actions.tobytes(), e.images["image"].tobytes(), e.ee_position_m.tobytes())
        for e in map(dataset.read, range(len(dataset)))
    ]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Three small episodes and their report."""
    folder = tmp_path_factory.mktemp("demos")
    return folder, collect(folder, num_episodes=3, first_seed=SEED, config=SMALL, workers=1)


def test_kept_episodes_end_in_success(dataset):
    """Every kept episode succeeded, agrees with the contract and is counted in the report."""
    folder, report = dataset
    episodes = EpisodeDataset(folder)
    episodes.verify()
    read = [episodes.read(i) for i in range(len(episodes))]
    assert all(episode.success for episode in read)
    assert report.num_episodes == len(read) == 3
    assert report.num_frames == sum(map(len, read))
    assert report.num_idle_frames == sum(map(count_idle, read))


def test_tail_is_short(dataset):
    """An episode ends at the third frame that asks for nothing."""
    folder, report = dataset
    assert report.num_idle_frames <= 5 * report.num_episodes
    for index in range(3):
        actions = EpisodeDataset(folder).read(index).actions
        assert (np.abs(actions[-3:, :6]).max(axis=1) < 1e-3).all()
        assert np.abs(actions[-4, :6]).max() > 1e-3


def test_goes_on_where_it_stopped(dataset, tmp_path):
    """Stopping after one episode and going on with two workers gives the same dataset as one run."""
    collect(tmp_path, num_episodes=1, first_seed=SEED, config=SMALL, workers=1)
    collect(tmp_path, num_episodes=3, first_seed=SEED, config=SMALL, workers=2)
    assert contents(dataset[0]) == contents(tmp_path)


def test_labels_are_the_experts(dataset):
    """In each visited state of a perturbed attempt the recorded action is the expert's own."""
    env = BridgeEnv(render=False)
    rollout = roll_out(env, seed=SEED, config=SMALL, policy=None)
    for state, action in list(zip(rollout.states, rollout.actions, strict=True))[::5]:
        env.set_state(state)
        assert np.array_equal(action.to_array(), CarrotExpert(env).act().to_array())
    episode = EpisodeDataset(dataset[0]).read(0)
    assert np.array_equal(episode.actions, np.stack([a.to_array() for a in rollout.actions]))


def test_perturbed_actions_stay_within_the_contract():
    """Whatever is added, an executed step is one that the contract allows, and some differ from the intended one."""
    settings = Perturbation(clean_share=0.0, push_rate=0.2, flip_rate=0.2)
    perturber = Perturber(settings, np.random.default_rng(0))
    intended = Action([0.03, 0, 0], [0, 0, 0.25], 1.0, "base_link")
    executed = np.stack([perturber.execute(intended).to_array() for _ in range(200)])
    assert np.linalg.norm(executed[:, :3], axis=1).max() <= BRIDGE_CONTRACT.max_translation_m
    assert np.linalg.norm(executed[:, 3:6], axis=1).max() <= BRIDGE_CONTRACT.max_rotation_rad
    assert set(executed[:, 6]) == {0.0, 1.0}
    assert np.array_equal(executed[-1], intended.to_array())


def test_a_policys_mistakes_are_labelled(tmp_path):
    """With a policy as actor every frame is kept, failure or not, and the labels are the expert's."""
    config = CollectConfig(
        perturbation=Perturbation(clean_share=1.0), actor=partial(DriftingPolicy), max_steps=6, image_size_px=32
    )
    collect(tmp_path, num_episodes=1, first_seed=SEED, config=config, workers=1)
    episode = EpisodeDataset(tmp_path).read(0)
    assert len(episode) == 6
    assert not episode.success
    assert episode.ee_position_m[-1, 2] > episode.ee_position_m[0, 2]
    assert (episode.actions[:, 6] == 1.0).all()
