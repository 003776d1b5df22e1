"""A checkpoint folder is used whole and unaltered, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from magma_ros.checkpoint import load_policy
from magma_ros.errors import CheckpointError, NormalizationError
from magma_ros.types import Observation
from tests.model.random_checkpoints import write_random_checkpoint


def observation() -> Observation:
    """A grey picture of the one camera."""
    return Observation({"image": np.full((64, 64, 3), 90, np.uint8)}, "put carrot on plate", stamp_s=1.5)


def test_a_saved_checkpoint_acts(tmp_path: Path) -> None:
    """Loading gives a policy whose chunk is within the statistics and stamped like its observation; twice the same."""
    policy = load_policy(write_random_checkpoint(tmp_path))
    chunk = policy.infer(observation())
    assert 1 == len(chunk)
    assert "base_link" == chunk.frame
    assert 1.5 == chunk.stamp_s
    assert (1, 7) == chunk.tokens.shape
    assert np.abs(chunk.actions[0, :3]).max() <= 0.03
    np.testing.assert_array_equal(chunk.actions, load_policy(tmp_path).infer(observation()).actions)


def test_an_altered_or_missing_file_is_named(tmp_path: Path) -> None:
    """One changed byte in a file, or a file that is gone, refuses the folder and says which."""
    write_random_checkpoint(tmp_path)
    weights = bytearray((tmp_path / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "special_tokens_map.json").unlink()
    with pytest.raises(CheckpointError, match=r"model.safetensors was altered, special_tokens_map.json is missing"):
        load_policy(tmp_path)


def test_other_statistics_change_the_fingerprint(tmp_path: Path) -> None:
    """Statistics swapped together with their hash are still caught: they are part of the fingerprint."""
    write_random_checkpoint(tmp_path / "a", seed=0)
    write_random_checkpoint(tmp_path / "b", seed=1)
    swapped = (tmp_path / "b" / "dataset_statistics.json").read_bytes()
    (tmp_path / "a" / "dataset_statistics.json").write_bytes(swapped)
    manifest = json.loads((tmp_path / "a" / "magma_ros.json").read_text())
    other = json.loads((tmp_path / "b" / "magma_ros.json").read_text())
    manifest["files"]["dataset_statistics.json"] = other["files"]["dataset_statistics.json"]
    (tmp_path / "a" / "magma_ros.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="fingerprint"):
        load_policy(tmp_path / "a")


def test_statistics_of_another_robot_are_refused(tmp_path: Path) -> None:
    """A contract whose embodiment has no statistics is an error that lists those there are."""
    write_random_checkpoint(tmp_path)
    manifest = json.loads((tmp_path / "magma_ros.json").read_text())
    manifest["contract"]["embodiment"] = "franka"
    (tmp_path / "magma_ros.json").write_text(json.dumps(manifest))
    with pytest.raises(NormalizationError, match=r"'franka', available \['bridge_widowx'\]"):
        load_policy(tmp_path)


def test_a_folder_without_a_manifest_or_no_folder_is_refused(tmp_path: Path) -> None:
    """Both say what was expected."""
    with pytest.raises(CheckpointError, match="expected a checkpoint folder"):
        load_policy(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"magma_ros\.json"):
        load_policy(tmp_path)


def test_an_unknown_dtype_is_refused(tmp_path: Path) -> None:
    """The message lists the dtypes there are."""
    with pytest.raises(CheckpointError, match="bfloat16"):
        load_policy(write_random_checkpoint(tmp_path), dtype="int3")
