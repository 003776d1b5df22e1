"""Training and serving see the same thing: one recorded frame, two paths, equal to the byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

from magma_ros import arms
from magma_ros.checkpoint import load_policy
from magma_ros.episodes import EpisodeDataset
from magma_ros.finetune.dataset import ChosenEpisodes, EpisodeSource
from magma_ros.finetune.train import finetune
from magma_ros.pipeline import Pipeline
from magma_ros.ros.conversions import action_from_message, action_message, time_message
from magma_ros.ros.observing import Observer
from magma_ros.ros.pictures import image_message
from magma_ros.types import Observation
from tests.finetune.short_runs import short_recipe
from tests.ros.arm_messages import measured_state


def test_a_recorded_frame_is_the_same_in_the_trainer_and_in_the_node(episodes_folder: Path, tmp_path: Path) -> None:
    """Picture bytes, prompt and target ids agree between the trainer's sample and the node's path over a message.

    The trainer's side is the dataset with the run's own pipeline; the node's side is a serialised Image message, the
    node's observer and the pipeline of the checkpoint that the run wrote.
    """
    folder = finetune(short_recipe(episodes_folder, tmp_path, steps=1, batch_size=8))
    served = load_policy(folder).pipeline
    episode = EpisodeDataset(episodes_folder).read(4)
    chosen = ChosenEpisodes(episodes_folder, (4,))
    source = EpisodeSource(Pipeline.load(folder), chosen, end_of_turn_id=0)
    for step in range(len(episode)):
        trained = source.sample(step, np.random.default_rng(0))
        recorded = episode.observation(step)
        message = image_message(recorded.images["image"], stamp=time_message(recorded.stamp_s), frame_id="camera")
        received = deserialize_message(serialize_message(message), Image)
        measured = measured_state(arms.load("sim"), stamp_s=recorded.stamp_s)
        observer = Observer(["image"], measured, slop_s=0.0, max_proprio_lag_s=1.0, max_identical_pictures=0)
        observation = observer.observe("image", received, instruction=episode.instruction)
        assert isinstance(observation, Observation)
        model_input = served.encode(observation)
        assert trained.model_input.prompt == model_input.prompt
        assert [i.tobytes() for i in trained.model_input.images] == [i.tobytes() for i in model_input.images]
        command = action_message(episode.action(step, frame="base_link"), stamp=received.header.stamp)
        np.testing.assert_array_equal(trained.answer[:-1], served.encode_target(action_from_message(command)))
