"""What the release's `config.json` says, as far as it is known (reference, sections 1.6 to 1.8)."""

from __future__ import annotations

from typing import Any

CONFIG: dict[str, Any] = {
    "_name_or_path": "microsoft/Magma-8B",
    "architectures": ["MagmaForCausalLM"],
    "model_type": "magma",
    "image_token_index": 128257,
    "img_size": 512,
    "pad_token_id": 128256,
    "tokenizer_vocab_size": 128000,
    "mm_use_image_start_end": True,
    "text_config": {
        "model_type": "llama",
        "vocab_size": 128320,
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": False,
    },
    "vision_config": {
        "vision_backbone": "convnextxxlarge",
        "vision_feature_layer": "clip_vis_dense",
        "img_anyres_strategy": "crop",
        "mm_projector_type": "mlp2x_gelu",
        "mm_hidden_size": 3072,
        "hidden_size": 4096,
        "mm_use_im_start_end": False,
    },
}
