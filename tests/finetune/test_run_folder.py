"""A run folder belongs to the run that began it: what may differ when it goes on, and what may not."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from magma_ros.errors import RecipeError
from magma_ros.finetune.recipe import DataItem, Recipe, Schedule
from magma_ros.finetune.run_folder import HOW, NAME, claim, replace_json

DATA = [{"episodes": "demos", "sha256": "ab", "held_out": [1, 2]}]
PARENT = {"source": "base", "weights": {"model.safetensors": "cd"}}


class Described:
    """Data or a parent that says what it is."""

    def __init__(self, description: Any) -> None:
        self._description = description

    def describe(self) -> Any:
        return self._description


def claimed(recipe: Recipe, *, data: Any = DATA, parent: Any = PARENT) -> dict[str, Any]:
    """What the claim gives for the manifest."""
    material, start = Described(data), Described(parent)
    return claim(recipe, start, material)  # type: ignore[arg-type] # all that it asks of them is what they are


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A run of ten steps into a folder that there is."""
    return Recipe(data=(DataItem(episodes=Path("demos")),), output=tmp_path, steps=10, start_from="base")


def test_the_first_start_writes_down_what_the_run_makes(recipe: Recipe) -> None:
    """Data, parent and the recipe but for how it is run; data and parent are handed back as they are."""
    assert {"data": DATA, "parent": PARENT} == claimed(recipe)
    written = json.loads((recipe.output / NAME).read_text(encoding="utf-8"))
    assert {"recipe", "data", "parent"} == set(written)
    assert (DATA, PARENT) == (written["data"], written["parent"])
    assert {field.name for field in fields(Recipe)} - HOW == set(written["recipe"])
    assert (10, "base", 1e-3) == tuple(written["recipe"][key] for key in ("steps", "start_from", "learning_rate"))
    assert ["run.json"] == [path.name for path in recipe.output.iterdir()]


def test_what_may_differ_are_keys_of_a_recipe() -> None:
    """A key that was renamed would be compared again without anybody noticing."""
    assert {field.name for field in fields(Recipe)} >= HOW


def test_the_same_run_goes_on_and_leaves_its_notes_alone(recipe: Recipe) -> None:
    """To the byte, also when it is run in another way, and when a tuple comes where a list was read."""
    claimed(recipe)
    before = (recipe.output / NAME).read_bytes()
    other_way = replace(
        recipe, accumulate=4, gradient_checkpointing=True, parallel="fsdp", loader_threads=3, trackers=(),
        log_every=1, save_every=1, checkpoint_every=5, num_judged_episodes=0,
    )  # fmt: skip
    as_tuples = [{**DATA[0], "held_out": (1, 2)}]
    assert {"data": as_tuples, "parent": PARENT} == claimed(other_way, data=as_tuples)
    assert before == (recipe.output / NAME).read_bytes()


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"seed": 3}, "seed (0 then, 3 now)"),
        ({"steps": 20}, "steps (10 then, 20 now)"),
        ({"schedule": Schedule(warmup_steps=7)}, None),
        ({"steps": 20, "precision": "fp32"}, "precision ('bf16' then, 'fp32' now), steps (10 then, 20 now)"),
    ],
)
def test_another_recipe_is_refused_with_what_differs(
    recipe: Recipe, changes: dict[str, Any], shown: str | None
) -> None:
    """Each key, in the order of the alphabet, with what it was; the notes stay as they were."""
    claimed(recipe)
    before = (recipe.output / NAME).read_bytes()
    message = (
        f"{recipe.output}: holds a run that differs in {shown}; expected another output, or the recipe and data that "
        "it was begun with"
    )
    pattern = f"^{re.escape(message)}$" if shown else r"differs in schedule \(\{.* then, \{.*'warmup_steps': 7.* now\);"
    with pytest.raises(RecipeError, match=pattern):
        claimed(replace(recipe, **changes))
    assert before == (recipe.output / NAME).read_bytes()


def test_other_data_or_another_parent_is_refused(recipe: Recipe) -> None:
    """One episode more held out, or no parent; both of them are named."""
    claimed(recipe)
    more = [{**DATA[0], "held_out": [1, 2, 3]}]
    for given, shown in (
        ({"data": more}, "the data itself"),
        ({"parent": None}, "the parent itself"),
        ({"data": more, "parent": None}, "the data itself, the parent itself"),
    ):
        with pytest.raises(RecipeError, match=f"holds a run that differs in {shown}; expected another output"):
            claimed(recipe, **given)


def test_notes_of_an_older_version_lack_a_key_and_are_not_this_run(recipe: Recipe) -> None:
    """What was not written down then is None; a key that there is no more is compared as well."""
    claimed(recipe)
    notes = json.loads((recipe.output / NAME).read_text(encoding="utf-8"))
    del notes["recipe"]["ema_decay"]
    notes["recipe"]["dropout"] = 0.5
    replace_json(recipe.output / NAME, notes)
    shown = r"differs in dropout \(0\.5 then, None now\), ema_decay \(None then, 0\.998 now\);"
    with pytest.raises(RecipeError, match=shown):
        claimed(recipe)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_notes_that_cannot_be_read_are_refused(recipe: Recipe, text: str) -> None:
    """As a fault of the folder, by its name, and not written over."""
    (recipe.output / NAME).write_text(text)
    with pytest.raises(RecipeError, match=r"run\.json: expected a"):
        claimed(recipe)
    assert text == (recipe.output / NAME).read_text()


def test_notes_without_a_recipe_are_not_this_run(recipe: Recipe) -> None:
    """Where a list stands in its place, that is said, and the notes stay as they are."""
    notes = json.dumps({"recipe": ["steps", 10], "data": DATA, "parent": PARENT})
    (recipe.output / NAME).write_text(notes, encoding="utf-8")
    with pytest.raises(RecipeError, match="differs in the recipe itself; expected another output"):
        claimed(recipe)
    assert notes == (recipe.output / NAME).read_text(encoding="utf-8")


def test_replacing_leaves_one_readable_file(tmp_path: Path) -> None:
    """Two spaces to a level and a newline at the end; nothing of the old file or of a killed writer's stays."""
    path = tmp_path / "result.json"
    (tmp_path / "result.json.partial").write_text("half of som")
    for content in ({"old": "much longer than the new one"}, {"a": [1]}):
        replace_json(path, content)
    assert '{\n  "a": [\n    1\n  ]\n}\n' == path.read_text(encoding="utf-8")
    assert ["result.json"] == [found.name for found in tmp_path.iterdir()]
