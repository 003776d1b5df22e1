"""The tower's depth-wise convolution, with a backward pass on the CPU that does not cost ten times the forward one.

Shape suffixes: K pictures, C channels, h w features, k side of the kernel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d


class DepthwiseConv2d(nn.Conv2d):
    """One odd square kernel for each channel, the size stays; in its weights' precision whatever autocast says.

    On a CPU bfloat16 is slower here. There, too, the gradient of the kernels is computed as a convolution: one channel
    for each channel of each picture, whose kernel is the gradient of the output. It takes 0.34 to 0.56 of the
    time of PyTorch's own (docs/lab_log.md).
    """

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of `x`, (K, C, h, w)."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.weight.dtype)
            if x.device.type == "cpu" and torch.is_grad_enabled():
                result: Tensor = _Convolution.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
                return result
            return super().forward(x)


class _Convolution(torch.autograd.Function):
    """The convolution of `DepthwiseConv2d` and its three gradients."""

    @staticmethod
    def forward(ctx: Any, x_KChw: Tensor, weight_C1kk: Tensor, bias_C: Tensor) -> Tensor:  # noqa: N803
        ctx.save_for_backward(x_KChw, weight_C1kk)
        return conv2d(x_KChw, weight_C1kk, bias_C, padding=_padding(weight_C1kk), groups=len(weight_C1kk))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (g_KChw,) = gradients  # noqa: N806 - shape suffixes
        x_KChw, weight_C1kk = ctx.saved_tensors  # noqa: N806
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        padding, num_channels = _padding(weight_C1kk), len(weight_C1kk)
        of_x = of_weight = None
        if wants_x:
            of_x = conv2d(g_KChw, weight_C1kk.flip(2, 3), padding=padding, groups=num_channels)
        if wants_weight:
            each_11 = (1, g_KChw.shape[0] * num_channels, *g_KChw.shape[2:])
            kernels = g_KChw.reshape(each_11[1], 1, *each_11[2:])
            found = conv2d(x_KChw.reshape(each_11), kernels, padding=padding, groups=each_11[1])
            of_weight = found.reshape(-1, *weight_C1kk.shape).sum(dim=0)
        return of_x, of_weight, g_KChw.sum(dim=(0, 2, 3)) if wants_bias else None


def _padding(weight_C1kk: Tensor) -> int:  # noqa: N803 - shape suffixes
    return weight_C1kk.shape[-1] // 2
