"""Small random checkpoints: real networks of the real layout, seconds to make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from magma_ros import checkpoint, normalization
from magma_ros.contract import CameraSpec
from magma_ros.finetune.start import write_tiny_architecture
from magma_ros.json_files import read_object
from magma_ros.model.adapter import MagmaModel
from magma_ros.model.config import MagmaConfig
from magma_ros.model.network import MagmaNetwork
from magma_ros.model.processing import MagmaProcessor
from magma_ros.model.tiny import TinySize
from magma_ros.pipeline import Pipeline, PipelineConfig
from tests import examples

NANO = TinySize(
    tower_depths=(1, 1, 2, 1),
    tower_dims=(8, 12, 16, 24),
    hidden_size=32,
    num_layers=2,
    intermediate_size=48,
    num_heads=4,
    num_kv_heads=2,
    base_img_size=64,
    num_text_tokens=320,
)
"""The smallest network that has every part."""

CONTRACT = replace(
    examples.CONTRACT, embodiment="bridge_widowx", max_translation_m=0.05, cameras=(CameraSpec("image", 64, 64),)
)


def random_network(config: MagmaConfig, *, seed: int) -> MagmaNetwork:
    """A network whose every parameter is drawn anew, layer scales and separators included."""
    generator = torch.Generator().manual_seed(seed)
    network = MagmaNetwork(config).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_scale = parameter.ndim == 1 and name.endswith(("norm.weight", "layer_scale_parameter"))
            parameter.copy_(1.0 + 0.1 * noise if is_scale else noise * 0.3 / max(1.0, parameter[0].numel() ** 0.5))
    return network


def write_random_checkpoint(folder: Path, *, seed: int = 0, size: TinySize = NANO, action_horizon: int = 1) -> Path:
    """A whole checkpoint folder with random weights; its policy loads and acts."""
    write_tiny_architecture(folder, size, instructions=["put carrot on plate", "stack the green block"])
    config = MagmaConfig.from_dict(read_object(folder / "config.json"))
    rows = np.random.default_rng(seed).uniform(-0.03, 0.03, (200, 7))
    rows[:, 6] = rows[:, 6] > 0
    stats = normalization.fit(rows, mask=[True] * 6 + [False])
    known = PipelineConfig(CONTRACT, stats, config.base_vocab_size, use_image_start_end=True)
    pipeline = Pipeline(replace(known, action_horizon=action_horizon))
    network = random_network(config, seed=seed)
    checkpoint.save_checkpoint(folder, network=network, pipeline=pipeline, training={}, dtype="float32")
    return folder


def random_model(folder: Path, *, seed: int = 0, size: TinySize = NANO) -> MagmaModel:
    """A random network, nano by default, with the processor of the checkpoint written into `folder`."""
    write_random_checkpoint(folder, seed=seed, size=size)
    config = MagmaConfig.from_dict(read_object(folder / "config.json"))
    return MagmaModel(random_network(config, seed=seed), MagmaProcessor.load(folder, config))
