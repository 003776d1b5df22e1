"""The Magma network: ConvNeXt tower, projector with row separators, Llama; one class for every size.

Built from the layers of `transformers`; facts from microsoft/Magma (`modeling_magma.py`, `image_tower_magma.py`).

Shape suffixes: B batch, L tokens, D text width, C tower channels, K crops of the whole batch, H W pixels of a crop,
h w features of a crop, N tokens of all pictures together.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from transformers import ConvNextConfig, LlamaForCausalLM
from transformers.models.convnext.modeling_convnext import (
    ConvNextEmbeddings,
    ConvNextLayer,
    ConvNextLayerNorm,
    ConvNextStage,
)

from magma_ros.errors import InvalidInputError
from magma_ros.model.cache import LayerCache, SharedHead
from magma_ros.model.config import MagmaConfig, TowerConfig
from magma_ros.model.depthwise import DepthwiseConv2d
from magma_ros.model.processing import ModelBatch

LAYER_SCALE_INIT = 1e-6
"""Initial value of every layer scale; a loaded tower that still holds it was not loaded (reference trap T1)."""


class VisionTower(nn.Module):
    """ConvNeXt stem and stages, with nothing after the last stage."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        layers = ConvNextConfig(
            hidden_sizes=list(config.dims), depths=list(config.depths), layer_scale_init_value=LAYER_SCALE_INIT
        )
        self.stem = ConvNextEmbeddings(layers)
        widths = (config.dims[0], *config.dims)
        self.stages = nn.ModuleList(
            ConvNextStage(layers, width_in, width_out, stride=1 if index == 0 else 2, depth=depth)
            for index, (width_in, width_out, depth) in enumerate(
                zip(widths[:-1], config.dims, config.depths, strict=True)
            )
        )
        for module in self.modules():
            if isinstance(module, ConvNextLayerNorm):
                module.eps = config.layer_norm_eps
            if isinstance(module, ConvNextLayer):
                width = module.dwconv.in_channels
                module.dwconv = DepthwiseConv2d(width, width, kernel_size=7, padding=3, groups=width)

    def forward(self, pixels_KCHW: Tensor) -> Tensor:  # noqa: N803 - shape suffixes
        """Features of each crop, (K, C, H/32, W/32) for four stages."""
        x = self.stem(pixels_KCHW.contiguous(memory_format=torch.channels_last))
        for stage in self.stages:
            x = stage(x)
        return cast("Tensor", x)


class Projector(nn.Module):
    """Linear layers with exact GELU between them, and the learned vector that ends each row of features."""

    def __init__(self, width_in: int, width_out: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(width_in, width_out)]
        for _ in range(depth - 1):
            layers += [nn.GELU(), nn.Linear(width_out, width_out)]
        self.proj = nn.Sequential(*layers)
        self.row_separator = nn.Parameter(torch.zeros(1, 1, width_out))

    def forward(self, features_KhwC: Tensor) -> Tensor:  # noqa: N803 - shape suffixes
        """Features in the width of the text, (K, h, w, D)."""
        return cast("Tensor", self.proj(features_KhwC))


