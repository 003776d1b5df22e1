"""The two kinds of network that are trained: magma-tiny as released, and Magma-8B's layout with random weights."""

from __future__ import annotations

from pathlib import Path

from magma_ros.checkpoint import load_model
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.config import ImageConfig, MagmaConfig
from magma_ros.model.processing import MagmaProcessor
from magma_ros.model.tiny import IMAGE_MEAN, IMAGE_STD
from tests.model import llama3, upstream_layout
from tests.model.random_checkpoints import random_network
from tests.model.upstream_layout import upstream_config

MAGMA_TINY = Path(__file__).parents[2] / "checkpoints" / "magma-tiny"


def magma_tiny() -> MagmaModel:
    """The checkpoint in the repository."""
    return load_model(MAGMA_TINY)


def magma_8b_processor() -> MagmaProcessor:
    """The release's vocabulary and token ids, crops of 64 px."""
    return MagmaProcessor(llama3.tokenizer(), ImageConfig(64, 4, IMAGE_MEAN, IMAGE_STD), _small_config())


def magma_8b_in_small() -> MagmaModel:
    """The release's layout with a tower of its smallest name and a narrow Llama; about 37 M parameters."""
    return MagmaModel(random_network(_small_config(), seed=0), magma_8b_processor())


def _small_config() -> MagmaConfig:
    document = upstream_config(**upstream_layout.MID | {"hidden_size": 32, "num_layers": 2})
    document["text_config"]["vocab_size"] = 128320
    return MagmaConfig.from_dict(document)
