"""`config.json` and `preprocessor_config.json` describe a network that can be built, or are refused."""

from __future__ import annotations

from typing import Any

import pytest

from magma_ros.errors import CheckpointError
from magma_ros.model.config import ImageConfig, MagmaConfig
from tests.model import upstream_layout
from tests.model.upstream_layout import upstream_config


def release() -> dict[str, Any]:
    """The release's configuration."""
    return upstream_config(**upstream_layout.MAGMA_8B)


def test_the_release_is_understood() -> None:
    """Keys that the release lacks have its defaults; the others are what they say."""
    config = MagmaConfig.from_dict(release())
    assert (128000, 128257, 128256) == (config.base_vocab_size, config.image_token_id, config.pad_token_id)
    assert 2 == config.projector_depth
    assert 32 == config.tower.stride
    assert (32, 8, 128) == (config.text.num_attention_heads, config.text.num_key_value_heads, config.text.head_dim)


def test_what_text_config_leaves_out_is_read_from_the_top_level() -> None:
    """Upstream mirrors the text's attributes; without them Llama's own defaults would be taken for the network's."""
    data = release()
    for key in ("rope_theta", "rms_norm_eps", "num_key_value_heads"):
        del data["text_config"][key]
    text = MagmaConfig.from_dict(data).text
    assert (500_000.0, 1e-5, 8) == (text.rope_parameters["rope_theta"], text.rms_norm_eps, text.num_key_value_heads)
    data["rms_norm_eps"], data["text_config"]["rms_norm_eps"] = 1e-6, 1e-5
    assert 1e-5 == MagmaConfig.from_dict(data).text.rms_norm_eps


@pytest.mark.parametrize("pad", [-1, None])
def test_a_padding_id_that_is_none_pads_with_the_first_token(pad: int | None) -> None:
    """Padding is masked, so that any id of the vocabulary does; a negative one would not be in it."""
    assert 0 == MagmaConfig.from_dict(release() | {"pad_token_id": pad}).pad_token_id


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("", {"model_type": "llava"}, "model_type 'magma', got 'llava'"),
        ("", {"image_token_index": None}, "describes no Magma network"),
        ("", {"vision_config": 3}, "describes no Magma network"),
        ("", {"text_config": None}, "describes no Magma network"),
        ("text_config", {"model_type": "qwen2"}, "llama text_config, got 'qwen2'"),
        ("text_config", {"tie_word_embeddings": True}, "untied"),
        ("text_config", {"hidden_size": "big"}, "describes no Magma network"),
        ("text_config", {"num_attention_heads": 7}, "describes no Magma network"),
        ("vision_config", {"vision_backbone": "vit"}, "unknown vision_backbone 'vit'; known: .*convnextxxlarge"),
        ("vision_config", {"img_anyres_strategy": "global"}, "img_anyres_strategy 'crop', got 'global'"),
        ("vision_config", {"mm_use_row_seperator": False}, "mm_use_row_seperator true or absent, got False"),
        ("vision_config", {"mm_projector_type": "mlp2x_gelu_segtokv9"}, "mm_projector_type like 'mlp2x_gelu'"),
        ("vision_config", {"mm_projector_type": 2}, "describes no Magma network"),
    ],
)
def test_another_architecture_is_refused(part: str, changes: dict[str, object], message: str) -> None:
    """What this code cannot build is named, and never built nearly."""
    data = release()
    (data[part] if part else data).update(changes)
    with pytest.raises(CheckpointError, match=message):
        MagmaConfig.from_dict(data)


@pytest.mark.parametrize("key", ["image_token_index", "text_config", "vision_config"])
def test_a_missing_key_is_named(key: str) -> None:
    """Without one of these there is no architecture."""
    data = release()
    del data[key]
    with pytest.raises(CheckpointError, match=f"config.json: missing '{key}'"):
        MagmaConfig.from_dict(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"anyres_strategy": "global"}, "'crop', got 'global'"),
        ({"num_crops": "many"}, "many"),
        ({"image_std": 3}, "json"),
    ],
)
def test_other_pictures_are_refused(changes: dict[str, object], message: str) -> None:
    """A strategy, count or statistics that are not the release's kind are errors."""
    data = {
        "anyres_strategy": "crop",
        "base_img_size": 512,
        "num_crops": 4,
        "image_mean": [0.5] * 3,
        "image_std": [0.2] * 3,
    }
    with pytest.raises(CheckpointError, match=message):
        ImageConfig.from_dict(data | changes)
