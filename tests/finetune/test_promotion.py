import fcntl
import json
from dataclasses import replace
from pathlib import Path

import pytest

from magma_ros import checkpoint, checkpoint_files
from magma_ros.checkpoint import load_policy
from magma_ros.checkpoint_files import manifest_digest
from magma_ros.errors import CheckpointError, ContractError, PromotionError
from magma_ros.finetune import ladder, promotion
from magma_ros.finetune.ladder import RUNGS, Rung, RungName
from magma_ros.finetune.promotion import CURRENT, PREVIOUS, promote, roll_back
from magma_ros.golden import Question
from magma_ros.json_files import read_object
from magma_ros.pipeline import Pipeline
from tests.model.random_checkpoints import write_random_checkpoint
from tests.test_adapter_files import write_adapter_on


def climbed_checkpoint(folder: Path, *, seed: int = 0, missing: tuple[RungName, ...] = ()) -> Path:
    """A random checkpoint whose ladder has all rungs but the `missing` ones."""
    write_random_checkpoint(folder, seed=seed)
    return climb(folder, missing=missing)


def climb(folder: Path, *, missing: tuple[RungName, ...] = ()) -> Path:
    """Write the ladder anew, as if it had been tried."""
    rungs = [Rung.judged(name, holds=name not in missing, detail=f"{name} was tried", figures={}) for name in RUNGS]
    ladder.write(folder, ladder.with_rungs(ladder.begin(folder, runtime={"device": "cpu"}), rungs))
    return folder


def led_to(to: Path, link: str) -> str:
    return str((to / link).readlink())


def promotions(to: Path) -> list[dict[str, object]]:
    """The lines of its log."""
    return [json.loads(line) for line in (to / promotion.LOG_NAME).read_text(encoding="utf-8").splitlines()]


def test_a_promoted_checkpoint_is_the_current_one_and_acts(tmp_path) -> None:
    """`current` leads to a whole copy that loads as a policy; the copy is named by what is in it and has a card."""
    source, to = climbed_checkpoint(tmp_path / "new"), tmp_path / "robot"
    done = promote(source, to)
    name = f"{Pipeline.load(source).fingerprint()[:12]}-{manifest_digest(source)[:12]}"
    assert (name, "") == (done.current, done.previous)
    assert name == led_to(to, CURRENT)
    assert load_policy(source).fingerprint == load_policy(to / CURRENT).fingerprint
    assert "## Ladder" in (to / CURRENT / "README.md").read_text()
    assert not (to / PREVIOUS).exists()


def test_the_one_before_is_kept_and_comes_back(tmp_path) -> None:
    """After a second promotion `previous` leads to the first; going back swaps the two, and again."""
    to = tmp_path / "robot"
    first = promote(climbed_checkpoint(tmp_path / "a", seed=0), to).current
    second = promote(climbed_checkpoint(tmp_path / "b", seed=1), to).current
    assert (second, first) == (led_to(to, CURRENT), led_to(to, PREVIOUS))
    assert (first, second) == (roll_back(to).current, led_to(to, PREVIOUS))
    assert (second, first) == (roll_back(to).current, led_to(to, PREVIOUS))
    assert [first, second, first, second] == [one["current"] for one in promotions(to)]


@pytest.mark.parametrize("missing", RUNGS)
def test_each_rung_is_required(tmp_path, missing) -> None:
    """A checkpoint that failed one rung is refused with its name and reason, and nothing is made."""
    source, to = climbed_checkpoint(tmp_path / "new", missing=(missing,)), tmp_path / "robot"
    with pytest.raises(PromotionError, match=rf"1 of 5 rungs are missing:\n- {missing} failed: {missing} was tried"):
        promote(source, to)
    assert not to.exists()


def test_a_rung_may_be_waived_by_name_and_that_is_written_down(tmp_path) -> None:
    """An arm that is not simulated has no success rate: its promotion says so; two rungs are asked of all."""
    source, to = climbed_checkpoint(tmp_path / "new", missing=("simulator",)), tmp_path / "robot"
    for name in ("gate", "train_serve"):
        with pytest.raises(PromotionError, match=f"got \\['{name}'\\]"):
            promote(source, to, waived=("simulator", name))
    promote(source, to, waived=("simulator",))
    assert ["simulator"] == promotions(to)[0]["waived"]


def test_a_ladder_of_other_weights_does_not_count(tmp_path) -> None:
    """A checkpoint that changed after it was tried is refused, although its ladder says that it passed."""
    source = climbed_checkpoint(tmp_path / "new")
    checkpoint.record_golden(source, question=Question(seed=7))
    with pytest.raises(PromotionError, match="another checkpoint"):
        promote(source, tmp_path / "robot")


