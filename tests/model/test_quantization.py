"""Quantised layers answer nearly like those that they stand for, take less memory, and say what they cannot do."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from magma_ros.checkpoint import load_model
from magma_ros.errors import CheckpointError
from magma_ros.model.quantization import FUSED_ROWS, Int4Linear, Int8Linear, make_quantizer
from magma_ros.model.tiny import TinySize
from magma_ros.prompts import robot_action_prompt
from magma_ros.types import ModelInput
from tests.model.random_checkpoints import write_random_checkpoint

WIDE = TinySize(
    tower_depths=(1, 1, 1, 1),
    tower_dims=(8, 12, 16, 24),
    hidden_size=64,
    num_layers=2,
    intermediate_size=96,
    num_heads=2,
    num_kv_heads=1,
    base_img_size=64,
    num_text_tokens=320,
)
"""Sides that int4's groups divide."""


def layer(*, bias: bool = False, dtype: torch.dtype = torch.bfloat16) -> nn.Linear:
    """A seeded layer, 192 to 448 as in magma-tiny."""
    torch.manual_seed(0)
    return nn.Linear(192, 448, bias=bias, dtype=dtype)


def relative_error(light: nn.Module, whole: nn.Linear, x: Tensor) -> float:
    """Length of the difference of the two answers, over the length of the right one."""
    with torch.inference_mode():
        right = nn.functional.linear(x.double(), whole.weight.double(), whole.bias and whole.bias.double())
        return float((light(x).double() - right).norm() / right.norm())


@pytest.mark.parametrize(
    ("quantization", "dtype", "bound"),
    [("int8", "bfloat16", 0.006), ("int8", "float32", 0.005), ("int8", "float16", 0.005), ("int4", "bfloat16", 0.08)],
)
@pytest.mark.parametrize("rows", [1, FUSED_ROWS, FUSED_ROWS + 1])
def test_a_quantised_layer_answers_nearly_the_same(quantization: str, dtype: str, bound: float, rows: int) -> None:
    """8 bits err by half a percent and 4 by less than a tenth, by the kernels for few and for many positions."""
    number = getattr(torch, dtype)
    whole = layer(dtype=number)
    quantize = make_quantizer(quantization, device="cpu", dtype=number)
    assert quantize is not None
    x = torch.randn(2, rows, 192, generator=torch.Generator().manual_seed(1)).to(number)
    assert 0.0 < relative_error(quantize(whole), whole, x) < bound
    assert (2, rows, 448) == tuple(quantize(whole)(x).shape)


@pytest.mark.parametrize("kind", [Int8Linear, Int4Linear])
def test_a_bias_is_kept_and_constant_rows_survive(kind: type[nn.Module]) -> None:
    """A row of zeros stays zero, a row of one value keeps it, and the bias is added."""
    whole = layer()
    with torch.no_grad():
        whole.weight[0] = 0.0
        whole.weight[1] = 0.5
    whole.bias = nn.Parameter(torch.arange(448, dtype=torch.bfloat16))
    with torch.inference_mode():
        answer = kind(whole)(torch.ones(1, 192, dtype=torch.bfloat16))[0]
    assert answer[0] == 0.0
    assert 97.0 == pytest.approx(float(answer[1]), rel=0.01)


@pytest.mark.parametrize(("quantization", "bits"), [("int8", 8 + 1), ("int4", 4 + 2)])
def test_only_the_llamas_linear_layers_are_quantised(tmp_path: Path, quantization: str, bits: int) -> None:
    """Those take little more than 8 or 4 bits a weight (scales are small sides' rest); everything else stays whole."""
    folder = write_random_checkpoint(tmp_path, size=WIDE)
    whole = load_model(folder, dtype="bfloat16").network
    light = load_model(folder, dtype="bfloat16", quantization=quantization).network
    blocks = sum(m.weight.numel() for m in whole.language_model.model.layers.modules() if isinstance(m, nn.Linear))
    kept = [
        n
        for n, v in light.state_dict().items()
        if not n.endswith((".quantized", ".scale", ".packed", ".scales_and_zeros"))
    ]
    assert {n for n in whole.state_dict() if not ("language_model" in n and n.endswith("_proj.weight"))} == set(kept)
    before, after = (sum(v.nbytes for v in n.state_dict().values()) for n in (whole, light))
    assert before - 2 * blocks < after <= before - 2 * blocks + blocks * bits / 8


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_a_draft_changes_no_token_of_a_quantised_network(tmp_path: Path, quantization: str) -> None:
    """Whatever is proposed, a quantised network chooses what it would have chosen alone."""
    model = load_model(write_random_checkpoint(tmp_path, size=WIDE), dtype="bfloat16", quantization=quantization)
    draw = np.random.default_rng(0)
    prompt = robot_action_prompt("put carrot on plate", use_image_start_end=True)
    for _ in range(5):
        item = ModelInput((draw.integers(0, 256, (64, 64, 3), dtype=np.uint8),), prompt)
        alone = model.generate_actions([item])
        drafts = [alone.tokens, draw.integers(320, 576, (1, 7))]
        assert all(np.array_equal(alone.tokens, model.generate_actions([item], draft=d).tokens) for d in drafts)


@pytest.mark.parametrize(
    ("quantization", "dtype", "message"),
    [
        ("int3", "bfloat16", "expected one of .*'int8', 'int4', 'nf4'"),
        ("nf4", "bfloat16", "nf4: expected a CUDA device, got cpu"),
        ("int4", "float32", "int4: expected bfloat16 on cpu or cuda, got float32 on cpu"),
        ("int4", "bfloat16", "multiples of 32, got 32 to 16; int8 has no such limit"),
    ],
)
def test_what_cannot_be_quantised_is_refused(tmp_path: Path, quantization: str, dtype: str, message: str) -> None:
    """An unknown kind, a device or number type without a kernel, and layers that do not fit are named."""
    folder = write_random_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        load_model(folder, dtype=dtype, quantization=quantization)


@pytest.mark.parametrize(("quantization", "package"), [("int4", "torchao"), ("nf4", "bitsandbytes")])
def test_a_missing_library_is_named(quantization: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a CUDA device needs and is not installed is asked for by name, before anything is loaded."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CheckpointError, match=f"expected the package {package}"):
        make_quantizer(quantization, device="cuda", dtype=torch.bfloat16)
