"""A checkpoint is used whole and unaltered, with actions whose meaning is known, or refused."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import numpy as np
import pytest

from magma_ros import checkpoint, checkpoint_files, embodiments
from magma_ros.checkpoint import load_policy
from magma_ros.errors import CheckpointError, ContractError, NormalizationError
from magma_ros.golden import Question
from magma_ros.load_options import LoadOptions
from magma_ros.types import Observation
from tests.model.random_checkpoints import CONTRACT, write_random_checkpoint


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
        load_policy(write_random_checkpoint(tmp_path), LoadOptions(dtype="int3"))


def write_upstream_folder(folder: Path, **config: object) -> Path:
    """A random checkpoint as upstream publishes them: no manifest, no statistics, `config` instead of our own key."""
    write_random_checkpoint(folder)
    (folder / "magma_ros.json").unlink()
    (folder / "dataset_statistics.json").unlink()
    document = json.loads((folder / "config.json").read_text())
    del document["mm_use_image_start_end"]
    (folder / "config.json").write_text(json.dumps(document | config))
    return folder


def write_embodiment(path: Path, folder: Path, **changes: object) -> Path:
    """An embodiment file with the contract and statistics of the checkpoint in `folder`."""
    statistics = json.loads((folder / "dataset_statistics.json").read_text())
    document = {"contract": CONTRACT.to_dict(), "action": statistics[CONTRACT.embodiment]["action"]}
    path.write_text(json.dumps(document | changes))
    return path


def test_a_folder_in_upstreams_layout_acts_by_an_embodiment(tmp_path: Path) -> None:
    """Without a manifest, the named robot's contract and statistics decide what the tokens mean."""
    folder = write_upstream_folder(tmp_path)
    policy = load_policy(folder, LoadOptions(embodiment="bridge_widowx"))
    given = embodiments.load("bridge_widowx")
    assert given.contract == policy.contract
    assert given.norm_stats == policy.pipeline.config.norm_stats
    chunk = policy.infer(observation())
    assert (chunk.actions[0, :3] <= given.norm_stats.q99[:3]).all()
    with pytest.raises(
        CheckpointError,
        match=r"expected an embodiment: a JSON file .*\['bridge_widowx', 'bridge_wx250s', 'google_robot'\]",
    ):
        load_policy(folder)
    with pytest.raises(ContractError, match="'franka'"):
        load_policy(folder, LoadOptions(embodiment="franka"))


@pytest.mark.parametrize(("stated", "count"), [({}, 1), ({"mm_use_image_start_end": False}, 0)])
def test_the_picture_is_wrapped_as_config_json_says_or_the_tokenizer_can(
    tmp_path: Path, stated: dict[str, object], count: int
) -> None:
    """An absent mm_use_image_start_end is true when the tokenizer knows <image_start>; one that is there decides."""
    pipeline = checkpoint.load_pipeline(write_upstream_folder(tmp_path, **stated), embodiment="bridge_widowx")
    assert count == pipeline.encode(observation()).prompt.count("<image_start>")


def test_a_flag_that_is_no_truth_value_is_refused(tmp_path: Path) -> None:
    """A text where true or false belongs is an error, not true."""
    folder = write_upstream_folder(tmp_path, mm_use_image_start_end="false")
    with pytest.raises(CheckpointError, match="true or false, got 'false'"):
        checkpoint.load_pipeline(folder, embodiment="bridge_widowx")


def test_an_embodiment_beside_a_manifest_must_agree(tmp_path: Path) -> None:
    """The same contract and statistics given twice are fine; a difference in either is an error."""
    folder = write_random_checkpoint(tmp_path / "checkpoint")
    same = write_embodiment(tmp_path / "same.json", folder)
    own = checkpoint.load_pipeline(folder).fingerprint()
    assert own == checkpoint.load_pipeline(folder, embodiment=same).fingerprint()
    rate = write_embodiment(tmp_path / "rate.json", folder, contract=CONTRACT.to_dict() | {"control_rate_hz": 3.0})
    lower = write_embodiment(tmp_path / "lower.json", folder, lowercase_instruction=True)
    for other in (rate, lower, "bridge_widowx"):
        with pytest.raises(CheckpointError, match="differ from the embodiment"):
            checkpoint.load_pipeline(folder, embodiment=other)


def test_statistics_that_a_fine_tuned_folder_carries_must_be_the_embodiments(tmp_path: Path) -> None:
    """Upstream's dataset_statistics.json under any name is compared with the embodiment's."""
    folder = write_random_checkpoint(tmp_path / "checkpoint")
    statistics = json.loads((folder / "dataset_statistics.json").read_text())
    given = write_embodiment(tmp_path / "mine.json", folder)
    write_upstream_folder(folder)
    (folder / "dataset_statistics.json").write_text(json.dumps({"my_robot_data": statistics["bridge_widowx"]}))
    assert CONTRACT == checkpoint.load_pipeline(folder, embodiment=given).contract
    with pytest.raises(CheckpointError, match=r"statistics of \['my_robot_data'\], none of which"):
        checkpoint.load_pipeline(folder, embodiment="bridge_widowx")


@pytest.mark.parametrize(("quantization", "largest_bins"), [("int8", 4), ("none", 0)])
def test_a_policy_loads_quantised(tmp_path: Path, quantization: str, largest_bins: int) -> None:
    """The policy of a random checkpoint in int8 acts within a few bins of the one that is not quantised."""
    folder = write_random_checkpoint(tmp_path)
    whole = load_policy(folder, LoadOptions(dtype="bfloat16")).infer(observation())
    light = load_policy(folder, LoadOptions(dtype="bfloat16", quantization=quantization)).infer(observation())
    assert np.abs(whole.tokens - light.tokens).max() <= largest_bins


def test_a_ladder_beside_a_checkpoint_is_none_of_its_files(tmp_path: Path) -> None:
    """Its result may be written and changed without altering the checkpoint, and is not copied into the next one."""
    folder = write_random_checkpoint(tmp_path / "checkpoint")
    before = checkpoint_files.manifest_digest(folder)
    (folder / checkpoint_files.LADDER_NAME).write_text("{}")
    checkpoint_files.verify_files(folder)
    checkpoint.copy_architecture(folder, tmp_path / "next")
    assert not (tmp_path / "next" / checkpoint_files.LADDER_NAME).exists()
    checkpoint.record_golden(folder, question=Question(seed=1))
    assert before != checkpoint_files.manifest_digest(folder)
    with pytest.raises(CheckpointError, match=r"expected magma_ros\.json"):
        checkpoint_files.manifest_digest(tmp_path / "next")


def test_a_large_checkpoint_gives_its_golden_answer_in_half_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 Magma-8B would take 36 GB of the computer that trained it. Both precisions meet the answer."""
    monkeypatch.setattr(checkpoint, "_MOST_IN_FLOAT32", 1000)
    folder = write_random_checkpoint(tmp_path)
    assert "bfloat16" == json.loads((folder / "magma_ros.json").read_text())["golden"]["dtype"]
    for dtype in ("float32", "bfloat16"):
        load_policy(folder, LoadOptions(dtype=dtype))


def test_a_policy_that_nobody_uses_any_more_goes_at_once(tmp_path: Path) -> None:
    """Its network needs no garbage collector: the policy node keeps that away from what it has loaded."""
    policy = load_policy(write_random_checkpoint(tmp_path))
    policy.infer(observation())
    network = weakref.ref(policy.model.network)  # type: ignore[attr-defined]
    gc.collect()
    gc.disable()
    try:
        del policy
        assert network() is None
    finally:
        gc.enable()
