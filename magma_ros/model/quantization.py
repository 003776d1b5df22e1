"""Weight-only quantisation of the Llama's linear layers: int8, int4 and nf4.

Everything else keeps its number type: the vision tower and projector, norms, embeddings, and the output head, of which
a robot action uses 256 rows. int8, and int4 on a CPU, are PyTorch's own kernels; on a CUDA device int4 is torchao's and
nf4 is bitsandbytes' (the extra `quantization`).
"""

from __future__ import annotations

import ctypes
import importlib
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from magma_ros.errors import CheckpointError
from magma_ros.model.weights import Quantizer

Quantization = Literal["none", "int8", "int4", "nf4"]

INT4_GROUP = 32
"""Weights of a row that share a scale and an offset in int4; larger groups save little and lose more."""

FUSED_ROWS = 32
"""Token positions up to which a CPU multiplies int8 weights as they are; above, widening them first is faster."""


class Int8Linear(nn.Module):
    """A linear layer with 8-bit weights and one scale per output."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach()
        low, high = weight.aminmax(dim=1)
        largest = torch.maximum(high, -low).float()
        self.scale = nn.Buffer(torch.where(largest > 0, largest / 127.0, 1.0).to(weight.dtype))
        levels = (weight.float() / self.scale.float()[:, None]).round_().clamp_(-127, 127)
        self.quantized = nn.Buffer(levels.to(torch.int8))
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output for `x`, (..., in_features)."""
        rows = x.reshape(-1, x.shape[-1])
        if x.device.type == "cpu" and x.dtype == torch.bfloat16 and len(rows) <= FUSED_ROWS:
            y = torch._weight_int8pack_mm(rows, self.quantized, self.scale)  # noqa: SLF001 - it has no public name
        else:
            y = functional.linear(rows, self.quantized.to(x.dtype)) * self.scale
        y = y.reshape(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias


class Int4Linear(nn.Module):
    """A linear layer with 4-bit weights in groups along each row, on a CPU in bfloat16."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        groups = layer.weight.detach().float().reshape(len(layer.weight), -1, INT4_GROUP)
        low, high = groups.aminmax(dim=2)
        scale = torch.where(high > low, (high - low) / 15.0, 1.0)
        levels = ((groups - low[..., None]) / scale[..., None]).round_().clamp_(0, 15).to(torch.int32)
        # The kernel reads a weight as (level - 8) · scale + zero.
        pairs = torch.stack([scale, low + 8 * scale], dim=-1).transpose(0, 1)
        self.scales_and_zeros = nn.Buffer(pairs.to(layer.weight.dtype).contiguous())
        self.packed = nn.Buffer(torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels.flatten(1), 1))  # noqa: SLF001 - same
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output for `x`, (..., in_features)."""
        rows = x.reshape(-1, x.shape[-1])
        y = torch.ops.aten._weight_int4pack_mm_for_cpu(rows, self.packed, INT4_GROUP, self.scales_and_zeros)  # noqa: SLF001 - same
        y = y.reshape(*x.shape[:-1], -1)
        return cast("Tensor", y if self.bias is None else y + self.bias)


def make_quantizer(quantization: str, *, device: torch.device | str, dtype: torch.dtype) -> Quantizer | None:
    """What turns a linear layer on `device` with weights of `dtype` into a quantised one; None for `none`.

    Raises:
        CheckpointError: an unknown kind, no kernel for it on this device or in this number type, or a missing library.
    """
    if quantization not in get_args(Quantization):
        raise CheckpointError(f"quantization: expected one of {get_args(Quantization)}, got {quantization!r}")
    kind, number = torch.device(device).type, str(dtype).removeprefix("torch.")
    if quantization == "none":
        return None
    if quantization == "nf4" and kind != "cuda":
        raise CheckpointError(f"quantization nf4: expected a CUDA device, got {kind}; int8 and int4 run on a CPU too")
    if quantization == "nf4":
        return _nf4(dtype)
    if quantization == "int8":
        return _tidily(Int8Linear)
    if kind not in ("cpu", "cuda") or dtype != torch.bfloat16:
        raise CheckpointError(f"quantization int4: expected bfloat16 on cpu or cuda, got {number} on {kind}")
    return _int4(_int4_cuda() if kind == "cuda" else Int4Linear)


def _int4(make: Quantizer) -> Quantizer:
    def quantize(layer: nn.Linear) -> nn.Module:
        if layer.in_features % INT4_GROUP or layer.out_features % INT4_GROUP:
            raise CheckpointError(
                f"quantization int4: expected layers whose sides are multiples of {INT4_GROUP}, "
                f"got {layer.in_features} to {layer.out_features}; int8 has no such limit"
            )
        return make(layer)

    return _tidily(quantize)


def _tidily(quantize: Quantizer) -> Quantizer:
    """`quantize`, after which the memory of its temporary tensors is the system's again.

    glibc keeps freed blocks below 32 MB for itself, and each layer's result lies behind the last one's temporaries:
    without this, loading in int8 takes more memory than loading in bfloat16.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)

    def quantize_and_trim(layer: nn.Linear) -> nn.Module:
        light = quantize(layer)
        if trim is not None:
            trim(0)
        return light

    return quantize_and_trim


def _int4_cuda() -> Quantizer:
    torchao = _library("torchao.quantization", package="torchao")

    def quantize(layer: nn.Linear) -> nn.Module:
        config = torchao.Int4WeightOnlyConfig(
            group_size=INT4_GROUP, int4_packing_format="tile_packed_to_4d", set_inductor_config=False
        )
        torchao.quantize_(layer, config)
        return layer

    return quantize


def _nf4(dtype: torch.dtype) -> Quantizer:
    bitsandbytes = _library("bitsandbytes", package="bitsandbytes")

    def quantize(layer: nn.Linear) -> nn.Module:
        with torch.device("meta"):
            light = bitsandbytes.nn.Linear4bit(
                layer.in_features,
                layer.out_features,
                bias=layer.bias is not None,
                compute_dtype=dtype,
                quant_type="nf4",
                compress_statistics=True,
            )
        # Moving the weight to the device is what quantises it.
        light.weight = bitsandbytes.nn.Params4bit(
            layer.weight.detach().cpu(), requires_grad=False, quant_type="nf4", compress_statistics=True
        )
        light.bias = layer.bias
        return cast("nn.Module", light.to(layer.weight.device))

    return quantize


def _library(module: str, *, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise CheckpointError(f"expected the package {package} for quantised weights: {error}") from error
