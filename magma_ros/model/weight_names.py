"""Names of the weights: ours, upstream's and those of its older internal checkpoints.

Facts from microsoft/Magma: the release's keys and `tools/convert_magma_weights_to_hf.py` (branch `video_sft`).
"""

from __future__ import annotations

import re

_TRUNK = "vision_tower.clip_vision_model.trunk"
_RULES: tuple[tuple[str, str], ...] = (
    (r"vision_tower\.stem\.patch_embeddings\.(.+)", _TRUNK + r".stem.0.\1"),
    (r"vision_tower\.stem\.layernorm\.(.+)", _TRUNK + r".stem.1.\1"),
    (r"vision_tower\.stages\.(\d+)\.downsampling_layer\.(.+)", _TRUNK + r".stages.\1.downsample.\2"),
    (r"vision_tower\.stages\.(\d+)\.layers\.(\d+)\.layer_scale_parameter", _TRUNK + r".stages.\1.blocks.\2.gamma"),
    (r"vision_tower\.stages\.(\d+)\.layers\.(\d+)\.dwconv\.(.+)", _TRUNK + r".stages.\1.blocks.\2.conv_dw.\3"),
    (r"vision_tower\.stages\.(\d+)\.layers\.(\d+)\.layernorm\.(.+)", _TRUNK + r".stages.\1.blocks.\2.norm.\3"),
    (r"vision_tower\.stages\.(\d+)\.layers\.(\d+)\.pwconv([12])\.(.+)", _TRUNK + r".stages.\1.blocks.\2.mlp.fc\3.\4"),
    (r"projector\.proj\.(.+)", r"multi_modal_projector.proj.\1"),
    (r"projector\.row_separator", r"multi_modal_projector.row_seperator"),
    (r"(language_model\..+)", r"\1"),
)
"""Our name → upstream's name (its spelling of *row_seperator* included)."""

_OLDER: tuple[tuple[str, str], ...] = (
    ("model.vision_tower.model.model.backbone.", "vision_tower."),
    ("vision_tower.clip_model.visual.", "vision_tower.clip_vision_model."),
    ("model.mm_projector.", "multi_modal_projector."),
    ("model.layers.", "language_model.model.layers."),
    ("model.embed_tokens.", "language_model.model.embed_tokens."),
    ("model.norm.", "language_model.model.norm."),
    ("lm_head.", "language_model.lm_head."),
)
"""Beginning of a key in an internal checkpoint → in the release, applied in this order, one after the other."""

_UNUSED = re.compile(
    r"vision_tower\.clip_vision_model\.(trunk\.)?head\..+|multi_modal_projector\.img_(start|end)_seperator"
    r"|.*\.inv_freq|.*(sem_seg_head|clip_model\.transformers|dilation_kernel|logit_scale).*"
)
"""Tensors that a checkpoint carries and the forward pass never reads."""


def upstream_name(name: str) -> str:
    """The release's key for one of our parameters."""
    for pattern, replacement in _RULES:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, replacement, name)
    raise AssertionError(f"no rule names parameter {name}")


def release_key(key: str) -> str | None:
    """The release's key for `key` of a file, which may be an older one; None for a tensor that nothing reads."""
    for old, new in _OLDER:
        if key.startswith(old):
            key = new + key.removeprefix(old)
    return None if _UNUSED.fullmatch(key) else key
