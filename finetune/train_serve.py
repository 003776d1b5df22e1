"""The rung `train_serve`: one recorded frame on the trainer's way and on the server's, compared to the byte."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from magma_ros.episodes import EpisodeDataset
from magma_ros.finetune.batches import collate
from magma_ros.finetune.dataset import ChosenEpisodes, EpisodeSource
from magma_ros.finetune.ladder import Rung
from magma_ros.finetune.mixture import Sample
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.decoding import NUM_ACTION_BINS, NUM_ACTION_TOKENS
from magma_ros.pipeline import Pipeline
from magma_ros.types import Action, ImageArray, ModelInput, Observation

MAX_SCORE_GAP_NATS = 1e-2
"""How far below the best score, as the trainer's pass sees it, a served token may be: a tie that rounding decides."""


def compare(model: MagmaModel, pipeline: Pipeline, data: Path, *, number: int) -> Rung:
    """Judge one frame, in the middle of episode `number` of `data`.

    The trainer's way: the training source's sample, and the network's pass over prompt and answer at once. The
    server's: the picture through a ROS message (where ROS is installed) and the pipeline, and generating over a cache.

    Raises:
        EpisodeError, ContractError: the episode cannot be read, or is of another motion.
    """
    end = model.processor.end_of_turn_id
    source = EpisodeSource(pipeline, ChosenEpisodes(data, (number,)), end_of_turn_id=end)
    step = len(source) // 2
    trained = source.sample(step, np.random.default_rng(0))
    episode = EpisodeDataset(data).read(number)
    seen, action = _as_served(episode.observation(step), episode.action(step, frame=pipeline.contract.frame))
    served = pipeline.encode(seen)
    faults = _differences(trained, served, pipeline.encode_target(action))
    tokens = model.generate_actions([served]).tokens[0]
    gap = score_gap(model, trained.model_input, tokens)
    if gap > MAX_SCORE_GAP_NATS:
        faults.append(
            f"the served answer is {gap:.3g} nats below the best of the trainer's pass, allowed {MAX_SCORE_GAP_NATS}"
        )
    figures: dict[str, Any] = {"episode": number, "step": step, "score_gap_nats": gap, "over_ros": _has_ros()}
    shown = f"episode {number}, step {step}: pictures, prompt and ids are equal, the answer is within {gap:.2g} nats"
    return Rung.judged("train_serve", holds=not faults, detail="; ".join(faults) or shown, figures=figures)


def score_gap(model: MagmaModel, model_input: ModelInput, tokens: NDArray[np.int64]) -> float:
    """How far the worst of seven `tokens` is below the best score in a training pass that is given them [nats]."""
    answer = np.append(tokens, model.processor.end_of_turn_id)
    batch = collate(model.processor, [Sample(model_input, answer, is_action=True)])
    like, network = model.network.embeddings, model.network
    one = batch.to(like.device, like.dtype)
    with torch.inference_mode():
        hidden = network(one.inputs).flatten(0, 1)[one.places][:NUM_ACTION_TOKENS]
        logits = network.language_model.lm_head(hidden).float()
    first = network.config.base_vocab_size - NUM_ACTION_BINS
    scores = logits[:, first : first + NUM_ACTION_BINS]
    chosen = scores.gather(1, one.labels[:NUM_ACTION_TOKENS, None] - first)[:, 0]
    return float((scores.amax(dim=1) - chosen).max())


def _differences(trained: Sample, served: ModelInput, target: NDArray[np.int64]) -> list[str]:
    faults = []
    if trained.model_input.prompt != served.prompt:
        faults.append(f"prompt: trained with {trained.model_input.prompt!r}, served {served.prompt!r}")
    if [_bytes(image) for image in trained.model_input.images] != [_bytes(image) for image in served.images]:
        faults.append("pictures: other bytes in training than in serving")
    if not np.array_equal(trained.answer[:NUM_ACTION_TOKENS], target):
        faults.append(
            f"ids of the recorded action: trained with {trained.answer[:-1].tolist()}, served {target.tolist()}"
        )
    return faults


def _bytes(image: ImageArray) -> tuple[tuple[int, ...], bytes]:
    return image.shape, image.tobytes()


def _has_ros() -> bool:
    return find_spec("rclpy") is not None


def _as_served(observation: Observation, action: Action) -> tuple[Observation, Action]:
    """What arrives when both travel as serialised messages; themselves where there is no ROS to carry them."""
    if not _has_ros():
        return observation, action
    from rclpy.serialization import deserialize_message, serialize_message  # noqa: PLC0415 - not every trainer has ROS
    from sensor_msgs.msg import Image  # noqa: PLC0415 - same

    from magma_ros.msg import EndEffectorDelta  # noqa: PLC0415 - same
    from magma_ros.ros import conversions, pictures  # noqa: PLC0415 - same

    stamp = conversions.time_message(observation.stamp_s)
    arrived = {}
    for name, image in observation.images.items():
        message = pictures.image_message(image, stamp=stamp, frame_id=name)
        arrived[name] = pictures.picture_from_message(deserialize_message(serialize_message(message), Image))
    command = serialize_message(conversions.action_message(action, stamp=stamp))
    moved = conversions.action_from_message(deserialize_message(command, EndEffectorDelta))
    return Observation(arrived, observation.instruction, observation.stamp_s, observation.proprio), moved
