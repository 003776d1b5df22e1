"""Checkpoints in the release's layout, of any size: `config.json`, every key and shape, weights streamed to disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch

from magma_ros.model.config import BACKBONES

MAGMA_8B = {
    "backbone": "convnextxxlarge",
    "hidden_size": 4096,
    "num_layers": 32,
    "intermediate_size": 14336,
    "num_heads": 32,
    "num_kv_heads": 8,
}
MID = {
    "backbone": "convnexttiny",
    "hidden_size": 64,
    "num_layers": 3,
    "intermediate_size": 96,
    "num_heads": 4,
    "num_kv_heads": 2,
}
"""About 30 M parameters, most of them in the tower; its vocabulary is the caller's."""


def upstream_config(
    *, backbone: str, hidden_size: int, num_layers: int, intermediate_size: int, num_heads: int, num_kv_heads: int
) -> dict[str, Any]:
    """`config.json` as the release writes it (reference 1.8): a named tower, no vocabulary of ours."""
    text = {
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": hidden_size,
        "intermediate_size": intermediate_size,
        "num_hidden_layers": num_layers,
        "num_attention_heads": num_heads,
        "num_key_value_heads": num_kv_heads,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "rope_scaling": None,
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "tie_word_embeddings": False,
        "vocab_size": 128256,
        "torch_dtype": "bfloat16",
    }
    vision = {
        "vision_backbone": backbone,
        "vision_feature_layer": "clip_vis_dense",
        "img_anyres_strategy": "crop",
        "mm_projector_type": "mlp2x_gelu",
        "mm_hidden_size": BACKBONES[backbone].dims[-1],
        "mm_use_im_start_end": False,
        "mm_vision_select_layer": -2,
        "img_size": 512,
    }
    mirrored = {key: value for key, value in text.items() if key not in ("model_type", "vocab_size")}
    return {
        **mirrored,
        "_name_or_path": "microsoft/Magma-8B",
        "architectures": ["MagmaForCausalLM"],
        "model_type": "magma",
        "image_token_index": 128257,
        "pad_token_id": 128256,
        "img_size": 512,
        "text_config": text,
        "vision_config": vision,
    }


def upstream_shapes(config: Mapping[str, Any], *, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Every key of a checkpoint in the release's layout and its shape, written from the tables of reference 1.9."""
    tower, text = BACKBONES[config["vision_config"]["vision_backbone"]], config["text_config"]
    trunk, shapes = "vision_tower.clip_vision_model.trunk.", {}

    def norm(prefix: str, width: int) -> None:
        shapes.update({prefix + "weight": (width,), prefix + "bias": (width,)})

    shapes[trunk + "stem.0.weight"], shapes[trunk + "stem.0.bias"] = (tower.dims[0], 3, 4, 4), (tower.dims[0],)
    norm(trunk + "stem.1.", tower.dims[0])
    for stage, (depth, width) in enumerate(zip(tower.depths, tower.dims, strict=True)):
        here = f"{trunk}stages.{stage}."
        if stage:
            before = tower.dims[stage - 1]
            norm(here + "downsample.0.", before)
            shapes[here + "downsample.1.weight"], shapes[here + "downsample.1.bias"] = (width, before, 2, 2), (width,)
        for block in range(depth):
            one = f"{here}blocks.{block}."
            shapes[one + "gamma"] = (width,)
            shapes[one + "conv_dw.weight"], shapes[one + "conv_dw.bias"] = (width, 1, 7, 7), (width,)
            norm(one + "norm.", width)
            shapes[one + "mlp.fc1.weight"], shapes[one + "mlp.fc1.bias"] = (4 * width, width), (4 * width,)
            shapes[one + "mlp.fc2.weight"], shapes[one + "mlp.fc2.bias"] = (width, 4 * width), (width,)
    hidden, inner = text["hidden_size"], text["intermediate_size"]
    keys_values = hidden // text["num_attention_heads"] * text["num_key_value_heads"]
    projector = "multi_modal_projector."
    shapes[projector + "proj.0.weight"], shapes[projector + "proj.0.bias"] = (hidden, tower.dims[-1]), (hidden,)
    shapes[projector + "proj.2.weight"], shapes[projector + "proj.2.bias"] = (hidden, hidden), (hidden,)
    shapes[projector + "row_seperator"] = (1, 1, hidden)
    shapes["language_model.model.embed_tokens.weight"] = (vocab_size, hidden)
    for layer in range(text["num_hidden_layers"]):
        one = f"language_model.model.layers.{layer}."
        shapes[one + "input_layernorm.weight"] = shapes[one + "post_attention_layernorm.weight"] = (hidden,)
        shapes[one + "self_attn.q_proj.weight"] = shapes[one + "self_attn.o_proj.weight"] = (hidden, hidden)
        shapes[one + "self_attn.k_proj.weight"] = shapes[one + "self_attn.v_proj.weight"] = (keys_values, hidden)
        shapes[one + "mlp.gate_proj.weight"] = shapes[one + "mlp.up_proj.weight"] = (inner, hidden)
        shapes[one + "mlp.down_proj.weight"] = (hidden, inner)
    shapes["language_model.model.norm.weight"] = (hidden,)
    shapes["language_model.lm_head.weight"] = (vocab_size, hidden)
    return shapes


def write_random_weights(folder: Path, shapes: Mapping[str, tuple[int, ...]], *, num_shards: int = 1) -> int:
    """Stream bfloat16 tensors to `num_shards` files and their index; gives the bytes of all tensors.

    One block of random numbers fills every tensor, so that gigabytes take seconds and hardly any memory.
    """
    block = (0.02 * torch.randn(2**20, generator=torch.Generator().manual_seed(0))).to(torch.bfloat16)
    data = block.view(torch.uint8).numpy().tobytes()
    keys, weight_map = list(shapes), {}
    for shard in range(num_shards):
        name = f"model-{shard + 1:05}-of-{num_shards:05}.safetensors" if num_shards > 1 else "model.safetensors"
        header, end = {}, 0
        for key in keys[shard::num_shards]:
            start, end = end, end + 2 * prod(shapes[key])
            header[key] = {"dtype": "BF16", "shape": list(shapes[key]), "data_offsets": [start, end]}
            weight_map[key] = name
        text = json.dumps(header).encode()
        with (folder / name).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for begun in range(0, end, len(data)):
                file.write(data[: end - begun])
    if num_shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return 2 * sum(prod(shape) for shape in shapes.values())
