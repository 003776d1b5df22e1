"""The memory plan counts what loading takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from magma_ros.checkpoint import load_model
from magma_ros.inspection.memory import find_devices, plan_memory
from tests.model.random_checkpoints import write_random_checkpoint
from tests.model.test_quantization import WIDE


@pytest.mark.parametrize(
    ("form", "dtype", "quantization"),
    [
        ("float32", "float32", "none"),
        ("bfloat16", "bfloat16", "none"),
        ("float32 + int8", "float32", "int8"),
        ("bfloat16 + int8", "bfloat16", "int8"),
        ("bfloat16 + int4", "bfloat16", "int4"),
    ],
)
def test_the_plan_is_what_a_loaded_network_holds(tmp_path: Path, form: str, dtype: str, quantization: str) -> None:
    """Planned weights are the bytes of the tensors, to the last scale."""
    folder = write_random_checkpoint(tmp_path, size=WIDE)
    planned = plan_memory(load_model(folder).network, num_prompt_tokens=60, devices={})
    held = load_model(folder, dtype=dtype, quantization=quantization).network.state_dict()
    assert sum(value.nbytes for value in held.values()) == next(n.weights_bytes for n in planned if n.form == form)


def test_the_cache_is_keys_and_values_of_every_layer(tmp_path: Path) -> None:
    """Two layers, one head of 32 numbers, keys and values, 128 slots for 60 + 7 tokens, 4 or 2 bytes each."""
    network = load_model(write_random_checkpoint(tmp_path, size=WIDE)).network
    needs = plan_memory(network, num_prompt_tokens=60, devices={})
    assert [2 * 2 * 32 * 128 * 4, 2 * 2 * 32 * 128 * 2] == [need.cache_bytes for need in needs[:2]]


def test_a_form_fits_where_there_is_room_and_a_kernel(tmp_path: Path) -> None:
    """A device with too little memory does not take it; nf4 is for CUDA, and int4 for sides that its groups divide."""
    network = load_model(write_random_checkpoint(tmp_path)).network
    needs = {n.form: n for n in plan_memory(network, num_prompt_tokens=60, devices={"cpu": 10**9, "cuda:0": 1000})}
    assert {"cpu": True, "cuda:0": False} == needs["bfloat16"].fits
    assert {"cuda:0": False} == needs["bfloat16 + nf4"].fits
    assert {} == needs["bfloat16 + int4"].fits


def test_this_machine_has_memory() -> None:
    """The processor is always among the devices."""
    assert find_devices()["cpu"] > 2**28
