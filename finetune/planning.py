"""The memory plan of a recipe: from its data and checkpoint where they are, else from what is known of both."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from magma_ros import sources
from magma_ros.contract import CameraSpec
from magma_ros.episodes import EpisodeDataset
from magma_ros.errors import CheckpointError
from magma_ros.finetune.material import contract_seen
from magma_ros.finetune.memory_plan import MemoryPlan, memory_plan
from magma_ros.finetune.recipe import RECIPES, Recipe
from magma_ros.finetune.rehearsal import Workload
from magma_ros.inspection.memory import find_devices
from magma_ros.json_files import read_object
from magma_ros.model.config import ImageConfig, MagmaConfig
from magma_ros.model.decoding import NUM_ACTION_TOKENS
from magma_ros.model.processing import choose_grid
from magma_ros.model.tiny import SPECIAL_TOKENS, TinySize, build_tokenizer, tiny_config, tiny_preprocessor_config
from magma_ros.model.weight_files import find_weights
from magma_ros.model.weights import empty_network
from magma_ros.pipeline import MANIFEST_NAME, Pipeline

RELEASE = "microsoft/Magma-8B"
RELEASE_FILE = RECIPES / "magma_8b.json"
"""What the release's `config.json` and `preprocessor_config.json` say, for plans where it is not at hand."""

TEXT_TOKENS = 128
"""Of a robot prompt without its pictures, rounded up."""

TALK_TOKENS, TALK_PICTURES = 1024, 2
"""Of the conversations about marks that `magma-ros annotate` writes, rounded up."""

_UNKNOWN_CAMERAS = (CameraSpec("image", 256, 256),)


class Architecture(NamedTuple):
    """Enough of a checkpoint to plan for it."""

    config: MagmaConfig
    pictures: ImageConfig
    action_horizon: int = 1


def plan_recipe(
    recipe: Recipe, *, num_devices: int = 1, device: str | None = None, device_bytes: int | None = None
) -> tuple[MemoryPlan, list[str]]:
    """What `recipe` takes of each device, and what had to be assumed.

    Args:
        recipe: Neither its data nor its weights have to be there.
        num_devices: That share the batch, and with `fsdp` the network.
        device: Name of one; None is the first GPU of this machine, or else its processor.
        device_bytes: Its memory; None is that of this machine's device.

    Raises:
        CheckpointError: the checkpoint to start from is not here, and it is not the release.
        TrainingError: the parts to be trained do not fit the network.
    """
    found = find_devices()
    name = device or ("cuda:0" if "cuda:0" in found else "cpu")
    workload, config, assumed = workload_of(recipe, num_devices=num_devices, on_gpu=name.startswith("cuda"))
    memory = found.get(name, found["cpu"]) if device_bytes is None else device_bytes
    return memory_plan(config, recipe.parts, workload, device=name, device_bytes=memory), assumed


def workload_of(recipe: Recipe, *, num_devices: int, on_gpu: bool) -> tuple[Workload, MagmaConfig, list[str]]:
    """What each device works on, the network's configuration, and what had to be assumed of both.

    Raises:
        CheckpointError: as `plan_recipe`.
    """
    architecture, assumed = _architecture(recipe)
    cameras = _cameras(recipe)
    if cameras is None:
        cameras = _UNKNOWN_CAMERAS
        assumed.append("one camera of 256 x 256 px: the episodes are not here")
    if any(item.conversations is not None for item in recipe.data):
        assumed.append(f"conversations of {TALK_PICTURES} pictures and {TALK_TOKENS} tokens; their files are not read")
    workload = _workload(recipe, architecture, cameras, num_devices=num_devices, on_gpu=on_gpu)
    return workload, architecture.config, assumed


def _workload(
    recipe: Recipe, architecture: Architecture, cameras: tuple[CameraSpec, ...], *, num_devices: int, on_gpu: bool
) -> Workload:
    side = architecture.pictures.base_img_size
    grids = [
        choose_grid(camera.width_px, camera.height_px, num_crops=architecture.pictures.num_crops, base_img_size=side)
        for camera in cameras
    ]
    talks = any(item.conversations is not None for item in recipe.data)
    answer_tokens = NUM_ACTION_TOKENS * (recipe.action_horizon or architecture.action_horizon)
    text_tokens, repeated = (TALK_TOKENS, TALK_PICTURES) if talks else (TEXT_TOKENS + answer_tokens, 1)
    features = side // architecture.config.tower.stride
    picture_tokens = sum(features * rows * (features * columns + 1) for rows, columns in grids)
    return Workload(
        samples_per_pass=-(-recipe.batch_size // (num_devices * recipe.accumulate)),
        num_tokens=text_tokens + repeated * picture_tokens,
        num_trained_tokens=TALK_TOKENS if talks else answer_tokens + 1,
        num_crops=repeated * int(np.sum([rows * columns for rows, columns in grids])),
        crop_side_px=side,
        precision=recipe.precision,
        base_dtype=recipe.base_dtype,
        gradient_checkpointing=recipe.gradient_checkpointing,
        accumulate=recipe.accumulate,
        averaged=recipe.ema_decay > 0,
        attention="sdpa" if on_gpu else "eager",
        num_shards=num_devices if recipe.parallel == "fsdp" else 1,
    )


def _architecture(recipe: Recipe) -> tuple[Architecture, list[str]]:
    if recipe.tiny is not None:
        return _tiny(recipe.tiny), []
    assert recipe.start_from is not None
    try:
        folder = sources.find(recipe.start_from)
    except CheckpointError:
        if recipe.start_from != RELEASE:
            raise
        known = read_object(RELEASE_FILE)
        architecture = Architecture(
            MagmaConfig.from_dict(known["config.json"]), ImageConfig.from_dict(known["preprocessor_config.json"])
        )
        return architecture, [f"{RELEASE} as it was published: its files are not here"]
    return _found(folder), []


def _found(folder: Path) -> Architecture:
    shapes = {key: tensor.shape for key, tensor in find_weights(folder).tensors.items()}
    config = empty_network(MagmaConfig.from_dict(read_object(folder / "config.json")), shapes)[0].config
    pictures = ImageConfig.from_dict(read_object(folder / "preprocessor_config.json"))
    horizon = Pipeline.load(folder).action_horizon if (folder / MANIFEST_NAME).is_file() else 1
    return Architecture(config, pictures, horizon)


def _tiny(size: TinySize) -> Architecture:
    tokenizer = build_tokenizer(SPECIAL_TOKENS, num_text_tokens=size.num_text_tokens)
    config = MagmaConfig.from_dict(tiny_config(tokenizer, size))
    return Architecture(config, ImageConfig.from_dict(tiny_preprocessor_config(size)))


def _cameras(recipe: Recipe) -> tuple[CameraSpec, ...] | None:
    for item in recipe.data:
        if item.episodes is not None and item.episodes.is_dir():
            return tuple(contract_seen(EpisodeDataset(item.episodes), recipe.cameras).cameras)
    return None
