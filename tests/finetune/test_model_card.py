import json
from pathlib import Path

import pytest
import yaml

from magma_ros.checkpoint import record_entropy_bounds
from magma_ros.checkpoint_files import manifest_digest
from magma_ros.entropy_bounds import EntropyBounds
from magma_ros.errors import CheckpointError
from magma_ros.finetune import ladder, model_card
from magma_ros.finetune.ladder import RUNGS, Rung
from magma_ros.json_files import read_object
from tests.model.random_checkpoints import write_random_checkpoint

TRAINING = {
    "recipe": {"steps": 300, "data": [{"episodes": "demos/carrot", "weight": 1.0}]},
    "data": [
        {"episodes": "demos/carrot", "sha256": "ab12", "num_episodes": 19, "held_out": [3], "source": {"env": "bridge"}}
    ],
    "parent": {"source": "magma-tiny", "fingerprint": "cd34"},
    "metrics": {"held_out": {"loss": 1.25}, "open_loop": {"demos": {"skill": {"value": 0.5}}}},
    "step": 300,
    "device": "cpu | 2 cores",
}


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_random_checkpoint(tmp_path)


def tell(folder: Path, training: dict[str, object]) -> None:
    """Put `training` into the manifest."""
    manifest = read_object(folder / "magma_ros.json")
    (folder / "magma_ros.json").write_text(json.dumps({**manifest, "training": training}))


def row(card: str, first: str) -> list[str]:
    """Cells of the only table row that begins with `first`."""
    (line,) = [line for line in card.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").replace("\\|", "\0").split("|")]


def test_the_card_tells_what_the_files_tell(folder) -> None:
    """Recipe, data with its hash, parent, metrics, contract and identity are those of manifest and ladder."""
    tell(folder, TRAINING)
    card = model_card.write(folder).read_text()
    head, _, body = card.removeprefix("---\n").partition("---\n")
    assert "robotics" == yaml.safe_load(head)["pipeline_tag"]
    assert manifest_digest(folder) == row(body, "manifest, SHA-256")[1]
    assert ["demos/carrot", "19", "1", '{"env": "bridge"}', "ab12"] == row(body, "demos/carrot")
    recipe = body.partition("```yaml\n")[2].partition("```")[0]
    assert TRAINING["recipe"] == yaml.safe_load(recipe)
    assert ["held_out.loss", "1.25"] == row(body, "held_out.loss")
    assert ["device", "cpu \0 2 cores"] == row(body, "device")
    assert "magma-tiny" in row(body, "made from")[1]
    assert ["frame", "base_link"] == row(body, "frame")
    assert ["control_rate_hz", "5.0 Hz"] == row(body, "control_rate_hz")
    assert "Not tried" in body


def test_the_card_tells_how_unsure_actions_may_be(folder) -> None:
    """The bounds of the manifest, or that it does not say."""
    about = "mean entropy of an action's tokens [nat]"
    assert "does not say" in row(model_card.compose(folder), about)[1]
    record_entropy_bounds(folder, EntropyBounds(3.39, 3.69))
    assert ["slows above 3.39, holds above 3.69"] == row(model_card.compose(folder), about)[1:]


def test_a_ladder_is_shown_with_its_tasks_and_axes(folder) -> None:
    """Each rung with its outcome, each task with its interval, each axis beside the two baselines."""
    tasks = {"bridge/carrot": {"successes": 9, "judged": 10, "errors": 0, "low": 0.6, "high": 0.98}}
    errors = {
        who: {"mae": {"dx_m": {"value": value}}} for who, value in {"policy": 1.0, "mean": 2.0, "previous": 3.0}.items()
    }
    figures = {"simulator": {"tasks": tasks}, "open_loop": errors}
    rungs = [Rung.judged(name, holds=name != "gate", detail="so", figures=figures.get(name, {})) for name in RUNGS]
    ladder.write(folder, ladder.with_rungs(ladder.begin(folder, runtime={"device": "cuda:0 (H100)"}), rungs))
    card = model_card.compose(folder)
    assert ["gate", "failed", "so"] == row(card, "gate")
    assert ["overfit", "passed", "so"] == row(card, "overfit")
    assert ["bridge/carrot", "9/10", "0.60 … 0.98"] == row(card, "bridge/carrot")
    assert ["dx_m", "1.00000", "2.00000", "3.00000"] == row(card, "dx_m")
    assert "cuda:0 (H100)" in card


def test_a_card_does_not_praise_with_an_old_ladder(folder) -> None:
    """What was found out about other weights is not told of these; what is not known is said to be so."""
    rungs = [Rung.judged(name, holds=True, detail="so", figures={}) for name in RUNGS]
    ladder.write(folder, ladder.with_rungs(ladder.begin(folder, runtime={}), rungs))
    tell(folder, {})
    card = model_card.compose(folder)
    assert "Tried with other weights" in card
    assert "passed" not in card
    assert 3 <= card.count("The manifest does not say.")


def test_a_folder_without_a_manifest_has_no_card(tmp_path) -> None:
    """There is nothing to tell of it."""
    with pytest.raises(CheckpointError, match=r"magma_ros\.json"):
        model_card.write(tmp_path)
    assert not (tmp_path / "README.md").exists()