class MagmaNetwork(nn.Module):
    """Pictures and token ids in, hidden states and logits out."""

    def __init__(self, config: MagmaConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_tower = VisionTower(config.tower)
        self.projector = Projector(config.tower.dims[-1], config.text.hidden_size, config.projector_depth)
        self.language_model = LlamaForCausalLM(config.text)

    @property
    def embeddings(self) -> Tensor:
        """The table of token vectors; its device and dtype are the network's."""
        return cast("Tensor", self.language_model.model.embed_tokens.weight)

    def forward(self, batch: ModelBatch) -> Tensor:
        """Last hidden states of every position, (B, L, D)."""
        features = self.image_features(batch.pixels, batch.image_sizes) if len(batch.pixels) else None
        output = self.language_model.model(
            inputs_embeds=self.embed(batch.ids, features),
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids(),
            use_cache=False,
        )
        return cast("Tensor", output.last_hidden_state)

    def states_behind_head(self, batch: ModelBatch) -> Tensor:
        """As `forward`, with the head that all rows begin with computed once; its own states come out as zeros.

        Every weight of the Llama works twice in it, so that nothing may depend on how often a layer is called.
        """
        num_head = len(batch.head)
        if not num_head:
            return cast("Tensor", self(batch))
        features = self.image_features(batch.pixels, batch.image_sizes) if len(batch.pixels) else None
        ids, positions = batch.ids[:, num_head:], batch.position_ids()
        num_padding_B1 = (batch.attention_mask == 0).sum(dim=1, keepdim=True)  # noqa: N806 - shape suffixes
        columns = torch.arange(batch.ids.shape[1], device=ids.device)
        # Behind a padding of p stands the head: what is left of it there, p tokens, is padding in its turn.
        seen_BL = (columns < num_head) | (columns >= num_head + num_padding_B1)  # noqa: N806
        causal_nL = columns[num_head:, None] >= columns  # noqa: N806
        own_nL = columns[num_head:, None] == columns  # noqa: N806
        cache = SharedHead()
        self.text_states(
            self.embed(batch.ids.new_tensor([batch.head]), None),
            positions=columns[None, :num_head],
            mask=self._blocked(columns[:num_head, None] >= columns[:num_head])[None, None],
            cache=cache,
        )
        states = self.text_states(
            self.embed(ids, features),
            positions=positions[:, num_head:],
            mask=self._blocked((seen_BL[:, None] & causal_nL) | own_nL)[:, None],
            cache=cache,
        )
        return nn.functional.pad(states, (0, 0, num_head, 0))

    def _blocked(self, seen: Tensor) -> Tensor:
        """What is added to the attention so that only what is `seen` counts."""
        return torch.zeros_like(seen, dtype=self.embeddings.dtype).masked_fill(~seen, -torch.inf)

    def text_states(
        self,
        embedded_BnD: Tensor,  # noqa: N803 - shape suffixes
        *,
        positions: Tensor,
        mask: Tensor,
        cache: LayerCache,
    ) -> Tensor:
        """Last hidden states of n tokens, (B, n, D), which see what `cache` holds.

        Args:
            embedded_BnD: The tokens' vectors.
            positions: Place of each in its row, (B, n) int64.
            mask: Added to the attention: 0 where a token sees a slot of the cache, else -inf, (B, 1, n, slots).
            cache: Takes their keys and values, and gives those that they see.
        """
        llama = self.language_model.model
        rotary = llama.rotary_emb(embedded_BnD, position_ids=positions)
        x_BnD = embedded_BnD  # noqa: N806 - shape suffixes
        for layer in llama.layers:
            x_BnD = layer(x_BnD, attention_mask=mask, position_embeddings=rotary, past_key_values=cache)  # noqa: N806
        return cast("Tensor", llama.norm(x_BnD))

    def image_features(self, pixels_KCHW: Tensor, image_sizes: Tensor) -> Tensor:  # noqa: N803 - shape suffixes
        """Token vectors of all pictures in order, (N, D).

        Args:
            pixels_KCHW: Crops of all pictures, row-major within each.
            image_sizes: (rows, columns) in crops of each picture, shape (pictures, 2).

        Raises:
            InvalidInputError: the grids do not add up to K crops.
        """
        return self.arrange_features(self.crop_features(pixels_KCHW), image_sizes)

    def crop_features(self, pixels_KCHW: Tensor) -> Tensor:  # noqa: N803 - shape suffixes
        """Vectors of each crop in the width of the text, (K, h, w, D)."""
        return cast("Tensor", self.projector(self.vision_tower(pixels_KCHW).permute(0, 2, 3, 1)))

    def arrange_features(self, features_KhwD: Tensor, image_sizes: Tensor) -> Tensor:  # noqa: N803 - shape suffixes
        """Token vectors of all pictures in order, (N, D), from those of their crops.

        Raises:
            InvalidInputError: the grids do not add up to K crops.
        """
        grids = [(int(rows), int(columns)) for rows, columns in image_sizes.tolist()]
        counts = [rows * columns for rows, columns in grids]
        if sum(counts) != len(features_KhwD):
            raise InvalidInputError(f"image_sizes: {grids} need {sum(counts)} crops, got {len(features_KhwD)}")
        parts = torch.split(features_KhwD, counts)
        return torch.cat([self._stitch(part, rows, cols) for part, (rows, cols) in zip(parts, grids, strict=True)])

    def _stitch(self, features_KhwD: Tensor, rows: int, columns: int) -> Tensor:  # noqa: N803 - shape suffixes
        """One picture's crops as one map, a separator after each feature row, flattened."""
        _, h, w, width = features_KhwD.shape
        grid = features_KhwD.reshape(rows, columns, h, w, width).permute(0, 2, 1, 3, 4)
        whole = grid.reshape(rows * h, columns * w, width)
        separator = self.projector.row_separator.to(whole.dtype).expand(rows * h, 1, width)
        return torch.cat([whole, separator], dim=1).flatten(0, 1)

    def embed(self, ids_BL: Tensor, features_ND: Tensor | None) -> Tensor:  # noqa: N803 - shape suffixes
        """Input embeddings (B, L, D): image positions take the picture vectors in order.

        Raises:
            InvalidInputError: the number of image positions is not N.
        """
        embedded: Tensor = self.language_model.get_input_embeddings()(ids_BL)
        at_image = ids_BL == self.config.image_token_id
        num_features = 0 if features_ND is None else len(features_ND)
        num_positions = int(at_image.sum())
        if num_positions != num_features:
            raise InvalidInputError(f"{num_positions} image positions in the ids, {num_features} image vectors")
        if features_ND is None:
            return embedded
        return embedded.masked_scatter(at_image[..., None], features_ND.to(embedded.dtype))
