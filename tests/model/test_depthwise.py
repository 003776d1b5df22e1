"""The depth-wise convolution is PyTorch's, whatever its backward pass is made of."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from magma_ros.model.depthwise import DepthwiseConv2d


def result_and_gradients(layer: nn.Conv2d, x: Tensor, weights: Tensor) -> list[Tensor]:
    """What comes out of the layer, and the gradients of input, kernels and bias."""
    x = x.clone().requires_grad_()
    out = layer(x)
    (out * weights).sum().backward()
    return [out.detach(), *(tensor.grad for tensor in (x, layer.weight, layer.bias))]


@pytest.mark.parametrize(("num_pictures", "width", "height", "side"), [(1, 1, 1, 7), (3, 5, 9, 7), (2, 8, 6, 3)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_it_is_the_convolution_with_its_gradients(num_pictures, width, height, side, channels_last) -> None:
    """Output and all three gradients are those of PyTorch's layer, also where the picture is smaller than a kernel."""
    generator = torch.Generator().manual_seed(0)
    shape = (num_pictures, 6, height, width)
    x, weights = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    settings = {"kernel_size": side, "padding": side // 2, "groups": 6, "dtype": torch.float64}
    plain, ours = nn.Conv2d(6, 6, **settings), DepthwiseConv2d(6, 6, **settings)
    ours.load_state_dict(plain.state_dict())
    for expected, got in zip(
        result_and_gradients(plain, x, weights), result_and_gradients(ours, x, weights), strict=True
    ):
        torch.testing.assert_close(expected, got)


def test_what_is_frozen_gets_no_gradient() -> None:
    """Frozen kernels and an input without gradient cost and change nothing."""
    layer = DepthwiseConv2d(4, 4, kernel_size=7, padding=3, groups=4)
    layer.weight.requires_grad_(requires_grad=False)
    layer(torch.randn(1, 4, 8, 8)).sum().backward()
    assert layer.weight.grad is None
    torch.testing.assert_close(torch.full((4,), 64.0), layer.bias.grad)


def test_autocast_leaves_it_in_its_own_precision() -> None:
    """Under bfloat16 autocast it answers a bfloat16 picture in float32."""
    layer = DepthwiseConv2d(4, 4, kernel_size=7, padding=3, groups=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.float32 == layer(torch.randn(1, 4, 8, 8, dtype=torch.bfloat16)).dtype
