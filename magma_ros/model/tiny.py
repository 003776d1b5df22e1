"""magma-tiny: the same architecture and checkpoint layout at a size that two CPU cores can train.

Its tokenizer is a small byte-level BPE with Magma's special tokens. The last 256 entries of the base vocabulary are
unreachable by any text, so that an action token can never come from an instruction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from magma_ros.model.decoding import NUM_ACTION_BINS

SPECIAL_TOKENS = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<pad>",
    "<image>",
    "<action>",
    "<image_start>",
    "<image_end>",
)
"""Added tokens in id order; their texts are Llama-3's and Magma's."""

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|start_header_id|>' ~ message['role'] ~ '<|end_header_id|>\\n\\n' }}{{ message['content'] | trim }}"
    "{{ '<|eot_id|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
"""The chat form that `prompts.render_chat` writes, for users who call transformers on the folder."""

IMAGE_MEAN = (0.48145466, 0.4578275, 0.40821073)
IMAGE_STD = (0.26862954, 0.26130258, 0.27577711)
"""CLIP's statistics, as in the release's `preprocessor_config.json`."""


@dataclass(frozen=True, slots=True)
class TinySize:
    """Widths and depths of a small network.

    Attributes:
        tower_depths, tower_dims: Blocks and channels of the four ConvNeXt stages.
        hidden_size, num_layers, intermediate_size, num_heads, num_kv_heads: The Llama.
        base_img_size: Side of a crop [px].
        num_crops: Most crops that a picture is cut into; with 1 a large picture is seen at the size of a crop.
        num_text_tokens: Base vocabulary without the action bins.
    """

    tower_depths: tuple[int, ...] = (1, 2, 4, 2)
    tower_dims: tuple[int, ...] = (32, 64, 128, 256)
    hidden_size: int = 192
    num_layers: int = 4
    intermediate_size: int = 448
    num_heads: int = 4
    num_kv_heads: int = 2
    base_img_size: int = 128
    num_crops: int = 4
    num_text_tokens: int = 512


def build_tokenizer(corpus: Iterable[str], *, num_text_tokens: int) -> Tokenizer:
    """A byte-level BPE of `num_text_tokens` entries learnt from `corpus`, then the action bins and special tokens."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learner.train_from_iterator(
        corpus, trainers.BpeTrainer(vocab_size=num_text_tokens, initial_alphabet=sorted(alphabet), show_progress=False)
    )
    vocabulary = learner.get_vocab()
    merges = _merges_of(learner)
    for index in range(num_text_tokens - len(vocabulary)):
        vocabulary[f"⟨spare {index}⟩"] = len(vocabulary)
    for index in range(NUM_ACTION_BINS):
        vocabulary[f"⟨bin {index}⟩"] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = learner.pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL_TOKENS])
    begin = SPECIAL_TOKENS[0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, tokenizer.token_to_id(begin))]
    )
    return tokenizer


def tiny_config(tokenizer: Tokenizer, size: TinySize) -> dict[str, Any]:
    """`config.json` of a small network, in upstream's keys."""
    ids = {text: tokenizer.token_to_id(text) for text in SPECIAL_TOKENS}
    text_config = {
        "model_type": "llama",
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": size.hidden_size,
        "num_hidden_layers": size.num_layers,
        "intermediate_size": size.intermediate_size,
        "num_attention_heads": size.num_heads,
        "num_key_value_heads": size.num_kv_heads,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "tie_word_embeddings": False,
        "bos_token_id": ids["<|begin_of_text|>"],
        "eos_token_id": ids["<|eot_id|>"],
        "pad_token_id": ids["<pad>"],
    }
    vision_config = {
        "vision_backbone": "convnext",
        "depths": list(size.tower_depths),
        "dims": list(size.tower_dims),
        "layer_norm_eps": 1e-5,
        "vision_feature_layer": "clip_vis_dense",
        "img_anyres_strategy": "crop",
        "mm_projector_type": "mlp2x_gelu",
        "mm_hidden_size": size.tower_dims[-1],
        "hidden_size": size.hidden_size,
        "mm_use_im_start_end": False,
    }
    return {
        "architectures": ["MagmaForCausalLM"],
        "model_type": "magma",
        "image_token_index": ids["<image>"],
        "pad_token_id": ids["<pad>"],
        "tokenizer_vocab_size": tokenizer.get_vocab_size(with_added_tokens=False),
        "mm_use_image_start_end": True,
        "img_size": size.base_img_size,
        "text_config": text_config,
        "vision_config": vision_config,
    }


def tiny_preprocessor_config(size: TinySize) -> dict[str, Any]:
    """`preprocessor_config.json` of a small network, in upstream's keys."""
    return {
        "anyres_strategy": "crop",
        "base_img_size": size.base_img_size,
        "num_crops": size.num_crops,
        "do_convert_rgb": True,
        "image_mean": list(IMAGE_MEAN),
        "image_std": list(IMAGE_STD),
        "image_processor_type": "MagmaImageProcessor",
        "processor_class": "MagmaProcessor",
    }


def tokenizer_files(tokenizer: Tokenizer) -> dict[str, dict[str, Any]]:
    """`tokenizer_config.json`, `special_tokens_map.json` and `generation_config.json` beside `tokenizer.json`."""
    begin, end, pad = "<|begin_of_text|>", "<|eot_id|>", "<pad>"
    named = {"bos_token": begin, "eos_token": end, "pad_token": pad}
    return {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": 4096,
            "chat_template": CHAT_TEMPLATE,
            "clean_up_tokenization_spaces": False,
            **named,
        },
        "special_tokens_map.json": dict(named),
        "generation_config.json": {
            "bos_token_id": tokenizer.token_to_id(begin),
            "eos_token_id": tokenizer.token_to_id(end),
            "pad_token_id": tokenizer.token_to_id(pad),
        },
    }


def _merges_of(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    return [(left, right) for left, right in json.loads(tokenizer.to_str())["model"]["merges"]]