def test_a_checkpoint_of_another_motion_is_refused(tmp_path) -> None:
    """A folder serves one robot: a current checkpoint for another embodiment keeps its place."""
    to, first = tmp_path / "robot", climbed_checkpoint(tmp_path / "a")
    name = promote(first, to).current
    other = write_random_checkpoint(tmp_path / "b", seed=1)
    pipeline = Pipeline.load(other)
    contract = replace(pipeline.contract, embodiment="other_arm")
    Pipeline(replace(pipeline.config, contract=contract)).save(other)
    manifest = read_object(other / "magma_ros.json")
    manifest["files"]["dataset_statistics.json"] = checkpoint_files.sha256_of(other / "dataset_statistics.json")
    (other / "magma_ros.json").write_text(json.dumps(manifest))
    with pytest.raises(ContractError, match="embodiment"):
        promote(climb(other), to)
    assert name == led_to(to, CURRENT)


def test_an_altered_file_is_never_promoted(tmp_path) -> None:
    """Neither a damaged source nor a damaged copy of a former promotion becomes current."""
    to = tmp_path / "robot"
    first, second = climbed_checkpoint(tmp_path / "a", seed=0), climbed_checkpoint(tmp_path / "b", seed=1)
    promote(first, to)
    name = promote(second, to).current
    (to / PREVIOUS / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=r"model\.safetensors was altered"):
        roll_back(to)
    with pytest.raises(CheckpointError, match=r"model\.safetensors was altered"):
        promote(first, to)
    assert name == led_to(to, CURRENT)
    (second / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=r"model\.safetensors was altered"):
        promote(second, tmp_path / "elsewhere")


def test_an_adapter_is_promoted_with_its_own_base_alone(tmp_path) -> None:
    """Other weights where its base was keep it from becoming current, at first and as the one to go back to."""
    to, base = tmp_path / "robot", write_random_checkpoint(tmp_path / "base")
    adapter = climb(write_adapter_on(tmp_path / "adapter", base))
    promote(adapter, to)
    whole = promote(climbed_checkpoint(tmp_path / "whole", seed=2), to).current
    write_random_checkpoint(base, seed=1)
    for act in (lambda: promote(adapter, tmp_path / "elsewhere"), lambda: roll_back(to)):
        with pytest.raises(CheckpointError, match="expected the weights that it was trained on"):
            act()
    assert whole == led_to(to, CURRENT)
    assert not (tmp_path / "elsewhere").exists()


def test_what_a_crash_left_is_overwritten(tmp_path) -> None:
    """An unfinished copy and an unfinished link of an earlier attempt do not matter."""
    source, to = climbed_checkpoint(tmp_path / "new"), tmp_path / "robot"
    name = f"{Pipeline.load(source).fingerprint()[:12]}-{manifest_digest(source)[:12]}"
    (to / f".{name}.partial").mkdir(parents=True)
    (to / f".{name}.partial" / "model.safetensors").write_bytes(b"torn")
    (to / ".current.partial").symlink_to("nowhere")
    assert name == promote(source, to).current
    assert {".lock", CURRENT, name, "promotions.jsonl"} == {path.name for path in to.iterdir()}


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path) -> None:
    """`current` is ours to change only while it leads to a folder beside it."""
    source, to = climbed_checkpoint(tmp_path / "new"), tmp_path / "robot"
    to.mkdir()
    (to / CURRENT).symlink_to(tmp_path)
    with pytest.raises(PromotionError, match="a link to a folder beside it"):
        promote(source, to)
    (to / CURRENT).unlink()
    (to / CURRENT).mkdir()
    with pytest.raises(PromotionError, match="got something else"):
        promote(source, to)


def test_only_one_process_promotes_at_a_time(tmp_path) -> None:
    """While another one holds the lock the links stay as they are."""
    source, to = climbed_checkpoint(tmp_path / "new"), tmp_path / "robot"
    to.mkdir()
    with (to / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(PromotionError, match="expected to be alone"):
            promote(source, to)
    assert promote(source, to).current


def test_there_is_nothing_to_go_back_to_at_first(tmp_path) -> None:
    """Without a previous checkpoint, and where nothing was ever promoted, going back is refused."""
    to = tmp_path / "robot"
    with pytest.raises(PromotionError, match="expected a folder"):
        roll_back(to)
    source = climbed_checkpoint(tmp_path / "new")
    promote(source, to)
    with pytest.raises(PromotionError, match="previous checkpoint"):
        roll_back(to)
    with pytest.raises(PromotionError, match="is the current one already"):
        promote(source, to)
    with pytest.raises(PromotionError, match="got a checkpoint"):
        promote(source, source)
