import json
from pathlib import Path

import pytest

from magma_ros import checkpoint
from magma_ros.checkpoint_files import LADDER_NAME, manifest_digest
from magma_ros.errors import PromotionError
from magma_ros.finetune import ladder
from magma_ros.finetune.ladder import RUNGS, Rung
from magma_ros.golden import Question
from tests.model.random_checkpoints import write_random_checkpoint

RUNTIME = {"device": "cpu", "dtype": "float32"}


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_random_checkpoint(tmp_path)


def passed(*names: str) -> list[Rung]:
    return [Rung.judged(name, holds=True, detail="it held", figures={"n": 3}) for name in names]


def test_a_new_ladder_has_every_rung_not_tried(folder) -> None:
    """It is bound to the fingerprint and to the manifest, and nothing counts as passed."""
    climbed = ladder.begin(folder, runtime=RUNTIME)
    assert RUNGS == tuple(rung.name for rung in climbed.rungs)
    assert {"not_tried"} == {rung.outcome for rung in climbed.rungs}
    assert (manifest_digest(folder), RUNGS) == (climbed.checkpoint, tuple(rung.name for rung in climbed.missing))


def test_what_was_passed_counts_on_while_the_checkpoint_stays(folder) -> None:
    """Written and read again it is the same; a second climb keeps what it does not try anew."""
    first = ladder.with_rungs(ladder.begin(folder, runtime=RUNTIME), passed("gate", "overfit"))
    ladder.write(folder, first)
    assert first == ladder.read(folder)
    failed = Rung.judged("gate", holds=False, detail="it did not", figures={})
    second = ladder.with_rungs(ladder.begin(folder, runtime=RUNTIME), [failed])
    outcomes = {rung.name: rung.outcome for rung in second.rungs}
    assert ("failed", "passed", "not_tried") == tuple(outcomes[name] for name in ("gate", "overfit", "simulator"))


def test_other_weights_begin_anew(folder) -> None:
    """Once the manifest has changed nothing of the old ladder is taken over, and it is refused as this one's."""
    ladder.write(folder, ladder.with_rungs(ladder.begin(folder, runtime=RUNTIME), passed(*RUNGS)))
    ladder.require_current(ladder.read(folder), folder)
    checkpoint.record_golden(folder, question=Question(seed=7))
    assert RUNGS == tuple(rung.name for rung in ladder.begin(folder, runtime=RUNTIME).missing)
    with pytest.raises(PromotionError, match="another checkpoint"):
        ladder.require_current(ladder.read(folder), folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document.update(format=2),
        lambda document: document["rungs"].pop(),
        lambda document: document["rungs"][0].update(outcome="sort of"),
        lambda document: document.pop("checkpoint"),
        lambda document: document.update(rungs=[1, 2]),
    ],
)
def test_a_damaged_ladder_is_refused(folder, damage) -> None:
    """Another format, a missing rung, an unknown outcome and a missing key are errors, not a pass."""
    path = ladder.write(folder, ladder.begin(folder, runtime=RUNTIME))
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))
    with pytest.raises(PromotionError, match=LADDER_NAME):
        ladder.read(folder)


def test_a_folder_without_a_ladder_says_which_command_makes_one(folder) -> None:
    """The error names `magma-ros ladder`."""
    with pytest.raises(PromotionError, match="magma-ros ladder"):
        ladder.read(folder)
