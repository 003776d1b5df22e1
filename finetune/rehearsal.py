"""A training step without memory: every tensor has a shape and a lifetime, and none has contents.

The network itself runs forward and backward on torch's fake tensors, with its LoRA, precision and gradient
checkpointing; what lives at the worst moment is counted. So the number follows the code when that changes.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from magma_ros.finetune.gradient_checkpointing import BLOCKS, enable_gradient_checkpointing
from magma_ros.finetune.lora import base_layers
from magma_ros.finetune.parts import Parts, prepare, trainable
from magma_ros.model.config import MagmaConfig
from magma_ros.model.decoding import NUM_ACTION_TOKENS
from magma_ros.model.network import MagmaNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What one device works on at a time.

    Attributes:
        samples_per_pass: Samples in one forward pass: the batch over devices and accumulated parts.
        num_tokens: Of the longest sample, its pictures written out in full and its answer included.
        num_crops: Of a sample's pictures.
        crop_side_px: Side of a crop.
        precision: Of the arithmetic.
        base_dtype: Number type of what is not trained; nf4 layers apart.
        gradient_checkpointing: Blocks are computed again instead of kept.
        accumulate: Parts of a batch whose gradients are summed before a step.
        averaged: An average of the trained numbers is kept.
        attention: `eager` keeps every attention weight, `sdpa` none.
        num_shards: Devices that share weights, gradients and optimiser (FSDP).
        num_trained_tokens: Of a sample, those that the loss looks at: each has a score for every token there is.
    """

    samples_per_pass: int
    num_tokens: int
    num_crops: int
    crop_side_px: int
    precision: Literal["fp32", "bf16"] = "bf16"
    base_dtype: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = False
    accumulate: int = 1
    averaged: bool = True
    attention: Literal["eager", "sdpa"] = "sdpa"
    num_shards: int = 1
    num_trained_tokens: int = NUM_ACTION_TOKENS + 1


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a step was found to need.

    Attributes:
        weights_bytes: All parameters as they are stored.
        num_trained: Numbers that the optimiser changes.
        num_parameters: All numbers of the checkpoint and its LoRA.
        passing_bytes: Most that forward and backward hold at once: activations, gradients, everything in between.
        num_gathered: Numbers that a device holds whole where several share them: all outside blocks, and two blocks,
            the one in work and the next.
    """

    weights_bytes: int
    num_trained: int
    num_parameters: int
    passing_bytes: int
    num_gathered: int


NF4_BYTES = 0.5 + 1 / 64
"""Of a number: four bits, and a scale in 8 bits for 64 of them (Dettmers et al. 2023, double quantisation)."""


def rehearse(config: MagmaConfig, parts: Parts, workload: Workload) -> Rehearsal:
    """Go through one step of `workload`, of `config` as `parts` trains it.

    Raises:
        TrainingError: `parts` does not fit the network.
    """
    with torch.device("meta"):
        network = MagmaNetwork(config).train().to(getattr(torch, workload.base_dtype))
        packed = [_num_weights(network, name) for name in base_layers(network)] if parts.method == "qlora" else []
        # nf4 needs a GPU; what passes is that of a LoRA over the same layers in the base's own number type.
        prepare(network, replace(parts, method="lora") if packed else parts)
    sizes = [(p.numel(), p.element_size()) for p in network.parameters()]
    width = torch.finfo(getattr(torch, workload.base_dtype)).bits // 8
    with FakeTensorMode():
        _place(network)
        network.language_model.set_attn_implementation(workload.attention)
        if workload.gradient_checkpointing:
            enable_gradient_checkpointing(network)
        with LiveBytes(network.parameters()) as live:
            for _ in range(min(workload.accumulate, 2)):
                _step(network, workload)
    return Rehearsal(
        weights_bytes=sum(count * size for count, size in sizes) - round(sum(packed) * (width - NF4_BYTES)),
        num_trained=sum(p.numel() for p in trainable(network).values()),
        num_parameters=sum(count for count, _ in sizes),
        passing_bytes=live.peak + max(packed, default=0) * width,  # a layer in nf4 is widened while it is used
        num_gathered=_num_gathered(network),
    )


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves it untyped
    """Counts the memory of tensors that are made while it is entered: what lives now, and the most that ever did."""

    def __init__(self, there: Iterable[Tensor]) -> None:
        """Count everything but what is `there` already."""
        super().__init__()  # type: ignore[no-untyped-call] # same
        self.now = 0
        self.peak = 0
        self._known = weakref.WeakSet(tensor.untyped_storage() for tensor in there)

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and note the storages of what it gives."""
        result = func(*args, **(kwargs or {}))
        for leaf in result if isinstance(result, list | tuple) else (result,):
            if isinstance(leaf, Tensor):
                self._note(leaf.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, storage.nbytes())

    def _forget(self, num_bytes: int) -> None:
        self.now -= num_bytes


def _place(network: MagmaNetwork) -> None:
    """Give the network of the meta device parameters that pretend to lie on a CPU, where autocast looks for them."""
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            pretended = torch.empty(parameter.shape, dtype=parameter.dtype)
            module.register_parameter(name, nn.Parameter(pretended, requires_grad=parameter.requires_grad))
    rotary = network.language_model.model.rotary_emb  # computed, not stored
    network.language_model.model.rotary_emb = type(rotary)(network.config.text)


def _step(network: MagmaNetwork, workload: Workload) -> None:
    """One forward and backward pass over invented shapes; the pictures' vectors are put in front of the text."""
    rows, length, side = workload.samples_per_pass, workload.num_tokens, workload.crop_side_px
    dtype = network.embeddings.dtype
    pixels = torch.zeros(rows * workload.num_crops, 3, side, side, dtype=dtype)
    ids = torch.zeros(rows, length, dtype=torch.int64)
    mask = torch.ones(rows, length, dtype=torch.int64)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=workload.precision == "bf16"):
        embedded = network.language_model.get_input_embeddings()(ids)
        if len(pixels):
            features = network.projector(network.vision_tower(pixels).permute(0, 2, 3, 1))
            separators = network.projector.row_separator.to(features.dtype).expand(*features.shape[:2], -1)
            shown = torch.cat([features, separators.unsqueeze(2)], dim=2)
            embedded = embedded.masked_scatter(ids[..., None] == 0, shown.to(embedded.dtype))
        hidden = network.language_model.model(
            inputs_embeds=embedded, attention_mask=mask, position_ids=mask.cumsum(dim=1) - 1, use_cache=False
        ).last_hidden_state[:, -workload.num_trained_tokens :]
        logits = network.language_model.lm_head(hidden).float()
        loss = -logits.log_softmax(dim=-1).mean()
    loss.backward()


def _num_gathered(network: MagmaNetwork) -> int:
    blocks = [sum(p.numel() for p in m.parameters()) for m in network.modules() if isinstance(m, BLOCKS)]
    return sum(p.numel() for p in network.parameters()) - sum(blocks) + 2 * max(blocks)


def _num_weights(network: MagmaNetwork, layer: str) -> int:
    module = network.get_submodule(layer)
    assert isinstance(module, nn.Linear)
    return module.weight.numel()
