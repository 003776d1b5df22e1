"""What `config.json` and `preprocessor_config.json` say about a Magma network, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import LlamaConfig

from magma_ros.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """Shape of the ConvNeXt tower: blocks and channels per stage, and the ε of every LayerNorm."""

    depths: tuple[int, ...]
    dims: tuple[int, ...]
    layer_norm_eps: float

    @property
    def stride(self) -> int:
        """Pixels per feature along each side: the 4-pixel stem, halved again by each later stage."""
        return 4 << (len(self.dims) - 1)


BACKBONES: Mapping[str, TowerConfig] = {
    "convnextxxlarge": TowerConfig((3, 4, 30, 3), (384, 768, 1536, 3072), 1e-5),
    "convnextlarge": TowerConfig((3, 3, 27, 3), (192, 384, 768, 1536), 1e-6),
    "convnexttiny": TowerConfig((3, 3, 9, 3), (96, 192, 384, 768), 1e-6),
}
"""Towers that upstream names (`vision_backbone`); magma-tiny writes its shape out in `vision_config` instead."""


_MIRRORED = (
    *(
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
    ),
    *(
        "hidden_act",
        "rms_norm_eps",
        "rope_theta",
        "rope_scaling",
        "max_position_embeddings",
        "attention_bias",
        "mlp_bias",
    ),
)
"""Keys of `text_config` that upstream repeats at the top level, where they are read when `text_config` lacks them."""


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """How a picture becomes crops (`preprocessor_config.json`).

    Attributes:
        base_img_size: Side of a square crop [px].
        num_crops: Most crops per picture.
        image_mean, image_std: Per RGB channel, for pixels in 0..1.
    """

    base_img_size: int
    num_crops: int
    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ImageConfig:
        """The part of `preprocessor_config.json` that decides pixels.

        Raises:
            CheckpointError: a key is missing or another strategy than `crop` is asked for.
        """
        strategy = data.get("anyres_strategy")
        if strategy != "crop":
            raise CheckpointError(f"preprocessor_config.json: expected anyres_strategy 'crop', got {strategy!r}")
        try:
            return cls(
                int(data["base_img_size"]), int(data["num_crops"]), tuple(data["image_mean"]), tuple(data["image_std"])
            )
        except KeyError as error:
            raise CheckpointError(f"preprocessor_config.json: missing {error}") from error
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"preprocessor_config.json: {error}") from error


@dataclass(frozen=True, slots=True)
class MagmaConfig:
    """Architecture of one checkpoint, read from upstream's own keys.

    Attributes:
        text: The Llama configuration.
        tower: The ConvNeXt tower.
        projector_depth: Linear layers in the projector.
        image_token_id: Placeholder of one picture in the ids.
        pad_token_id: Id that fills shorter rows of a batch.
        base_vocab_size: Tokens before the added ones; the last 256 of them are the action bins.
        raw: `config.json` as it was read, written back unchanged.
    """

    text: LlamaConfig
    tower: TowerConfig
    projector_depth: int
    image_token_id: int
    pad_token_id: int
    base_vocab_size: int
    raw: Mapping[str, Any]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MagmaConfig:
        """The architecture in upstream's `config.json`.

        Raises:
            CheckpointError: not a Magma configuration, or one that this code cannot build.
        """
        if data.get("model_type") != "magma":
            raise CheckpointError(f"config.json: expected model_type 'magma', got {data.get('model_type')!r}")
        try:
            vision = dict(data["vision_config"])
            text = {key: data[key] for key in _MIRRORED if key in data} | dict(data["text_config"])
            strategy, separator = vision["img_anyres_strategy"], vision.get("mm_use_row_seperator", True)
            if strategy != "crop":
                raise CheckpointError(f"config.json: expected img_anyres_strategy 'crop', got {strategy!r}")
            if separator is not True:
                raise CheckpointError(f"config.json: expected mm_use_row_seperator true or absent, got {separator!r}")
            return cls(
                text=_llama_config(text),
                tower=_tower_config(vision),
                projector_depth=_projector_depth(vision["mm_projector_type"]),
                image_token_id=int(data["image_token_index"]),
                # Some configurations write -1 for a token that they have not.
                pad_token_id=max(0, int(data.get("pad_token_id") or text.get("pad_token_id") or 0)),
                base_vocab_size=int(data.get("tokenizer_vocab_size") or 128000),
                raw=dict(data),
            )
        except KeyError as error:
            raise CheckpointError(f"config.json: missing {error}") from error
        except (AttributeError, TypeError, ValueError, StrictDataclassError) as error:
            raise CheckpointError(f"config.json: describes no Magma network: {error}") from error


def _llama_config(text: dict[str, Any]) -> LlamaConfig:
    if text.get("model_type", "llama") != "llama":
        raise CheckpointError(f"config.json: expected a llama text_config, got {text['model_type']!r}")
    config = LlamaConfig.from_dict(text)
    if config.tie_word_embeddings:
        raise CheckpointError("config.json: Magma has untied embeddings, got tie_word_embeddings true")
    return config


def _tower_config(vision: Mapping[str, Any]) -> TowerConfig:
    if "depths" in vision and "dims" in vision:
        return TowerConfig(tuple(vision["depths"]), tuple(vision["dims"]), float(vision["layer_norm_eps"]))
    name = str(vision.get("vision_backbone"))
    if name not in BACKBONES:
        raise CheckpointError(f"config.json: unknown vision_backbone {name!r}; known: {sorted(BACKBONES)}")
    return BACKBONES[name]


def _projector_depth(kind: str) -> int:
    prefix, suffix = "mlp", "x_gelu"
    digits = kind.removeprefix(prefix).removesuffix(suffix)
    if not (kind.startswith(prefix) and kind.endswith(suffix) and digits.isdigit() and int(digits) >= 1):
        raise CheckpointError(f"config.json: expected mm_projector_type like 'mlp2x_gelu', got {kind!r}")
    return int(digits)
